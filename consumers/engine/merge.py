"""Merge the histories of several partitions in time order, in bounded memory.

The rule: the next event is the one with the lowest timestamp among the first waiting event of each partition, ties by
partition. Each partition keeps its own log order. So if a writer's clock stepped back within a partition, the event
with the lower time directly follows its predecessor in the partition: log order takes precedence, time only
interleaves. The choice depends only on events still to come, so a reader that resumes merges identically.

Merging event by event costs a heap operation each. Instead whole segments are merged by sorting: an event's *rank* is
the highest timestamp of its partition so far, and a stable sort by rank, partitions in order, gives exactly the rule's
order.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from ...journal.event import Event
from ..event import JournalEventBase
from .transform import Transformed


class Segment(NamedTuple):
    """Consecutive events of one partition, and their offsets."""

    partition: int
    offsets: Sequence[int]


class Merged(NamedTuple):
    """A part of merged history: `events`, in order.

    It was concatenated from `segments` and then sorted: `events[i]` was at index `order[i]` of the concatenation.
    """

    events: Sequence[Event | JournalEventBase]
    segments: Sequence[Segment]
    order: Sequence[int]


class _Queue:
    """The events read of one partition and not yet merged."""

    __slots__ = ("events", "finished", "low", "offsets", "rank", "ranks", "start")

    def __init__(self, low: int) -> None:
        self.low = low
        self.events: Sequence[Event | JournalEventBase] = ()
        self.offsets: Sequence[int] = ()
        self.ranks: list[float] = []
        self.start = 0
        self.rank = float("-inf")
        self.finished = False

    @property
    def left(self) -> int:
        return len(self.ranks) - self.start

    def fill(self, transformed: Transformed) -> None:
        ranks = [event.timestamp for event in transformed.events]
        if ranks and (ranks[0] < self.rank or ranks != sorted(ranks)):  # a clock stepped back, which is rare
            ranks = list(accumulate(ranks, max, initial=self.rank))[1:]
        if ranks:
            self.rank = ranks[-1]
        if self.left:
            self.events = [*self.events[self.start :], *transformed.events]
            self.offsets = [*self.offsets[self.start :], *transformed.offsets]
            self.ranks = self.ranks[self.start :] + ranks
        else:
            self.events, self.offsets, self.ranks = transformed.events, transformed.offsets, ranks
        self.start = 0


class Merge:
    """Merges partitions: `fill` the partitions that are `wanting`, then `take` the events whose place is certain.

    A partition is wanting when fewer than `low` of its events are left. With 1, each `fill` would make only a few
    events certain; a higher `low` refills several partitions and then sorts more events at once.
    """

    def __init__(self, partitions: Iterable[int], low: int = 1) -> None:
        self._queues = {partition: _Queue(low) for partition in sorted(partitions)}

    def wanting(self) -> int | None:
        """Return a partition of which more must be read first; None if there is none."""
        for partition, queue in self._queues.items():
            if not queue.finished and len(queue.ranks) - queue.start < queue.low:
                return partition
        return None

    def fill(self, partition: int, transformed: Transformed) -> None:
        """Add the next events of a wanting partition; it stays wanting if there are too few."""
        self._queues[partition].fill(transformed)

    def finish(self, partition: int) -> None:
        """Mark a partition as completely read."""
        self._queues[partition].finished = True

    def exhaust(self, partition: int) -> None:
        """Mark that an error comes next in a partition: it is wanting only when all events before it are taken."""
        self._queues[partition].low = 1

    def is_empty(self, partition: int) -> bool:
        """Whether all events filled in for the partition have been taken."""
        return not self._queues[partition].left

    def take(self) -> Merged:
        """Return all events whose place is certain, in order; call when no partition is wanting."""
        frontier = min(
            ((queue.ranks[-1], partition) for partition, queue in self._queues.items() if not queue.finished),
            default=(float("inf"), -1),
        )
        events: list[Event | JournalEventBase] = []
        ranks: list[float] = []
        segments: list[Segment] = []
        for partition, queue in self._queues.items():
            # Below the frontier's rank every event is certain; at that rank, only in partitions up to the frontier's.
            side = bisect_right if partition <= frontier[1] else bisect_left
            start, end = queue.start, side(queue.ranks, frontier[0], queue.start)
            if end > start:
                events += queue.events[start:end]
                ranks += queue.ranks[start:end]
                segments.append(Segment(partition, queue.offsets[start:end]))
                queue.start = end
        if len(segments) < 2:
            return Merged(events, segments, range(len(events)))
        order = sorted(range(len(ranks)), key=ranks.__getitem__)
        return Merged(itemgetter(*order)(events), segments, order)
