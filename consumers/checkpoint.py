"""Checkpoints: save a consumer's cursor under a name, so that a later consumer resumes there."""

import re
from typing import Any, Final, Protocol

from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor
from ..journal.event import is_encodable
from ..journal.limits import KEY_CHARS_MAX
from .checkpoints.records import CHECKPOINTED
from .checkpoints.session import CheckpointSession

_TABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Checkpoint(Protocol):
    """Stores the cursor of one consumer; called in the thread, or the task, that calls `start()` and `commit()`."""

    def load(self) -> Cursor | None:
        """Return the cursor saved last; None if there is none."""
        ...

    def save(self, cursor: Cursor) -> None:
        """Store the cursor."""
        ...


class JournalCheckpoint:
    """A checkpoint stored in the journal itself as events `consumer.checkpointed {name, cursor}`; the newest counts.

    It is searched for backwards from the end, so finding it costs about as much as the consumer has left to read.
    """

    def __init__(self, name: str) -> None:
        self.name = _checked_name(name)

    async def load(self, journal: AsyncJournal) -> Cursor | None:
        """Return the cursor of the checkpoint of this name; None if there is none."""
        return await self.session().load(journal)

    async def save(self, journal: AsyncJournal, cursor: Cursor) -> None:
        """Append the cursor; it counts once it is durable."""
        await journal.append(CHECKPOINTED, {"name": self.name, "cursor": str(cursor)}, key=self.name)

    def session(self, topic: str = "") -> CheckpointSession:
        """Return the session with which a consumer of `topic` loads and saves this checkpoint, until its next start."""
        return CheckpointSession(self.name, topic)


class SqliteCheckpoint:
    """A checkpoint in a table of the user's own SQLite database: committed with the user's own changes, or not at all.

    `connection` is a `sqlite3.Connection` or an `apsw.Connection`. The constructor creates the table. The consumer's
    `commit()` writes the cursor through `connection`; the user's transaction makes it durable: call it in the
    transaction that holds the effects of the events.
    """

    def __init__(self, connection: Any, name: str, *, table: str = "journeyman_checkpoints") -> None:
        if not _TABLE.fullmatch(table):
            raise ValueError(f"a table's name is letters, digits and '_', got {table!r:.80}")
        self.name = _checked_name(name)
        self._connection = connection
        self._table = table
        connection.execute(f'CREATE TABLE IF NOT EXISTS "{table}" (name TEXT PRIMARY KEY, cursor TEXT NOT NULL)')

    def load(self) -> Cursor | None:
        """Return the cursor in the table; None if there is none."""
        query = f'SELECT cursor FROM "{self._table}" WHERE name = ?'  # noqa: S608 - the name was checked
        row = self._connection.execute(query, (self.name,)).fetchone()
        return Cursor.parse(row[0]) if row is not None else None

    def save(self, cursor: Cursor) -> None:
        """Write the cursor; the user's transaction makes it durable."""
        statement = f'INSERT OR REPLACE INTO "{self._table}" (name, cursor) VALUES (?, ?)'  # noqa: S608 - checked
        self._connection.execute(statement, (self.name, str(cursor)))


def _checked_name(name: object) -> str:
    """Return the name, or refuse it at once rather than at the first commit: it becomes the key of events."""
    if not isinstance(name, str) or not name or len(name) > KEY_CHARS_MAX or not is_encodable(name):
        length = f", which has {len(name):,}" if isinstance(name, str) and len(name) > KEY_CHARS_MAX else ""
        raise ValueError(
            f"a checkpoint has a name of at most {KEY_CHARS_MAX} characters, such as 'billing'; "
            f"got {name!r:.80}{length}"
        )
    return name


def checked_checkpoint(checkpoint: "str | Checkpoint | JournalCheckpoint") -> "Checkpoint | JournalCheckpoint":
    """Return the checkpoint; a name becomes a `JournalCheckpoint`."""
    if isinstance(checkpoint, str):
        return JournalCheckpoint(checkpoint)
    if not (callable(getattr(checkpoint, "load", None)) and callable(getattr(checkpoint, "save", None))):
        raise TypeError(f"expected a checkpoint's name or an object with load and save, got {checkpoint!r:.80}")
    return checkpoint
