"""The writer's seat: one thread of a process at a time has it, and gives it back wherever an interrupt strikes.

What the handler of a signal raises, or a task's timeout, can come whenever a call returns: just as a lock was taken,
before anybody could note that, or at the first step of a function that was to give it back. So this lock knows its
holder, and its methods are those of a lock written in C, which nothing comes in between.
"""

import threading
from collections.abc import Callable
from typing import Any


class WriterMutex:
    """A lock for ``try: if seat.take(…): …`` and ``finally: seat.leave()``, after a look whether it `is_mine` already.

    - `is_mine()`: whether this thread has it.
    - `take(wait)`: take it if it is free, or wait for it; says whether it was taken.
    - `leave()`: give it back; `RuntimeError`, to be ignored, if this thread does not have it.
    """

    __slots__ = ("is_mine", "leave", "take")

    def __init__(self) -> None:
        lock: Any = threading.RLock()
        self.is_mine: Callable[[], bool] = lock._is_owned  # noqa: SLF001 - as a Condition asks of its lock
        self.take: Callable[[bool], bool] = lock.acquire
        self.leave: Callable[[], None] = lock.release

    def is_locked(self) -> bool:
        """Whether some thread has it."""
        if self.is_mine():
            return True
        try:
            return not self.take(False)
        finally:
            try:  # noqa: SIM105 - an interrupt may come as soon as anything else is called
                self.leave()
            except RuntimeError:
                pass  # it was not taken
