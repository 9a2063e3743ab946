"""Read the log for one stream: pages, deadlines, and waits that a stop can end."""

import asyncio
import time
from collections.abc import Mapping

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.limits import GAP_SECONDS
from ...journal.log import Log, Page
from ...journal.runtime.blocking import Interrupt
from ...journal.tails.subscriber import Subscriber


class OutOfTime(TimeoutError):
    """No page came before the deadline."""


class _Woken(Exception):
    """A wait was ended by `wake`."""


class TailReader:
    """A tail of `log`, with `read`: how far each partition has been read.

    With an `interrupt`, it is run by `blocking.run` with that interrupt; without one it runs in an event loop.
    """

    def __init__(self, log: Log, tail: Subscriber, begin: Mapping[int, int], interrupt: Interrupt | None) -> None:
        self.read = dict(begin)
        self.ended = False
        self._log = log
        self._tail = tail
        self._interrupt = interrupt
        self._waiting: asyncio.Task[Page | None] | None = None
        self._stashed: Page | None = None
        self._woken = False

    def wake(self) -> None:
        """End the current wait, or else the next one; if the reader runs in a loop, call it there."""
        self._woken = True
        if self._interrupt is not None:
            self._interrupt.request()
        elif self._waiting is not None:
            self._waiting.cancel()

    async def page_before(
        self, end: Mapping[int, int], partition: int, limit: int, deadline: float | None
    ) -> Page | None:
        """Return the next page of `partition` below its `end`; None if there is no more."""
        while (missing := end[partition] - self.read[partition]) > 0 and not self.ended:
            page = await self.page(min(limit, missing), deadline, partition)
            if page is not None:
                return page
            # The last records below the end may be repeats, which a tail skips: its cursor moves past them.
            self._follow(self._tail.cursor)
        return None

    async def page(
        self, limit: int, deadline: float | None, partition: int | None = None, patience: float | None = None
    ) -> Page | None:
        """Return the next page; None if woken or after `patience` seconds (one partition: at most `GAP_SECONDS`).

        `OutOfTime` if the deadline (monotonic seconds) has passed without one.
        """
        if partition is not None:
            patience = GAP_SECONDS if patience is None else min(patience, GAP_SECONDS)
        if deadline is not None:
            remaining = max(0.0, deadline - time.monotonic())
            patience = remaining if patience is None else min(patience, remaining)
        try:
            page = await self._waited(limit, patience, partition)
        except _Woken:
            return None
        if page is not None:
            self.read[page.partition] = page.next_offset
        elif deadline is not None and time.monotonic() >= deadline:
            raise OutOfTime
        return page

    def _follow(self, cursor: Cursor) -> None:
        for partition, offset in self.read.items():
            self.read[partition] = max(offset, cursor.get(partition, 0))

    async def _waited(self, limit: int, timeout: float | None, partition: int | None) -> Page | None:
        if self._interrupt is None:
            return await self._waited_in_loop(limit, timeout, partition)
        try:
            return await self._tail.page(limit, timeout, partition)
        except asyncio.CancelledError:
            self._interrupt.clear()
            if self._take_wake():
                raise _Woken from None
            raise

    async def _waited_in_loop(self, limit: int, timeout: float | None, partition: int | None) -> Page | None:
        page, self._stashed = self._stashed, None
        if page is None and not self._log.needs_loop:
            if timeout == 0:
                return await self._tail.page(limit, 0, partition)
            page = await self._tail.glance(limit, partition)  # an embedded log answers at once, without a task
        if page is not None:
            return page
        if self._take_wake():
            raise _Woken
        waiting = self._waiting = asyncio.ensure_future(self._tail.page(limit, timeout, partition))
        try:
            return await waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if waiting.cancelled() and not (task is not None and task.cancelling()) and self._take_wake():
                raise _Woken from None
            # The caller was cancelled. Its page may have come in the same turn of the loop: the next call returns it.
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._stashed = waiting.result()
            raise
        finally:
            if self._waiting is waiting:  # an interrupted caller may be back before its old wait is over
                self._waiting = None

    def _take_wake(self) -> bool:
        """Whether `wake` was called since the last check; clears the flag."""
        woken, self._woken = self._woken, False
        return woken

    async def rewind(self, journal: AsyncJournal, cursor: Mapping[int, int]) -> None:
        """Continue from `cursor` with a new tail, whatever the old tail and this reader have read."""
        await self._tail.aclose()  # first: other readers may be waiting for the old tail
        self._tail = await journal.follow(cursor)
        self._stashed, self.read = None, dict(cursor)

    async def aclose(self) -> None:
        """Close the tail."""
        self.ended = True
        await self._tail.aclose()
