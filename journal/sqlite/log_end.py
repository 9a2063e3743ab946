"""Reads the end of a file: its offset, the checksum of the last record, and the time of the last event."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from ..event_decoding import time_in
from ..writer import MICROSECONDS
from . import times
from .checksum import UNKNOWN, Stored, is_whole, seed, state_behind
from .followed import End
from .pages import state_behind_removed

# The last two rows, the last one first: the checksum of the one before verifies it.
LAST: Final = "SELECT position, event, checksum FROM events ORDER BY position DESC LIMIT 2"
_KEPT: Final = "SELECT name, value FROM kept"


def end_of(connection: apsw.Connection, last: Sequence[Any]) -> End:
    """Return the end of the file whose last rows are `last`: at most two, of any writers; none if all were removed."""
    if last:
        stored = [Stored(*row) for row in last]
        end = stored[0].position
        return End(end, state_behind(end, stored[0].checksum), _time_of(connection, stored))
    rows: list[Any] = connection.execute(_KEPT).fetchall()
    kept: dict[str, int] = dict(rows)
    end = kept.get("end", 0)
    checksum = state_behind_removed(connection, end)
    return End(end, seed(end) if checksum == UNKNOWN else checksum, kept.get("last_microseconds", 0) / MICROSECONDS)


def _time_of(connection: apsw.Connection, last: Sequence[Stored]) -> float:
    """Return the time of the last readable event; 0 if there is none."""
    end, record, _ = last[0]
    moment = None
    if len(last) == 2 and is_whole(last[:1], state_behind(last[1].position, last[1].checksum)):
        moment = time_in(record)
    if moment is None:
        moment = times.last_time(connection, end)
    return moment or 0.0
