"""Waking the readers of a file, in this process and in others: a writer rings after its commit.

Each waiting reader binds a datagram socket, its bell, in a directory beside the database; after a commit the writer
sends to every bell there how far the log goes now, and, if it was one small record, the record itself. So a wake-up
comes when the rows are visible (a watch on the write-ahead log fires before), needs nobody in between, and often spares
the look at the file. Beside the bells lies a mark, a few bytes that change whenever a bell is hung: a writer has them
mapped into its memory, so that a commit without new bells costs it no system call. A bell may be lost; the reader's own
slow look at the file is the truth.
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
    """Where the bells of the database at `path` may hang, the preferred place first.

    Beside it, so that whoever shares the file shares the bells; else, where that path is too long for a socket or the
    file system holds none, in this user's corner of the system's temporary directory, if there is a writable one.
    """
    real = os.path.realpath(path)
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:24]
    temporary = _temporary_directory()
    places = [f"{real}{_BESIDE}"] + ([f"{temporary}/journeyman-{os.getuid()}-{digest}"] if temporary else [])
    return [each for each in places if len(os.fsencode(each)) + 1 + _LISTENER_NAME_CHARS <= _SOCKET_PATH_BYTES_MAX]


def _temporary_directory() -> str | None:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:  # none is writable, as in a container with a read-only root
        return None


# A ring says how far the log goes, so that a reader need not look for what it knows: its own events, for one.
FARTHEST: Final = 2**63
# That number comes first; the one record of a small commit may follow.
_NOTICE_BYTES: Final = 8
# A socket holds at least ten datagrams before it refuses one; after fewer than that none can be missing.
_NOTICES_COMPLETE_MAX: Final = 6


class Notices(NamedTuple):
    """What some rings said: how far the log goes, and records with their offsets, as far as the rings brought any."""

    end: int
    rows: Sequence[tuple[int, bytes]]


SILENCE: Final = Notices(0, ())


# The paths of this process's own bells.
_own: Final[set[str]] = set()
# The directories whose owner was complained of.
_complained_of: Final[set[str]] = set()


class Listener:
    """A reader's bell: its socket becomes readable when somebody rings."""

    def __init__(self, sock: socket.socket, path: str) -> None:
        self.sock = sock
        self.process = os.getpid()
        self._path = path

    @classmethod
    def hang(cls, directories: list[str]) -> "Listener | None":
        """A new bell in the first of the directories that takes one; None if none does."""
        for directory in directories:
            path = f"{directory}/{uuid.uuid4().hex[:_LISTENER_NAME_CHARS]}"
            listener = cls(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), path)
            try:
                if _is_ready(directory):
                    listener.sock.bind(path)
                    listener.sock.setblocking(False)
                    _own.add(path)
                    _share(path, directory, exactly=True)  # what a ring brings is believed: only writers may ring
                    _change_mark(directory)  # after the bell hangs: who sees the new mark finds it
                    return listener
            except PermissionError:
                _complain(directory, "other users' commits wake this process")
            except OSError:
                pass
            listener.take_down()
        return None

    def drain(self) -> Notices:
        """Forget the rings so far and say what they said: `SILENCE` if there were none.

        What they announced is to be read after this. After many rings some may have found no room: then the log may go
        as far as `FARTHEST`.
        """
        count = end = 0
        rows: list[tuple[int, bytes]] = []
        with contextlib.suppress(BlockingIOError):
            while notify := self.sock.recv(_NOTICE_BYTES + NOTICE_ROW_BYTES_MAX):
                count += 1
                said = int.from_bytes(notify[:_NOTICE_BYTES], "big")
                end = max(end, said)
                if len(notify) > _NOTICE_BYTES:
                    rows.append((said - 1, notify[_NOTICE_BYTES:]))
        if not count:
            return SILENCE
        return Notices(end if count <= _NOTICES_COMPLETE_MAX else FARTHEST, rows)

    def notify(self) -> None:
        """Ring this bell from within its own process, for another reason than a commit."""
        _send(self.sock, self._path, _send_notice(FARTHEST, None))

    def take_down(self) -> None:
        """Remove the bell; in a forked child only the child's hold on it."""
        self.sock.close()
        _own.discard(self._path)
        if os.getpid() == self.process:
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108 - a reader may come and go often


class Notifier:
    """A writer's way to all bells of a database."""

    def __init__(self, directories: list[str]) -> None:
        # In the others a bell hangs only if it could not hang in the preferred place, so that one alone is made.
        self._directories = [_ListenerDirectory(each, make=not place) for place, each in enumerate(directories)]
        self._present: list[_ListenerDirectory] = []  # of these, at the last look for directories, in monotonic seconds
        self._look_again_at = 0.0
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setblocking(False)

    def notify(self, end: int = FARTHEST, row: bytes | None = None) -> None:
        """Ring every bell that hangs: the log goes up to `end` now. Never waits and never fails.

        `row` is the record before `end`, if it came alone: readers who wait for just that need not look for it.
        """
        now = time.monotonic()
        if now >= self._look_again_at:
            self._look_again_at = now + NOTIFIER_POLL_SECONDS
            self._present = [each for each in self._directories if each.is_present(now)]
        for directory in self._present:
            if listeners := directory.listeners(now):
                self._send_notice(directory, listeners, end, row)

    def _send_notice(self, directory: "_ListenerDirectory", listeners: list[str], end: int, row: bytes | None) -> None:
        notify = _send_notice(end, row)
        for path in listeners:
            try:
                if not _send(self._sock, path, notify):
                    directory.remove(path)
            except PermissionError:
                _complain(directory.directory, "this process's commits wake the readers of other users")

    def close(self) -> None:
        """Let go of the socket, and leave nothing behind in the temporary directory when nobody listens."""
        self._sock.close()
        for directory in self._directories:
            directory.clear_away()


