"""Brings the embedded logs of a process to rest before it forks and when it ends.

SQLite does not survive a fork: see `SqliteLog`. When the program ends, the last process that closes a file moves what
stands in the `-wal` into the file. Connections that are merely collected as garbage do not: they cannot know whether
the `-wal` is still the one at its path. Then a copy of the file alone would lack what was acknowledged last.
"""

import atexit
import contextlib
import os
import threading
import weakref
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import apsw

from ..errors import JournalError
from ..limits import FORK_SECONDS_MAX
from .file import connect
from .file_identity import WAL
from .open_file import dropped_files, leave_file, open_file


class EmbeddedLog(Protocol):
    """A log that can rest: between the first two calls, or the first and the last, it has no connection."""

    def before_fork(self) -> None:
        """Let what is under way end, and close all connections."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on."""
        ...

    def after_fork_in_child(self) -> None:
        """Start anew."""
        ...


# Held while a file is looked at before it is opened: a fork waits for that, too.
preparing: Final = threading.Lock()
_logs: Final["weakref.WeakSet[EmbeddedLog]"] = weakref.WeakSet()
_forking: Final[list[bool]] = []


def look_after(log: EmbeddedLog) -> None:
    """Bring the log to rest when the process forks or ends, for as long as the log is in use."""
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
    """Close the connections of the logs that the program leaves open; what uses one later still opens it anew."""
    with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C ends the program at once
        for log in list(_logs):
            log.before_fork()
            log.after_fork_in_parent()
        for path in dropped_files():
            with contextlib.suppress(OSError, apsw.Error, JournalError):
                _checkpoint(path)


def _checkpoint(path: str) -> None:
    """Open and close the file of a log that was dropped, if there is something to be moved into it."""
    if not Path(path + WAL).exists():
        return
    file = open_file(path, path)
    try:
        file.close(file.connect(partial(connect, path, "full")))
    finally:
        leave_file(file, path)


atexit.register(_at_exit)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
