"""Throttle the thread that fills the index: full speed while its process is idle, else a small share of the time."""

import threading
import time
from collections.abc import Callable

from ..limits import INDEX_TIME_SHARE_MAX


class Stopped(Exception):
    """The index is not filled further, as the journal is closed or the worker ends."""


class Pace:
    """Called after each page by the thread that fills the index; makes it sleep in between while `is_busy`."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        self._is_busy = is_busy
        self._stop = threading.Event()
        self._since = time.monotonic()

    def begin(self) -> None:
        """Restart the measurement of the time spent."""
        self._since = time.monotonic()

    def go_on(self, _done: int, _all: int) -> None:
        """Sleep if that is due; raise `Stopped` if the thread is to end. Usable as a `Progress`."""
        spent = time.monotonic() - self._since
        if self._stop.is_set() or (self._is_busy() and self._stop.wait(spent / INDEX_TIME_SHARE_MAX - spent)):
            raise Stopped
        self.begin()

    def stop(self) -> None:
        """Have the thread end at its next `go_on`, and end its sleep."""
        self._stop.set()
