"""Backs up and restores a journal's file: copies it while other processes append, verifies and renames the copy.

SQLite copies the snapshot of one read transaction, so the copy is the journal at one moment, and writers are not
blocked; their write-ahead log grows until the copy is done. A copy appears under its name only once it is complete and
fsynced.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import apsw

from ..errors import JournalExists, JournalUnavailable, NotAJournal
from ..verification import Report, Verification
from .file import connect_reader, explained, is_journal
from .limits import COPY_PAGES
from .log import SqliteLog
from .permission import check_path, sqlite_name
from .verifying import Reading, verify_file
from .write_lock import WriteLock

_WAL: Final = "-wal"
_SIDE_FILES: Final = (_WAL, "-shm")


class CopyReports(NamedTuple):
    """The callbacks for the progress of a copy: pages copied, then records verified."""

    copied: Report
    verified: Report


class Copy(NamedTuple):
    """A copy: its verification, its size in bytes, and the path to which a journal in its place was moved."""

    verification: Verification
    size: int
    former: str | None = None


def backup(log: SqliteLog, target: str, progress: CopyReports, *, force: bool = False) -> Copy:
    """Copy the file of an open log to `target`; replace an existing file only with `force`."""
    _name(target)
    _refuse_own_files(log.path, target)
    for suffix in _SIDE_FILES:
        if Path(target + suffix).exists():
            raise JournalExists(
                f"{target}{suffix} is there: {target} is open as a database, or the program that had it open was "
                "killed. Name another file."
            )
    with _unfinished(target) as unfinished:
        log.reading(lambda source: _copy(source, unfinished, progress.copied))
        verification = _verified(unfinished, progress.verified)
        _grant_as(log.path, unfinished)
        _fsync(unfinished)
        size = Path(unfinished).stat().st_size
        _place(unfinished, target, force=force)
    return Copy(verification, size)


def restore(source: str, path: str, progress: CopyReports, *, force: bool = False, damaged: bool = False) -> Copy:
    """Copy the file `source` to the journal at `path`.

    An existing journal is replaced only with `force`, and kept beside the new one under another name. A source that
    fails the verification is refused unless it may be `damaged`.
    """
    _name(source)
    _refuse_own_files(path, source)
    if Path(path).exists() and not force:
        raise JournalExists(
            f"there is a journal at {path} already; stop its users and pass --force, which keeps it under another "
            "name, or restore to another path"
        )
    check_path(path)
    with _unfinished(path) as unfinished:
        with contextlib.closing(_opened_source(source)) as connection:
            _copy(connection, unfinished, progress.copied)
        verification = _verified(unfinished, progress.verified)
        if not verification.is_sound and not damaged:
            raise NotAJournal(
                f"{source} is damaged: {verification.found:,} findings, the first is "
                f"{verification.findings[0].detail!r}. Restore an older backup, or pass --damaged to accept it."
            )
        _grant_as(path if Path(path).exists() else source, unfinished)
        _fsync(unfinished)
        size = Path(unfinished).stat().st_size
        former = _take_place(unfinished, path)
    return Copy(verification, size, former)


def _name(path: str) -> str:
    """Return the path as SQLite takes it; `NotAJournal` if it is not in UTF-8."""
    name = sqlite_name(path)
    if name is None:
        raise NotAJournal(f"{path} cannot be used: SQLite takes the names of files in UTF-8. Name another file.")
    return name


def _refuse_own_files(path: str, other: str) -> None:
    with contextlib.suppress(OSError):
        if Path(path).samefile(other):
            raise JournalExists(f"{other} is the journal itself; name another file")


@contextlib.contextmanager
def _unfinished(target: str) -> Iterator[str]:
    """Yield a path beside the target for an unfinished copy.

    A file that a killed process has left there is overwritten; a lock keeps two processes from writing it together.
    """
    unfinished = f"{target}.unfinished"
    descriptor = -1
    try:
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalUnavailable(f"{unfinished} is being written by another process; try again later") from None
        try:
            _remove(*(unfinished + suffix for suffix in _SIDE_FILES))
            os.ftruncate(descriptor, 0)
            yield unfinished
        finally:
            _remove(*(unfinished + suffix for suffix in _SIDE_FILES))
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), Path(unfinished).stat()):  # it was not renamed
                    _remove(unfinished)
    except apsw.Error as error:
        raise explained(error, unfinished) from error
    except OSError as error:
        raise JournalUnavailable(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _remove(*paths: str) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)


def _opened_source(source: str) -> apsw.Connection:
    """Make a connection to a copy that creates no files beside it."""
    if not Path(source).is_file():
        raise NotAJournal(f"expected a backup, but there is no file {source}")
    try:
        if Path(source + _WAL).exists():
            connection = connect_reader(_name(source))
        else:
            uri = f"file:{quote(_name(str(Path(source).absolute())))}?immutable=1"
            connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        if not is_journal(connection, source):
            raise NotAJournal(f"expected a backup of a journal, but {source} is empty")
    except apsw.Error as error:
        raise explained(error, source) from error
    return connection


def _copy(source: apsw.Connection, target: str, report: Report) -> None:
    """Copy the snapshot of one read transaction of `source` into the new file `target`."""
    destination = apsw.Connection(_name(target))
    try:
        destination.execute("PRAGMA synchronous = off")  # the whole file is fsynced afterwards
        source.execute("BEGIN")
        try:
            source.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
            with destination.backup("main", source, "main") as copying:
                while not copying.done:
                    copying.step(COPY_PAGES)
                    report(copying.page_count - copying.remaining, copying.page_count)
        finally:
            source.execute("COMMIT")
    finally:
        destination.close()


def _verified(path: str, report: Report) -> Verification:
    with contextlib.closing(connect_reader(_name(path))) as connection:
        return verify_file(Reading(lambda read: read(connection)), report)


def _grant_as(model: str, path: str) -> None:
    """Give the file the permissions of `model` and, if this process is permitted to, its owner and group."""
    granted = Path(model).stat()
    with contextlib.suppress(PermissionError):
        os.chown(path, granted.st_uid, granted.st_gid)
    Path(path).chmod(granted.st_mode & 0o777)


def _fsync(path: str) -> None:
    """Fsync a file, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(unfinished: str, target: str, *, force: bool) -> None:
    """Rename a complete copy to its final name."""
    if force:
        Path(unfinished).replace(target)
    else:
        try:
            os.link(unfinished, target)
        except FileExistsError:
            raise JournalExists(f"{target} exists already; name another file, or pass --force") from None
        Path(unfinished).unlink()
    _fsync(str(Path(target).absolute().parent))


