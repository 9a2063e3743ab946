"""Follows the file: reads the available records, then waits for a notice."""

import concurrent.futures
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from ..cursor import Cursor
from ..deadlines import deadline_of
from ..limits import NOTIFIER_POLL_SECONDS, PAGE_EVENTS
from ..log import Page, check_cursor
from ..runtime import blocking
from .notifier import FARTHEST, SILENCE, Listener, Notices


class TailedLog(Protocol):
    """The part of a log that a tail uses."""

    def page(self, offset: int, limit: int, *, suspicious: bool) -> Page | None:
        """Return up to `limit` available rows from `offset` on, or None."""
        ...

    def accept(self, offset: int, rows: Sequence[bytes]) -> None:
        """Note records from `offset` on, which notices brought: the next lone append need not read them.

        `JournalGone` if the file was removed or replaced while it was open.
        """
        ...

    def open_listener(self) -> Listener | None:
        """A listener, notified after each commit to this file and when this log is closed; None if impossible."""
        ...


class SqliteTail:
    """A reader of the file.

    A read of the file costs more than one of the listener's socket. Once a read has reached the end of the log, the
    next one is due after a notice, or when the last is `NOTIFIER_POLL_SECONDS` old: a notice may be lost if its writer
    is killed.
    """

    def __init__(self, log: TailedLog, cursor: Mapping[int, int]) -> None:
        self._log = log
        self._follows = 0 in cursor
        self._offset = cursor.get(0, 0)
        self._listener: Listener | None = None
        self._suspicious = True
        self._at_end = False
        self._looked_at = 0.0  # monotonic time of the last read of the file
        self._announced = 0  # the end of the log, by the notices since the last read

    @property
    def cursor(self) -> Cursor:
        """The position behind the last record handed out."""
        return Cursor({0: self._offset} if self._follows else {})

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail.page`."""
        if partition not in (None, 0):
            raise ValueError(f"this journal has the partition 0 only, got {partition}")
        deadline = deadline_of(timeout)
        while True:
            notices = self._drain()  # before the read: a commit after it sends a new notice
            self._announced = max(self._announced, notices.end)
            page = self._page_of(notices, limit) if notices.rows else None
            if page is None and (self._announced > self._offset or self._is_due()):
                page = self._look(limit)
            if page is not None:
                self._offset = page.next_offset
                return page
            remaining = NOTIFIER_POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if remaining <= 0:
                return None
            await self._notified(min(remaining, NOTIFIER_POLL_SECONDS))

    def _look(self, limit: int) -> Page | None:
        if not self._follows:
            return None
        self._at_end, self._looked_at, self._announced = False, time.monotonic(), 0
        suspicious, self._suspicious = self._suspicious, False
        page = self._log.page(self._offset, limit, suspicious=suspicious)
        self._at_end = page is None or len(page.rows) < limit
        return page

    def _page_of(self, notices: Notices, limit: int) -> Page | None:
        """The records in the notices, as far as they are the next ones of this reader."""
        if not self._at_end or not self._follows:
            return None
        rows: list[bytes] = []
        for offset, row in notices.rows:
            if offset == self._offset + len(rows) and len(rows) < limit:
                rows.append(row)
        # Listeners belong to the path: commits to a replacing file notify them, too, which raises an error here.
        self._log.accept(self._offset, rows)
        return Page(0, range(self._offset, self._offset + len(rows)), rows) if rows else None

    def _is_due(self) -> bool:
        late = time.monotonic() - self._looked_at >= NOTIFIER_POLL_SECONDS
        self._suspicious = self._suspicious or late
        return late or self._suspicious or not self._at_end or self._listener is None

    def _drain(self) -> Notices:
        """The notices since the last call."""
        if self._listener is None:
            return SILENCE
        if self._listener.process == os.getpid():
            return self._listener.drain()
        self._listener.take_down()  # inherited by a fork: its notices are the parent's
        self._listener = None
        return Notices(FARTHEST, ())

    async def _notified(self, timeout: float) -> None:
        """Wait for a reason to read again, at most `timeout` seconds."""
        if self._listener is None:
            self._listener = self._log.open_listener()
            self._at_end = False  # read once more: earlier commits did not notify it
            if self._listener is not None:
                return
            await blocking.settled(concurrent.futures.Future(), timeout)
            self._suspicious = True
        elif not await blocking.readable(self._listener.sock, timeout):
            self._suspicious = True

    def wakeup_socket(self) -> socket.socket | None:
        """See `Selectable.wakeup_socket`: a duplicate of the listener's socket, under another descriptor.

        A loop has one reader for each descriptor, so a wait in `page` would replace that of the caller.
        """
        if self._listener is None:
            self._listener = self._log.open_listener()
            self._at_end = False  # read once more: earlier commits did not notify it
        return self._listener.sock.dup() if self._listener is not None else None

    def skip(self, partition: int, offset: int) -> None:
        """See `Tail.skip`."""
        check_cursor({partition: offset}, 1)
        self._offset = max(self._offset, offset)

    async def aclose(self) -> None:
        """Close the listener."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.take_down()
