"""Detect repeats in a partition: the same event written again after a lost acknowledgement.

Writers number their events and each partition receives them in that order, so a record is a repeat exactly if its
number is not above its writer's last one there. Records without writer and number come from other programs and pass.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ..row_decoder import RowDecoder, Whole
from .limits import DEDUPE_WRITERS_MAX


class Identity(msgspec.Struct, gc=False):
    """An event's writer and its number from that writer: the only fields decoded here."""

    writer: str = ""
    seq: Whole = 0


_decoder: Final = RowDecoder(Identity)


def identity(row: bytes) -> Identity | None:
    """Return the identity in a record; None if it has none."""
    found = _decoder.read(row)
    return found if found is not None and found.seq > 0 else None


class RepeatFilter:
    """The last number of each writer in one partition, as far as read."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def prime(self, rows: Iterable[bytes]) -> None:
        """Note records before the reader's start; in any order."""
        for row in rows:
            found = identity(row)
            if found is not None and found.seq > self._last.get(found.writer, 0):
                self._remember(found.writer, found.seq)

    def note(self, writer: str, seq: int) -> None:
        """Note a record that the reader skips because its own log wrote it."""
        if seq > self._last.get(writer, 0):
            self._remember(writer, seq)

    def repeats(self, rows: Sequence[bytes]) -> list[int]:
        """Return the indexes of the repeats in the next records of the partition; note the others."""
        found: list[int] = []
        writer, highest = "", 0  # of the current run of records by one writer
        for index, one in enumerate(_decoder.read_all(rows)):
            if one is None or one.seq <= 0:
                continue
            seq = one.seq
            if one.writer != writer:
                if writer:
                    self._remember(writer, highest)
                writer = one.writer
                highest = self._last.get(writer, 0)
            if seq > highest:
                highest = seq
            else:
                found.append(index)
        if writer:
            self._remember(writer, highest)
        return found

    def _remember(self, writer: str, seq: int) -> None:
        # Removed and re-inserted, so that the least recently seen writers come first and are evicted first.
        self._last.pop(writer, None)
        self._last[writer] = seq
        if len(self._last) > DEDUPE_WRITERS_MAX:
            del self._last[next(iter(self._last))]
