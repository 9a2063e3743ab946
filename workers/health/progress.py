"""Judge a worker's health by its progress.

A worker is healthy if its applied position moves or there is nothing to apply, its loop turns, and the leases of its
claims are renewed in time. Pure: all times are passed in, as monotonic seconds of the worker's process.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..limits import HEALTH_PROGRESS_SECONDS_MAX, HEALTH_TURN_SECONDS_MAX


class WorkerHealth(NamedTuple):
    """The state that a worker's loop reports.

    - `worker`: the id of its session; `draining`: it claims nothing more.
    - `turned_at`: when the worker loop last began a turn.
    - `applied`: how far it has applied each partition.
    - `claims`: how many tasks it holds; `acknowledged_at`: of the leases that cover them, when the least recently
      acknowledged append was begun, None without claims. `lease_seconds` is the lease.
    - `start_failures`: why some of its tasks cannot be run at present, in sentences.
    """

    worker: str
    draining: bool
    turned_at: float
    applied: Mapping[int, int]
    claims: int
    acknowledged_at: float | None
    lease_seconds: float
    start_failures: tuple[str, ...] = ()


class ReadProgress(NamedTuple):
    """How the applied position compares with the end of the log.

    `behind` events were still to be applied when the end was last read, at `looked_at`; `moved_at` is when the applied
    position last moved or had reached the end.
    """

    behind: int
    looked_at: float
    moved_at: float


class Judgement(NamedTuple):
    """Whether a worker is healthy, and if not, why, in sentences."""

    healthy: bool
    reasons: tuple[str, ...]


def progress(
    before: ReadProgress | None, old: Mapping[int, int], applied: Mapping[int, int], end: Mapping[int, int], now: float
) -> ReadProgress:
    """Return the progress at `now`, when the log ends at `end`; `before` and `old` are those of the last look."""
    behind = sum(max(0, offset - applied.get(partition, 0)) for partition, offset in end.items())
    still = before is not None and behind > 0 and dict(old) == dict(applied)
    return ReadProgress(behind, now, before.moved_at if before is not None and still else now)


def judge(health: WorkerHealth | None, seen: ReadProgress | None, now: float) -> Judgement:
    """Return whether the worker is healthy at `now`: not before its loop works and has read the end of the log once."""
    if health is None or seen is None:
        return Judgement(False, ("starting: the history is being read",))
    reasons = [reason for reason in (_loop(health, now), _journal(seen, now), _lease(health, now)) if reason]
    reasons += health.start_failures
    return Judgement(not reasons, tuple(reasons))


def _loop(health: WorkerHealth, now: float) -> str:
    still = now - health.turned_at
    if still <= HEALTH_TURN_SECONDS_MAX:
        return ""
    return f"the loop has not turned for {still:.1f} s: something in it blocks, or the journal takes no appends"


def _journal(seen: ReadProgress, now: float) -> str:
    unanswered, still = now - seen.looked_at, now - seen.moved_at
    if unanswered > HEALTH_PROGRESS_SECONDS_MAX:
        return f"the journal has not returned its end for {unanswered:.1f} s"
    if seen.behind and still > HEALTH_PROGRESS_SECONDS_MAX:
        return f"{seen.behind:,} events wait to be applied, and the applied position has not moved for {still:.1f} s"
    return ""


def _lease(health: WorkerHealth, now: float) -> str:
    if health.acknowledged_at is None or now - health.acknowledged_at < health.lease_seconds:
        return ""
    old = now - health.acknowledged_at
    lease = f"its lease of {health.lease_seconds:g} s"
    claims = f"{health.claims:,} claim{'s' * (health.claims != 1)}"
    return f"it holds {claims} and its last acknowledged append is {old:.1f} s old, older than {lease}"