class _ListenerDirectory:
    """The bells of one directory, listed anew when its mark has changed, and now and then in any case."""

    def __init__(self, directory: str, *, make: bool) -> None:
        self.directory = directory
        self._make = make
        self._paths: list[str] = []
        self._map: mmap.mmap | None = None
        self._seen = b""
        self._look_again_at = 0.0

    def listeners(self, now: float) -> list[str]:
        mark = self._map[:_MARK_BYTES] if self._map is not None else b""
        if mark == self._seen and now < self._look_again_at:
            return self._paths
        if self._map is None or now >= self._look_again_at:
            self._map = self._mapped_mark()  # anew: the directory may have been removed and made again
            mark = self._map[:_MARK_BYTES] if self._map is not None else b""
        try:
            names = os.listdir(self.directory) if self._map is not None else []  # noqa: PTH208 - on a hot path
        except OSError:
            names = []
        self._paths = [f"{self.directory}/{name}" for name in names if len(name) == _LISTENER_NAME_CHARS]
        self._paths.sort(key=_own.__contains__)  # those who sleep in other processes first
        # The mark was read before the bells were listed: one that was hung in between changes it once more.
        self._seen, self._look_again_at = mark, now + NOTIFIER_POLL_SECONDS
        return self._paths

    def is_present(self, now: float) -> bool:
        """Whether there is such a directory, or it is made where there is none."""
        self.listeners(now)
        return self._make or self._map is not None

    def clear_away(self) -> None:
        """Remove the directory if it is one of the temporary ones and no bell hangs in it; it is made again at need."""
        if not _in_corner(self.directory) or not _is_trustworthy(self.directory):
            return
        with contextlib.suppress(OSError):
            if os.listdir(self.directory) == [_MARK_NAME]:  # noqa: PTH208
                os.unlink(f"{self.directory}/{_MARK_NAME}")  # noqa: PTH108
                os.rmdir(self.directory)  # noqa: PTH106 - fails, as it should, if a bell was hung meanwhile

    def _mapped_mark(self) -> mmap.mmap | None:
        """The directory's mark, shared with all who change it; None where no bell can hang."""
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
        except (OSError, ValueError):  # ValueError: shorter than a mark, just being made
            return None

    def remove(self, path: str) -> None:
        """Remove the bell of a reader that ended without taking it down; nothing but a socket is ever removed."""
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)  # noqa: PTH108
        self._seen = b""


def _is_ready(directory: str) -> bool:
    """Make the directory if it is not there; whether bells can hang in it."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700 if _in_corner(directory) else 0o777)  # noqa: PTH102
    if not _is_trustworthy(directory):
        return False
    _share(directory, directory)
    return True


def _share(path: str, directory: str, *, exactly: bool = False) -> None:
    """Let those who write the database use what is at `path`, where the directory lies beside the database."""
    if not _in_corner(directory):
        share(path, directory.removesuffix(_BESIDE), exactly=exactly)


def _complain(directory: str, what: str) -> None:
    """Say once of a directory that processes of different users cannot wake one another by it."""
    if directory in _complained_of or _in_corner(directory) or not _is_trustworthy(directory):
        return
    _complained_of.add(directory)
    database = directory.removesuffix(_BESIDE)
    logger.warning(
        "%s, or something in it, is another user's, so %s up to %g s late. Give it to the owner of the journal: "
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
    except PermissionError:  # another user's, from before the journal changed hands; who has it mapped looks again soon
        os.unlink(path)  # noqa: PTH108
        descriptor = _open_mark(path)
    _share(path, directory)
    try:
        # Random, not counted up: two readers at the same time must not arrive at the same value.
        os.pwrite(descriptor, os.urandom(_MARK_BYTES), 0)
    finally:
        os.close(descriptor)


def _open_mark(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _is_trustworthy(directory: str) -> bool:
    """A directory of our own in a place where anybody may make one: never follow another user's link."""
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and (not _in_corner(directory) or status.st_uid == os.getuid())


def _in_corner(directory: str) -> bool:
    return not directory.endswith(_BESIDE)


def _send_notice(end: int, row: bytes | None) -> bytes:
    said = end.to_bytes(_NOTICE_BYTES, "big")
    return said + row if row is not None and len(row) <= NOTICE_ROW_BYTES_MAX else said


def _send(sock: socket.socket, path: str, notify: bytes) -> bool:
    """Ring the bell at `path`; False if nobody holds it any more, `PermissionError` if it is not ours to ring."""
    try:
        sock.sendto(notify, path)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except PermissionError:
        raise
    except OSError:
        return True  # a full buffer: already rung
    return True
