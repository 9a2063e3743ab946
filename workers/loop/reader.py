"""Read the journal for a worker loop: from a snapshot on, page by page, into its view; retry through outages.

The worker loop applies its own events by their positions: the reader has read everything before these, and continues
behind them.
"""

import asyncio
import logging
import random
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from ...consumers.views.snapshots import SnapshotKeeper
from ...journal.async_journal import AsyncJournal
from ...journal.errors import AppendInDoubt, JournalGone, JournalUnavailable
from ...journal.limits import NOTIFIER_POLL_SECONDS, PAGE_EVENTS
from ...journal.log import Log, Page, Tail
from ...journal.tails.selectable import Selectable
from ...tasks.failure_detector import FailureDetector
from ...tasks.state.view import TaskView
from ..limits import RETRY_LEASE_FRACTION, RETRY_SECONDS_MAX, RETRY_SECONDS_MIN, WAIT_ROUNDING_SECONDS
from .unreadable import UnreadableRecords

logger = logging.getLogger("journeyman.worker")

T = TypeVar("T")


class JournalReader:
    """Keeps `view` current for one worker loop, and reports failures of the journal to `detector`."""

    def __init__(self, view: TaskView, detector: FailureDetector, lease_seconds: float) -> None:
        self._view = view
        self._detector = detector
        self._lease_seconds = lease_seconds
        self._unreadable = UnreadableRecords()
        self._applied: dict[int, int] = {}
        self._page_task: asyncio.Task[Page | None] | None = None
        self._wakeup_socket: socket.socket | None = None  # None if the log has none
        self._wake: Callable[[], None] = lambda: None
        self._listening = False
        self._has_woken = False  # since the loop began to wait
        self._log: Log
        self._tail: Tail
        self._snapshots: SnapshotKeeper

    async def open(self, journal: AsyncJournal) -> Mapping[int, int]:
        """Load the newest snapshot and open the tail behind it; return where each partition ends now."""
        self._log = await journal.open()
        self._snapshots = SnapshotKeeper(self._log, self._view)
        begin = await self._snapshots.start()
        bounds = await self._log.bounds()
        self._applied = dict(begin)
        self._tail = await self._log.tail(begin)
        return bounds.end

    async def aclose(self) -> None:
        """Stop waiting, and close the tail and the snapshots."""
        if self._page_task is not None:
            self._page_task.cancel()
            await asyncio.gather(self._page_task, return_exceptions=True)
        if self._wakeup_socket is not None:
            self.stop_listening()
            self._wakeup_socket.close()
        await self._tail.aclose()
        await self._snapshots.aclose()

    @property
    def position(self) -> dict[int, int]:
        """The offset in each partition up to which all events are applied."""
        read = self._tail.cursor
        return {partition: max(offset, read.get(partition, 0)) for partition, offset in self._applied.items()}

    @property
    def waits(self) -> bool:
        """Whether it waits for the next page."""
        return self._page_task is not None

    # -- pages -------------------------------------------------------------------------------------------------------

    async def read_up_to(self, end: Mapping[int, int]) -> None:
        """Apply all events before these positions."""
        for partition, offset in end.items():
            while self._applied.get(partition, 0) < offset:
                await self._advance(PAGE_EVENTS, partition)

    async def read_again(self, end: Mapping[int, int]) -> None:
        """Apply all events before these positions, also while the loop waits for a page."""
        await self.stop_waiting()
        await self.read_up_to(end)

    async def read_before(self, partition: int, first: int) -> int:
        """Apply the events of others before our own event at `first`; return the offset up to which all is applied."""
        while self._applied[partition] < first:
            await self._advance(min(PAGE_EVENTS, first - self._applied[partition]), partition)
        return self._applied[partition]

    async def read_what_came(self, *, look: bool) -> None:
        """Apply the events that are available now, without waiting; if a wait has ended, only its page."""
        if self._page_task is not None:
            if self._page_task.done():
                task, self._page_task = self._page_task, None
                page = task.result()
                if page is not None:
                    self.apply(page)
            return
        if not look and self._wakeup_socket is None:
            return
        page = await self._next_page(PAGE_EVENTS, 0.0)
        while page is not None:
            self.apply(page)
            page = await self._next_page(PAGE_EVENTS, 0.0) if len(page.rows) >= PAGE_EVENTS else None

    async def _advance(self, limit: int, partition: int) -> None:
        """Apply the next page of a partition; there is none if only repeats have come."""
        page = await self._next_page(limit, None, partition)
        if page is not None:
            self.apply(page)
        self._applied[partition] = max(self._applied[partition], self._tail.cursor[partition])

    async def _next_page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        return await self.available(lambda: self._tail.page(limit, timeout, partition), "cannot be read")

    def apply(self, page: Page) -> None:
        """Apply a page, except the events that were applied before."""
        known = self._applied.get(page.partition, 0)
        if page.next_offset <= known:
            return
        if page.offsets[0] < known:  # our own events, applied already by their position
            fresh = [index for index, offset in enumerate(page.offsets) if offset >= known]
            page = Page(page.partition, [page.offsets[i] for i in fresh], [page.rows[i] for i in fresh])
        unreadable = self._view.unreadable
        self._view.apply_page(page)
        if self._view.unreadable > unreadable:
            self._unreadable.log(page)
        self._applied[page.partition] = page.next_offset
        self._snapshots.applied(self._applied, len(page.rows))

    def skip(self, partition: int, end: int) -> None:
        """Record that all events before `end` are applied, since the remaining ones are our own."""
        end = max(self._applied[partition], end)
        self._applied[partition] = end
        self._tail.skip(partition, end)

    def count_own(self, events: int) -> None:
        """Count our own events that were applied, for the snapshots."""
        self._snapshots.applied(self._applied, events)

    # -- waiting -----------------------------------------------------------------------------------------------------

    def listen(self, wake: Callable[[], None]) -> None:
        """Have the log's notifications call `wake()`, if it sends any; then no task waits for pages.

        A task that waits for a page costs two more passes of the event loop between a record and its claim.
        """
        if isinstance(self._tail, Selectable):
            self._wakeup_socket, self._wake = self._tail.wakeup_socket(), wake

    def _start_listening(self) -> None:
        self._has_woken = False
        if self._wakeup_socket is not None and not self._listening:
            asyncio.get_running_loop().add_reader(self._wakeup_socket.fileno(), self._notified, self._wakeup_socket)
            self._listening = True

    def stop_listening(self) -> None:
        """Ignore the socket, so that one notification wakes the loop once and not in each pass until it is read."""
        if self._wakeup_socket is not None:
            asyncio.get_running_loop().remove_reader(self._wakeup_socket.fileno())
            self._listening = False

    def _notified(self, wakeup_socket: socket.socket) -> None:
        """Wake the loop once; called in each pass of the event loop until the notices are read."""
        if self._has_woken:
            self.stop_listening()  # not at once: usually the loop reads them in the same pass
        elif not _is_empty(wakeup_socket):
            self._has_woken = True
            self._wake()

    async def rest(self, seconds: float) -> None:
        """Sleep without being woken by notifications, since a wake-up costs the worker and the writer."""
        self.stop_listening()
        await asyncio.sleep(seconds - WAIT_ROUNDING_SECONDS)

    @property
    def patience(self) -> float | None:
        """Return the seconds after which to poll, since a notification may be lost; None if a task waits for pages."""
        return NOTIFIER_POLL_SECONDS if self._wakeup_socket is not None else None

    def start_waiting(self, wake: Callable[[], None]) -> None:
        """Have `wake()` called when the next page is there."""
        self._start_listening()
        if self._wakeup_socket is None and self._page_task is None:
            self._page_task = asyncio.ensure_future(self._next_page())
            self._page_task.add_done_callback(lambda _: wake())

    async def stop_waiting(self) -> None:
        """End a wait for a page; apply what it has read already."""
        task, self._page_task = self._page_task, None
        if task is None:
            return
        task.cancel()
        try:
            page = await task
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                raise  # the caller itself is being cancelled
            return
        if page is not None:
            self.apply(page)

    # -- outages of the journal --------------------------------------------------------------------------------------

    async def available(self, call: Callable[[], Awaitable[T]], what: str) -> T:
        """Retry `call` until the journal is available; meanwhile the failure detector counts no silence.

        The pauses are short, so that a live holder's heartbeat lands before its observers expire it. `JournalGone`,
        which no retry mends, is raised and ends the worker. This is the only place that distinguishes the two.
        """
        longest = longest_pause(self._lease_seconds)
        pause = min(RETRY_SECONDS_MIN, longest)
        since: float | None = None
        try:
            while True:
                try:
                    answer = await call()
                except JournalGone:
                    raise
                except (AppendInDoubt, JournalUnavailable) as error:
                    if since is None:
                        since = time.monotonic()
                        self._detector.failure_began()
                        logger.warning("the journal %s, trying again until it is back: %s", what, error)
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                    pause = min(pause * 2, longest)
                else:
                    if since is not None:
                        logger.warning("the journal is back after %.1f s", time.monotonic() - since)
                    return answer
        finally:
            if since is not None:
                self._detector.failure_ended()

    async def taking_appends(self, call: Callable[[], Awaitable[T]]) -> T:
        """Retry an append until the journal is available; see `available`."""
        return await self.available(call, "does not take appends")

    async def page_at(self, partition: int, offset: int, limit: int) -> Page | None:
        """Read up to `limit` records from `offset` on, regardless of what is applied; None if there are none.

        `HistoryTruncated` if retention has removed the first of them.
        """
        where = {partition: offset}
        pages = await self.available(lambda: self._log.read(where, limit), "cannot be read")
        return pages[0] if pages else None


def _is_empty(sock: socket.socket) -> bool:
    """Return whether a socket has nothing to receive: what made it readable may have been read meanwhile."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    return False


def longest_pause(lease_seconds: float) -> float:
    """Return the longest pause, in seconds, before a worker with such a lease retries the journal."""
    return min(RETRY_SECONDS_MAX, lease_seconds * RETRY_LEASE_FRACTION)
