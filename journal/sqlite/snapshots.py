"""Stores snapshots in a table of the journal's own file.

The table is created with the first snapshot, under the write lock, so files of older versions need no upgrade.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import apsw

from ..cursor import Cursor
from ..snapshots import SnapshotLabel

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS snapshots (
        id TEXT PRIMARY KEY, view TEXT NOT NULL, schema TEXT NOT NULL, cursor TEXT NOT NULL, created REAL NOT NULL,
        anchor TEXT NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL, state BLOB NOT NULL
    )
"""
_HAS_TABLE: Final = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'snapshots'"
_LIST: Final = "SELECT id, view, schema, cursor, created, anchor, size, digest FROM snapshots"
_LOAD: Final = "SELECT state FROM snapshots WHERE id = ?"
_SAVE: Final = "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REMOVE: Final = "DELETE FROM snapshots WHERE id = ?"


class SqliteFile(Protocol):
    """The part of a log that its snapshots use."""

    @property
    def reads_only(self) -> bool:
        """Whether this process has no permission to write the file."""
        ...

    def reading(self, read: Callable[[apsw.Connection], list[Any]]) -> list[Any]:
        """Return what `read` returns, called with a connection that no other thread uses meanwhile."""
        ...

    def writing(self, write: Callable[[apsw.Connection], None]) -> Awaitable[None]:
        """Run `write` in a transaction, queued with all writers of the file."""
        ...


class SqliteSnapshots:
    """The snapshots in a journal's file. A process that may only read it keeps none."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def listed(self) -> Sequence[SnapshotLabel]:
        """See `SnapshotStore.listed`."""
        labels = []
        for id_, view, schema, cursor, created, anchor, size, digest in self._found(_LIST, ()):
            with contextlib.suppress(ValueError, AttributeError):  # a damaged row: no cursor, no snapshot
                labels.append(SnapshotLabel(id_, view, schema, Cursor.parse(cursor), created, anchor, size, digest))
        return labels

    async def load(self, label: SnapshotLabel) -> bytes | None:
        """See `SnapshotStore.load`."""
        rows = self._found(_LOAD, (label.id,))
        return bytes(rows[0][0]) if rows else None

    def _found(self, statement: str, bindings: tuple[str, ...]) -> list[Any]:
        def read(connection: apsw.Connection) -> list[Any]:
            if connection.execute(_HAS_TABLE).get is None:
                return []
            return connection.execute(statement, bindings).fetchall()

        return self._file.reading(read)

    async def save(self, label: SnapshotLabel, sealed: bytes) -> None:
        """See `SnapshotStore.save`."""
        if self._file.reads_only:
            return

        def write(connection: apsw.Connection) -> None:
            connection.execute(_TABLE)
            columns = [str(each) if isinstance(each, Cursor) else each for each in label]
            # Not cached: a cached statement keeps a copy of its last bindings, which contain the whole state.
            connection.execute(_SAVE, (*columns, sealed), can_cache=False)

        await self._file.writing(write)

    async def remove(self, labels: Sequence[SnapshotLabel]) -> None:
        """See `SnapshotStore.remove`."""
        if self._file.reads_only:
            return

        def write(connection: apsw.Connection) -> None:
            connection.execute(_TABLE)
            connection.executemany(_REMOVE, [(label.id,) for label in labels])

        await self._file.writing(write)
