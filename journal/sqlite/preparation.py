"""Make the file at a path a journal, or check that it is one, before a log opens it."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw

from . import fork_and_exit
from .file import Synchronous, check_readable, connect, create, explained, is_journal, is_ready
from .permission import connect_to_read
from .write_lock import WriteLock

T = TypeVar("T")


def check_readable_at(path: str) -> None:
    """Check a file that this process may only read; `NotAJournal` or `JournalUnavailable` if it cannot."""
    with fork_and_exit.preparing:
        try:
            with contextlib.closing(connect_to_read(path)) as connection:
                check_readable(connection, path)
        except apsw.Error as error:
            raise explained(error, path) from error


def is_journal_at(path: str, synchronous: Synchronous) -> bool:
    """Return whether there is a journal; `NotAJournal` if the file is something else."""
    return Path(path).exists() and _with_connection(path, synchronous, is_journal)


def prepare(path: str, synchronous: Synchronous, lock: WriteLock, *, wait: bool) -> bool:
    """Make the file a journal of the current schema, with a write-ahead log; return whether it is one now.

    Without `wait`, False if another writer holds the lock.
    """
    if _with_connection(path, synchronous, is_ready):
        return True
    if not (lock.acquire() if wait else lock.try_acquire()):
        return False
    try:
        _with_connection(path, synchronous, create)
    finally:
        lock.release()
    return True


def _with_connection(path: str, synchronous: Synchronous, work: Callable[[apsw.Connection, str], T]) -> T:
    with fork_and_exit.preparing:
        try:
            with contextlib.closing(connect(path, synchronous, create=True)) as connection:
                return work(connection, path)
        except apsw.Error as error:
            raise explained(error, path) from error
