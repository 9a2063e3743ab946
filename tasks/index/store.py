"""The index's file: an SQLite database of its own, which may be deleted at any time.

It records how far it covers each partition, and the last event covered. Several processes fill it: a batch is written
only if the file still ends exactly where the batch begins (a compare-and-swap inside the transaction). It is in WAL
mode with `synchronous=NORMAL`: a process killed at any moment, or a power cut, leaves a consistent file that covers
less.
A file that is damaged, or written by another version, is built anew.

SQLite does not survive a fork, so a fork waits for the statement under way and closes the connection.
"""

import contextlib
import logging
import os
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import apsw

from ...journal.limits import FILE_CHECK_SECONDS, FORK_SECONDS_MAX
from ...journal.log import INDEX_SUFFIX
from ...journal.ownership import share
from ...journal.runtime.forks import at_fork
from ..limits import INDEX_BUSY_SECONDS_MAX, INDEX_RETRY_SECONDS
from . import rows
from .batch import Batch
from .entries import NOWHERE, IndexEntry, SessionRow, TaskRow
from .keys import key_of
from .rows import Covered

logger = logging.getLogger("journeyman.index")

T = TypeVar("T")


class NotOurs(Exception):
    """The file at the path is no index, and is left alone."""


class Store:
    """The index in the file at `path`, which need not exist; ":memory:" and "" (a temporary file) are private ones."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None
        self._cursor: apsw.Cursor | None = None  # of `lacks`
        self._compared_at = 0.0  # monotonic time, in seconds, of the last check whether the file was replaced
        self._identity: tuple[int, int] | None = None
        self._held_for_fork = False
        _stores.add(self)

    @property
    def is_private(self) -> bool:
        """Whether no other process can see it, and it ends with this process."""
        return self.path in ("", ":memory:")

    # -- reading -----------------------------------------------------------------------------------------------------

    def covered(self, partition: int) -> Covered:
        """How far it covers a partition."""
        return self._use(lambda connection: rows.covered(connection, partition))

    def entries_of(self, task_id: str) -> list[IndexEntry]:
        """Return the indexed events of a task; they may include those of an id that shares its key."""
        key = key_of(task_id)
        return self._use(lambda connection: rows.entries(connection, key))

    def lacks(self, task_id: str, partition: int, after: Covered) -> bool:
        """Return whether it has no event of a task in what `after` covers; False if that cannot be determined at once.

        This runs for each submission under a chosen id, so it keeps its cursor and executes one statement.
        """
        key = key_of(task_id)
        with self._lock:
            now = time.monotonic()
            if self._connection is None:
                return False
            if now - self._compared_at >= FILE_CHECK_SECONDS:
                if self._is_replaced():
                    return False
                self._compared_at = now
            try:
                cursor = self._cursor = self._cursor or self._connection.cursor()
                return rows.lacks(cursor, key, partition, after)
            except BaseException as error:
                self._cursor = None  # a statement left open would keep its read snapshot for ever
                if isinstance(error, apsw.Error):
                    return False
                raise

    def sessions_of(self, worker: str, partition: int) -> tuple[list[SessionRow], int]:
        """Return the sessions of a worker in a partition, the oldest first, and the offset up to which they hold."""
        return self._use(lambda connection: rows.sessions(connection, worker, partition))

    def task_rows_like(self, digits: str, partition: int, limit: int) -> list[TaskRow]:
        """Rows of tasks of a partition whose key, in hexadecimal digits, ends with `digits`; the newest ones."""
        return self._use(lambda connection: rows.rows_like(connection, digits, partition, limit))

    def sessions_like(self, part: str, partition: int, limit: int) -> list[int]:
        """Offsets of an event of each session of a partition whose worker's id may end with `part`; the newest ones."""
        return self._use(lambda connection: rows.sessions_like(connection, part, partition, limit))

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(self, batch: Batch, after: Covered) -> bool:
        """Write a batch that follows on `after`; return False if the file has changed since, or is locked."""

        def put(connection: apsw.Connection) -> bool:
            if rows.covered(connection, batch.partition) != after:
                return False
            first = after.first if after.next_offset != NOWHERE else batch.base
            rows.put_tasks(connection, batch)
            rows.put_sessions(connection, batch, infers=first > 0)
            rows.put_covered(connection, batch, first)
            return True

        return self._transact(put)

    def prune(self, partition: int, first: int, after: bytes = b"") -> bytes | None:
        """Remove rows of tasks, from a key on, of which retention has left nothing from the offset `first` on.

        Returns the key to go on from; None at the end, or if another process writes just now.
        """
        left: bytes | None = None

        def remove(connection: apsw.Connection) -> bool:
            nonlocal left
            if rows.pruned(connection, partition) < first:
                left = rows.prune(connection, partition, first, after)
                if left is None:
                    rows.prune_rest(connection, partition, first)
            return True

        return left if self._transact(remove) else None

    def pruned(self, partition: int) -> int:
        """The offset up to which `prune` was done."""
        return self._use(lambda connection: rows.pruned(connection, partition))

    def clear(self, generation: int) -> None:
        """Clear the file, which was made of another log, if it is still of that generation."""

        def renew(connection: apsw.Connection) -> bool:
            if connection.execute("SELECT generation FROM meta").get == generation:
                rows.make(connection)
            return True

        self._transact(renew)

    def _transact(self, work: Callable[[apsw.Connection], bool]) -> bool:
        def run(connection: apsw.Connection) -> bool:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except apsw.BusyError:
                return False
            with _finished(connection):
                return work(connection)

        return self._use(run)

    # -- the connection ----------------------------------------------------------------------------------------------

    def _use(self, work: Callable[[apsw.Connection], T]) -> T:
        """Return the result of `work` on a connection; a damaged file is built anew first."""
        with self._lock:
            try:
                return work(self._opened())
            except (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, apsw.IOError) as error:
                self._close()
                if not self.is_private:
                    logger.warning("the task index %s is damaged (%s): it is built anew", self.path, error)
                    _remove(self.path)
                return work(self._opened())

    def _opened(self) -> apsw.Connection:
        if self._connection is not None and not self._is_replaced():
            return self._connection
        self._close()
        self._connection = _connect(self.path)
        self._identity = _identity(self.path)
        return self._connection

    def _is_replaced(self) -> bool:
        """Return whether the file was removed or replaced."""
        return not self.is_private and _identity(self.path) != self._identity

    def _close(self) -> None:
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):
                connection.close(force=True)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            self._close()

    def before_fork(self) -> None:
        """Wait for the running statement, and close the connection, which a child must not inherit."""
        self._held_for_fork = self._lock.acquire(timeout=FORK_SECONDS_MAX)
        if self._held_for_fork and not self.is_private:
            self._close()

    def after_fork(self, *, in_child: bool) -> None:
        """Continue after the fork; a child gets a new lock."""
        if in_child:
            if not self._held_for_fork or self.is_private:
                _inherited.extend((self._connection, self._cursor))  # never closed here: it is the parent's
                self._connection = self._cursor = None
            self._lock = threading.Lock()
        elif self._held_for_fork:
            self._lock.release()
        self._held_for_fork = False


