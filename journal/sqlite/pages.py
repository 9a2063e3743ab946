"""Reads pages of records from the file and verifies their checksums."""

from typing import Any, Final
from zlib import adler32

import apsw

from ..log import Text
from .checksum import UNKNOWN, Stored, are_unchecked, encoded, is_whole, judged, seed, state_behind

# With the row before the page, of which the checksum is wanted.
_PAGE: Final = (
    "SELECT position, CASE WHEN position > ?1 THEN event END, checksum FROM events "
    "WHERE position >= ?1 ORDER BY position LIMIT ?2"
)
_RECORDS: Final = "SELECT event FROM events WHERE position > ? AND position <= ? ORDER BY position"
# One step for all records, so that SQLite reads them without a look at Python and its lock for each.
_TEXT: Final = (
    "SELECT count(*), max(length(event)), CAST(group_concat(event, char(10)) AS BLOB) "
    "FROM (SELECT event FROM events WHERE position > ?1 AND position <= ?2 ORDER BY position)"
)
_ENDS: Final = (
    "SELECT (SELECT checksum FROM events WHERE position = ?1), (SELECT checksum FROM events WHERE position = ?2)"
)
_HAS_CHECKSUMS: Final = "SELECT count(*), count(checksum) FROM events WHERE position > ?1 AND position <= ?2"
_TRIMMED: Final = "SELECT name, value FROM kept WHERE name IN ('trimmed', 'checksum')"
_KEEP: Final = "INSERT OR REPLACE INTO kept (name, value) VALUES (?, ?)"


def whole_page(connection: apsw.Connection, offset: int, limit: int) -> list[bytes] | None:
    """Return up to `limit` intact records from `offset` on; None if there are none, or if they need `page`.

    Of the rows only the records are fetched. Their positions are consecutive: else the checksum does not match.
    """
    records = connection.execute(_RECORDS, (offset, offset + limit)).get
    if not isinstance(records, list):
        if records is None:
            return None
        records = [records]
    try:
        text = b"".join(records)
    except TypeError:  # a record that is no longer bytes
        return None
    return records if _are_whole(connection, offset, len(records), text) else None


def whole_text(connection: apsw.Connection, offset: int, limit: int) -> Text | None:
    """Return up to `limit` intact records from `offset` on as lines; None if there are none or one is not a line."""
    count, longest, text = connection.execute(_TEXT, (offset, offset + limit)).get
    records = text.replace(b"\n", b"") if count else b""
    if not count or len(text) - len(records) != count - 1 or not _are_whole(connection, offset, count, records):
        return None
    return Text(offset, count, longest, text)


def _are_whole(connection: apsw.Connection, offset: int, count: int, text: bytes) -> bool:
    """Whether the `count` records from `offset` on, joined as `text`, match their checksums."""
    ends = (offset, offset + count)
    before, last = connection.execute(_ENDS, ends).get
    if last is None:  # perhaps all were written by a version without checksums
        return bool(connection.execute(_HAS_CHECKSUMS, ends).get == (count, 0))
    if before is None and offset:
        return False
    return bool(encoded(adler32(text, state_behind(offset, before))) == last)


def page(connection: apsw.Connection, offset: int, limit: int) -> tuple[list[int], list[bytes]]:
    """Return the positions and the records of up to `limit` rows behind position `offset`, damaged ones marked."""
    rows, state = _stored(connection, offset, limit)
    positions = [row[0] for row in rows]
    if not rows or positions[-1] - offset != len(rows) or is_whole(rows, state) or are_unchecked(rows):
        return positions, [row[1] for row in rows]
    # With a neighbour at each end, to tell a damaged checksum from a damaged record.
    wider, state = _stored(connection, max(offset - 1, 0), limit + 2)
    records = judged(wider, state)
    within = [index for index, row in enumerate(wider) if row.position > offset][:limit]
    return [wider[index].position for index in within], [records[index] for index in within]


def _stored(connection: apsw.Connection, offset: int, limit: int) -> tuple[list[Stored], int]:
    """Return up to `limit` rows behind position `offset`, and the state of the chain before them."""
    found: list[Any] = connection.execute(_PAGE, (offset, limit + 1)).fetchall()
    if found and found[0][0] == offset:
        state = state_behind(offset, found.pop(0)[2])
    else:
        del found[limit:]
        state = state_behind_removed(connection, offset)
    if found and found[0][0] != offset + 1:
        state = UNKNOWN
    return [Stored(*row) for row in found], state


def state_behind_removed(connection: apsw.Connection, position: int) -> int:
    """The state of the chain behind a position without a row (any more); `UNKNOWN` if it was not noted."""
    if position == 0:
        return seed(0)
    noted: list[Any] = connection.execute(_TRIMMED).fetchall()
    kept: dict[str, int] = dict(noted)
    return kept.get("checksum", UNKNOWN) if kept.get("trimmed") == position else UNKNOWN


def note_state(connection: apsw.Connection, position: int) -> None:
    """Store the state of the chain behind `position`, up to which the rows are about to be removed."""
    checksum = connection.execute("SELECT checksum FROM events WHERE position = ?", (position,)).get
    connection.execute(_KEEP, ("trimmed", position))
    connection.execute(_KEEP, ("checksum", state_behind(position, checksum)))
