"""Notifies the readers of a file, in this process and in others, after each commit.

Each waiting reader binds a datagram socket, its listener, in a directory beside the database. After a commit the writer
sends each listener a notice: the new end of the log and, after a commit of one small record, that record. So a notice
arrives when the rows are visible (a watch on the write-ahead log fires earlier), needs no broker, and often saves the
read of the file. The directory also holds a mark, a few bytes that change with each new listener: a writer maps them
into its memory, so that a commit without new listeners costs no system call for the list. A notice may be lost; readers
therefore poll the file as well.
"""

import contextlib
import hashlib
import logging
import mmap
import os
import socket
import stat
import tempfile
import time
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..limits import NOTIFIER_POLL_SECONDS
from ..ownership import share
from .limits import NOTICE_ROW_BYTES_MAX

logger = logging.getLogger("journeyman")

# The longest path a socket can be bound to is 103 bytes on macOS and 107 on Linux.
_SOCKET_PATH_BYTES_MAX: Final = 103
_LISTENER_NAME_CHARS: Final = 12
_MARK_NAME: Final = "mark"
_MARK_BYTES: Final = 8
_BESIDE: Final = "-bells"


def listener_directories(path: str) -> list[str]:
    """The directories for listeners of the database at `path`, the preferred one first.

    The first is beside the database, so that all users of the file share it. The fallback, if that path is too long for
    a socket or the file system holds no sockets, is this user's directory in the system's temporary directory.
    """
    real = os.path.realpath(path)
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:24]
    temporary = _temporary_directory()
    places = [f"{real}{_BESIDE}"] + ([f"{temporary}/journeyman-{os.getuid()}-{digest}"] if temporary else [])
    return [each for each in places if len(os.fsencode(each)) + 1 + _LISTENER_NAME_CHARS <= _SOCKET_PATH_BYTES_MAX]


def _temporary_directory() -> str | None:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:  # there is no writable one, as in a container with a read-only root
        return None


# The end of the log in a notice that does not know it. A known end saves a reader the read of its own events.
FARTHEST: Final = 2**63
# A notice begins with the end of the log; the one record of a small commit may follow.
_NOTICE_BYTES: Final = 8
# A socket buffers at least ten datagrams before it refuses one; if fewer were received, none can be missing.
_NOTICES_COMPLETE_MAX: Final = 6


class Notices(NamedTuple):
    """The content of some notices: the end of the log, and the records in them with their offsets."""

    end: int
    rows: Sequence[tuple[int, bytes]]


SILENCE: Final = Notices(0, ())


# The paths of this process's own listeners.
_own: Final[set[str]] = set()
# The directories with another owner that were logged.
_logged: Final[set[str]] = set()


class Listener:
    """A reader's listener: its socket becomes readable when a writer notifies it."""

    def __init__(self, sock: socket.socket, path: str) -> None:
        self.sock = sock
        self.process = os.getpid()
        self._path = path

    @classmethod
    def bind(cls, directories: list[str]) -> "Listener | None":
        """Bind a new listener in the first directory where it is possible; None if it is possible in none."""
        for directory in directories:
            path = f"{directory}/{uuid.uuid4().hex[:_LISTENER_NAME_CHARS]}"
            listener = cls(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), path)
            try:
                if _is_ready(directory):
                    listener.sock.bind(path)
                    listener.sock.setblocking(False)
                    _own.add(path)
                    _share(path, directory, exactly=True)  # readers trust a notice, so only writers may send one
                    _change_mark(directory)  # after the bind: a writer that sees the new mark finds the listener
                    return listener
            except PermissionError:
                _warn_of_owner(directory, "other users' commits wake this process")
            except OSError:
                pass
            listener.take_down()
        return None

    def drain(self) -> Notices:
        """Receive all waiting notices and return their content: `SILENCE` if there were none.

        To be called before the read of the log. After many notices some may have been dropped: then the end is
        `FARTHEST`.
        """
        count = end = 0
        rows: list[tuple[int, bytes]] = []
        try:
            while notice := self.sock.recv(_NOTICE_BYTES + NOTICE_ROW_BYTES_MAX):
                count += 1
                announced = int.from_bytes(notice[:_NOTICE_BYTES], "big")
                end = max(end, announced)
                if len(notice) > _NOTICE_BYTES:
                    rows.append((announced - 1, notice[_NOTICE_BYTES:]))
        except BlockingIOError:
            pass
        if not count:
            return SILENCE
        return Notices(end if count <= _NOTICES_COMPLETE_MAX else FARTHEST, rows)

    def notify(self) -> None:
        """Notify this listener from its own process, for another reason than a commit."""
        _send(self.sock, self._path, _encoded_notice(FARTHEST, None))

    def take_down(self) -> None:
        """Close the listener and remove its socket file; a forked child only closes its descriptor."""
        self.sock.close()
        _own.discard(self._path)
        if os.getpid() == self.process:
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108 - a reader may come and go often


