"""The write lock: an advisory lock on a file beside the database, in which the writers of several processes queue.

SQLite's own write lock has no queue: its waiters poll, and under load one process gets nearly all of it. `flock` wakes
its waiters in turn. It only makes the queue fair; the atomicity of a commit depends on SQLite's own lock alone.

A process that is stopped (SIGSTOP, a debugger, a frozen container) while it holds the lock blocks every writer until it
continues or ends; so the lock is held for a commit only, and the error of a writer that times out names its holder.
"""

import ctypes
import fcntl
import os
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from ..errors import JournalUnavailable
from ..runtime.forks import reset_after_fork

# The C function: `fcntl.flock` raises an audit event, so Python code runs inside it where a program has an audit hook,
# as an open journal has (`foreign_access`). That costs more than the lock, and an interrupt there would prevent the
# release of the lock. It is used for calls that do not block only, as it does not release the interpreter's lock.
_flock: Final[Callable[[int, int], int]] = ctypes.PyDLL(None).flock


class WriteLock:
    """An exclusive lock among the processes that open `path`; within a process its user excludes other threads.

    `release()` releases it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise JournalUnavailable(
                f"the journal's lock {path} cannot be opened: {error.strerror}. The user of this process needs "
                "permission to write that file and its directory."
            ) from error
        # Closes the file also if the journal is garbage-collected without being closed.
        self._close_file = weakref.finalize(self, os.close, self._descriptor)
        self._close_file.atexit = False  # a commit may still run then, and the system closes the file anyway
        # One call in C, which no interrupt can split. A second release is harmless.
        self.release: Callable[[], object] = partial(_flock, self._descriptor, fcntl.LOCK_UN)
        reset_after_fork(self)

    def try_acquire(self) -> bool:
        """Acquire the lock if it is free; return whether it was acquired."""
        if self._descriptor >= 0 and _flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB) == 0:
            return True
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def acquire(self) -> bool:
        """Wait for the lock without a timeout; False only if it was closed."""
        return self._lock(fcntl.LOCK_EX)

    def _lock(self, how: int) -> bool:
        if self._descriptor < 0:
            return False
        try:
            fcntl.flock(self._descriptor, how)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno is None:
                raise  # a TimeoutError raised by a signal handler, not by the system
            raise JournalUnavailable(
                f"the journal's lock {self.path} cannot be taken: {error.strerror}. Keep the journal on a local disk."
            ) from error
        return True

    def close(self) -> None:
        """Close the file, which releases the lock; closing twice is harmless."""
        self._descriptor = -1
        self.release = bool  # there is nothing left to release
        self._close_file()

    def after_fork_in_child(self) -> None:
        """Close the child's descriptor, which does not unlock the parent's.

        A child shares the open file and so the lock: if the parent were killed while it holds the lock, the child would
        keep it forever.
        """
        self.close()

    def holder(self) -> str:
        """The holder of the lock for messages, with its process id on Linux; "another process" elsewhere."""
        pid = _pid_holding(self.path)
        if pid is None:
            return "another process"
        return f"process {pid}, which is stopped" if _is_stopped(pid) else f"process {pid}"


def _pid_holding(path: str) -> int | None:
    try:
        inode = Path(path).stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:  # 1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF; a waiter has an arrow after the number
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode) and int(fields[4]) > 0:
            return int(fields[4])
    return None


def _is_stopped(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in ("T", "t")
