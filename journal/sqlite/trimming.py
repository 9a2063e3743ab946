"""Removes a file's oldest events, in several short transactions.

Each transaction also stores the values that were derived from the removed events: the log's end, the last time, and the
checksum at which the chain continues.
"""

import functools
from collections.abc import Callable
from typing import Final

import apsw

from . import times
from .insert import Inserter
from .limits import TRIM_STEP_POSITIONS
from .pages import note_state

_KEEP: Final = "INSERT OR REPLACE INTO kept (name, value) VALUES (?, ?)"
_TRIM: Final = "DELETE FROM events WHERE position <= ?"


def steps(inserter: Inserter, first: int, end: int) -> list[Callable[[bool], None]]:
    """The transactions that remove the events from offset `first` up to, not including, `end`.

    Each is called with whether it may wait for a program that holds SQLite's lock; see `Committer.exclusively`.
    """
    stops = [*range(first + TRIM_STEP_POSITIONS, end, TRIM_STEP_POSITIONS), end] if first < end else []
    return [functools.partial(_remove, inserter, below) for below in stops]


def _remove(inserter: Inserter, below: int, patient: bool) -> None:
    def remove(connection: apsw.Connection) -> None:
        inserter.catch_up(connection.cursor())
        connection.execute(_KEEP, ("end", inserter.end))
        connection.execute(_KEEP, ("last_microseconds", inserter.writer.last_microseconds))
        note_state(connection, below)
        connection.execute(_TRIM, (below,))
        times.forget(connection, below)

    inserter.transact(remove, patient=patient)
