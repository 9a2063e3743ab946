"""Hold the state that synchronous and asynchronous consumers share: the stream and its undelivered events."""

import time

from ..journal.cursor import Cursor
from ..journal.errors import HistoryTruncated
from .engine.buffer import Buffer
from .engine.stream import Stream
from .options import ConsumerDefinition
from .statistics import Statistics


class ConsumerState(ConsumerDefinition):
    """A consumer's current stream, from `start()` on, and the buffer of events not yet delivered."""

    _stream: Stream | None = None
    _ended = False
    _started_at = 0.0
    _committed: Cursor | None = None
    _backlog: Buffer
    # Whether the stream may have read events that are in no batch here.
    _may_be_ahead = False

    def _begin_stream(self, stream: Stream) -> None:
        """Restart on a stream that has been opened."""
        self._stream, self._ended, self._may_be_ahead, self._backlog = stream, False, False, Buffer()
        self._started_at = time.monotonic()

    def _started(self, call: str) -> Stream:
        if self._stream is None:
            raise RuntimeError(f"{call}() was called before start(): start the consumer first")
        return self._stream

    async def _fetch(self, stream: Stream, deadline: float | None) -> bool:
        """Ensure that events are pending; False at the end of the stream. One caller at a time.

        If any exception ends it, even a signal handler's, the next call delivers the events not yet delivered.
        """
        if self._backlog.left or self._stream is not stream:
            return True
        ended = self._ended
        if ended:
            return False
        if self._may_be_ahead:
            await stream.rewind(self._backlog.cursor(stream.settled))
        stream.settle()
        self._may_be_ahead = True
        try:
            batch = await stream.next_batch(None if deadline is None else max(0.0, deadline - time.monotonic()))
        except BaseException as error:
            self._may_be_ahead = not stream.survives(error)
            raise
        if self._ended:  # closed or restarted meanwhile: discard the batch
            return False
        self._ended = batch is None
        if batch is not None:
            self._backlog.install(batch)
        self._may_be_ahead = False
        return batch is not None

    async def _skip_bad_record(self) -> None:
        """Continue after the bad record that comes next."""
        stream = self._started("skip_bad_record")
        bad = stream.bad_record
        if bad is None or self._backlog.left:
            raise RuntimeError("no bad record comes next: call skip_bad_record() after UnreadableRecord was raised")
        cursor = self._backlog.cursor(stream.settled)
        await stream.rewind(cursor.advanced(bad.partition, bad.offset + 1))
        stream.settle()
        self._backlog.drop_batch()

    async def _statistics(self) -> Statistics:
        stream, delivered = self._started("statistics"), self._backlog.delivered
        cursor = self._backlog.cursor(stream.settled)
        rate = delivered / max(1e-9, time.monotonic() - self._started_at)
        lag = await stream.lag(cursor)
        bad = stream.bad_records.count
        return Statistics(delivered, rate, lag.lag, stream.progress(cursor), bad, lag.ahead, lag.counted)

    @property
    def cursor(self) -> Cursor | None:
        """The position at which a consumer resumes with the first event not yet delivered; None before `start()`."""
        stream = self._stream
        return None if stream is None else stream.cursor(self._backlog.cursor(stream.settled))

    @property
    def truncated(self) -> HistoryTruncated | None:
        """The history that retention had removed when the consumer started, with the first remaining time, or None.

        Set only without an explicit start position, when the consumer delivers the remaining history. With one that
        was removed (`cursor`, `checkpoint` or `since`), `start()` raises it instead.
        """
        return None if self._stream is None else self._stream.truncated

    @property
    def progress(self) -> float:
        """The fraction of history that has been delivered, from 0 to 1; computed without reading the journal."""
        stream = self._started("progress")
        return stream.progress(self._backlog.cursor(stream.settled))
