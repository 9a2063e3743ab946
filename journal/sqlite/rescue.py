"""Writes rows again that stood only in a `-wal` which was removed while this process had it open.

A connection that still has the removed `-wal` open reads what stood in it. These rows were acknowledged, so they go
back to their positions, as long as no other row has been written there meanwhile.
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
    """How many rows were written again, and how many could not be since others are at their positions."""

    written: int
    lost: int


def last_rows(connection: apsw.Connection, bytes_max: int) -> list[Row]:
    """The last rows of the log as `connection` sees it, at most about `bytes_max` of them, in their order."""
    rows: list[Row] = []
    size = 0
    try:
        for row in connection.execute(_BACKWARDS):
            rows.append(row)
            size += len(row[1])
            if size > bytes_max:
                break
    except apsw.Error:
        return []  # the database has changed under the removed `-wal`; nothing read through it is to be believed
    return rows[::-1]


def write_missing(connection: apsw.Connection, rows: Sequence[Row], acknowledged: int | None) -> Rescued:
    """Insert those of `rows` that the log lacks, in the transaction of `connection`.

    Rows behind position `acknowledged` were not acknowledged, so they are not lost if others are at their positions.
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
    first = connection.execute(_FIRST).get or 0  # what is below it was removed by retention
    lost = [row for row in owed if row[0] >= first and connection.execute(_AT, (row[0],)).fetchall() != [row]]
    return Rescued(0, len(lost))


def _agrees(rows: Sequence[Row], last: Sequence[Row], end: int) -> bool:
    """Whether the log, which ends at `end` with the row `last`, is the beginning of what `rows` are the end of."""
    if end < rows[0][0]:
        return bool(end == rows[0][0] - 1)
    return any(row == last[0] for row in rows)
