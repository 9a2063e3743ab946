"""Permits to begin jobs: a pipe of job numbers from which both the child and its parent can read.

The kernel delivers each number to only one of the two processes. So the parent can withdraw, at once and for certain,
the jobs that the child has not begun, even if the child cannot answer because a task lets no other code run. And the
parent sees at any time how many numbers are left, and so which jobs were begun.
"""

import array
import fcntl
import os
import struct
import termios
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_NUMBER: Final = struct.Struct("=Q")
# What a pipe holds, where the system gives it its usual 64 KiB; a child is never handed a hundredth of it.
_READ_NUMBERS: Final = 8_192


class Permits:
    """The parent's side; `theirs` is the reading end, which the child inherits."""

    def __init__(self) -> None:
        self.theirs, self._granting = os.pipe()
        os.set_blocking(self.theirs, False)
        os.set_blocking(self._granting, False)

    def grant(self, numbers: Sequence[int]) -> None:
        """Permit these to be begun, in this order; to be called before the jobs themselves are sent."""
        os.write(self._granting, b"".join(map(_NUMBER.pack, numbers)))

    @property
    def left(self) -> int:
        """How many jobs were not begun."""
        unread = array.array("i", [0])
        fcntl.ioctl(self.theirs, termios.FIONREAD, unread)
        return unread[0] // _NUMBER.size

    def withdraw(self) -> list[int]:
        """Take back the permits of all jobs that were not begun; return their numbers, in order."""
        try:
            unread = os.read(self.theirs, _NUMBER.size * _READ_NUMBERS)
        except BlockingIOError:
            return []
        return [number for (number,) in _NUMBER.iter_unpack(unread)]

    def close(self) -> None:
        """Close both ends."""
        os.close(self.theirs)
        os.close(self._granting)


class Permitted(deque[T]):
    """The child's side: a queue of jobs that yields only those with a permit, which it reads from `file`."""

    def __init__(self, file: int, number: Callable[[T], int]) -> None:
        super().__init__()
        self._file = file
        self._number_of = number
        self._lock = threading.Lock()
        self._number = 0  # of a permit whose job is still to arrive

    def popleft(self) -> T:
        """Remove and return the next permitted job, which counts as begun from now; `IndexError` if there is none."""
        with self._lock:
            arrived = len(self)
            if not self._number and not self._read():
                # Permits are sent before jobs. So all jobs that had arrived before this look were withdrawn.
                for _ in range(arrived):
                    super().popleft()
                raise IndexError("no permit")
            while True:
                job = super().popleft()
                if self._number_of(job) == self._number:
                    self._number = 0
                    return job

    def _read(self) -> bool:
        try:
            (self._number,) = _NUMBER.unpack(os.read(self._file, _NUMBER.size))
        except BlockingIOError:
            return False
        return True