class Notifier:
    """Sends the notices of a writer to all listeners of a database."""

    def __init__(self, directories: list[str]) -> None:
        # Only the preferred directory is created: the others hold listeners only if that one could not.
        self._directories = [_ListenerDirectory(each, make=not place) for place, each in enumerate(directories)]
        self._present: list[_ListenerDirectory] = []  # the directories that existed at the last check
        self._check_again_at = 0.0  # monotonic time, in seconds
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setblocking(False)

    def notify(self, end: int = FARTHEST, row: bytes | None = None) -> None:
        """Notify every listener that the log ends at `end` now. Never waits and never fails.

        `row` is the record before `end`, if it was committed alone: readers at that offset need not read the file.
        """
        now = time.monotonic()
        if now >= self._check_again_at:
            self._check_again_at = now + NOTIFIER_POLL_SECONDS
            self._present = [each for each in self._directories if each.is_present(now)]
        for directory in self._present:
            if listeners := directory.listeners(now):
                self._send_notice(directory, listeners, end, row)

    def _send_notice(self, directory: "_ListenerDirectory", listeners: list[str], end: int, row: bytes | None) -> None:
        notice = _encoded_notice(end, row)
        for path in listeners:
            try:
                if not _send(self._sock, path, notice):
                    directory.remove(path)
            except PermissionError:
                _warn_of_owner(directory.directory, "this process's commits wake the readers of other users")

    def close(self) -> None:
        """Close the socket, and remove the temporary directory if no listener is left in it."""
        self._sock.close()
        for directory in self._directories:
            directory.clear_away()


