"""The connections that one log has open, and how they are closed before a fork."""

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TypeVar

import apsw

from ..errors import JournalUnavailable
from ..limits import FORK_SECONDS_MAX
from ..writer import Writer
from .commit import Committer
from .file import Synchronous, connect_reader
from .insert import Inserter
from .limits import FOREIGN_LOCK_SECONDS_MAX, OPEN_RETRY_SECONDS, RENEWALS_MAX
from .notifier import Listener, Notifier, listener_directories
from .open_file import OpenFile, Outdated, drop_file, leave_file, open_file
from .permission import connect_to_read

T = TypeVar("T")


class Readers:
    """A pool of connections for reading: as many as there are concurrent readers."""

    def __init__(self, file: OpenFile, renew: Callable[[], None]) -> None:
        self._file = file
        self._renew = renew  # reopens all connections of the process
        # Taken directly, in C: an interrupt while a condition is entered, which is Python, would leave its lock taken.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._idle: list[apsw.Connection] = []
        self._in_use: set[apsw.Connection] = set()
        self._closed = False

    def use(self, read: Callable[[apsw.Connection], T]) -> T:
        """Return what `read` returns, called with a connection that no other thread uses meanwhile.

        `read` runs again if the connection turns out to use a removed `-wal` or `-shm`.
        """
        for _ in range(RENEWALS_MAX):
            try:
                if self._file.reads_only:
                    self._file.note_stamp()
                found = self._read(read)
                if self._file.is_current() and not (self._file.reads_only and self._file.is_restamped()):
                    return found
            except Outdated:
                pass
            except apsw.Error:
                if self._file.is_current() and not (self._file.reads_only and self._file.is_restamped()):
                    raise
            self._renew()
        raise JournalUnavailable(
            f"the files beside the journal {self._file.path} are repeatedly removed or replaced. Try again later."
        )

    def _read(self, read: Callable[[apsw.Connection], T]) -> T:
        connection: apsw.Connection | None = None
        whole = False
        try:  # an interrupt may come anywhere in here
            with self._lock:
                connection = self._idle.pop() if self._idle else self._connect()
                self._in_use.add(connection)
            found = read(connection)
            whole = True
            return found
        finally:
            if connection is not None:
                self._give_back(connection, whole=whole)

    def _connect(self) -> apsw.Connection:
        connect = connect_to_read if self._file.reads_only else connect_reader
        return self._file.connect(lambda: connect(self._file.path))

    def surrender(self) -> list[apsw.Connection]:
        """See `Holder.surrender`."""
        with self._lock:
            idle, self._idle = self._idle, []
            return idle

    def _give_back(self, connection: apsw.Connection, *, whole: bool) -> None:
        """Return a connection to the pool; close it if a statement may be open, which would keep an old snapshot."""
        with self._lock:
            self._in_use.discard(connection)
            if whole and not self._closed:
                self._idle.append(connection)
            else:
                self._file.close(connection, force=True)
            if not self._in_use:
                self._changed.notify_all()

    def close(self) -> None:
        """Close all connections; those in use are closed when they are given back."""
        with self._lock:
            self._closed = True
            self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._file.close(self._idle.pop())

    def pause(self, timeout: float) -> bool:
        """Close all connections and allow none until `resume`; False if one is still in use after `timeout` seconds."""
        self._lock.acquire()
        if not self._changed.wait_for(lambda: not self._in_use, timeout):
            self._lock.release()
            return False
        self._close_idle()
        return True

    def resume(self) -> None:
        """Allow connections again after `pause`."""
        self._lock.release()


class Connections:
    """The connections of one log to the file at the real path `path`, to which `name` leads as well.

    With `reads_only` it has no `inserter`, `committer` or `notifier`.
    """

    inserter: Inserter
    committer: Committer
    notifier: Notifier

    def __init__(
        self,
        path: str,
        name: str,
        synchronous: Synchronous,
        clock: Callable[[], float],
        writer: Writer,
        *,
        reads_only: bool = False,
    ) -> None:
        self.reads_only = reads_only
        self.file = open_file(path, name, reads_only=reads_only)
        self._name = name
        drop = leave_file if reads_only else drop_file  # if the journal is garbage-collected without being closed
        self._drop = weakref.finalize(self, drop, self.file, name)
        self._drop.atexit = False
        self.listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
        self.listener_directories = [] if reads_only else listener_directories(path)
        self.readers = Readers(self.file, self._renew_readers if reads_only else self._renew)
        self._parts: tuple[Readers | Inserter, ...] = (self.readers,)
        self._paused: list[Readers | Inserter] = []
        self._renewing = threading.Lock()
        if not reads_only:
            self.notifier = Notifier(self.listener_directories)
            self.inserter = Inserter(self.file, synchronous, clock, writer)
            self.committer = Committer(path, self.inserter, self.notifier)
            self._parts = (self.readers, self.inserter)
        for part in self._parts:
            self.file.holders.add(part)

    def _renew_readers(self) -> None:
        """Reopen the connections of a process that writes nothing, without the write lock."""
        with self._renewing:
            if not self.file.is_current() or self.file.is_restamped():
                self.file.renew(lambda _: None, lambda _: None)

    def _renew(self) -> None:
        """Reopen the connections of the process, under the write lock."""
        deadline = time.monotonic() + FOREIGN_LOCK_SECONDS_MAX
        while not self.committer.exclusively(lambda _: self.inserter.renew_in_turn()) and (
            self.file.is_being_renewed or not self.file.is_current()
        ):
            if time.monotonic() >= deadline:
                raise JournalUnavailable(
                    f"the files beside the journal {self.file.path} were removed or replaced, and "
                    f"{self.committer.lock.holder()} has been writing for {FOREIGN_LOCK_SECONDS_MAX:g} s, so they "
                    "cannot be reopened. Try again later."
                )
            time.sleep(OPEN_RETRY_SECONDS)

    def accept(self, offset: int, rows: Sequence[bytes]) -> None:
        """See `TailedLog.accept`."""
        self.file.check()
        if not self.reads_only:
            self.inserter.followed.add(offset, rows)

    def pause(self) -> None:
        """Before a fork: wait until the connections are unused, close them and allow no others."""
        self._paused = [part for part in self._parts if part.pause(FORK_SECONDS_MAX)]

    def is_paused(self) -> bool:
        """Whether `pause` has closed all connections in time."""
        return len(self._paused) == len(self._parts)

    def resume(self) -> None:
        """Allow connections again after the fork, in the parent."""
        while self._paused:
            self._paused.pop().resume()

    def close(self) -> None:
        """Close everything but the writer's connection, and wake the waiting readers."""
        self.readers.close()
        if self._drop.detach() is not None:
            leave_file(self.file, self._name)
        if not self.reads_only:
            self.notifier.close()
        for listener in list(self.listeners):
            listener.notify()  # a waiting reader then finds the journal closed
