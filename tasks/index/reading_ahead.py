"""Reading a long history in bulk: the next stretch is read in a thread while the caller writes the one before it."""

import concurrent.futures

from ...journal.log import Log
from ...journal.runtime import blocking
from . import bulk
from .bulk import Bulk


class BulkReader:
    """Reads up to `end` in stretches of `long` events, of `short` ones near the end."""

    def __init__(self, log: Log, end: int, short: int, long: int) -> None:
        self._log = log
        self._end = end
        self._short, self._long = short, long
        self._careful = False
        self._ahead: tuple[int, concurrent.futures.Future[Bulk | None]] | None = None

    def be_careful(self) -> None:
        """Look at each line from now on: some are unusual."""
        self._careful = True

    async def read(self, base: int) -> Bulk | None:
        """The stretch that begins at `base`; None if it is to be read by pages."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            await blocking.settled(ahead[1])
        if ahead is not None and ahead[0] == base:
            found = ahead[1].result()
        else:
            found = await bulk.read_bulk(self._log, base, self._end_of(base), careful=self._careful)
        if found is not None and self._is_far(found.next_offset):
            self._read_ahead(found.next_offset)
        return found

    def _is_far(self, base: int) -> bool:
        return self._end - base >= 2 * self._long

    def _end_of(self, base: int) -> int:
        return min(self._end, base + (self._long if self._is_far(base) else self._short))

    def _read_ahead(self, base: int) -> None:
        end, careful = self._end_of(base), self._careful
        reading = blocking.in_thread(lambda: blocking.run(bulk.read_bulk(self._log, base, end, careful=careful)))
        self._ahead = base, reading

    async def aclose(self) -> None:
        """Let the thread end."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            await blocking.settled(ahead[1])
