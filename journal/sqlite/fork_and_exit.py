"""Closes the connections of a process's embedded logs before it forks and when it ends.

SQLite does not survive a fork: a child that inherits an open connection assumes locks that it does not hold. So a fork
waits for the running statements and closes the connections first; parent and child reopen the file at the next use, and
the child appends under a writer id of its own.

At the program's end, the last process that closes a file checkpoints its `-wal`. Connections that are merely
garbage-collected do not: they cannot know whether the `-wal` is still the one at its path. Without a checkpoint a copy
of the file alone would lack the last acknowledged events.
"""

import contextlib
import threading
import weakref
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import apsw

from ..errors import JournalError
from ..limits import FORK_SECONDS_MAX
from ..runtime.exits import at_exit
from ..runtime.forks import at_fork
from .file import connect
from .file_identity import WAL
from .open_file import dropped_files, leave_file, open_file


class EmbeddedLog(Protocol):
    """A log that has no connection between `before_fork` and one of the other two calls."""

    def before_fork(self) -> None:
        """Wait for running statements, and close all connections."""
        ...

    def after_fork_in_parent(self) -> None:
        """Resume after the fork."""
        ...

    def after_fork_in_child(self) -> None:
        """Reopen at the next use, as a new writer."""
        ...


# Held while a file is checked before it is opened: a fork waits for that, too.
preparing: Final = threading.Lock()
_logs: Final["weakref.WeakSet[EmbeddedLog]"] = weakref.WeakSet()
_forking: Final[list[bool]] = []


def look_after(log: EmbeddedLog) -> None:
    """Close the log's connections when the process forks or ends, as long as the log exists."""
    _logs.add(log)


def _before_fork() -> None:
    _forking.append(preparing.acquire(timeout=FORK_SECONDS_MAX))
    for log in list(_logs):
        log.before_fork()


def _after_fork_in_parent() -> None:
    for log in list(_logs):
        log.after_fork_in_parent()
    if _forking.pop():
        preparing.release()


def _after_fork_in_child() -> None:
    for log in list(_logs):
        log.after_fork_in_child()
    if _forking.pop():
        preparing.release()


def _at_exit() -> None:
    """Close the connections of the logs that the program leaves open; a later use still reopens them."""
    with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C ends the program at once
        for log in list(_logs):
            log.before_fork()
            log.after_fork_in_parent()
        for path in dropped_files():
            with contextlib.suppress(OSError, apsw.Error, JournalError):
                _checkpoint(path)


def _checkpoint(path: str) -> None:
    """Open and close the file of a garbage-collected log, which checkpoints it, if it has a `-wal`."""
    if not Path(path + WAL).exists():
        return
    file = open_file(path, path)
    try:
        file.close(file.connect(partial(connect, path, "full")))
    finally:
        leave_file(file, path)


at_exit(_at_exit)
at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
