"""The writer mutex: a lock among the threads of a process that an interrupt never leaves taken.

An exception of a signal handler or of a task's timeout can be raised whenever a call returns: just after a lock was
taken, before the code could note it, or at the first step of a function that should release it. So this lock knows its
holder, and its methods are those of a lock written in C, which no interrupt can split.
"""

import threading
from collections.abc import Callable
from typing import Any


class WriterMutex:
    """A lock for ``try: if mutex.take(…): …`` and ``finally: mutex.leave()``, unless it `is_mine` already.

    - `is_mine()`: whether this thread holds it.
    - `take(wait)`: acquire it, with `wait` also if it is held; returns whether it was acquired.
    - `leave()`: release it; `RuntimeError`, to be ignored, if this thread does not hold it.
    """

    __slots__ = ("is_mine", "leave", "take")

    def __init__(self) -> None:
        lock: Any = threading.RLock()
        self.is_mine: Callable[[], bool] = lock._is_owned  # noqa: SLF001 - as a Condition asks of its lock
        self.take: Callable[[bool], bool] = lock.acquire
        self.leave: Callable[[], None] = lock.release

    def is_locked(self) -> bool:
        """Whether a thread holds it."""
        if self.is_mine():
            return True
        try:
            return not self.take(False)
        finally:
            try:  # noqa: SIM105 - an interrupt may come as soon as anything else is called
                self.leave()
            except RuntimeError:
                pass  # it was not taken
