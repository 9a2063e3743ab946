"""Filling the index in a thread, beside what the process does: each stretch is read and written inside SQLite."""

import concurrent.futures
import logging
import threading
from collections.abc import Callable
from typing import Final

from ...journal.async_journal import AsyncJournal
from ...journal.log import Extracting
from ...journal.runtime import blocking

logger = logging.getLogger("journeyman.index")

# How long the end of a journal waits for the stretch under way, in seconds.
_STOP_SECONDS_MAX: Final = 5.0


class _Stopped(Exception):
    """The journal is closed before the index is filled."""


class BackgroundFill:
    """Has one thread at a time call `fill`, which fills the index of a journal and tells of each stretch."""

    def __init__(self, journal: AsyncJournal, fill: Callable[[Callable[[int, int], None]], None]) -> None:
        self._journal = journal
        self._take_in = fill
        self._mutex = threading.Lock()
        self._filling: concurrent.futures.Future[None] | None = None
        self._stopped = False

    def begin(self) -> None:
        """Have what is in the log now taken in, unless a thread is at it, or the log is none to be read in bulk."""
        log = self._journal.log
        if log.needs_loop or not isinstance(log, Extracting):
            return
        with self._mutex:
            if self._stopped or (self._filling is not None and not self._filling.done()):
                return
            self._filling = blocking.in_thread(self._fill)

    def _fill(self) -> None:
        try:
            self._take_in(self._go_on)
        except _Stopped:
            pass
        except Exception as error:  # whatever it is: the index is derived, and the next reader goes on
            logger.debug("the task index was not filled: %s", error)

    def _go_on(self, _done: int, _all: int) -> None:
        if self._stopped:
            raise _Stopped

    async def aclose(self) -> None:
        """Stop after the stretch under way."""
        with self._mutex:
            self._stopped, filling = True, self._filling
        if filling is not None:
            await blocking.settled(filling, _STOP_SECONDS_MAX)

    def after_fork_in_child(self) -> None:
        """The thread is in the parent."""
        self._mutex = threading.Lock()
        self._filling = None
