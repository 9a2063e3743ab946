"""Copies of a journal's file: made while others append to it, verified, and put in their place in one step.

SQLite copies what one read transaction sees, so the copy is the journal as it was at one moment, and writers are not
held up; their write-ahead log grows for as long as it takes. A copy appears under its name when it is whole and on the
disk, and not before.
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
from .permission import check_path
from .verifying import Reading, verify_file
from .write_lock import WriteLock

_WAL: Final = "-wal"
_SIDE_FILES: Final = (_WAL, "-shm")


class Progress(NamedTuple):
    """What is told how far a copy is: pages copied, then records verified."""

    copied: Report
    verified: Report


class Copy(NamedTuple):
    """A copy: what was verified, how many bytes it has, and where the journal that stood in its place was put."""

    verification: Verification
    size: int
    former: str | None = None


def backup(log: SqliteLog, target: str, progress: Progress, *, force: bool = False) -> Copy:
    """Copy the file of an open log to `target`; a file that is there is replaced only with `force`."""
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
        _keep_on_disk(unfinished)
        size = Path(unfinished).stat().st_size
        _place(unfinished, target, force=force)
    return Copy(verification, size)


def restore(source: str, path: str, progress: Progress, *, force: bool = False, damaged: bool = False) -> Copy:
    """Make a copy of the file `source` the journal at `path`.

    A journal that is there is replaced only with `force`, and kept beside it under a name of its own. A source that
    does not verify is refused unless it may be `damaged`.
    """
    _refuse_own_files(path, source)
    if Path(path).exists() and not force:
        raise JournalExists(
            f"there is a journal at {path} already; stop what uses it and say --force, which keeps it under another "
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
                f"{verification.findings[0].detail!r}. Restore an older backup, or say --damaged to take it as it is."
            )
        _grant_as(path if Path(path).exists() else source, unfinished)
        _keep_on_disk(unfinished)
        size = Path(unfinished).stat().st_size
        former = _take_place(unfinished, path)
    return Copy(verification, size, former)


def _refuse_own_files(path: str, other: str) -> None:
    with contextlib.suppress(OSError):
        if Path(path).samefile(other):
            raise JournalExists(f"{other} is the journal itself; name another file")


@contextlib.contextmanager
def _unfinished(target: str) -> Iterator[str]:
    """A name beside the target for a copy that is not whole yet.

    What a killed process has left under it is overwritten; two processes do not write it at the same time.
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
                if os.path.samestat(os.fstat(descriptor), Path(unfinished).stat()):  # it was not given its name
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
    """A connection to a copy that leaves no files beside it, unless there are some already."""
    if not Path(source).is_file():
        raise NotAJournal(f"expected a backup, but there is no file {source}")
    try:
        if Path(source + _WAL).exists():
            connection = connect_reader(source)
        else:
            uri = f"file:{quote(str(Path(source).absolute()))}?immutable=1"
            connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        if not is_journal(connection, source):
            raise NotAJournal(f"expected a backup of a journal, but {source} is empty")
    except apsw.Error as error:
        raise explained(error, source) from error
    return connection


def _copy(source: apsw.Connection, target: str, report: Report) -> None:
    """Copy what one read transaction of `source` sees into the new file `target`."""
    destination = apsw.Connection(target)
    try:
        destination.execute("PRAGMA synchronous = off")  # it is told to the disk as a whole
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
    with contextlib.closing(connect_reader(path)) as connection:
        return verify_file(Reading(lambda read: read(connection)), report)


def _grant_as(model: str, path: str) -> None:
    """Let those use the file who may use the `model`, and, as far as this process may say so, have its owner own it."""
    granted = Path(model).stat()
    with contextlib.suppress(PermissionError):
        os.chown(path, granted.st_uid, granted.st_gid)
    Path(path).chmod(granted.st_mode & 0o777)


def _keep_on_disk(path: str) -> None:
    """Have the disk keep a file, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(unfinished: str, target: str, *, force: bool) -> None:
    """Give a whole copy its name."""
    if force:
        Path(unfinished).replace(target)
    else:
        try:
            os.link(unfinished, target)
        except FileExistsError:
            raise JournalExists(f"{target} is there already; name another file, or say --force") from None
        Path(unfinished).unlink()
    _keep_on_disk(str(Path(target).absolute().parent))


def _take_place(unfinished: str, path: str) -> str | None:
    """Put a whole copy in the place of a journal; returns where that one, if there was one, is kept.

    Under the write lock, so that no process of ours appends to the former one meanwhile; those that have it open learn
    that it was replaced. Its write-ahead log must not be taken for the copy's.
    """
    lock = WriteLock(f"{path}-lock")
    try:
        if not lock.try_acquire():
            raise JournalUnavailable(
                f"the journal {path} is held by {lock.holder()}; stop what uses it, then restore again"
            )
        former = _put_aside(path) if Path(path).exists() else None
        Path(unfinished).replace(path)
        _keep_on_disk(str(Path(path).absolute().parent))
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
