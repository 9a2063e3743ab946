"""Connects to the journal's file, recognises and creates it, and turns SQLite's errors into the journal's."""

import sys
import time
from pathlib import Path
from typing import Final, Literal

import apsw

from ..errors import JournalError, JournalUnavailable, NotAJournal
from .limits import FOREIGN_LOCK_SECONDS_MAX, SQLITE_PAGE_BYTES

Synchronous = Literal["full", "normal"]

APPLICATION_ID: Final = 0x4A4D4C47  # "JMLG"
SCHEMA_VERSION: Final = 2
_OLDEST_SCHEMA_VERSION: Final = 1
# `position` is offset + 1; see `checksum.py`. `kept` stores the facts that are lost with the rows when retention
# removes all of them.
_SCHEMA: Final = f"""
    CREATE TABLE events (position INTEGER PRIMARY KEY, event BLOB NOT NULL, checksum BLOB);
    CREATE TABLE kept (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA_VERSION};
"""


def connect(path: str, synchronous: Synchronous, *, create: bool = False) -> apsw.Connection:
    """Make a connection for the writer; with `create`, create a missing file, which is then still empty."""
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    connection = apsw.Connection(path, flags=flags)
    connection.set_busy_timeout(int(FOREIGN_LOCK_SECONDS_MAX * 1_000))
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    if sys.platform == "darwin":  # there fsync leaves the data in the disk's own cache
        connection.execute("PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1")
    return connection


def begin(connection: apsw.Connection, cursor: apsw.Cursor, *, patient: bool) -> None:
    """Begin a write transaction; `apsw.BusyError` if another program holds SQLite's lock.

    With `patient`, wait for that program first, up to `FOREIGN_LOCK_SECONDS_MAX`; the connection has no busy timeout.
    """
    try:
        cursor.execute("BEGIN IMMEDIATE")
    except apsw.BusyError:
        if not patient:
            raise
        connection.set_busy_timeout(int(FOREIGN_LOCK_SECONDS_MAX * 1_000))
        try:
            connection.execute("BEGIN IMMEDIATE")
        finally:
            connection.set_busy_timeout(0)


def connect_reader(path: str) -> apsw.Connection:
    """Make a connection for reading: it never writes, but may recover the file after a crash, as every reader must."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(int(FOREIGN_LOCK_SECONDS_MAX * 1_000))
    connection.execute("PRAGMA query_only = 1")
    return connection


def is_journal(connection: apsw.Connection, path: str) -> bool:
    """Whether the file is a journal: False if it is still empty, `NotAJournal` if it is something else."""
    application = connection.pragma("application_id")
    version = connection.pragma("user_version")
    if application == APPLICATION_ID and _OLDEST_SCHEMA_VERSION <= version <= SCHEMA_VERSION:
        return True
    if application == APPLICATION_ID:
        raise NotAJournal(
            f"the journal {path} has schema version {version}; this version of Journeyman reads {SCHEMA_VERSION}. "
            "Use the version that wrote it, or a newer one."
        )
    if application or version or connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").get:
        raise NotAJournal(
            f"expected a journal, but {path} is the SQLite database of another program. Name another file."
        )
    return False


def is_ready(connection: apsw.Connection, path: str) -> bool:
    """Whether the file is a journal with the current schema and a write-ahead log."""
    return (
        is_journal(connection, path)
        and connection.pragma("user_version") == SCHEMA_VERSION
        and connection.pragma("journal_mode") == "wal"
    )


def check_readable(connection: apsw.Connection, path: str) -> None:
    """Raise `NotAJournal` if a process without permission to write cannot read the file as it is."""
    if not is_journal(connection, path):
        raise NotAJournal(f"expected a journal, but the file {path} is empty, and there is no permission to write it.")
    if connection.pragma("user_version") != SCHEMA_VERSION:
        raise NotAJournal(
            f"the journal {path} is of an older version of Journeyman, and there is no permission to upgrade it: open "
            "it once, with any command, as a user who may write it."
        )


def create(connection: apsw.Connection, path: str) -> None:
    """Make the empty file a journal, or upgrade an older one; idempotent. The caller holds the write lock.

    A copy by `VACUUM INTO` is a journal without a write-ahead log, and gets one.
    """
    if not is_journal(connection, path):
        connection.pragma("page_size", SQLITE_PAGE_BYTES)  # of an empty file; other files keep theirs
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise NotAJournal(
            f"expected a disk on which SQLite can keep a write-ahead log, but the journal {path} stays in journal mode "
            f"{mode!r}. Keep the journal on a local disk."
        )
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not is_journal(connection, path):
            connection.execute(_SCHEMA)
        else:
            _upgrade(connection)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _upgrade(connection: apsw.Connection) -> None:
    """Upgrade the schema, version by version, inside a transaction; no record is rewritten.

    A process of the older version that has the file open continues to read and append, without checksums; when it
    reopens the file it gets `NotAJournal`.
    """
    version = connection.pragma("user_version")
    if version < 2:
        connection.execute("ALTER TABLE events ADD COLUMN checksum BLOB")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def damaged(path: str, what: str) -> NotAJournal:
    """The error for a file that is a journal and cannot be read as one."""
    return NotAJournal(
        f"the journal {path} is damaged: {what}. Run `journeyman verify` to see what can be read, and restore a backup."
    )


def explained(error: apsw.Error, path: str, began: float | None = None) -> JournalError:
    """The journal's error for SQLite's `error` at `path`, in a call that began at the monotonic time `began`."""
    if isinstance(error, apsw.NotADBError):
        return NotAJournal(f"expected a journal, but {path} is not an SQLite database. Name another file.")
    if isinstance(error, (apsw.CorruptError, apsw.SQLError)):
        return damaged(path, str(error))
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        waited = "" if began is None else f", and has been for {time.monotonic() - began:.1f} s"
        return JournalUnavailable(
            f"the journal {path} is locked by another program{waited}. Close that program's transaction, then try "
            "again."
        )
    if isinstance(error, apsw.FullError):
        return JournalUnavailable(f"the disk of the journal {path} is full. Free some space, then try again.")
    if isinstance(error, (apsw.CantOpenError, apsw.PermissionsError, apsw.ReadOnlyError)):
        return JournalUnavailable(
            f"the journal {path} cannot be opened for reading and writing ({error}). "
            f"Check the permissions of the file and of {Path(path).parent}."
        )
    return JournalUnavailable(f"the journal {path} cannot be used at the moment: {error}. Try again later.")
