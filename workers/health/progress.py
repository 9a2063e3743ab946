"""Is a worker well? Health is progress.

The applied position moves or there is nothing to apply, the loop turns, and what the worker holds is renewed in time.

Pure: all times are monotonic seconds of the worker's own process, handed in.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..limits import HEALTH_PROGRESS_SECONDS_MAX, HEALTH_TURN_SECONDS_MAX


class WorkerHealth(NamedTuple):
    """What a worker's loop says of itself.

    - `worker`: the session it works under; `draining`: it takes on nothing new.
    - `turned_at`: when the foreman's loop last began a turn.
    - `applied`: how far it has applied each partition.
    - `claims`: how many tasks it holds, and `acknowledged_at` when the oldest acknowledgement among the leases that
      cover them was asked for; None without claims. `lease_seconds` is the lease.
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


class Progress(NamedTuple):
    """How the applied position compares with the end of the log.

    `behind` events were still to be applied when the end was last seen, at `looked_at`; `moved_at` is when the applied
    position last moved or had nothing before it.
    """

    behind: int
    looked_at: float
    moved_at: float


class Judgement(NamedTuple):
    """Whether a worker is well, and if not, why, in sentences."""

    healthy: bool
    reasons: tuple[str, ...]


def progress(
    before: Progress | None, old: Mapping[int, int], applied: Mapping[int, int], end: Mapping[int, int], now: float
) -> Progress:
    """What a look at the end of the log shows at `now`.

    `before` and `old` are the last look and what was applied then.
    """
    behind = sum(max(0, offset - applied.get(partition, 0)) for partition, offset in end.items())
    still = before is not None and behind > 0 and dict(old) == dict(applied)
    return Progress(behind, now, before.moved_at if before is not None and still else now)


def judge(health: WorkerHealth | None, seen: Progress | None, now: float) -> Judgement:
    """Whether the worker is well at `now`.

    Not before its loop has begun to work and has seen the end of the log once.
    """
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


def _journal(seen: Progress, now: float) -> str:
    unanswered, still = now - seen.looked_at, now - seen.moved_at
    if unanswered > HEALTH_PROGRESS_SECONDS_MAX:
        return f"the journal has not said for {unanswered:.1f} s where it ends"
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
