"""What one process has open of a journal's file, and how it comes to rest before a fork."""

import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

import apsw

from ..doorbell import Bell, Ringer, bell_directories
from ..limits import FORK_SECONDS_MAX
from ..writer import Writer
from .commit import Committer
from .file import Synchronous, connect_reader
from .insert import Inserter
from .presence import Presence

T = TypeVar("T")


class Readers:
    """Connections for reading: as many as there are readers at the same time."""

    def __init__(self, path: str, presence: Presence) -> None:
        self._path = path
        self._presence = presence
        # Taken by itself, in C: an interrupt as a condition is entered, which is Python, would leave its lock taken.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._idle: list[apsw.Connection] = []
        self._in_use: set[apsw.Connection] = set()
        self._closed = False

    def use(self, read: Callable[[apsw.Connection], T]) -> T:
        """What `read` finds, through a connection that nobody else uses meanwhile."""
        self._presence.check()
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
        return self._presence.connect(lambda: connect_reader(self._path))

    def _give_back(self, connection: apsw.Connection, *, whole: bool) -> None:
        """Let others have it, unless a statement may still be open: then it would see the log as it was, for ever."""
        with self._lock:
            self._in_use.discard(connection)
            if whole and not self._closed:
                self._idle.append(connection)
            else:
                connection.close(force=True)
            if not self._in_use:
                self._changed.notify_all()

    def close(self) -> None:
        """Close all connections, those in use when they are given back."""
        with self._lock:
            self._closed = True
            self._close_idle()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def pause(self, timeout: float) -> bool:
        """Let nobody use a connection, and have none, until `resume`; False if one is in use for too long."""
        self._lock.acquire()
        if not self._changed.wait_for(lambda: not self._in_use, timeout):
            self._lock.release()
            return False
        self._close_idle()
        return True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._lock.release()


class Opened:
    """What one process has open of the file."""

    def __init__(self, path: str, synchronous: Synchronous, clock: Callable[[], float], writer: Writer) -> None:
        self.presence = Presence(path)
        self.bell_directories = bell_directories(path)
        self.ringer = Ringer(self.bell_directories)
        self.readers = Readers(path, self.presence)
        self.inserter = Inserter(path, self.presence, synchronous, clock, writer)
        self.committer = Committer(path, self.inserter, self.ringer)
        self.bells: weakref.WeakSet[Bell] = weakref.WeakSet()
        self._paused: list[Readers | Inserter] = []

    def pause(self) -> None:
        """Before a fork: nobody uses the file, and nothing of SQLite is open."""
        parts: tuple[Readers | Inserter, ...] = (self.readers, self.inserter)
        self._paused = [part for part in parts if part.pause(FORK_SECONDS_MAX)]

    def is_paused(self) -> bool:
        """Whether all of it came to rest in time."""
        return len(self._paused) == 2

    def resume(self) -> None:
        """After the fork, in the parent."""
        while self._paused:
            self._paused.pop().resume()

    def close(self) -> None:
        """Let go of everything but the writer's connection, and wake whoever waits."""
        self.readers.close()
        self.ringer.close()
        for bell in list(self.bells):
            bell.ring()  # whoever waits finds out that the journal is closed
