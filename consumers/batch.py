"""What a consumer holds ready: events, and for each how far the log has been read once it is handed out."""

from collections.abc import Mapping, Sequence

from ..journal.cursor import Cursor
from .event import JournalEventBase


class Batch:
    """Events to hand out in this order. `cursor(n)` is where to resume once the first `n` have been handed out.

    A `marker` is not something that happened: the sentinel.
    """

    __slots__ = ("_after", "_before", "_folded", "_offsets", "_partitions", "_start", "events", "marker")

    def __init__(
        self,
        events: Sequence[JournalEventBase],
        before: Mapping[int, int],
        after: Mapping[int, int],
        partitions: Sequence[int] | int = 0,
        offsets: Sequence[int] | None = None,
        *,
        marker: bool = False,
    ) -> None:
        self.marker = marker
        self.events = events
        self._start = before
        self._before = dict(before)
        self._after = after
        self._partitions = partitions
        self._offsets = offsets
        self._folded = 0

    def cursor(self, handed_out: int) -> Cursor:
        """Where a reader resumes that has been handed the first `handed_out` events; cheapest in rising order."""
        if handed_out >= len(self.events):
            return Cursor(self._after)
        if self._offsets is None or not handed_out:
            return Cursor(self._start)
        if handed_out < self._folded:
            self._before, self._folded = dict(self._start), 0
        if isinstance(self._partitions, int):
            return Cursor({**self._before, self._partitions: self._offsets[handed_out - 1] + 1})
        for place in range(self._folded, handed_out):
            self._before[self._partitions[place]] = self._offsets[place] + 1
        self._folded = handed_out
        return Cursor(self._before)


EMPTY_BATCH = Batch((), {}, {})