def _take_place(unfinished: str, path: str) -> str | None:
    """Replace the journal at `path` by a complete copy; return the path at which a former journal is kept.

    Under the write lock, so that no Journeyman process appends to the former one meanwhile; processes that have it open
    get `JournalGone`. Its write-ahead log is removed, so that it is not taken for the copy's.
    """
    lock = WriteLock(f"{path}-lock")
    try:
        if not lock.try_acquire():
            raise JournalUnavailable(
                f"the journal {path} is held by {lock.holder()}; stop its users, then restore again"
            )
        former = _put_aside(path) if Path(path).exists() else None
        Path(unfinished).replace(path)
        _fsync(str(Path(path).absolute().parent))
        return former
    finally:
        lock.release()
        lock.close()


def _put_aside(path: str) -> str:
    """Keep the journal at `path` under another name as well, and remove its write-ahead log from beside it."""
    with (
        contextlib.suppress(apsw.Error),  # it may be damaged
        contextlib.closing(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)) as connection,
    ):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    former = f"{path}.before-{time.strftime('%Y%m%dT%H%M%S')}"
    os.link(path, former)
    with contextlib.suppress(FileNotFoundError):
        os.link(path + _WAL, former + _WAL)
    _remove(*(path + suffix for suffix in _SIDE_FILES))
    return former
