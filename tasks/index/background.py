"""Fill the index in a background thread."""

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable

from ...journal.async_journal import AsyncJournal
from ...journal.log import Textual
from ...journal.runtime import blocking
from ..limits import INDEX_INTERVAL_SECONDS, INDEX_STOP_SECONDS_MAX
from .pace import Pace, Stopped

logger = logging.getLogger("journeyman.index")


class BackgroundFill:
    """Runs `fill`, which fills the index of a journal and reports each page, in one thread at a time."""

    def __init__(self, journal: AsyncJournal, fill: Callable[[Callable[[int, int], None]], None]) -> None:
        self._journal = journal
        self._take_in = fill
        self._mutex = threading.Lock()
        self._filling: concurrent.futures.Future[None] | None = None
        self._stopped = False
        self._busy_until = 0.0  # monotonic time, in seconds
        self._pace = Pace(lambda: time.monotonic() < self._busy_until)

    def begin(self, *, busy: bool = False) -> None:
        """Start a thread that indexes the present log, unless one runs or the log cannot be read as text.

        While the process is `busy`, the thread takes a small share of its time.
        """
        if busy:
            self._busy_until = time.monotonic() + INDEX_INTERVAL_SECONDS
        log = self._journal.log
        if log.needs_loop or not isinstance(log, Textual):
            return
        with self._mutex:
            if self._stopped or (self._filling is not None and not self._filling.done()):
                return
            self._pace.begin()
            self._filling = blocking.in_thread(self._fill)

    def _fill(self) -> None:
        try:
            self._take_in(self._pace.go_on)
        except Stopped:
            pass
        except Exception as error:  # any error: the index is derived data, and the next reader goes on
            logger.debug("the task index was not filled: %s", error)

    async def aclose(self) -> None:
        """Stop after the page under way."""
        with self._mutex:
            self._stopped, filling = True, self._filling
        self._pace.stop()
        if filling is not None:
            await blocking.settled(filling, INDEX_STOP_SECONDS_MAX)

    def after_fork_in_child(self) -> None:
        """Forget the thread, which is in the parent."""
        self._mutex = threading.Lock()
        self._filling = None
        self._pace = Pace(lambda: time.monotonic() < self._busy_until)
