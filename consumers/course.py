"""How far a consumer has come, whoever drives it."""

import time

from ..journal.cursor import Cursor
from ..journal.errors import HistoryTruncated
from .definition import ConsumerDefinition
from .engine.backlog import Backlog
from .engine.stream import Stream


class ConsumerCourse(ConsumerDefinition):
    """The one stream that a consumer is on, from `start()` on, and what it has handed out of it."""

    _stream: Stream | None = None
    _ended = False
    _started_at = 0.0
    _committed: Cursor | None = None
    _backlog: Backlog

    def _set_out(self, stream: Stream) -> None:
        """Begin anew, on a stream that has been opened."""
        self._stream, self._ended, self._backlog = stream, False, Backlog()
        self._started_at = time.monotonic()

    def _started(self, call: str) -> Stream:
        if self._stream is None:
            raise RuntimeError(f"{call}() was called before start(): start the consumer first")
        return self._stream

    @property
    def cursor(self) -> Cursor | None:
        """Where to resume so that exactly the events not yet handed out follow; None before `start()`."""
        return None if self._stream is None else self._backlog.cursor(self._stream.settled)

    @property
    def truncated(self) -> HistoryTruncated | None:
        """What retention had removed when the consumer started, with the first moment there is; None: nothing.

        Only for who names no place to begin at and is handed what is left. Who names one that is gone, by `cursor`,
        `checkpoint` or `since`, is refused by `start()`, which raises it.
        """
        return None if self._stream is None else self._stream.truncated

    @property
    def progress(self) -> float:
        """The fraction of history that has been handed out, from 0 to 1; asks nobody."""
        stream = self._started("progress")
        return stream.progress(self._backlog.cursor(stream.settled))
