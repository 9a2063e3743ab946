"""What a consumer holds ready: events, and for each how far the log has been read once it is handed out."""

from collections.abc import Mapping, Sequence

from ...journal.cursor import Cursor
from ..event import JournalEventBase
from .merge import Merged


class Batch:
    """Events to hand out in this order, and the reader's cursor `before` and `after` all of them."""

    __slots__ = ("_after", "_before", "events")

    def __init__(self, events: Sequence[JournalEventBase], before: Mapping[int, int], after: Mapping[int, int]) -> None:
        self.events = events
        self._before = before
        self._after = after

    def cursor(self, handed_out: int) -> Cursor:
        """Where a reader resumes that has been handed the first `handed_out` events; cheapest in rising order."""
        if handed_out >= len(self.events):
            return Cursor(self._after)
        return Cursor(self._within(handed_out) if handed_out else self._before)

    def counted(self, handed_out: int) -> int:
        """How many of the first `handed_out` events are something that happened; the sentinel is not."""
        return handed_out

    def _within(self, handed_out: int) -> Mapping[int, int]:
        return self._before


class SentinelBatch(Batch):
    """The sentinel, at a moment when all that was read has been handed out."""

    __slots__ = ()

    def __init__(self, sentinel: JournalEventBase, cursor: Mapping[int, int]) -> None:
        super().__init__((sentinel,), cursor, cursor)

    def counted(self, handed_out: int) -> int:
        """None: the sentinel did not happen."""
        return 0


class PageBatch(Batch):
    """Events of one partition, `offsets[i]` being how far it is read once `events[i]` has been handed out."""

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
        if not self._places:  # only who asks in the midst of the stretch needs to know where each event stands
            self._places = [
                (segment.partition, offset) for segment in self._merged.segments for offset in segment.offsets
            ]
        for place in self._merged.order[self._folded : handed_out]:
            partition, offset = self._places[place]
            self._so_far[partition] = offset + 1
        self._folded = handed_out
        return self._so_far


class HandedBackBatch(Batch):
    """Events that come again, taken from `source` at `index`, and then what is left of the batch `rest_of`."""

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
        """Where a reader resumes: at the events that come again until these have been handed out."""
        if handed_out < self._again:
            return self._source.cursor(self._index + handed_out)
        return self._rest_of.cursor(self._skipped + handed_out - self._again)

    def counted(self, handed_out: int) -> int:
        """How many of the first `handed_out` events are something that happened."""
        again = self._source.counted(self._index + min(handed_out, self._again)) - self._source.counted(self._index)
        after = self._skipped + max(0, handed_out - self._again)
        return again + self._rest_of.counted(after) - self._rest_of.counted(self._skipped)


EMPTY_BATCH = Batch((), {}, {})
