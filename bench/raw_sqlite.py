"""The embedded floor: SQLite through apsw, hand-written for one fixed kind of row.

It has the journal's table, pragmas and rows, and nothing else: no codec, no numbering of events, no fair queue
for the write lock, no notifier.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw

INSERT: Final = "INSERT INTO events (event) VALUES (?)"
PAGE: Final = "SELECT position, event FROM events WHERE position > ? ORDER BY position LIMIT ?"
PAGE_ROWS: Final = 500


def connect(path: Path | str) -> apsw.Connection:
    """A connection to the database at `path`: WAL, and an fsync for every commit."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)
    connection.pragma("journal_mode", "wal")
    connection.execute("PRAGMA synchronous = full")
    connection.execute("CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, event BLOB NOT NULL)")
    return connection


def page(connection: apsw.Connection, position: int, limit: int = PAGE_ROWS) -> list[tuple[int, bytes]]:
    """Up to `limit` rows after `position`."""
    rows: list[Any] = connection.execute(PAGE, (position, limit)).fetchall()
    return rows


def append_batch(connection: apsw.Connection, rows: Sequence[bytes]) -> None:
    """All rows in one durable transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, zip(rows, strict=True))
    connection.execute("COMMIT")
