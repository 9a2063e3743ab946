"""The engine of every consumer: one pass over the log, history first, then what comes, then the end.

A stream is pulled: it reads the next page when it is asked for the next batch and not before, so a slow consumer holds
back its reader and nothing else. What it holds is bounded by `CONSUMER_EVENTS_MAX`, however long history is.
"""

import asyncio
import enum
import time
from collections.abc import Mapping

from ..journal.asynchronous import AsyncJournal
from ..journal.blocking import Interrupt
from ..journal.cursor import Cursor
from ..journal.errors import JournalError
from ..journal.limits import CLOCK_SKEW_SECONDS_MAX, CONSUMER_EVENTS_MAX, GAP_SECONDS, PAGE_EVENTS
from ..journal.log import Log, Page, Tail
from .batch import Batch
from .definition import ConsumerDefinition
from .merge import Merge
from .responses import END_OF_HISTORY, JournalResponses
from .shaping import Shaped, Shaper


class Phase(enum.Enum):
    """Where in its pass a stream is."""

    HISTORY = "history"
    LIVE = "live"
    ENDED = "ended"


class _Woken(Exception):
    """A stop ended a wait."""


class Stream:
    """One pass of a consumer over `journal`. One caller at a time; `request_stop` and `abandon` at any time.

    With an `interrupt` the caller drives it by `blocking.run` with that interrupt; without one it runs in a loop.
    """

    def __init__(
        self, journal: AsyncJournal, definition: ConsumerDefinition, interrupt: Interrupt | None = None
    ) -> None:
        self._journal = journal
        self._definition = definition
        self._interrupt = interrupt
        self._source = definition.response_source()
        self._shaper = Shaper(definition, self._source)
        self._phase = Phase.HISTORY
        self._begin: dict[int, int] = {}
        self._history_end: Mapping[int, int] = {}
        self._read: dict[int, int] = {}
        self._handed: dict[int, int] = {}
        # How far the log has been read by a consumer that has handed out every batch it took.
        self.settled: Mapping[int, int] = {}
        self._stop_end: Mapping[int, int] | None = None
        self._stopped = False
        self._waiting: asyncio.Task[Page | None] | None = None
        self._woken = False
        self._stashed: Page | None = None
        self._merge: Merge | None = None
        self._errors: dict[int, Exception] = {}
        self._tail: Tail | None = None
        self._log: Log | None = None
        self._limit = PAGE_EVENTS

    # --- the life of a stream ---------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Send the request: fix where history begins and ends."""
        definition = self._definition
        self._source.request(definition.topic, definition.request_payload)
        log = self._log = await self._journal.open()
        bounds = await log.bounds()
        begin = await self._beginning(log, bounds.first, bounds.end)
        self._begin, self._read, self._handed = dict(begin), dict(begin), dict(begin)
        self.settled = self._handed
        self._history_end = {partition: bounds.end.get(partition, 0) for partition in begin}
        if not definition.full:
            self._phase = Phase.LIVE
        elif len(begin) > 1:
            self._merge = Merge(begin)
            self._limit = max(1, min(PAGE_EVENTS, CONSUMER_EVENTS_MAX // len(begin)))
        self._tail = await log.tail(begin)

    async def _beginning(self, log: Log, first: Cursor, end: Cursor) -> Mapping[int, int]:
        definition = self._definition
        if not definition.full:
            return end
        if definition.start_cursor is not None:
            return definition.start_cursor
        if definition.since > CLOCK_SKEW_SECONDS_MAX and isinstance(self._source, JournalResponses):
            # A source of the user's may need what came before; the journal's own does not.
            sought = await log.position_at(definition.since - CLOCK_SKEW_SECONDS_MAX)
            return {partition: max(offset, sought.get(partition, 0)) for partition, offset in first.items()}
        return first

    async def request_stop(self) -> None:
        """Hand out what is in the log by now, then end. Where the journal cannot say, what has been read is all."""
        if self._stopped:
            return
        assert self._log is not None, "a stream is opened before it is stopped"
        try:
            end = (await self._log.bounds()).end
        except JournalError:
            await self.abandon()
            return
        self._stop_end = {partition: end.get(partition, 0) for partition in self._read}
        self._stopped = True
        self._wake()

    def _wake(self) -> None:
        self._woken = True
        if self._interrupt is not None:
            self._interrupt.request()
        elif self._waiting is not None:
            self._waiting.cancel()

    async def abandon(self) -> None:
        """End at once: nothing more is read."""
        self._phase = Phase.ENDED
        self._stopped = True
        self._wake()

    async def aclose(self) -> None:
        """Let go of the log."""
        self._phase = Phase.ENDED
        tail, self._tail = self._tail, None
        if tail is not None:
            self._source.cancel(self._definition.cancel_topic)
            await tail.aclose()

    # --- batches ----------------------------------------------------------------------------------------------------

    async def next_batch(self, timeout: float | None = None) -> Batch | None:
        """The next events, at least one; None at the end, again and again.

        `TimeoutError` if there are none within `timeout` seconds (None: waits for ever). An error of the log, the
        source or a hook is raised once all events before it have been handed out; asking again skips nothing.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._phase is not Phase.ENDED:
            self.settled = self._handed
            batch = await self._step(deadline)
            if batch is not None and batch.events:
                return batch
        await self.aclose()
        return None

    async def _step(self, deadline: float | None) -> Batch | None:
        if self._phase is Phase.LIVE:
            return await self._step_live(deadline)
        if self._merge is not None:
            return await self._step_merge(self._merge, deadline)
        for partition in self._read:
            page = await self._page_before(self._history_end, partition, deadline)
            if page is not None:
                return self._batch_of_page(page)
        return self._end_history()

    async def _step_merge(self, merge: Merge, deadline: float | None) -> Batch | None:
        if self._phase is Phase.HISTORY and (partition := merge.wanting()) is not None:
            page = await self._page_before(self._history_end, partition, deadline)
            if page is None:
                merge.finish(partition)
            else:
                merge.fill(partition, self._shaped(page))
            return None
        merged = merge.take()
        if not merged.events:
            return self._end_history()
        before, last = self._handed, dict(zip(merged.partitions, merged.offsets, strict=True))
        self._handed = {**before, **{partition: offset + 1 for partition, offset in last.items()}}
        for partition, offset in self._read.items():
            if merge.is_empty(partition) and partition not in self._errors:
                self._handed[partition] = offset  # what was left out after the last event has been read as well
        return Batch(merged.events, before, self._handed, merged.partitions, merged.offsets)

    def _end_history(self) -> Batch:
        self._phase = Phase.LIVE
        self._merge = None
        self._handed = dict(self._read)
        definition = self._definition
        sentinel = definition.include_sentinel and definition.is_empty_response(END_OF_HISTORY)
        return Batch((definition.SENTINEL_EVENT,) if sentinel else (), self._handed, self._handed)

    async def _step_live(self, deadline: float | None) -> Batch | None:
        if self._stop_end is None:
            for error in self._errors.values():
                raise error
            page = await self._page(PAGE_EVENTS, deadline, None)
            return None if page is None else self._batch_of_page(page)
        for partition in self._read:
            page = await self._page_before(self._stop_end, partition, deadline)
            if page is not None:
                return self._batch_of_page(page)
        self._phase = Phase.ENDED
        return None

    def _batch_of_page(self, page: Page) -> Batch:
        shaped = self._shaped(page)
        before, handed = self._handed, page.next_offset
        if shaped.error is not None:  # the cursor stays before what failed
            handed = shaped.offsets[-1] + 1 if shaped.offsets else before[page.partition]
        self._handed = {**before, page.partition: handed}
        return Batch(shaped.events, before, self._handed, page.partition, shaped.offsets)

    def _shaped(self, page: Page) -> Shaped:
        shaped = self._shaper.shape(page)
        if shaped.error is not None:
            self._errors[page.partition] = shaped.error
        return shaped

    # --- reading ----------------------------------------------------------------------------------------------------

    async def _page_before(self, end: Mapping[int, int], partition: int, deadline: float | None) -> Page | None:
        """The next page of `partition` below its `end`; None if there is no more."""
        if partition in self._errors:
            raise self._errors[partition]
        while (missing := end[partition] - self._read[partition]) > 0:
            page = await self._page(min(self._limit, missing), deadline, partition)
            if page is not None:
                return page
            if self._phase is Phase.ENDED:
                return None
            # The last records below the end may be ones that a tail leaves out, such as repeats: it moves past them.
            assert self._tail is not None
            self._read[partition] = max(self._read[partition], self._tail.cursor[partition])
        return None

    async def _page(self, limit: int, deadline: float | None, partition: int | None) -> Page | None:
        """The next page; None if a stop came first or, asked for one partition, after a while without any."""
        assert self._tail is not None, "a stream is opened before it is read"
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        patience = remaining if partition is None else min(GAP_SECONDS, GAP_SECONDS if remaining is None else remaining)
        try:
            page = await self._waited(self._tail, limit, patience, partition)
        except _Woken:
            return None
        if page is not None:
            self._read[page.partition] = page.next_offset
        elif deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError
        return page

    async def _waited(self, tail: Tail, limit: int, timeout: float | None, partition: int | None) -> Page | None:
        if self._interrupt is None:
            return await self._waited_in_loop(tail, limit, timeout, partition)
        try:
            return await tail.page(limit, timeout, partition)
        except asyncio.CancelledError:
            self._interrupt.clear()
            if not self._woken:
                raise
            raise _Woken from None

    async def _waited_in_loop(
        self, tail: Tail, limit: int, timeout: float | None, partition: int | None
    ) -> Page | None:
        page, self._stashed = self._stashed, None
        if page is None and self._log is not None and not self._log.needs_loop:
            page = await tail.page(limit, 0, partition)  # an embedded log answers at once: no task for a page
            if timeout == 0:
                return page
        if page is not None:
            return page
        if self._woken:
            self._woken = False
            raise _Woken
        waiting = self._waiting = asyncio.ensure_future(tail.page(limit, timeout, partition))
        try:
            return await waiting
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._woken and waiting.cancelled() and (task is None or not task.cancelling()):
                self._woken = False
                raise _Woken from None
            # The caller was cancelled. Its page may have come in the same turn of the loop: the next call returns it.
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._stashed = waiting.result()
            raise
        finally:
            self._waiting = None
