"""The lock that lets the writers of several processes queue: an advisory lock on a file beside the database.

SQLite's own write lock has no queue: its waiters sleep and look again, and under load one process gets nearly all of
it. `flock` wakes its waiters in turn. It only makes the queue fair; that a commit is whole rests on SQLite's own lock.

A process that is stopped (SIGSTOP, a debugger, a frozen container) while it holds the lock stops every writer until it
goes on or ends; so the lock is held for a commit and nothing else, and whoever waits too long is told who holds it.
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
from ..runtime.forking import tell_of_forks

# The system's own function: `fcntl.flock` raises an audit event, so Python code runs inside it wherever a program has
# an audit hook, as a journal's file has (`foreign_access`). That costs more than the lock, and an interrupt there would
# keep the lock from being given back. It is called for what does not wait only, so the interpreter stays locked.
_flock: Final[Callable[[int, int], int]] = ctypes.PyDLL(None).flock


class WriteLock:
    """An exclusive lock among the processes that open `path`; within a process its user takes care of the threads.

    `release()` lets the next one have it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise JournalUnavailable(f"the journal's lock {path} cannot be opened: {error.strerror}.") from error
        # Also where nobody closes it: the journal may simply be dropped.
        self._let_go = weakref.finalize(self, os.close, self._descriptor)
        self._let_go.atexit = False  # somebody may still be at a commit then, and the system closes it just as well
        # One call in C: nothing comes in between where it is called to give the lock back. Done twice it is harmless.
        self.release: Callable[[], object] = partial(_flock, self._descriptor, fcntl.LOCK_UN)
        tell_of_forks(self)

    def try_acquire(self) -> bool:
        """Take the lock if it is free, and say whether it was."""
        if self._descriptor >= 0 and _flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB) == 0:
            return True
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def acquire(self) -> bool:
        """Wait in the queue for the lock, however long it takes; False only if it was closed."""
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
                raise  # the TimeoutError of a signal's handler, which is no answer of the system
            raise JournalUnavailable(
                f"the journal's lock {self.path} cannot be taken: {error.strerror}. Keep the journal on a local disk."
            ) from error
        return True

    def close(self) -> None:
        """Let go of the file, and of the lock if it is held; closing twice is harmless."""
        self._descriptor = -1
        self.release = bool  # there is nothing to give back any more
        self._let_go()

    def after_fork_in_child(self) -> None:
        """Close it here, which does not unlock the parent's.

        A child shares the open file and with it the lock: were the parent killed inside it, the child would hold it for
        ever without knowing.
        """
        self.close()

    def holder(self) -> str:
        """Who holds the lock, in words, where the system tells (Linux); "another process" elsewhere."""
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
    for line in lines:  # 1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF; who waits has an arrow after the number
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
