"""The identity of a file: a random number that the first request for it draws and stores in the file."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import apsw

_READ: Final = "SELECT value FROM kept WHERE name = 'identity'"
_DRAW: Final = "INSERT OR IGNORE INTO kept (name, value) VALUES ('identity', ?)"
_BITS: Final = 62


class KeptFacts(Protocol):
    """The part of a log that this module uses."""

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


async def identity_of_file(file: KeptFacts) -> str:
    """Return the identity; "" if the file has none and this process may not write it."""
    rows = file.reading(_rows)
    if not rows and not file.reads_only:
        drawn = secrets.randbits(_BITS)
        await file.writing(lambda connection: _run(connection, drawn))
        rows = file.reading(_rows)
    return f"{rows[0][0]:016x}" if rows else ""


def _rows(connection: apsw.Connection) -> list[Any]:
    rows: list[Any] = connection.execute(_READ).fetchall()
    return rows


def _run(connection: apsw.Connection, drawn: int) -> None:
    connection.execute(_DRAW, (drawn,))
