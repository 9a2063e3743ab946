"""Finds the position of a time in the file by binary search, although an event may be earlier than the event before it.

The table `falls` has a row for each such event, written in the event's transaction. The table is created with the first
such event: files of older versions, whose times only rise, have none.
"""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from ..event_decoding import time_in
from ..limits import PAGE_EVENTS
from ..timeline import Ascent, Fall, runs_between, split
from .pages import page

_MAKE: Final = (
    "CREATE TABLE IF NOT EXISTS falls "
    "(position INTEGER PRIMARY KEY, before REAL NOT NULL, after REAL NOT NULL, carried INTEGER NOT NULL)"
)
_NOTE: Final = "INSERT OR REPLACE INTO falls (position, before, after, carried) VALUES (?, ?, ?, ?)"
_IS_THERE: Final = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'falls'"
_FALLS: Final = "SELECT position - 1, before, after, carried FROM falls WHERE position > ? ORDER BY position"


def note(cursor: apsw.Cursor, falls: Sequence[Fall]) -> None:
    """Store where times fall back, inside the transaction of these events."""
    cursor.execute(_MAKE)
    for offset, before, after, carried in falls:
        cursor.execute(_NOTE, (offset + 1, before, after, carried))


def forget(connection: apsw.Connection, below: int) -> None:
    """Remove the falls of the events below an offset, which are being removed as well."""
    if connection.execute(_IS_THERE).get:
        connection.execute("DELETE FROM falls WHERE position <= ?", (below,))


def falls_from(connection: apsw.Connection, offset: int) -> list[Fall]:
    """The places where times fall back behind the event at `offset`."""
    if not connection.execute(_IS_THERE).get:
        return []
    rows: list[Any] = connection.execute(_FALLS, (offset + 1,)).fetchall()
    return [Fall(offset, before, after, bool(carried)) for offset, before, after, carried in rows]


def last_time(connection: apsw.Connection, end: int) -> float | None:
    """The time of the last event before the offset `end`; None if no record of the last page has one."""
    for limit in (1, PAGE_EVENTS):  # a record of another program, or a damaged one, has no time
        _, rows = page(connection, max(0, end - limit), limit)
        moment = next((found for row in reversed(rows) if (found := time_in(row)) is not None), None)
        if moment is not None:
            return moment
    return None


def place_of(connection: apsw.Connection, first: int, end: int, timestamp: float, latest: float) -> int:
    """The offset for `timestamp` between the offsets `first` and `end`; see `timeline`."""
    low, _ = _time_from(connection, first, end)
    high = last_time(connection, end)
    if low is None or high is None:
        return first
    runs = list(runs_between(first, end, low, high, falls_from(connection, first)))
    return split(runs, timestamp, latest, lambda run, moment: _search(connection, run, moment))


def _search(connection: apsw.Connection, run: Ascent, timestamp: float) -> int:
    low, high = run.first, run.end
    while low < high:
        middle = (low + high) // 2
        moment, behind = _time_from(connection, middle, high)
        if moment is None or moment < timestamp:
            low = behind
        else:
            high = middle
    return low


def _time_from(connection: apsw.Connection, offset: int, end: int) -> tuple[float | None, int]:
    """The time of the first event from `offset` on and below `end`, and the offset behind it.

    The time is None if no record has one: they were removed meanwhile, are damaged or belong to another program.
    """
    positions: list[int] = []
    for limit in (1, PAGE_EVENTS):
        positions, rows = page(connection, offset, min(limit, end - offset))
        for position, row in zip(positions, rows, strict=True):
            moment = time_in(row)
            if moment is not None:
                return moment, position
    return None, end if len(positions) < PAGE_EVENTS else positions[-1]
