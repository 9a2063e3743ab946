"""Searches the file for an event that breaks the condition of an append."""

from collections.abc import Iterator
from typing import Any, Final

import apsw
import msgspec

from ..conditions import Conditions, conflicts
from .limits import KEYS_SEARCHED_MAX, SEARCH_STEP_POSITIONS

_ROWS: Final = "SELECT position - 1, event FROM events WHERE position > ? AND position <= ?"
_ROWS_WITH: Final = f"{_ROWS} AND instr(event, ?)"


def find_conflict(
    connection: apsw.Connection, conditions: Conditions, start: int, end: int
) -> tuple[int, str | None] | None:
    """Offset and key of an event that breaks a condition, from offset `start` up to, not including, `end`."""
    start = max(start, conditions.lowest + 1)
    for low in range(start, end, SEARCH_STEP_POSITIONS):
        high = min(low + SEARCH_STEP_POSITIONS, end)
        for rows in _candidates(connection, conditions, low, high):
            for found in conflicts(conditions, rows):
                return found
    return None


def _candidates(
    connection: apsw.Connection, conditions: Conditions, low: int, high: int
) -> Iterator[list[tuple[int, bytes]]]:
    """Yield the rows that may break a condition: all that do, and some others.

    SQLite searches for a key by its encoding, at a tenth of the cost of decoding each row; a context may hold the same
    bytes, so the rows found are decoded. If an encoder may write a key in several ways, all rows are decoded.
    """
    needles = [b'"key":' + msgspec.json.encode(key) for key in conditions.keys if _is_plain(key)]
    if conditions.whole is not None or len(needles) < len(conditions.keys) or len(needles) > KEYS_SEARCHED_MAX:
        rows: list[Any] = connection.execute(_ROWS, (low, high)).fetchall()
        yield rows
        return
    for needle in needles:
        found: list[Any] = connection.execute(_ROWS_WITH, (low, high, needle)).fetchall()
        yield found


def _is_plain(key: str) -> bool:
    """Whether all JSON encoders write the key in the same way."""
    return key.isascii() and key.isprintable() and not any(mark in key for mark in '"\\/')
