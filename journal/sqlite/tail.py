"""Following the file: read what is there, then wait for the bell."""

import concurrent.futures
import os
import socket
import time
from collections.abc import Mapping
from typing import Protocol

from ..cursor import Cursor
from ..deadlines import deadline_of
from ..limits import NOTIFIER_POLL_SECONDS, PAGE_EVENTS
from ..log import Page, check_cursor
from ..runtime import blocking
from .notifier import FARTHEST, SILENCE, Listener, Notices


class TailedLog(Protocol):
    """What a tail needs of its log."""

    def page(self, offset: int, limit: int, *, suspicious: bool) -> Page | None:
        """Up to `limit` rows from `offset` on that are there now, or None."""
        ...

    def check_file(self) -> None:
        """Raise `JournalGone` if the file was removed or replaced while it was open."""
        ...

    def open_listener(self) -> Listener | None:
        """A bell that rings after each commit to this file and when this log is closed."""
        ...


class SqliteTail:
    """A reader of the file.

    A look at the file costs more than one at the bell. Once a look has come to the end of the log, the next one is due
    when the bell has rung, or when the last is `NOTIFIER_POLL_SECONDS` old: a bell may be lost with who was to ring it.
    """

    def __init__(self, log: TailedLog, cursor: Mapping[int, int]) -> None:
        self._log = log
        self._follows = 0 in cursor
        self._offset = cursor.get(0, 0)
        self._listener: Listener | None = None
        self._suspicious = True
        self._at_end = False
        self._looked_at = 0.0
        self._announced = 0  # how far the log goes, by the rings since the last look

    @property
    def cursor(self) -> Cursor:
        """What has been handed out so far."""
        return Cursor({0: self._offset} if self._follows else {})

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail.page`."""
        if partition not in (None, 0):
            raise ValueError(f"this journal has the partition 0 only, got {partition}")
        deadline = deadline_of(timeout)
        while True:
            notices = self._drain()  # before the look: what is committed after it rings anew
            self._announced = max(self._announced, notices.end)
            page = self._brought(notices, limit) if notices.rows else None
            if page is None and (self._announced > self._offset or self._is_due()):
                page = self._look(limit)
            if page is not None:
                self._offset = page.next_offset
                return page
            remaining = NOTIFIER_POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if remaining <= 0:
                return None
            await self._rung(min(remaining, NOTIFIER_POLL_SECONDS))

    def _look(self, limit: int) -> Page | None:
        if not self._follows:
            return None
        self._at_end, self._looked_at, self._announced = False, time.monotonic(), 0
        suspicious, self._suspicious = self._suspicious, False
        page = self._log.page(self._offset, limit, suspicious=suspicious)
        self._at_end = page is None or len(page.rows) < limit
        return page

    def _brought(self, notices: Notices, limit: int) -> Page | None:
        """The records that came with the rings, as far as they are what comes next."""
        if not self._at_end or not self._follows:
            return None
        self._log.check_file()  # the bells are those of the path, so a file that took its place rings them too
        rows: list[bytes] = []
        for offset, row in notices.rows:
            if offset == self._offset + len(rows) and len(rows) < limit:
                rows.append(row)
        return Page(0, range(self._offset, self._offset + len(rows)), rows) if rows else None

    def _is_due(self) -> bool:
        late = time.monotonic() - self._looked_at >= NOTIFIER_POLL_SECONDS
        self._suspicious = self._suspicious or late
        return late or self._suspicious or not self._at_end or self._listener is None

    def _drain(self) -> Notices:
        """What the bell has rung since it was last asked."""
        if self._listener is None:
            return SILENCE
        if self._listener.process == os.getpid():
            return self._listener.drain()
        self._listener.take_down()  # inherited by a fork: the rings in it are the parent's
        self._listener = None
        return Notices(FARTHEST, ())

    async def _rung(self, timeout: float) -> None:
        """Wait for a reason to look again, at most `timeout` seconds."""
        if self._listener is None:
            self._listener = self._log.open_listener()  # and look once more: what came before the bell did not ring it
            self._at_end = False
            if self._listener is not None:
                return
            await blocking.settled(concurrent.futures.Future(), timeout)
            self._suspicious = True
        elif not await blocking.readable(self._listener.sock, timeout):
            self._suspicious = True

    def wakeup_socket(self) -> socket.socket | None:
        """See `Selectable.wakeup_socket`: the socket of its bell, under a number of its own.

        A loop knows one reader of a number, and a wait in `page` would take the place of whoever listens.
        """
        if self._listener is None:
            self._listener = self._log.open_listener()
            self._at_end = False  # look once more: what came before the bell did not ring it
        return self._listener.sock.dup() if self._listener is not None else None

    def skip(self, partition: int, offset: int) -> None:
        """See `Tail.skip`."""
        check_cursor({partition: offset}, 1)
        self._offset = max(self._offset, offset)

    async def aclose(self) -> None:
        """Take down the bell."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.take_down()
