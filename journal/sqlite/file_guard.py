"""Prevents every SQLite library from removing the `-wal` and from resetting the `-shm` that this process has open.

SQLite guards an open database with POSIX locks, and the system drops all POSIX locks of a process on a file as soon as
the process closes *any* descriptor of it: one of a second SQLite library (Python's own `sqlite3`), or a plain
`open(path).close()`. The next process that closes the database then assumes it is the last one and removes the `-wal`;
a library that opens the database assumes it is the first one and truncates the `-shm`.

Open file description locks (Linux) survive that, and conflict with POSIX locks even within one process. Held on the
bytes that SQLite locks to remove the `-wal` or to reset the `-shm`, they prevent both. Other systems have no such lock,
and only the comparison of `file_identity` detects the loss.
"""

import contextlib
import errno
import fcntl
import os
import struct
import time
from typing import Final

from ..errors import JournalUnavailable
from .file_identity import SHARED_MEMORY
from .foreign_access import unwatched
from .limits import FOREIGN_LOCK_SECONDS_MAX, GUARD_RETRY_SECONDS

# The bytes that SQLite locks, fixed by its file format and `os_unix.c`.
_SHARED_FIRST: Final = 0x40000002
_SHARED_BYTES: Final = 510
_SHARED_MEMORY_USED: Final = 128

_SET_LOCK: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)


class FileGuard:
    """Guards one open database; to be closed only when no connection of this process is open.

    Closing its descriptors drops the process's POSIX locks, the very loss it guards against.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptors: list[int] = []

    def guard_database(self) -> None:
        """Prevent the removal of the `-wal`; to be called before a connection is made."""
        self._hold(self._path, _SHARED_FIRST, _SHARED_BYTES)

    def guard_shared_memory(self) -> None:
        """Prevent the reset of the `-shm`; to be called once a connection has opened it."""
        self._hold(self._path + SHARED_MEMORY, _SHARED_MEMORY_USED, 1)

    def _hold(self, path: str, start: int, length: int) -> None:
        if _SET_LOCK is None:
            return
        with unwatched():
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._descriptors.append(descriptor)
        began = time.monotonic()
        while not _lock(descriptor, fcntl.F_RDLCK, start, length):
            waited = time.monotonic() - began
            if waited >= FOREIGN_LOCK_SECONDS_MAX:
                raise JournalUnavailable(
                    f"the journal {self._path} is locked by another program, and has been for {waited:.1f} s. "
                    "Close that program, then try again."
                )
            time.sleep(GUARD_RETRY_SECONDS)

    def release(self) -> None:
        """Release the locks but keep the descriptors, so that the last connection can remove the `-wal`."""
        for descriptor in self._descriptors:
            _lock(descriptor, fcntl.F_UNLCK, 0, 0)

    def close(self) -> None:
        """Close the descriptors; closing twice is harmless."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            self.close()


def _lock(descriptor: int, kind: int, start: int, length: int) -> bool:
    """Lock or unlock a range of a file; False if another lock conflicts, True if the file system has no such locks."""
    assert _SET_LOCK is not None
    request = struct.pack("hhqqi0q", kind, os.SEEK_SET, start, length, 0)
    try:
        fcntl.fcntl(descriptor, _SET_LOCK, request)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES)
    return True
