"""The engine of every consumer: one pass over the log, history first, then live events, then the end.

A stream is pulled: it reads the next page only when the next batch is requested, so a slow consumer applies
back-pressure to its own reader only. It holds at most `CONSUMER_EVENTS_MAX` events, however long history is.
"""

import asyncio
import enum
import time
from collections.abc import Mapping

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.deadlines import deadline_of
from ...journal.divergence import marked, refuse_diverged
from ...journal.errors import HistoryTruncated, JournalError, UnreadableRecord
from ...journal.limits import CLOCK_SKEW_SECONDS_MAX, PAGE_EVENTS
from ...journal.log import Bounds, Log, Page, check_cursor
from ...journal.runtime.blocking import Interrupt
from ..bad_records import BadRecords
from ..checkpoints.scan import count_ahead
from ..limits import BOUNDED_PAGE_EVENTS, CONSUMER_EVENTS_MAX, LAG_EVENTS_MAX, MERGE_PAGE_EVENTS_MIN
from ..options import ConsumerDefinition
from ..responses import END_OF_HISTORY, JournalResponses
from ..statistics import Lag
from .batch import EMPTY_BATCH, Batch, MergedBatch, PageBatch, SentinelBatch
from .merge import Merge
from .reader import OutOfTime, TailReader
from .start_position import start_position
from .trail import Trail
from .transform import Transformed, Transformer


class Phase(enum.Enum):
    """The phases of a stream's pass."""

    HISTORY = "history"
    LIVE = "live"
    ENDED = "ended"


