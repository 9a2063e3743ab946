"""What a consumer holds ready: events, and for each how far the log has been read once it is handed out."""

from collections.abc import Mapping, Sequence

from ...journal.cursor import Cursor
from ..event import JournalEventBase
from .merge import Merged


class Batch:
    """Events to hand out in this order, and the reader's cursor `before` and `after` all of them."""

    __slots__ = ("_after", "_before", "events")

    # Whether the events are something that happened; the sentinel is not.
    marker = False

    def __init__(self, events: Sequence[JournalEventBase], before: Mapping[int, int], after: Mapping[int, int]) -> None:
        self.events = events
        self._before = before
        self._after = after

    def cursor(self, handed_out: int) -> Cursor:
        """Where a reader resumes that has been handed the first `handed_out` events; cheapest in rising order."""
        if handed_out >= len(self.events):
            return Cursor(self._after)
        return Cursor(self._within(handed_out) if handed_out else self._before)

    def _within(self, handed_out: int) -> Mapping[int, int]:
        return self._before


class SentinelBatch(Batch):
    """The sentinel, at a moment when all that was read has been handed out."""

    __slots__ = ()
    marker = True

    def __init__(self, sentinel: JournalEventBase, cursor: Mapping[int, int]) -> None:
        super().__init__((sentinel,), cursor, cursor)


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


EMPTY_BATCH = Batch((), {}, {})
