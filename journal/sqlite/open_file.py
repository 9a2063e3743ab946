"""The connections of one process to a journal's file, and how all of them are reopened.

SQLite keeps one state per file and process, which all connections share. So when the `-wal` or the `-shm` was removed
or replaced at its path, a new connection is useless while an old one is open: it would combine the new `-wal` with the
old `-shm`. All logs of a process on the same file share one `OpenFile`, which counts the connections, closes all of
them before it makes the next one, and guards the file while any is open.
"""

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import apsw

from ..errors import JournalError, JournalGone, JournalUnavailable
from ..runtime.forks import at_fork
from . import foreign_access
from .file_guard import FileGuard
from .file_identity import SHARED_MEMORY, Companions, FileIdentity, Inode, inode_at
from .limits import FOREIGN_LOCK_SECONDS_MAX, OPEN_RETRY_SECONDS, OPENINGS_MAX
from .permission import Stamp, stamp_of

T = TypeVar("T")


class Outdated(Exception):
    """Raised until `OpenFile.renew` has closed the connections that use a removed `-wal` or `-shm`."""


class Holder(Protocol):
    """A part of a log that keeps idle connections."""

    def surrender(self) -> list[apsw.Connection]:
        """Return the idle connections and keep none of them."""
        ...


class OpenFile(FileIdentity):
    """The open database at a path; `OSError` if there is none. Created by `open_file`, so that all logs share it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.reads_only = False  # whether this process has no permission to write it or to create files beside it
        self._stamp: Stamp | None = None
        self.users: list[str] = []  # the path by which each log has opened it
        self.holders: weakref.WeakSet[Holder] = weakref.WeakSet()
        self._lock = threading.RLock()
        self._connections: weakref.WeakSet[apsw.Connection] = weakref.WeakSet()
        self._guard: FileGuard | None = None
        self._renewing: int | None = None  # the id of the thread that reopens all connections

    def connect(self, make: Callable[[], apsw.Connection]) -> apsw.Connection:
        """Make a new connection to this file; `Outdated` if the others use files that are no longer at their paths."""
        with self._lock:
            self.check()
            if self._renewing not in (None, threading.get_ident()):
                raise Outdated
            if not self._connections:
                self._end_guard()
                self._guard = FileGuard(self.path)
                self._guard.guard_database()
                if not self.reads_only:
                    self._remove_orphan(None)
            try:
                connection = self._made(make)
                self._connections.add(connection)
            except BaseException:
                if not self._connections:
                    self._end_guard()
                raise
            return connection

    def _made(self, make: Callable[[], apsw.Connection]) -> apsw.Connection:
        """Make a connection that certainly uses the files in `companions`.

        That is certain if they were the same before and after the connection opened them. A connection that has created
        them is closed.
        """
        for _ in range(OPENINGS_MAX):
            before = self.found_companions()
            connection = make()
            try:
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # unless `close` finds that it may
                connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # which opens the companions
                after = self.found_companions()
                self.check()  # by its path another database may be opened at any moment
                if self._connections:
                    self._expect(after)
                    if before == after:
                        return connection
                elif self._is_in_wal_mode(connection, after) and before == after and self._begin(after):
                    return connection
            except BaseException:
                _close(connection, checkpoint=False)
                raise
            _close(connection, checkpoint=False)
        raise JournalUnavailable(
            f"the files beside the journal {self.path} are repeatedly removed or replaced, or another part of this "
            "process has removed ones open. Close all other uses of the journal in this process, then try again."
        )

    def _expect(self, companions: Companions) -> None:
        if self.companions not in (None, companions):
            raise Outdated

    def _remove_orphan(self, before: Companions | None) -> None:
        """Remove a `-shm` whose `-wal` was removed, or replaced since `before`: it describes a file that is gone.

        SQLite would trust it as long as another process has it open. SQLite creates the `-wal` first, so the `-shm` has
        to be checked first. The other processes notice the removal, and reopen their connections as well.
        """
        try:
            shared_memory = inode_at(self.path + SHARED_MEMORY)
            wal = self.found_companions().wal
            if wal is None or (before is not None and before.wal != wal and before.shared_memory == shared_memory):
                os.unlink(self.path + SHARED_MEMORY)  # noqa: PTH108 - the path is a string
        except FileNotFoundError:
            pass

    def note_stamp(self) -> None:
        """Note the file's stamp before a read by a process that may only read, to detect changes during the read."""
        with self._lock:
            if not self._connections:
                with contextlib.suppress(FileNotFoundError):  # the next comparison of names raises a better error
                    self._stamp = stamp_of(self.path)

    def is_restamped(self) -> bool:
        """Whether the file was changed since the first of the open connections was made."""
        return self._stamp is not None and self._stamp != stamp_of(self.path)

    @property
    def is_being_renewed(self) -> bool:
        """Whether a thread is reopening all connections."""
        return self._renewing is not None

    def _is_in_wal_mode(self, connection: apsw.Connection, companions: Companions) -> bool:
        """Whether the connection has opened companions that still exist."""
        if None not in companions:
            return True
        if self.reads_only:
            return True
        if connection.pragma("journal_mode") != "wal":
            raise JournalUnavailable(
                f"the journal {self.path} was switched to another journal mode by another program. Open it again."
            )
        return False

    def _begin(self, companions: Companions) -> bool:
        """Note the files that the first connection has opened, and guard them; False if they are gone."""
        if self._guard is not None and companions.shared_memory is not None:
            try:
                self._guard.guard_shared_memory()
            except FileNotFoundError:
                return False
        self.companions = companions
        self.forget_directory()
        return self.is_current()

    def close(self, connection: apsw.Connection, *, force: bool = False) -> None:
        """Close a connection of this file; the last one in the system checkpoints the file and removes the `-wal`.

        A connection that uses a removed `-wal` must not checkpoint.
        """
        with self._lock:
            self._connections.discard(connection)
            is_last = not self._connections
            checkpoint = self._may_checkpoint()
            if is_last and checkpoint and self._guard is not None:
                self._guard.release()
            _close(connection, checkpoint=checkpoint, force=force)
            if is_last:
                self._end_guard()

    def _may_checkpoint(self) -> bool:
        try:
            return self.is_current()
        except JournalError:
            return False

    def _end_guard(self) -> None:
        self.companions = None
        self.forget_directory()
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()

    def is_gone(self) -> bool:
        """Whether the database was removed or replaced at its path, or condemned."""
        try:
            self.check()
        except JournalGone:
            return True
        except JournalError:
            pass
        return False

    def renew(self, look: Callable[[apsw.Connection], T], use: Callable[[T | None], None]) -> None:
        """Close all connections of this process, and let `use` make the first new one.

        `use` gets the value that `look` has returned for one of the old connections, None if all of them were in use.
        The caller holds the write lock.
        """
        with self._lock:
            self._renewing = threading.get_ident()
            before = self.companions
        try:
            found: T | None = None
            deadline = time.monotonic() + FOREIGN_LOCK_SECONDS_MAX
            while True:
                idle = [connection for holder in list(self.holders) for connection in holder.surrender()]
                if found is None and idle:
                    found = look(idle[0])
                for connection in idle:
                    self.close(connection)
                if not self._connections:
                    break
                if time.monotonic() >= deadline:
                    raise JournalUnavailable(
                        f"the files beside the journal {self.path} were removed or replaced, and a connection of this "
                        f"process has been in use for {FOREIGN_LOCK_SECONDS_MAX:g} s, so they cannot be reopened. "
                        "Try again later."
                    )
                time.sleep(OPEN_RETRY_SECONDS)
            if not self.reads_only:
                self._remove_orphan(before)
            use(found)
        finally:
            self._renewing = None