class _ListenerDirectory:
    """The listeners of one directory; the list is renewed when the mark has changed, and periodically."""

    def __init__(self, directory: str, *, make: bool) -> None:
        self.directory = directory
        self._make = make
        self._paths: list[str] = []
        self._map: mmap.mmap | None = None
        self._seen = b""
        self._list_again_at = 0.0  # monotonic time, in seconds

    def listeners(self, now: float) -> list[str]:
        mark = self._map[:_MARK_BYTES] if self._map is not None else b""
        if mark == self._seen and now < self._list_again_at:
            return self._paths
        if self._map is None or now >= self._list_again_at:
            self._map = self._mapped_mark()  # mapped again: the directory may have been removed and recreated
            mark = self._map[:_MARK_BYTES] if self._map is not None else b""
        try:
            names = os.listdir(self.directory) if self._map is not None else []  # noqa: PTH208 - on a hot path
        except OSError:
            names = []
        self._paths = [f"{self.directory}/{name}" for name in names if len(name) == _LISTENER_NAME_CHARS]
        self._paths.sort(key=_own.__contains__)  # the listeners of other processes first
        # The mark was read before the list: a listener bound in between has changed it once more.
        self._seen, self._list_again_at = mark, now + NOTIFIER_POLL_SECONDS
        return self._paths

    def is_present(self, now: float) -> bool:
        """Whether the directory exists; creates it if it is the preferred one."""
        self.listeners(now)
        return self._make or self._map is not None

    def clear_away(self) -> None:
        """Remove the directory if it is a temporary one without listeners; it is created again when needed."""
        if not _is_temporary(self.directory) or not _is_trustworthy(self.directory):
            return
        with contextlib.suppress(OSError):
            if os.listdir(self.directory) == [_MARK_NAME]:  # noqa: PTH208
                os.unlink(f"{self.directory}/{_MARK_NAME}")  # noqa: PTH108
                os.rmdir(self.directory)  # noqa: PTH106 - fails, as it should, if a listener was bound meanwhile

    def _mapped_mark(self) -> mmap.mmap | None:
        """Map the directory's mark, shared with the processes that change it; None if the directory cannot be used."""
        path = f"{self.directory}/{_MARK_NAME}"
        try:
            if not (_is_ready(self.directory) if self._make else _is_trustworthy(self.directory)):
                return None
            if not os.path.exists(path):  # noqa: PTH110
                _change_mark(self.directory)
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                return mmap.mmap(descriptor, _MARK_BYTES, prot=mmap.PROT_READ)
            finally:
                os.close(descriptor)
        except (OSError, ValueError):  # ValueError: shorter than a mark, as it is just being created
            return None

    def remove(self, path: str) -> None:
        """Remove the listener of a reader that ended without closing it; removes nothing but sockets."""
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)  # noqa: PTH108
        self._seen = b""


def _is_ready(directory: str) -> bool:
    """Create the directory if it is missing; return whether listeners can be bound in it."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700 if _is_temporary(directory) else 0o777)  # noqa: PTH102
    if not _is_trustworthy(directory):
        return False
    _share(directory, directory)
    return True


def _share(path: str, directory: str, *, exactly: bool = False) -> None:
    """Let the users that may write the database use the file at `path`, if the directory is beside the database."""
    if not _is_temporary(directory):
        share(path, directory.removesuffix(_BESIDE), exactly=exactly)


def _warn_of_owner(directory: str, what: str) -> None:
    """Log once for each directory that processes of different users cannot notify each other through it."""
    if directory in _logged or _is_temporary(directory) or not _is_trustworthy(directory):
        return
    _logged.add(directory)
    database = directory.removesuffix(_BESIDE)
    logger.warning(
        "%s, or a file in it, belongs to another user, so %s up to %g s late. Give it to the owner of the journal: "
        "chown -R --reference=%s %s",
        directory,
        what,
        NOTIFIER_POLL_SECONDS,
        database,
        directory,
    )


def _change_mark(directory: str) -> None:
    path = f"{directory}/{_MARK_NAME}"
    try:
        descriptor = _open_mark(path)
    except PermissionError:  # of the journal's former owner; processes that have it mapped will map the new one soon
        os.unlink(path)  # noqa: PTH108
        descriptor = _open_mark(path)
    _share(path, directory)
    try:
        # Random, not incremented: two concurrent readers must not write the same value.
        os.pwrite(descriptor, os.urandom(_MARK_BYTES), 0)
    finally:
        os.close(descriptor)


def _open_mark(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _is_trustworthy(directory: str) -> bool:
    """Whether it is a directory, and a temporary one is this user's: never follow another user's link."""
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and (not _is_temporary(directory) or status.st_uid == os.getuid())


def _is_temporary(directory: str) -> bool:
    return not directory.endswith(_BESIDE)


def _encoded_notice(end: int, row: bytes | None) -> bytes:
    encoded = end.to_bytes(_NOTICE_BYTES, "big")
    return encoded + row if row is not None and len(row) <= NOTICE_ROW_BYTES_MAX else encoded


def _send(sock: socket.socket, path: str, notice: bytes) -> bool:
    """Send a notice to the listener at `path`; False if it is closed, `PermissionError` if it is another user's."""
    try:
        sock.sendto(notice, path)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except PermissionError:
        raise
    except OSError:
        return True  # the buffer is full: it has notices already
    return True
