"""The checksums of the file's records: a chain, each computed over a record and the checksum before it.

A page of records is intact if the checksum before it, continued over all its bytes in one call, equals that of its last
record; so reading costs one pass over the bytes and no step for each record. If that fails, the records are checked one
by one. The chain also detects swapped records.

The checksum is zlib's Adler-32: it detects every change of one or two bytes, and for the few hundred bytes of a record
zlib's CRC-32 takes twice as long. A record without a checksum was appended by a version that wrote none; it is handed
out unchecked, and the chain restarts behind it.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from zlib import adler32

from ..damage import mark_damaged

CHECKSUM_BYTES: Final = 4
UNKNOWN: Final = -1  # the state before a record whose predecessor is gone together with its checksum


class Stored(NamedTuple):
    """A row of the file: its position (offset + 1), its record and its checksum, unverified."""

    position: int
    record: Any
    checksum: Any


def seed(position: int) -> int:
    """The state of the chain behind `position` if the record there has no checksum; 0: before the first record."""
    return adler32(position.to_bytes(8, "little"))


def encoded(state: int) -> bytes:
    """A state of the chain as it is stored."""
    return state.to_bytes(CHECKSUM_BYTES, "little")


def state_behind(position: int, checksum: object) -> int:
    """The state of the chain behind a row with that checksum."""
    if isinstance(checksum, bytes) and len(checksum) == CHECKSUM_BYTES:
        return int.from_bytes(checksum, "little")
    return seed(position)


def chained(records: Sequence[bytes], state: int) -> tuple[bytes, int]:
    """The checksums of consecutive records, one after the other as they are stored, and the state behind them."""
    states = [state := adler32(record, state) for record in records]
    return struct.pack(f"<{len(states)}I", *states), state


def is_whole(rows: Sequence[Stored], state: int) -> bool:
    """Whether all rows have checksums that match, with `state` before the first of them."""
    if state == UNKNOWN:
        return False
    try:
        return b"".join([row[2] for row in rows]) == chained([row[1] for row in rows], state)[0]
    except TypeError:  # not all have checksums, or one is of another type
        return False


def are_unchecked(rows: Sequence[Stored]) -> bool:
    """Whether no row has a checksum and all rows hold records."""
    return all(row[2] is None and isinstance(row[1], bytes) for row in rows)


def judged(rows: Sequence[Stored], state: int) -> list[bytes]:
    """The records of rows, damaged ones marked (`journal/damage.py`); `state` is the state before the first of them."""
    records: list[bytes] = []
    for index, row in enumerate(rows):
        if index and row.position != rows[index - 1].position + 1:
            state = UNKNOWN
        whole = _continues(row, state)
        behind = state_behind(row.position, row.checksum)
        if not whole and index + 1 < len(rows) and isinstance(row.record, bytes) and state != UNKNOWN:
            skipped = adler32(row.record, state)
            if _continues(rows[index + 1], skipped):  # the record is intact, only its checksum is damaged
                whole, behind = True, skipped
        records.append(row.record if whole else mark_damaged(row.record))
        state = behind
    return records


def _continues(row: Stored, state: int) -> bool:
    if not isinstance(row.record, bytes):
        return False
    if row.checksum is None or state == UNKNOWN:
        return True
    return bool(row.checksum == encoded(adler32(row.record, state)))
