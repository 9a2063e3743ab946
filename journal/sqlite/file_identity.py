"""Compares the files that this process has open with the files at their paths.

An open file keeps its content when its path is removed or replaced. Appends to a database or a `-wal` without a name
are lost with the last process that has it open, and a `-shm` without a name no longer coordinates the processes. So an
append is acknowledged, and a page handed out, only after a comparison.

Most comparisons need one system call: a file can be removed, replaced or renamed only by a change to its directory,
which changes the directory's modification time; renaming the directory changes its status as well. Times have a coarse
resolution, so an unchanged time is proof only if it was older than that resolution when the names were last compared:
`QUIET_DIRECTORY_SECONDS`, or `FINE_TIMES_QUIET_SECONDS` if the time shows a fraction of a second. Some file systems
keep no such times, and a mount or the renaming of a directory further up changes none of them; so the path is resolved
and the names are compared every `NAMES_CHECK_SECONDS` as well.
"""

import contextlib
import ctypes
import os
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from ..errors import JournalGone, JournalUnavailable
from .limits import FINE_TIMES_QUIET_SECONDS, NAMES_CHECK_SECONDS, QUIET_DIRECTORY_SECONDS

Inode = tuple[int, int]

WAL: Final = "-wal"
SHARED_MEMORY: Final = "-shm"

_COARSE_NANOSECONDS: Final = 10_000_000  # FAT notes some times in steps of this size


class Companions(NamedTuple):
    """The two files that SQLite keeps beside a database; None if there is no such file."""

    wal: Inode | None
    shared_memory: Inode | None


# The C function: resolving the path and building Python's result object would take several times as long.
# None if the C library has no function of that name.
_fstat: Final[Callable[..., int] | None] = getattr(ctypes.PyDLL(None), "fstat", None)
_STATUS_BYTES: Final = 256  # more than any system's `struct stat`


class _Directory:
    """A directory held open to detect its changes; `OSError` if it cannot be opened."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY))
        weakref.finalize(self, os.close, descriptor).atexit = False
        status = os.fstat(descriptor)
        self.inode: Inode = status.st_dev, status.st_ino
        self._status = ctypes.create_string_buffer(_STATUS_BYTES)
        self._look = partial(_fstat, descriptor, ctypes.byref(self._status)) if _fstat is not None else None

    def status(self) -> bytes | None:
        """Its `struct stat` as bytes, for comparison with another one; None if it is not available."""
        return self._status.raw if self._look is not None and self._look() == 0 else None


class FileIdentity:
    """The database at `path` when this object is made (`OSError` if there is none), and the companions opened with it.

    `names` are further paths, symbolic links, that must lead to the database as well.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.inode = inode_at(path)
        self.names: tuple[str, ...] = ()
        self.companions: Companions | None = None  # those that the open connections use; None without a connection
        self.compared_at = 0.0  # monotonic time, in seconds
        self._condemned = ""
        self._directory = os.path.dirname(path)  # noqa: PTH120 - paths here are plain strings
        self._mtime = self._directory_inode = self._directory_device = -1
        self._opened: _Directory | None = None
        self._quiet_status: bytes | None = None  # as it was before the names were compared in a quiet directory
        self._names_due = 0.0  # monotonic time, in seconds

    def is_current(self) -> bool:
        """Whether the open companions are those at their paths; `JournalGone` if the database is not."""
        now = time.monotonic()  # before the look: it must not seem younger than it is
        opened = self._opened
        seen = opened.status() if opened is not None else None
        if seen is not None and seen == self._quiet_status and now < self._names_due:
            self.compared_at = now
            return True
        try:
            status = os.stat(self._directory)  # noqa: PTH116 - paths here are plain strings
        except OSError as error:
            if error.errno is None:
                raise  # a TimeoutError raised by a signal handler, not by the system
            raise self._unreadable(error) from error
        if (
            status.st_mtime_ns != self._mtime
            or status.st_ino != self._directory_inode
            or status.st_dev != self._directory_device
            or now >= self._names_due
        ):
            if opened is None or opened.inode != (status.st_dev, status.st_ino):
                seen, self._opened = None, self._open_directory()
            if not self._compare(status, seen):
                return False
            self._names_due = now + NAMES_CHECK_SECONDS
        self.compared_at = now
        return True

    def check(self) -> None:
        """Raise `JournalGone` if the database was removed or replaced."""
        self.is_current()

    def found_companions(self) -> Companions:
        """The companions at their paths now."""
        return Companions(_inode_or_none(self.path + WAL), _inode_or_none(self.path + SHARED_MEMORY))

    def forget_directory(self) -> None:
        """Make the next comparison compare each name."""
        self._mtime, self._quiet_status = -1, None

    def _open_directory(self) -> _Directory | None:
        with contextlib.suppress(OSError):
            return _Directory(self._directory)
        return None

    def _compare(self, directory: os.stat_result, seen: bytes | None) -> bool:
        """Compare each name; `directory` is the directory's status from before, `seen` that of the open one."""
        if self._condemned:
            raise JournalGone(self._condemned)
        try:
            there = all(inode_at(name) == self.inode for name in (self.path, *self.names))
            found = self.found_companions()
        except OSError as error:
            if error.errno is None:
                raise
            raise self._unreadable(error) from error
        if not there:
            raise self._gone()
        if self.companions not in (None, found):
            self.forget_directory()
            return False
        # Other names may be links in directories of their own.
        is_enough = self.companions is not None and not self.names
        is_fine = directory.st_mtime_ns % _COARSE_NANOSECONDS != 0
        quiet_seconds = FINE_TIMES_QUIET_SECONDS if is_fine else QUIET_DIRECTORY_SECONDS
        is_quiet = time.time() - max(directory.st_mtime, directory.st_ctime) > quiet_seconds
        is_known = is_enough and is_quiet
        self._mtime, self._quiet_status = (directory.st_mtime_ns, seen) if is_known else (-1, None)
        self._directory_inode, self._directory_device = directory.st_ino, directory.st_dev
        return True

    def condemn(self, reason: str) -> JournalGone:
        """Make every later comparison raise `JournalGone` for `reason`, and return that error."""
        self._condemned = reason
        self.compared_at = 0.0  # so that no write relies on the last comparison
        self.forget_directory()
        return JournalGone(reason)

    def _gone(self) -> JournalGone:
        return JournalGone(
            f"the journal's file {self.path} was removed or replaced while it was open; nothing more is read from the "
            "old one or acknowledged in it. Close the journal and open it again; restart a worker."
        )

    def _unreadable(self, error: OSError) -> JournalUnavailable:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return self._gone()
        return JournalUnavailable(
            f"the journal's file {self.path} cannot be checked: {error.strerror}. Try again later."
        )


def inode_at(path: str) -> Inode:
    """The device and inode of the file at `path`; `OSError` if there is none."""
    status = os.stat(path)  # noqa: PTH116 - see `is_current`
    return status.st_dev, status.st_ino


def _inode_or_none(path: str) -> Inode | None:
    try:
        return inode_at(path)
    except FileNotFoundError:
        return None
