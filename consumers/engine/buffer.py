"""What a consumer has taken from its stream and not yet handed out."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from operator import length_hint

from ...journal.cursor import Cursor
from ..event import JournalEventBase
from .batch import EMPTY_BATCH, Batch, HandedBackBatch


class Buffer:
    """The batch being handed out. `pending` iterates over the rest of it; a caller takes an event from there.

    Taking an event costs one step of a list's iterator and no bookkeeping: what was taken follows from what is left.
    `current` is the batch and its iterator, as one object, for callers that must not see those of two batches.
    """

    __slots__ = ("_before", "batch", "current", "pending")

    def __init__(self) -> None:
        self.batch: Batch = EMPTY_BATCH
        self.pending: Iterator[JournalEventBase] = iter(())
        self.current = (self.batch, self.pending)
        self._before = 0

    @property
    def left(self) -> int:
        """How many events are still to be handed out."""
        return length_hint(self.pending)

    @property
    def delivered(self) -> int:
        """How many events have been handed out in all; the sentinel is none."""
        return self._before + self.batch.counted(len(self.batch.events) - self.left)

    def install(self, batch: Batch) -> None:
        """Go on with the next batch; the one before has been handed out."""
        before, pending = self._before + self.batch.counted(len(self.batch.events)), iter(batch.events)
        current = (batch, pending)
        # At once: nothing is called in between, where a signal handler could raise.
        self._before, self.batch, self.pending, self.current = before, batch, pending, current

    def take(self, most: int) -> list[JournalEventBase]:
        """The next events, at most so many: all of them or, where a signal handler raises meanwhile, none."""
        taken: list[JournalEventBase] = []
        batch, pending = self.current
        try:
            taken.extend(islice(pending, most))
        except BaseException:
            self.hand_back(batch, taken)
            raise
        return taken

    def hand_back(self, batch: Batch, taken: Sequence[JournalEventBase]) -> None:
        """Make these events, taken in a row from `batch`, the next ones, whatever has been taken since.

        Until they are taken again the cursor stands before the first of them.
        """
        if not taken:
            return
        index = next(index for index, event in enumerate(batch.events) if event is taken[0])
        counted = batch.counted(index + len(taken)) - batch.counted(index)
        delivered = self.delivered - counted
        rest = list(self.pending)  # emptied in place: a loop that holds the iterator goes on with the new one
        again = HandedBackBatch(taken, batch, index, rest, self.batch)
        pending = iter(again.events)
        self._before, self.batch, self.pending, self.current = delivered, again, pending, (again, pending)

    def drop(self) -> None:
        """Hand out nothing more, not even to a loop that holds `pending`: it is emptied in place."""
        for _ in self.pending:
            pass

    def drop_batch(self) -> None:
        """Forget the batch, which has been handed out: its stream goes on elsewhere than behind it."""
        self.install(EMPTY_BATCH)

    def cursor(self, settled: Mapping[int, int]) -> Cursor:
        """Where to resume; `settled` is how far the stream knows that the log has been read."""
        left = self.left
        cursor = self.batch.cursor(len(self.batch.events) - left)
        if left:
            return cursor
        return Cursor({partition: max(offset, cursor.get(partition, 0)) for partition, offset in settled.items()})
