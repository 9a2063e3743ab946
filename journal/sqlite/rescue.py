"""Rewrites rows that stood only in a `-wal` that was removed while this process had it open.

A connection that still has the removed `-wal` open can read its rows. They were acknowledged, so they are written back
to their positions, unless another row has been written there meanwhile.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import apsw

Row = tuple[Any, ...]  # all columns; the position first

_BACKWARDS: Final = "SELECT * FROM events ORDER BY position DESC"
_LAST: Final = "SELECT * FROM events ORDER BY position DESC LIMIT 1"
_AT: Final = "SELECT * FROM events WHERE position = ?"
_FIRST: Final = "SELECT min(position) FROM events"


class Rescued(NamedTuple):
    """The number of rows written again, and of those lost, as others are at their positions."""

    written: int
    lost: int


def last_rows(connection: apsw.Connection, bytes_max: int) -> list[Row]:
    """Return the last rows of the log that `connection` sees, up to about `bytes_max` bytes of them, in order."""
    rows: list[Row] = []
    size = 0
    try:
        for row in connection.execute(_BACKWARDS):
            rows.append(row)
            size += len(row[1])
            if size > bytes_max:
                break
    except apsw.Error:
        return []  # the database has changed under the removed `-wal`, so reads through it cannot be trusted
    return rows[::-1]


def write_missing(connection: apsw.Connection, rows: Sequence[Row], acknowledged: int | None) -> Rescued:
    """Insert the `rows` that the log lacks, in the transaction of `connection`.

    Rows behind position `acknowledged` do not count as lost if others are at their positions: no caller knows of them.
    """
    if not rows:
        return Rescued(0, 0)
    last: list[Row] = connection.execute(_LAST).fetchall()
    end = last[0][0] if last else 0
    missing = [row for row in rows if row[0] > end]
    owed = [row for row in rows if acknowledged is None or row[0] <= acknowledged]
    if missing and _agrees(rows, last, end):
        places = ", ".join("?" * len(missing[0]))
        connection.executemany(f"INSERT INTO events VALUES ({places})", missing)  # noqa: S608 - question marks
        return Rescued(len(missing), 0)
    first = connection.execute(_FIRST).get or 0  # retention has removed the rows below
    lost = [row for row in owed if row[0] >= first and connection.execute(_AT, (row[0],)).fetchall() != [row]]
    return Rescued(0, len(lost))


def _agrees(rows: Sequence[Row], last: Sequence[Row], end: int) -> bool:
    """Whether `rows` continue the log, which ends at `end` with the row `last`: they follow or contain that row."""
    if end < rows[0][0]:
        return bool(end == rows[0][0] - 1)
    return any(row == last[0] for row in rows)
