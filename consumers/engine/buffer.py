"""Buffer the events that a consumer has taken from its stream and not yet delivered."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from operator import length_hint

from ...journal.cursor import Cursor
from ..event import JournalEventBase
from .batch import EMPTY_BATCH, Batch, HandedBackBatch


class Buffer:
    """The batch being delivered. `pending` iterates over its remaining events; callers take events from it.

    Taking an event costs one step of a list iterator and no bookkeeping: the number taken follows from the number left.
    `current` holds the batch and its iterator as one object, for callers that must not mix those of two batches.
    """

    __slots__ = ("_before", "batch", "current", "pending")

    def __init__(self) -> None:
        self.batch: Batch = EMPTY_BATCH
        self.pending: Iterator[JournalEventBase] = iter(())
        self.current = (self.batch, self.pending)
        self._before = 0

    @property
    def left(self) -> int:
        """How many events are still to be delivered."""
        return length_hint(self.pending)

    @property
    def delivered(self) -> int:
        """How many events have been delivered in total, without the sentinel."""
        return self._before + self.batch.counted(len(self.batch.events) - self.left)

    def install(self, batch: Batch) -> None:
        """Replace the batch, which has been delivered, by the next one."""
        before, pending = self._before + self.batch.counted(len(self.batch.events)), iter(batch.events)
        current = (batch, pending)
        # One statement without a call in it, so that a signal handler cannot raise in between.
        self._before, self.batch, self.pending, self.current = before, batch, pending, current

    def take(self, most: int) -> list[JournalEventBase]:
        """Take the next events, at most `most`; if a signal handler raises meanwhile, none is taken."""
        taken: list[JournalEventBase] = []
        batch, pending = self.current
        try:
            taken.extend(islice(pending, most))
        except BaseException:
            self.hand_back(batch, taken)
            raise
        return taken

    def hand_back(self, batch: Batch, taken: Sequence[JournalEventBase]) -> None:
        """Put back events taken in a row from `batch`, so that they come next, whatever has been taken since.

        Until they are taken again the cursor is before the first of them.
        """
        if not taken:
            return
        index = next(index for index, event in enumerate(batch.events) if event is taken[0])
        counted = batch.counted(index + len(taken)) - batch.counted(index)
        delivered = self.delivered - counted
        rest = list(self.pending)  # drained in place: a loop that holds the iterator continues with the new one
        again = HandedBackBatch(taken, batch, index, rest, self.batch)
        pending = iter(again.events)
        self._before, self.batch, self.pending, self.current = delivered, again, pending, (again, pending)

    def drop(self) -> None:
        """Discard the remaining events by draining `pending` in place, so that a loop holding it ends, too."""
        for _ in self.pending:
            pass

    def drop_batch(self) -> None:
        """Forget the delivered batch: its stream continues at another position than after it."""
        self.install(EMPTY_BATCH)

    def cursor(self, settled: Mapping[int, int]) -> Cursor:
        """Return where to resume; `settled` is how far the stream knows that the log has been read."""
        left = self.left
        cursor = self.batch.cursor(len(self.batch.events) - left)
        if left:
            return cursor
        return Cursor({partition: max(offset, cursor.get(partition, 0)) for partition, offset in settled.items()})
