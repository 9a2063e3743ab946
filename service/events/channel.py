"""Live events for all readers of one topic and key: read once, encoded once, kept in a bounded window of pages."""

from collections import deque
from collections.abc import Iterator, Mapping

import anyio
import anyio.lowlevel
from anyio.abc import TaskStatus

from ...journal.cursor import Cursor
from ..limits import HEARTBEAT_SECONDS, READER_BYTES_MAX, READER_PAGES_MAX
from .page import Page
from .selection import Reading


class Overrun(Exception):
    """A reader is so far behind that the pages it needs have been dropped."""


class Heartbeat:
    """A heartbeat, with the position up to which the channel has read."""

    __slots__ = ("cursor", "end", "size")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = str(cursor)
        self.end: Mapping[int, int] = cursor
        self.size = 0


class Channel:
    """Follows one selection from `reading`'s cursor on. Pages are numbered from 0; a reader keeps the next number.

    `error` is the error that ended it; `over` is true once it has ended, or the service stops.
    """

    def __init__(self, reading: Reading, begin: Mapping[int, int]) -> None:
        self.readers = 0
        self.over = False
        self.error: Exception | None = None
        self._reading = reading
        self._begin = dict(begin)  # of the window
        self._first = 0
        self._window: deque[Page | Heartbeat] = deque()
        self._bytes = 0
        self._news = anyio.Event()
        self._scope = anyio.CancelScope()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Read until cancelled or ended by an error; started once the position has been found."""
        started = False
        try:
            with self._scope:
                await self._reading.open()
                started = True
                task_status.started()
                await self._read()
        except Exception as error:
            if not started:
                raise
            self.end(error)
        finally:
            with anyio.CancelScope(shield=True):
                await self._reading.aclose()

    async def _read(self) -> None:
        reading = self._reading
        while True:
            try:
                page = await reading.next_page(HEARTBEAT_SECONDS)
            except TimeoutError:
                self._publish(Heartbeat(reading.cursor))
                continue
            if page is None:
                return
            if isinstance(page, Page) and page:
                self._publish(page)
            await anyio.lowlevel.checkpoint()  # the log may answer without a wait, page after page

    def _publish(self, page: Page | Heartbeat) -> None:
        self._window.append(page)
        self._bytes += page.size
        while len(self._window) > 1 and (self._bytes > READER_BYTES_MAX or len(self._window) > READER_PAGES_MAX):
            dropped = self._window.popleft()
            self._first += 1
            self._bytes -= dropped.size
            self._begin = dict(dropped.end)
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    def end(self, error: Exception | None = None) -> None:
        """End the channel for all its readers, and give them the error, if there is one."""
        self.over, self.error = True, self.error or error
        self._scope.cancel()
        self._wake()

    # -- readers -----------------------------------------------------------------------------------------------------

    def join(self, cursor: Cursor) -> int | None:
        """Return the number of the first page for a reader at `cursor`; None if pages that it needs were dropped."""
        if any(cursor.get(partition, 0) < offset for partition, offset in self._begin.items()):
            return None
        self.readers += 1
        number = self._first
        for page in self._window:
            if not _has_read(cursor, page.end):
                break
            number += 1
        return number

    def leave(self) -> None:
        """Remove a reader; the last one ends the channel."""
        self.readers -= 1
        if not self.readers:
            self.end()

    def pages(self, number: int) -> Iterator[Page | Heartbeat]:
        """Yield the available pages from that number on; raise `Overrun` if that page was dropped."""
        while number < self._first + len(self._window):
            if number < self._first:
                raise Overrun
            yield self._window[number - self._first]
            number += 1

    async def wait(self, number: int) -> None:
        """Wait until there is a page of that number, or the end."""
        while number >= self._first + len(self._window) and not self.over:
            await self._news.wait()


def _has_read(cursor: Mapping[int, int], end: Mapping[int, int]) -> bool:
    return all(cursor.get(partition, 0) >= offset for partition, offset in end.items())
