"""Checks whether a journal's file can be read and written, or only read, and connects for reading only.

A process that may only read creates none of the files beside the database. While a writer has the file open, the `-wal`
and the `-shm` exist, and SQLite reads through them. Once the last writer has closed it they are gone, and SQLite, which
cannot create them, opens the database as immutable. Since it may still change, `Stamp` is compared around each read.
"""

import os
import stat
import sys
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import apsw

from ..errors import NotAJournal
from .file_identity import SHARED_MEMORY, WAL
from .limits import FOREIGN_LOCK_SECONDS_MAX

_LOCK: Final = "-lock"


class Stamp(NamedTuple):
    """Changes when a database is written: its size in bytes and two times in ns, or the inode of its `-wal`."""

    size: int
    modified: int
    changed: int
    wal: int | None


def stamp_of(path: str) -> Stamp:
    """The stamp of the database at `path`; `OSError` if there is none."""
    status = os.stat(path)  # noqa: PTH116 - the path is a string
    try:
        wal = os.stat(path + WAL).st_ino  # noqa: PTH116
    except FileNotFoundError:
        return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, None)
    return Stamp(0, 0, 0, wal)  # SQLite itself handles changes then


def may_only_read(path: str) -> bool:
    """Whether this process can read the file at `path`, but not write it or the files beside it."""
    if not os.access(path, os.R_OK) or not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116
        return False
    if not os.access(path, os.W_OK):
        return True
    beside = [path + suffix for suffix in (WAL, SHARED_MEMORY, _LOCK)]
    return not os.access(os.path.dirname(path), os.W_OK) and not all(map(os.path.exists, beside))  # noqa: PTH120


def sqlite_name(path: str) -> str | None:
    """Return the path as SQLite takes it, in UTF-8; None if there is no such path.

    It differs from `path` where the encoding of file names is not UTF-8, as in the C locale.
    """
    try:
        return os.fsencode(path).decode()
    except UnicodeError:
        return None


def checked_name(path: str) -> str:
    """Return the path; `NotAJournal` unless the system and SQLite take it as the same one."""
    if sqlite_name(path) != path:
        raise NotAJournal(
            f"the journal {path} cannot be used: SQLite takes the names of files in UTF-8, and here they are in the "
            f"encoding {sys.getfilesystemencoding()}. Set PYTHONUTF8=1 or a UTF-8 locale, or name another file."
        )
    return path


def check_path(path: str, *, reads_only: bool = False) -> None:
    """Raise `NotAJournal`, with the reason, if no journal can be opened or created at `path`."""
    checked_name(path)
    parent = Path(path).parent
    if not parent.is_dir():
        raise NotAJournal(f"the journal {path} cannot be made: there is no directory {parent}. Create it first.")
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        if not os.access(parent, os.W_OK | os.X_OK):
            raise NotAJournal(
                f"the journal {path} cannot be made: no permission to write in {parent}. Give the user of this process "
                "that permission, or name a file elsewhere."
            ) from None
        return
    except OSError as error:
        raise NotAJournal(
            f"expected a journal's file at {path}, which cannot be reached: {error.strerror}. Name another file, or "
            "let the user of this process enter its directory."
        ) from error
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise NotAJournal(f"expected a journal's file, but {path} is {kind}. Name a file.")
    if not os.access(path, os.R_OK | (0 if reads_only else os.W_OK)):
        hint = " To read it only, open it with create=0 in its URL." if os.access(path, os.R_OK) else ""
        raise NotAJournal(
            f"the journal {path} cannot be used: no permission to read and write it. Give the user of this process "
            f"that permission.{hint}"
        )


def connect_to_read(path: str) -> apsw.Connection:
    """Make a connection that changes and creates no file."""
    flags = apsw.SQLITE_OPEN_READONLY
    if os.path.exists(path + WAL):  # noqa: PTH110
        connection = apsw.Connection(path, flags=flags)
    else:
        connection = apsw.Connection(f"file:{quote(path)}?immutable=1", flags=flags | apsw.SQLITE_OPEN_URI)
    connection.set_busy_timeout(int(FOREIGN_LOCK_SECONDS_MAX * 1_000))
    return connection