def _close(connection: apsw.Connection, *, checkpoint: bool, force: bool = False) -> None:
    with contextlib.suppress(apsw.ConnectionClosedError):
        if checkpoint:
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        connection.close(force)


class _Files:
    """The open files of this process, by path and inode: a path may lead to a new file while the old one is open."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # the garbage collector may call `leave` at any point of a thread
        self._files: dict[tuple[str, Inode], OpenFile] = {}
        self.dropped: set[str] = set()

    def open(self, path: str, name: str, *, reads_only: bool = False) -> OpenFile:
        with self._lock:
            key = path, inode_at(path)
            file = self._files.get(key)
            if file is None or file.is_gone():
                file = self._files[key] = OpenFile(path)
                foreign_access.watch(file)
            file.reads_only = reads_only
            file.users.append(name)
            file.names = tuple({*file.users} - {path})
            return file

    def leave(self, file: OpenFile, name: str) -> None:
        with self._lock:
            file.users.remove(name)
            file.names = tuple({*file.users} - {file.path})
            if not file.users:
                foreign_access.unwatch(file)
                key = file.path, file.inode
                if self._files.get(key) is file:
                    del self._files[key]

    def clear(self) -> None:
        """Forget the parent's files and lock, in a forked child."""
        self._lock = threading.RLock()
        self._files = {}
        self.dropped = set()


_files: Final = _Files()


def open_file(path: str, name: str, *, reads_only: bool = False) -> OpenFile:
    """Return the file at the real path `path`, which all logs of the process share; each log calls `leave_file` later.

    `name` is the path in the log's URL, and must lead to the file as long as the log is open.
    """
    return _files.open(path, name, reads_only=reads_only)


def leave_file(file: OpenFile, name: str) -> None:
    """Note that one log has stopped using the file."""
    _files.leave(file, name)


def drop_file(file: OpenFile, name: str) -> None:
    """Note that one log was garbage-collected, so that its connections were not closed in order."""
    _files.dropped.add(file.path)
    _files.leave(file, name)


def dropped_files() -> set[str]:
    """The paths of the files that were passed to `drop_file`."""
    return set(_files.dropped)


at_fork(after_in_child=_files.clear)
