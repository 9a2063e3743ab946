"""What a consumer has taken from its stream and not yet handed out."""

from collections.abc import Iterator, Mapping
from itertools import islice
from operator import length_hint

from ...journal.cursor import Cursor
from ..event import JournalEventBase
from .batch import EMPTY_BATCH, Batch


class Backlog:
    """The batch being handed out. `pending` iterates over the rest of it; who takes an event takes it from there.

    Taking an event costs one step of a list's iterator and no bookkeeping: what was taken follows from what is left.
    """

    __slots__ = ("_before", "batch", "pending")

    def __init__(self) -> None:
        self.batch: Batch = EMPTY_BATCH
        self.pending: Iterator[JournalEventBase] = iter(())
        self._before = 0

    @property
    def left(self) -> int:
        """How many events are still to be handed out."""
        return length_hint(self.pending)

    @property
    def delivered(self) -> int:
        """How many events have been handed out in all; the sentinel is none."""
        return self._before + (0 if self.batch.marker else len(self.batch.events) - self.left)

    def install(self, batch: Batch) -> None:
        """Go on with the next batch; the one before has been handed out."""
        before, pending = self._before + (0 if self.batch.marker else len(self.batch.events)), iter(batch.events)
        # At once: nothing is called in between, where a signal handler could raise.
        self._before, self.batch, self.pending = before, batch, pending

    def take(self, most: int) -> list[JournalEventBase]:
        """The next events, at most so many: all of them or, where a signal handler raises meanwhile, none."""
        taken: list[JournalEventBase] = []
        pending = self.pending
        try:
            taken.extend(islice(pending, most))
        except BaseException:
            self.put_back(pending, len(taken))
            raise
        return taken

    def put_back(self, pending: Iterator[JournalEventBase], count: int = 1) -> None:
        """Have the events last taken from `pending` first in line again, unless others have moved on meanwhile."""
        if self.pending is pending:
            self.pending = iter(self.batch.events[len(self.batch.events) - length_hint(pending) - count :])

    def drop(self) -> None:
        """Hand out nothing more, not even to a loop that holds `pending`: it is emptied in place."""
        for _ in self.pending:
            pass

    def cursor(self, settled: Mapping[int, int]) -> Cursor:
        """Where to resume; `settled` is how far the stream knows that the log has been read."""
        left = self.left
        cursor = self.batch.cursor(len(self.batch.events) - left)
        if left:
            return cursor
        return Cursor({partition: max(offset, cursor.get(partition, 0)) for partition, offset in settled.items()})
