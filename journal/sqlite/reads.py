"""Read a file's events by position and time, through a connection that no other thread uses meanwhile."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import apsw

from ..cursor import Cursor
from ..damage import is_damaged
from ..errors import HistoryTruncated
from ..event_decoding import time_in
from ..limits import CLOCK_SKEW_SECONDS_MAX
from ..log import Bounds, Page, Text
from ..timeline import Fall
from . import times
from .connections import Connections
from .file import damaged, explained
from .pages import page, whole_page, whole_text

T = TypeVar("T")

logger = logging.getLogger("journeyman")

_BOUNDS: Final = (
    "SELECT (SELECT min(position) FROM events), (SELECT max(position) FROM events), "
    "(SELECT value FROM kept WHERE name = 'end')"
)


class Reads:
    """Reads of the file at `path` through the connections that `state()` returns, opened anew after a fork."""

    def __init__(self, path: str, state: Callable[[], Connections], clock: Callable[[], float]) -> None:
        self._path = path
        self._state = state
        self._clock = clock
        self._damaged_offsets: set[int] = set()  # the damaged records that were logged

    def reading(self, read: Callable[[apsw.Connection], T]) -> T:
        """Return what `read` returns, called with a connection that no other thread uses meanwhile."""
        began = time.monotonic()
        try:
            return self._state().readers.use(read)
        except apsw.Error as error:
            raise explained(error, self._path, began) from error

    def rows(self, statement: str, bindings: tuple[int, ...] = ()) -> list[Any]:
        """Return the rows of a short query."""
        return self.reading(lambda connection: connection.execute(statement, bindings).fetchall())

    def page(self, offset: int, limit: int, *, suspicious: bool = True) -> Page | None:
        """Return up to `limit` available rows from `offset` on, or None.

        `suspicious`: if there are none, also check whether retention has removed all rows.
        """
        whole = self.reading(lambda connection: whole_page(connection, offset, limit))
        if whole is not None:
            return Page(0, range(offset, offset + len(whole)), whole)
        positions, rows = self.reading(lambda connection: page(connection, offset, limit))
        if positions and positions[0] == offset + 1:
            if positions[-1] != offset + len(positions):
                raise damaged(self._path, f"events are missing between the offsets {offset} and {positions[-1]}")
            self._log_damaged(positions[0] - 1, rows)
            return Page(0, range(offset, offset + len(rows)), rows)
        if not positions and not suspicious:
            return None
        first = self.bounds().first[0]
        if offset < first:
            raise HistoryTruncated(0, offset, first, self._time_at(first))
        if positions:
            raise damaged(self._path, f"events are missing between the offsets {offset} and {positions[0]}")
        return None

    def text(self, offset: int, limit: int) -> Text | None:
        """Return the rows from `offset` on as one text; see `Textual.text`."""
        return self.reading(lambda connection: whole_text(connection, offset, limit))

    def _log_damaged(self, first: int, rows: Sequence[bytes]) -> None:
        """Log each damaged record among the rows from offset `first` on, once."""
        offsets = {offset for offset, row in enumerate(rows, first) if is_damaged(row)} - self._damaged_offsets
        if offsets:
            self._damaged_offsets |= offsets
            logger.error(
                "the journal %s is damaged at %s: the checksum does not match. The other records can still be read; "
                "run `journeyman verify`",
                self._path,
                ", ".join(f"0:{offset}" for offset in sorted(offsets)),
            )

    def _time_at(self, offset: int) -> float | None:
        """The time of the record at `offset`; None if there is no record, or no readable time in it."""
        positions, rows = self.reading(lambda connection: page(connection, offset, 1))
        return time_in(rows[0]) if positions == [offset + 1] else None

    def bounds(self) -> Bounds:
        """Return where the events begin and end."""
        low, high, kept = self.rows(_BOUNDS)[0]
        if low is None:
            return Bounds(Cursor({0: kept or 0}), Cursor({0: kept or 0}))
        return Bounds(Cursor({0: low - 1}), Cursor({0: high}))

    def position_at(self, timestamp: float) -> Cursor:
        """Return the offset at a time, by the events' own times."""
        bounds, latest = self.bounds(), self._clock() + CLOCK_SKEW_SECONDS_MAX
        first, end = bounds.first[0], bounds.end[0]
        return Cursor({0: self.reading(lambda each: times.place_of(each, first, end, timestamp, latest))})

    def falls(self) -> Sequence[Fall]:
        """Return where the times of the events fall back."""
        first = self.bounds().first[0]
        return self.reading(lambda connection: times.falls_from(connection, first))