def _connect(path: str) -> apsw.Connection:
    """Open the index at `path`, and create it if it is missing; `NotOurs` if it is another program's database."""
    if path and os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH110, PTH116
        raise NotOurs(f"{path} is no regular file")
    is_new = bool(path) and not os.path.exists(path)  # noqa: PTH110
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    try:
        connection.set_busy_timeout(int(INDEX_BUSY_SECONDS_MAX * 1_000))
        # In this order: another process may be making the tables, which appear in one commit with the identity.
        has_tables = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").get
        found, ours = _format_of(connection), (rows.APPLICATION_ID, rows.FORMAT_VERSION)
        if found[0] != rows.APPLICATION_ID and has_tables:
            raise NotOurs(f"{path} is the database of another program")  # noqa: TRY301
        _log_ahead(connection)
        connection.pragma("synchronous", "normal")
        if found != ours:
            connection.execute("BEGIN IMMEDIATE")
            with _finished(connection):
                if _format_of(connection) != ours:  # else another process has made the tables meanwhile
                    rows.make(connection)
        rows.prepare(connection)
    except BaseException:
        connection.close(force=True)
        raise
    if is_new and path.endswith(INDEX_SUFFIX):  # beside a journal's file, whose owner must be able to use it as well
        for each in (path, f"{path}-wal", f"{path}-shm"):
            share(each, path.removesuffix(INDEX_SUFFIX))
    return connection


def _log_ahead(connection: apsw.Connection) -> None:
    """Switch to write-ahead logging; wait for another process that does so, which SQLite itself does not."""
    deadline = time.monotonic() + INDEX_BUSY_SECONDS_MAX
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(INDEX_RETRY_SECONDS)
        else:
            return


def _format_of(connection: apsw.Connection) -> tuple[int, int]:
    """Return the application and the version of the format that a database names; zeros for an empty one."""
    return connection.pragma("application_id"), connection.pragma("user_version")


@contextlib.contextmanager
def _finished(connection: apsw.Connection) -> Iterator[None]:
    """Commit the transaction; roll it back on any exception."""
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - at each look-up, and the path is a string
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _remove(path: str) -> None:
    for each in (path, f"{path}-wal", f"{path}-shm"):
        with contextlib.suppress(OSError):
            Path(each).unlink()


_stores: Final["weakref.WeakSet[Store]"] = weakref.WeakSet()
_inherited: Final[list[object]] = []


def _before_fork() -> None:
    for store in list(_stores):
        store.before_fork()


def _after_fork_in_parent() -> None:
    for store in list(_stores):
        store.after_fork(in_child=False)


def _after_fork_in_child() -> None:
    for store in list(_stores):
        store.after_fork(in_child=True)


at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
