"""Batches of events to deliver, each with the cursor from which a reader resumes after any of its events."""

from collections.abc import Mapping, Sequence

from ...journal.cursor import Cursor
from ..event import JournalEventBase
from .merge import Merged


class Batch:
    """Events to deliver in this order, and the reader's cursor `before` and `after` all of them."""

    __slots__ = ("_after", "_before", "events")

    def __init__(self, events: Sequence[JournalEventBase], before: Mapping[int, int], after: Mapping[int, int]) -> None:
        self.events = events
        self._before = before
        self._after = after

    def cursor(self, handed_out: int) -> Cursor:
        """Return where a reader resumes after the first `handed_out` events; cheapest in ascending order."""
        if handed_out >= len(self.events):
            return Cursor(self._after)
        return Cursor(self._within(handed_out) if handed_out else self._before)

    def counted(self, handed_out: int) -> int:
        """Return how many of the first `handed_out` events count as delivered; the sentinel does not."""
        return handed_out

    def _within(self, handed_out: int) -> Mapping[int, int]:
        return self._before


class SentinelBatch(Batch):
    """The sentinel alone, when everything read has been delivered."""

    __slots__ = ()

    def __init__(self, sentinel: JournalEventBase, cursor: Mapping[int, int]) -> None:
        super().__init__((sentinel,), cursor, cursor)

    def counted(self, handed_out: int) -> int:
        """Return 0: the sentinel is not an event of the journal."""
        return 0


class PageBatch(Batch):
    """Events of one partition; `offsets[i]` is the last offset read once `events[i]` has been delivered."""

    __slots__ = ("_offsets", "_partition")

    def __init__(
        self,
        events: Sequence[JournalEventBase],
        before: Mapping[int, int],
        after: Mapping[int, int],
        partition: int,
        offsets: Sequence[int],
    ) -> None:
        super().__init__(events, before, after)
        self._partition = partition
        self._offsets = offsets

    def _within(self, handed_out: int) -> Mapping[int, int]:
        return {**self._before, self._partition: self._offsets[handed_out - 1] + 1}


class MergedBatch(Batch):
    """A stretch of the merged history of several partitions."""

    __slots__ = ("_folded", "_merged", "_places", "_so_far")

    def __init__(
        self,
        events: Sequence[JournalEventBase],
        before: Mapping[int, int],
        after: Mapping[int, int],
        merged: Merged,
    ) -> None:
        super().__init__(events, before, after)
        self._merged = merged
        self._places: list[tuple[int, int]] = []
        self._so_far = dict(before)
        self._folded = 0

    def _within(self, handed_out: int) -> Mapping[int, int]:
        if handed_out < self._folded:
            self._so_far, self._folded = dict(self._before), 0
        if not self._places:  # positions are needed only for a cursor within the batch
            self._places = [
                (segment.partition, offset) for segment in self._merged.segments for offset in segment.offsets
            ]
        for place in self._merged.order[self._folded : handed_out]:
            partition, offset = self._places[place]
            self._so_far[partition] = offset + 1
        self._folded = handed_out
        return self._so_far


class HandedBackBatch(Batch):
    """Events handed back after a failed callback: from `source` at `index`, then the rest of the batch `rest_of`."""

    __slots__ = ("_again", "_index", "_rest_of", "_skipped", "_source")

    def __init__(
        self,
        again: Sequence[JournalEventBase],
        source: Batch,
        index: int,
        rest: Sequence[JournalEventBase],
        rest_of: Batch,
    ) -> None:
        super().__init__((*again, *rest), {}, {})
        self._again = len(again)
        self._source = source
        self._index = index
        self._rest_of = rest_of
        self._skipped = len(rest_of.events) - len(rest)

    def cursor(self, handed_out: int) -> Cursor:
        """Return where a reader resumes: at the events put back until these have been delivered."""
        if handed_out < self._again:
            return self._source.cursor(self._index + handed_out)
        return self._rest_of.cursor(self._skipped + handed_out - self._again)

    def counted(self, handed_out: int) -> int:
        """Return how many of the first `handed_out` events count as delivered."""
        again = self._source.counted(self._index + min(handed_out, self._again)) - self._source.counted(self._index)
        after = self._skipped + max(0, handed_out - self._again)
        return again + self._rest_of.counted(after) - self._rest_of.counted(self._skipped)


EMPTY_BATCH = Batch((), {}, {})
