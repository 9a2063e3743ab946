"""Waking the readers of a file, in this process and in others: a writer rings after its commit.

Each waiting reader binds a datagram socket, its bell, in a directory beside the database; after a commit the writer
sends one byte to every bell there. So a wake-up comes when the rows are visible (a watch on the write-ahead log fires
before), costs a writer without listeners one `stat`, and needs nobody in between. A bell may be lost; the reader's own
slow look at the file is the truth.
"""

import contextlib
import hashlib
import os
import socket
import stat
import tempfile
import time
import uuid
from pathlib import Path
from typing import Final

# The longest path a socket can be bound to is 103 bytes on macOS and 107 on Linux.
_SOCKET_PATH_BYTES_MAX: Final = 100
_BELL_NAME_CHARS: Final = 32
# A directory that changed less than this long ago, in nanoseconds, may change again without its time showing it.
_TIME_STEP_NANOSECONDS_MAX: Final = 50_000_000


def bell_directories(path: str) -> list[str]:
    """Where the bells of the database at `path` may hang, the preferred place first.

    Beside it, so that whoever shares the file shares the bells; else, where that path is too long for a socket or the
    file system holds none, in this user's corner of the system's temporary directory.
    """
    real = os.path.realpath(path)
    beside = f"{real}-bells"
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:24]
    corner = str(Path(tempfile.gettempdir()) / f"journeyman-{os.getuid()}-{digest}")
    fits = len(os.fsencode(beside)) + 1 + _BELL_NAME_CHARS <= _SOCKET_PATH_BYTES_MAX
    return [beside, corner] if fits else [corner]


class Bell:
    """A reader's bell: its socket becomes readable when somebody rings."""

    def __init__(self, sock: socket.socket, path: str) -> None:
        self.sock = sock
        self.process = os.getpid()
        self._path = path

    @classmethod
    def hang(cls, directories: list[str]) -> "Bell | None":
        """A new bell in the first of the directories that takes one; None if none does."""
        for directory in directories:
            path = f"{directory}/{uuid.uuid4().hex}"
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                with contextlib.suppress(FileExistsError):
                    Path(directory).mkdir(mode=0o700 if _in_corner(directory) else 0o777)
                if _is_trustworthy(directory):
                    sock.bind(path)
                    sock.setblocking(False)
                    return cls(sock, path)
            except OSError:
                pass
            sock.close()
        return None

    def drain(self) -> bool:
        """Forget the rings so far and say whether there were any; what they announced is to be read after this."""
        rung = False
        with contextlib.suppress(BlockingIOError):
            while self.sock.recv(16):
                rung = True
        return rung

    def ring(self) -> None:
        """Ring this bell from within its own process."""
        _send(self.sock, self._path)

    def take_down(self) -> None:
        """Remove the bell; in a forked child only the child's hold on it."""
        self.sock.close()
        if os.getpid() == self.process:
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108 - a reader may come and go often


class Ringer:
    """A writer's way to all bells of a database."""

    def __init__(self, directories: list[str]) -> None:
        self._belfries = [_Belfry(directory) for directory in directories]
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setblocking(False)

    def ring(self) -> None:
        """Ring every bell that hangs; never waits and never fails."""
        for belfry in self._belfries:
            for path in belfry.bells():
                if not _send(self._sock, path):
                    belfry.remove(path)

    def close(self) -> None:
        """Let go of the socket."""
        self._sock.close()


class _Belfry:
    """The bells of one directory, listed anew when the directory has changed."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._changed_at = 0
        self._paths: list[str] = []

    def bells(self) -> list[str]:
        try:
            changed_at = os.stat(self._directory).st_mtime_ns  # noqa: PTH116 - on the path of every commit
        except OSError:
            return []
        if changed_at != self._changed_at:
            trusted = _is_trustworthy(self._directory)
            names = os.listdir(self._directory) if trusted else []  # noqa: PTH208
            self._paths = [f"{self._directory}/{name}" for name in names if len(name) == _BELL_NAME_CHARS]
            # Times come in steps: only a directory that has rested for longer than a step may be remembered.
            rested = time.time_ns() - changed_at > _TIME_STEP_NANOSECONDS_MAX
            self._changed_at = changed_at if rested else 0
        return self._paths

    def remove(self, path: str) -> None:
        """Remove the bell of a reader that ended without taking it down; nothing but a socket is ever removed."""
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)  # noqa: PTH108
        self._changed_at = 0


def _is_trustworthy(directory: str) -> bool:
    """A directory of our own in a place where anybody may make one: never follow another user's link."""
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and (not _in_corner(directory) or status.st_uid == os.getuid())


def _in_corner(directory: str) -> bool:
    return os.path.dirname(directory) == tempfile.gettempdir()  # noqa: PTH120 - paths here are plain strings


def _send(sock: socket.socket, path: str) -> bool:
    """Ring the bell at `path`; False if nobody holds it any more."""
    try:
        sock.sendto(b"!", path)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        return True  # a full buffer: already rung; or not ours to ring
    return True