class Stream:
    """One pass of a consumer over `journal`. One caller at a time; `request_stop` and `abandon` at any time.

    With an `interrupt`, the caller runs it by `blocking.run` with that interrupt; without one it runs in a loop.
    """

    def __init__(
        self, journal: AsyncJournal, definition: ConsumerDefinition, interrupt: Interrupt | None = None
    ) -> None:
        self.phase = Phase.HISTORY
        # How far the log has been read by a consumer that has delivered every batch it took.
        self.settled: Mapping[int, int] = {}
        self._settled_phase = self.phase
        # Set if the beginning of history was removed before this pass and no start position was given.
        self.truncated: HistoryTruncated | None = None
        self._journal = journal
        self._definition = definition
        self._interrupt = interrupt
        self._source = definition.response_source()
        who = f"a consumer of {definition.topic or 'all topics'!r}"
        self.bad_records = BadRecords(definition.on_bad_record, who)
        self._transformer = Transformer(definition, self._source, self.bad_records)
        self._begin: Mapping[int, int] = {}
        self._handed: dict[int, int] = {}
        self._trail = Trail({})
        self._history_end: Mapping[int, int] = {}
        self._end: Mapping[int, int] | None = None
        self._end_time: float | None = None
        self._stopped = False
        self._merge: Merge | None = None
        self._errors: dict[int, Exception] = {}
        self._raised: Exception | None = None
        self._log: Log | None = None
        self._reader: TailReader | None = None
        self._limit = PAGE_EVENTS
        self._page_events = PAGE_EVENTS
        self._page_bytes: int | None = None

    # --- lifetime ---------------------------------------------------------------------------------------------------

    async def open(self, resume: Mapping[int, int] | None = None) -> None:
        """Send the request and determine where history starts and ends; `resume` overrides the definition's start."""
        definition = self._definition
        self._source.request(definition.topic, definition.request_payload)
        log = self._log = await self._journal.open()
        bounds = await log.bounds()
        skips = isinstance(self._source, JournalResponses)
        begin, self.truncated = await start_position(log, bounds, definition, resume, skips=skips)
        self._begin = begin
        self._trail = Trail(begin)
        self.settled = self._handed = dict(begin)
        await self._set_end(log, bounds)
        self._history_end = {partition: bounds.end.get(partition, 0) for partition in begin}
        if self._end is not None:
            self._history_end = _earlier(self._history_end, self._end)
        if not definition.full and resume is None:
            self.phase = Phase.LIVE
        elif len(begin) > 1:
            # Small pages keep a merge's events in the CPU cache; from a remote log each page costs a round trip.
            self._limit = PAGE_EVENTS if log.needs_loop else max(PAGE_EVENTS // len(begin), MERGE_PAGE_EVENTS_MIN)
            self._limit = min(self._limit, CONSUMER_EVENTS_MAX // (2 * len(begin)))
            self._merge = self._new_merge()
        self._reader = TailReader(log, await self._journal.follow(begin), begin, self._interrupt)

    def _new_merge(self) -> Merge:
        return Merge(self._begin, low=(self._limit + 1) // 2)

    async def _set_end(self, log: Log, bounds: Bounds) -> None:
        until = self._definition.until
        if isinstance(until, Cursor):
            check_cursor(until, log.partitions)
            if until.marks:
                await refuse_diverged(log, until, bounds)
            self._end = {partition: until.get(partition, 0) for partition in self._begin}
        elif until is not None and until > time.time():
            self._end_time = until
        elif until is not None:
            sought = await log.position_at(until + CLOCK_SKEW_SECONDS_MAX)
            self._end = {partition: min(bounds.end[partition], sought[partition]) for partition in self._begin}

    def bound_pages(self, most: int) -> None:
        """Read pages of about `most` bytes, by the size of the pages before; a single event may be larger."""
        self._page_bytes, self._page_events = most, BOUNDED_PAGE_EVENTS

    async def request_stop(self) -> None:
        """Deliver the events already in the log, then end; if it is unavailable, only those already read."""
        if self._stopped or self.phase is Phase.ENDED:
            return
        assert self._log is not None, "a stream is opened before it is stopped"
        assert self._reader is not None
        try:
            end: Mapping[int, int] = (await self._log.bounds()).end
        except JournalError:
            await self.abandon()
            return
        end = {partition: end.get(partition, 0) for partition in self._begin}
        self._end = end if self._end is None else _earlier(self._end, end)
        self._stopped = True
        self._reader.wake()

    async def abandon(self) -> None:
        """End at once: nothing more is read."""
        self.phase = Phase.ENDED
        if self._reader is not None:
            self._reader.ended = True
            self._reader.wake()

    async def aclose(self) -> None:
        """Release the log."""
        self.phase = Phase.ENDED
        reader, self._reader = self._reader, None
        if reader is not None:
            self._source.cancel(self._definition.cancel_topic)
            await reader.aclose()

    # --- progress ---------------------------------------------------------------------------------------------------

    def cursor(self, offsets: Mapping[int, int]) -> Cursor:
        """Return the cursor of a consumer at `offsets`, with the events just before it, as far as they were read."""
        return self._trail.cursor(offsets)

    def is_marked(self, cursor: Cursor) -> bool:
        """Whether `marked` would add nothing to the cursor."""
        return self._trail.is_complete(cursor)

    async def marked(self, cursor: Cursor) -> Cursor:
        """Return the cursor completed for saving: read from the log the preceding events the consumer has not read."""
        cursor = await marked(await self._journal.open(), cursor)
        self._trail.learn(cursor)
        return cursor

    def progress(self, cursor: Mapping[int, int]) -> float:
        """Return the fraction of history that a consumer at `cursor` has received, from 0 to 1; 1 without history."""
        total = sum(max(0, end - self._begin[partition]) for partition, end in self._history_end.items())
        if not total or not self._history_end:
            return 1.0
        done = sum(
            max(0, min(end, cursor.get(partition, 0)) - self._begin[partition])
            for partition, end in self._history_end.items()
        )
        return min(1.0, done / total)

    async def lag(self, cursor: Mapping[int, int]) -> Lag:
        """Count the events in the followed partitions that a consumer at `cursor` has not received."""
        end, definition = (await self._journal.bounds()).end, self._definition
        ahead = sum(max(0, end.get(partition, 0) - offset) for partition, offset in cursor.items())
        control = definition.checkpoint is None
        if control and not definition.topic and definition.key is None:
            return Lag(ahead, ahead, counted=True)
        log = await self._journal.open()
        lag = await count_ahead(
            log, cursor, end, definition.covered, LAG_EVENTS_MAX, key=definition.key, control=control
        )
        return Lag(ahead if lag is None else lag, ahead, counted=lag is not None)

    @property
    def bad_record(self) -> UnreadableRecord | None:
        """The bad record that was raised and still comes next in its partition; None if there is none."""
        raised = self._raised
        return raised if isinstance(raised, UnreadableRecord) and raised in self._errors.values() else None

    # --- batches ----------------------------------------------------------------------------------------------------

    async def next_batch(self, timeout: float | None = None) -> Batch | None:
        """Return the next events, at least one; None at the end, and at every later call.

        `TimeoutError` if there are none within `timeout` seconds (None: wait for ever). An error of the log, the source
        or a hook is raised once all events before it have been delivered; a further call skips nothing.
        """
        deadline = deadline_of(timeout)
        while (batch := await self._next(deadline)) is not None:
            if batch.events:
                return batch
        return None

    async def next_step(self, timeout: float | None = None) -> Batch | None:
        """As `next_batch`, but return after each page, also with an empty batch: the caller can let other tasks run."""
        return await self._next(deadline_of(timeout))

    async def _next(self, deadline: float | None) -> Batch | None:
        if self.phase is Phase.ENDED or self._reader is None:
            await self.aclose()
            return None
        self.settle()
        return await self._step(self._reader, deadline) or EMPTY_BATCH

    def settle(self) -> None:
        """Mark every batch so far as delivered: `rewind` goes back no further."""
        self.settled, self._settled_phase = self._handed, self.phase

    def survives(self, error: BaseException) -> bool:
        """Whether `next_batch`, which raised this error, may be called again without `rewind`.

        True for an error of the log or of a hook, and for an ended wait. Any other error can come from outside, such as
        Ctrl-C, and interrupt between two steps that belong together.
        """
        if isinstance(error, (JournalError, OutOfTime, asyncio.CancelledError)):
            return True
        return any(error is known for known in self._errors.values())

    async def rewind(self, cursor: Mapping[int, int]) -> None:
        """Continue from `cursor`, up to which events have been delivered: later records are read again."""
        reader = self._reader
        if self.phase is Phase.ENDED or reader is None:
            return
        await reader.rewind(self._journal, cursor)
        self._handed = dict(cursor)
        self._errors.clear()
        if self.phase is Phase.LIVE:  # not if another thread has ended it
            self.phase = self._settled_phase
        self._merge = self._new_merge() if self.phase is Phase.HISTORY and len(self._begin) > 1 else None

    async def _step(self, reader: TailReader, deadline: float | None) -> Batch | None:
        if self.phase is Phase.LIVE:
            return await self._step_live(reader, deadline)
        if self._merge is not None:
            return await self._step_merge(reader, self._merge, deadline)
        for partition in self._begin:
            page = await self._history_page(reader, partition, deadline)
            if page is not None:
                return self._batch_of_page(page)
        return self._end_history(reader)

    async def _history_page(self, reader: TailReader, partition: int, deadline: float | None) -> Page | None:
        if partition in self._errors:
            self._raised = self._errors[partition]
            raise self._raised
        return await reader.page_before(self._history_end, partition, min(self._limit, self._page_events), deadline)

    async def _step_merge(self, reader: TailReader, merge: Merge, deadline: float | None) -> Batch | None:
        partition = merge.wanting()
        if partition is not None:
            page = await self._history_page(reader, partition, deadline)
            if page is not None:
                merge.fill(partition, self._transformed(page))
                if partition in self._errors:
                    merge.exhaust(partition)
            elif not reader.ended:
                merge.finish(partition)
            return None
        merged = merge.take()
        if not merged.events:
            return self._end_history(reader)
        before = self._handed
        self._handed = {**before, **{segment.partition: segment.offsets[-1] + 1 for segment in merged.segments}}
        for partition, offset in reader.read.items():
            if merge.is_empty(partition) and partition not in self._errors:
                self._handed[partition] = offset  # records left out after the last event count as read
        return MergedBatch(self._transformer.finished(merged.events), before, self._handed, merged)

    def _end_history(self, reader: TailReader) -> Batch | None:
        if reader.ended:
            return None
        self.phase = Phase.LIVE
        self._merge = None
        self._handed = dict(reader.read)
        definition = self._definition
        if not (definition.full and definition.include_sentinel and definition.is_empty_response(END_OF_HISTORY)):
            return None
        return SentinelBatch(definition.SENTINEL_EVENT, self._handed)

    async def _step_live(self, reader: TailReader, deadline: float | None) -> Batch | None:
        for error in self._errors.values():
            self._raised = error
            raise error
        page, end = None, self._end
        if end is None:
            page = await self._page_in_time(reader, deadline)
        else:
            missing = [partition for partition, offset in reader.read.items() if offset < end[partition]]
            if not missing:
                self.phase = Phase.ENDED
            elif self._stopped or len(missing) == 1:
                page = await reader.page_before(end, missing[0], self._page_events, deadline)
            else:
                page = _cut(await reader.page(self._page_events, deadline), end)
        return None if page is None else self._batch_of_page(page)

    async def _page_in_time(self, reader: TailReader, deadline: float | None) -> Page | None:
        """Return the next page; None if the end time comes first."""
        patience = None
        if self._end_time is not None:
            patience = self._end_time - time.time()
            if patience <= 0:
                await self.request_stop()
                return None
        return await reader.page(self._page_events, deadline, patience=patience)

    def _batch_of_page(self, page: Page) -> Batch:
        transformed = self._transformed(page)
        before, handed = self._handed, page.next_offset
        if transformed.error is not None:  # the cursor stays before the failed record
            handed = transformed.offsets[-1] + 1 if transformed.offsets else before[page.partition]
        self._handed = {**before, page.partition: handed}
        events = self._transformer.finished(transformed.events)
        return PageBatch(events, before, self._handed, page.partition, transformed.offsets)

    def _transformed(self, page: Page) -> Transformed:
        self._trail.add(page, self.settled.get(page.partition, 0))
        if self._page_bytes is not None:
            fitting = self._page_bytes * len(page.rows) // max(1, sum(map(len, page.rows)))
            self._page_events = max(1, min(fitting, 2 * self._page_events, PAGE_EVENTS))
        transformed = self._transformer.shape(page)
        if transformed.error is not None:
            self._errors[page.partition] = transformed.error
        return transformed


def _earlier(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    return {partition: min(offset, other[partition]) for partition, offset in one.items()}


def _cut(page: Page | None, end: Mapping[int, int]) -> Page | None:
    """Return the part of the page below the end; None if there is none."""
    if page is None or page.next_offset <= end[page.partition]:
        return page
    count = sum(offset < end[page.partition] for offset in page.offsets)
    return Page(page.partition, page.offsets[:count], page.rows[:count]) if count else None
