"""Remembers the last records that the notices of other writers brought: a lone append then needs no read of the file.

From these records and the last end that it knows, the process computes the present end of the log: its offset, checksum
and time. An append that relies on the computed end is conditional on that checksum, so no event is ever written behind
a record that the process has not seen.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple
from zlib import adler32

from ..event_decoding import time_in
from .limits import FOLLOWED_ROWS


class End(NamedTuple):
    """The end of a log: its offset, the state of the chain of checksums there, and the time of the last event."""

    offset: int
    checksum: int
    time: float


class Followed:
    """The last records of other writers. Readers add to it in any thread; `end_behind` is called under the locks."""

    def __init__(self) -> None:
        self.rows: deque[tuple[int, bytes]] = deque(maxlen=FOLLOWED_ROWS)  # with their offsets

    def add(self, offset: int, rows: Sequence[bytes]) -> None:
        """Add consecutive records, the first of which stands at `offset`; several readers may add the same ones."""
        self.rows.extend(enumerate(rows, offset))

    def end_behind(self, offset: int, checksum: int) -> End | None:
        """Return where the log ends if it went on from `offset` with these records, which are then forgotten.

        `offset` itself is the end if none of the records stands behind it. None if others are missing in between.
        """
        rows, last, end = self.rows, None, offset
        while rows:
            at, row = rows.popleft()
            if at > end:
                rows.clear()
                return None
            if at == end:
                checksum, end, last = adler32(row, checksum), end + 1, row
        time = time_in(last) if last is not None else 0.0
        return None if time is None else End(end, checksum, time)
