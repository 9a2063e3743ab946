"""Which jobs a child may begin: a pipe of their numbers, which the child and its foreman both can read.

A number is read by one of the two only: the system sees to that. So the foreman takes back, at once and for certain,
what the child has not begun, also from a child that cannot answer because a task does not let any other code run. And
it knows at any time how much is left, which is the same as knowing what was begun.
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
    """The foreman's side; `theirs` is the end that the child is to have, too."""

    def __init__(self) -> None:
        self.theirs, self._granting = os.pipe()
        os.set_blocking(self.theirs, False)
        os.set_blocking(self._granting, False)

    def grant(self, numbers: Sequence[int]) -> None:
        """Allow that these are begun, in this order; before the jobs themselves are sent."""
        os.write(self._granting, b"".join(map(_NUMBER.pack, numbers)))

    @property
    def left(self) -> int:
        """How many were not begun."""
        unread = array.array("i", [0])
        fcntl.ioctl(self.theirs, termios.FIONREAD, unread)
        return unread[0] // _NUMBER.size

    def withdraw(self) -> list[int]:
        """Take back all that were not begun: their numbers, in order."""
        try:
            unread = os.read(self.theirs, _NUMBER.size * _READ_NUMBERS)
        except BlockingIOError:
            return []
        return [number for (number,) in _NUMBER.iter_unpack(unread)]

    def close(self) -> None:
        """Let go of both ends."""
        os.close(self.theirs)
        os.close(self._granting)


class Permitted(deque[T]):
    """The child's side: a queue of jobs of which only that is taken for which there is a permit, read from `file`."""

    def __init__(self, file: int, number: Callable[[T], int]) -> None:
        super().__init__()
        self._file = file
        self._number_of = number
        self._lock = threading.Lock()
        self._number = 0  # of a permit whose job is still to arrive

    def popleft(self) -> T:
        """The next one, which counts as begun from here on; `IndexError` if there is none."""
        with self._lock:
            arrived = len(self)
            if not self._number and not self._read():
                # Permits go before jobs. So all that had arrived before this look was withdrawn.
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
