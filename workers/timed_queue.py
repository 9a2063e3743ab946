"""A queue between threads and signal handlers; a signal does not make its `get` overrun the timeout."""

import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_FOR_EVER: Final = -1.0  # as `Lock.acquire` has it


class TimedQueue(Generic[T]):
    """An unbounded queue: any thread puts and gets, and a signal's handler may put at any moment.

    `queue.SimpleQueue` allows the same, but before CPython 3.13 its `get` waits for ever if a signal's handler outlasts
    the timeout. A lock computes the rest of its timeout correctly.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        # Released by `put` and by a `get` that leaves items behind; a `get` that finds none waits for it.
        self._filled = threading.Lock()
        self._filled.acquire()

    def put(self, item: T) -> None:
        """Append an item and wake one thread that waits."""
        self._items.append(item)
        self._wake()

    def get(self, timeout: float | None = None) -> T:
        """Remove and return the first item; wait for one at most `timeout` seconds (None: for ever).

        `queue.Empty` if none came.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with suppress(IndexError):
                item = self._items.popleft()
                if self._items:  # several were put before one thread was woken
                    self._wake()
                return item
            if deadline is None:
                self._filled.acquire(timeout=_FOR_EVER)
                continue
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise Empty
            self._filled.acquire(timeout=min(remaining, threading.TIMEOUT_MAX))

    def get_nowait(self) -> T:
        """Remove and return the first item; `queue.Empty` if there is none."""
        return self.get(0.0)

    def _wake(self) -> None:
        with suppress(RuntimeError):  # it is free: a thread that comes to wait looks for items anew
            self._filled.release()
