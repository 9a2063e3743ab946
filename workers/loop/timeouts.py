"""Enforce the timeouts of running tasks, by a timer and not in the turns of the worker loop.

During an outage of the journal a turn of the loop does not end, and timeouts have to hold all the same.
"""

import asyncio
import time
from collections.abc import Callable

from .lanes import Lanes


class TimeoutTimer:
    """Looks at what runs in `lanes` each `seconds` while they are busy, and calls `wake()` each time."""

    def __init__(self, lanes: Lanes, seconds: float, wake: Callable[[], None]) -> None:
        self._lanes = lanes
        self._seconds = seconds
        self._wake = wake
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, if it does not run: jobs were started. Call in the event loop."""
        if self._next is None:
            self._next = asyncio.get_running_loop().call_later(self._seconds, self._enforce)

    def close(self) -> None:
        """Stop the timer."""
        if self._next is not None:
            self._next.cancel()

    def _enforce(self) -> None:
        self._next = None
        busy = [lane for lane in self._lanes if lane.busy]
        for lane in busy:
            lane.executor.enforce(time.monotonic())
        if busy:
            self.start()
            self._wake()
