"""The histories of several partitions as one, in time order, in bounded memory.

The rule: the next event is the one with the lowest timestamp among the first waiting event of each partition, ties by
partition. Each partition stays in its own log order. So where a writer's clock stepped back inside one partition, the
event with the low time comes directly after the one before it in its partition: log order is the truth, time only
interleaves. The choice depends on nothing but what is still to come, so a reader that resumes merges on identically.

Merging event by event costs a heap operation each. Here whole stretches are merged by sorting: an event's *rank* is
the highest timestamp of its partition so far, and a stable sort by rank, partitions in order, gives exactly the rule's
order.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from .event import JournalEventBase
from .shaping import Shaped


class Merged:
    """A stretch of merged history: `events[i]` stands at `offsets[i]` of `partitions[i]`."""

    __slots__ = ("events", "offsets", "partitions")

    def __init__(self) -> None:
        self.events: list[JournalEventBase] = []
        self.partitions: list[int] = []
        self.offsets: list[int] = []


class _Queue:
    """What has been read of one partition and not yet been merged."""

    __slots__ = ("events", "finished", "offsets", "rank", "ranks", "start")

    def __init__(self) -> None:
        self.events: Sequence[JournalEventBase] = ()
        self.offsets: Sequence[int] = ()
        self.ranks: list[float] = []
        self.start = 0
        self.rank = float("-inf")
        self.finished = False

    @property
    def empty(self) -> bool:
        return self.start >= len(self.ranks)

    def fill(self, shaped: Shaped) -> None:
        assert self.empty, "a queue is filled when all of it has been merged"
        self.events, self.offsets, self.start = shaped.events, shaped.offsets, 0
        timestamps = [event.timestamp for event in shaped.events]
        self.ranks = list(accumulate(timestamps, max, initial=self.rank))[1:]
        if self.ranks:
            self.rank = self.ranks[-1]


class Merge:
    """Merges partitions: `fill` those that are `wanting`, then `take` what is certain."""

    def __init__(self, partitions: Iterable[int]) -> None:
        self._queues = {partition: _Queue() for partition in sorted(partitions)}

    def wanting(self) -> int | None:
        """A partition whose next event must be known before anything more is certain."""
        for partition, queue in self._queues.items():
            if not queue.finished and queue.empty:
                return partition
        return None

    def fill(self, partition: int, shaped: Shaped) -> None:
        """The next events of a wanting partition; it stays wanting if there are none."""
        self._queues[partition].fill(shaped)

    def finish(self, partition: int) -> None:
        """Nothing more comes of this partition."""
        self._queues[partition].finished = True

    def is_empty(self, partition: int) -> bool:
        """Whether all that was filled in for the partition has been taken."""
        return self._queues[partition].empty

    def take(self) -> Merged:
        """All events whose place is certain, in order; call when no partition is wanting."""
        frontier = min(
            ((queue.ranks[-1], partition) for partition, queue in self._queues.items() if not queue.finished),
            default=(float("inf"), -1),
        )
        merged, ranks = Merged(), []
        for partition, queue in self._queues.items():
            # Up to the frontier nothing unread can come before; at its very rank only the partitions before it.
            side = bisect_right if partition <= frontier[1] else bisect_left
            start, end = queue.start, side(queue.ranks, frontier[0], queue.start)
            if end > start:
                merged.events += queue.events[start:end]
                merged.offsets += queue.offsets[start:end]
                merged.partitions += [partition] * (end - start)
                ranks += queue.ranks[start:end]
                queue.start = end
        if merged.partitions and merged.partitions[0] != merged.partitions[-1]:
            order = sorted(range(len(ranks)), key=ranks.__getitem__)
            merged.events = [merged.events[place] for place in order]
            merged.offsets = [merged.offsets[place] for place in order]
            merged.partitions = [merged.partitions[place] for place in order]
        return merged
