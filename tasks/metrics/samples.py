"""Read the samples of the metrics off the state of the queue and the counts of a process. Pure: it reads no clock."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from ...journal.append_counts import COMMIT_CLASSES, AppendCounts
from ..inspection.overview import Overview, QueueLine
from ..limits import METRIC_QUEUES_MAX
from .table import Distribution, Sample

# The label of all queues beyond `METRIC_QUEUES_MAX` together.
OTHERS: Final = "(others)"


class RunCounts(Protocol):
    """What a process has counted of the runs that it reports: its own, or those of remote workers."""

    claimed: int
    lost_claims: int
    succeeded: int
    failed: int
    retried: int
    interrupted: int
    refused: int
    expired_sessions: int


class KnownQueues:
    """The queues that were exported once, so that an empty one reads 0 and does not vanish; a bounded number."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def complete(self, lines: Iterable[QueueLine], serving_all: int) -> list[QueueLine]:
        """Return a line for each known queue: those given, and empty ones for the others.

        `serving_all` is how many workers serve every queue.
        """
        by_name = {line.name: line for line in lines}
        if len(self._names | by_name.keys()) > METRIC_QUEUES_MAX:
            self._names.clear()
        elif by_name.keys() - self._names:
            self._names |= by_name.keys()
        return [
            by_name.get(name) or QueueLine(name, 0, 0, 0, 0, None, serving_all) for name in self._names | {*by_name}
        ]


def journal_samples(seen: Overview, known: KnownQueues) -> Iterator[Sample]:
    """Yield the samples about the queue as a whole, of its overview."""
    totals = seen.totals
    serving_all = sum(worker.queues is None for worker in seen.workers)
    orphans = Counter[str]()
    if seen.workers:
        for orphan in seen.orphans:
            orphans[orphan.queue] += orphan.waiting
    for line in _bounded(known.complete(seen.queues, serving_all)):
        yield from _queue_samples(line, orphans[line.name])
    yield Sample("journeyman_workers", (), len(seen.workers))
    yield Sample("journeyman_tasks_submitted_total", (), totals.submitted)
    yield Sample("journeyman_tasks_ended_total", ("succeeded",), totals.succeeded)
    yield Sample("journeyman_tasks_ended_total", ("revoked",), totals.revoked)
    yield Sample("journeyman_dead_letters", (), totals.dead)
    yield Sample("journeyman_tasks_refused_total", ("claim",), totals.lost_claims)
    yield Sample("journeyman_tasks_refused_total", ("outcome",), totals.stale_outcomes)
    yield Sample("journeyman_takeovers_total", (), totals.takeovers)
    yield Sample("journeyman_unreadable_total", (), totals.unreadable)


def _queue_samples(line: QueueLine, orphans: int) -> Iterator[Sample]:
    depths = {"ready": line.ready, "delayed": line.delayed, "claimed": line.claimed, "dead": line.dead}
    for state, depth in depths.items():
        yield Sample("journeyman_queue_depth", (line.name, state), depth)
    yield Sample("journeyman_queue_oldest_seconds", (line.name,), line.oldest_seconds or 0.0)
    yield Sample("journeyman_queue_workers", (line.name,), line.workers)
    yield Sample("journeyman_queue_orphans", (line.name,), orphans)
    yield Sample("journeyman_queue_paused", (line.name,), line.paused_since is not None)


def _bounded(lines: list[QueueLine]) -> list[QueueLine]:
    """Return the lines of the deepest `METRIC_QUEUES_MAX` queues, and one for all others together."""
    if len(lines) <= METRIC_QUEUES_MAX:
        return sorted(lines)
    deepest = heapq.nlargest(METRIC_QUEUES_MAX, lines, key=lambda line: (line.ready + line.claimed, line.name))
    kept = {line.name for line in deepest}
    rest = [line for line in lines if line.name not in kept]
    together = QueueLine(
        OTHERS,
        sum(line.ready for line in rest),
        sum(line.delayed for line in rest),
        sum(line.claimed for line in rest),
        sum(line.dead for line in rest),
        max((line.oldest_seconds for line in rest if line.oldest_seconds is not None), default=None),
        max(line.workers for line in rest),
    )
    return [*sorted(deepest), together]


def append_samples(counts: AppendCounts) -> Iterator[Sample | Distribution]:
    """Yield the samples about the appends of this process."""
    yield Sample("journeyman_appends_total", (), counts.appends)
    yield Sample("journeyman_appended_events_total", (), counts.events)
    yield Sample("journeyman_append_bytes_total", (), counts.bytes)
    yield Distribution("journeyman_commit_seconds", (), COMMIT_CLASSES, tuple(counts.commits), counts.seconds)


def run_samples(counts: RunCounts) -> Iterator[Sample]:
    """Yield the samples about the runs that this process has reported."""
    yield Sample("journeyman_claims_total", (), counts.claimed)
    yield Sample("journeyman_outcomes_total", ("succeeded",), counts.succeeded)
    yield Sample("journeyman_outcomes_total", ("failed",), counts.failed)
    yield Sample("journeyman_outcomes_total", ("interrupted",), counts.interrupted)
    yield Sample("journeyman_retries_total", (), counts.retried)
    yield Sample("journeyman_refused_total", ("claim",), counts.lost_claims)
    yield Sample("journeyman_refused_total", ("outcome",), counts.refused)
    yield Sample("journeyman_expiries_total", (), counts.expired_sessions)


def schedule_samples(ticks_due: Iterable[tuple[bool, float | None]]) -> Iterator[Sample]:
    """Yield the samples about schedules: of each, whether it is paused, and for how many seconds a tick is due."""
    states, overdue = Counter[str](active=0, paused=0), 0.0
    for paused, due_seconds in ticks_due:
        states["paused" if paused else "active"] += 1
        overdue = max(overdue, due_seconds or 0.0)
    for state, count in states.items():
        yield Sample("journeyman_schedules", (state,), count)
    yield Sample("journeyman_schedules_overdue_seconds", (), overdue)
