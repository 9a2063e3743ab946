"""Refuses Python's own `sqlite3` on a journal that this process has open, and warns of copies by `open`.

A second SQLite library in a process does not see the locks of the first one: its reader may see pages that are being
replaced, and when it closes the file, the system drops the locks of both. A copy of the file alone lacks the content of
the `-wal`. An audit hook checks `sqlite3.connect` and `open`. It is installed when the first journal's file is opened;
Python cannot remove a hook, so it returns from all other events after one look-up.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from ..errors import UnsafeAccess
from ..runtime.forks import at_fork

logger = logging.getLogger("journeyman")

Inode = tuple[int, int]


class WatchedFile(Protocol):
    """A journal's file that this process has open."""

    path: str
    inode: Inode


_EVENTS: Final = frozenset({"open", "sqlite3.connect"})
_WRITING: Final = os.O_WRONLY | os.O_RDWR
_BESIDE: Final = ("", "-wal", "-shm")


class _Own(threading.local):
    """Whether the journal itself is opening a file in this thread."""

    opens = False


class _Watch:
    """The watched files of this process."""

    def __init__(self) -> None:
        self.files: dict[int, WatchedFile] = {}  # by the file's `id`
        self.names: frozenset[str] = frozenset()  # of these files, without directories
        self.warned: set[str] = set()
        self.is_installed = False

    def add(self, file: WatchedFile) -> None:
        self.files = {**self.files, id(file): file}
        self._name()
        if not self.is_installed:
            self.is_installed = True
            sys.addaudithook(_hook)

    def remove(self, file: WatchedFile) -> None:
        self.files = {key: each for key, each in self.files.items() if key != id(file)}
        self._name()

    def _name(self) -> None:
        names = [os.path.basename(file.path) for file in self.files.values()]  # noqa: PTH119
        self.names = frozenset(name + suffix for name in names for suffix in _BESIDE)

    def clear(self) -> None:
        self.files, self.names, self.warned = {}, frozenset(), set()

    def at(self, inode: Inode) -> WatchedFile | None:
        return next((file for file in self.files.values() if file.inode == inode), None)


_watch: Final = _Watch()
_own: Final = _Own()


def watch(file: WatchedFile) -> None:
    """Watch the file until `unwatch`."""
    _watch.add(file)


def unwatch(file: WatchedFile) -> None:
    """Stop watching the file."""
    _watch.remove(file)


@contextmanager
def unwatched() -> Iterator[None]:
    """Let this thread open a watched file."""
    before, _own.opens = _own.opens, True
    try:
        yield
    finally:
        _own.opens = before


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _EVENTS and _watch.names and not _own.opens:
        if event == "open":
            _opened(*arguments)
        else:
            _connected(arguments[0])


def _opened(path: object, _: object, flags: int) -> None:
    name = path if type(path) is str else _text(path)
    if name is None or name.rpartition("/")[2] not in _watch.names:
        return
    file = _file_at(name) or _file_beside(name)
    if file is None:
        return
    if flags & _WRITING:
        raise UnsafeAccess(
            f"{name} belongs to the journal {file.path}, which is open in this process: writing to it would destroy "
            "the journal. Close the journal first."
        )
    if file.path not in _watch.warned:
        _watch.warned.add(file.path)
        logger.warning(
            "%s belongs to the journal %s, which is open in this process: a copy of a file in use lacks the content of "
            "the files beside it and may be inconsistent. Make copies with `journeyman backup`.",
            name,
            file.path,
        )


def _connected(database: object) -> None:
    name = _text(database)
    if name is None:
        return
    file = next((file for each in _possible_paths(name) if (file := _file_at(each)) is not None), None)
    if file is not None:
        raise UnsafeAccess(
            f"expected no sqlite3 connection to the journal {file.path} while this process has it open: two SQLite "
            "libraries in one process do not see each other's locks, so reads may be inconsistent. "
            "Use `journeyman backup` for a copy, or connect in another process."
        )


def _possible_paths(database: str) -> Iterator[str]:
    """The paths that a name given to `sqlite3.connect` can mean: the event does not say whether it is a URI."""
    yield database
    if database.startswith("file:"):
        yield unquote(urlsplit(database).path)


def _file_at(path: str) -> WatchedFile | None:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return _watch.at((status.st_dev, status.st_ino))


def _file_beside(path: str) -> WatchedFile | None:
    """The journal that the `-wal` or `-shm` at `path` belongs to."""
    return _file_at(path[:-4]) if path.endswith(_BESIDE[1:]) else None


def _text(path: object) -> str | None:
    if isinstance(path, (str, bytes, os.PathLike)):
        return os.fsdecode(path)
    return None


at_fork(after_in_child=_watch.clear)
