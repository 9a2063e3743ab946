"""Append to one partition: a queue, one batch in flight, and recovery when a batch is not acknowledged.

Queued parts are sent together in one record batch, which Kafka writes whole or not at all; a part is never split over
two batches. While one batch is in flight the next one fills: group commit, without added latency for a single caller.
No append is given up while the log is open: an unacknowledged batch is searched for in the partition from the last
acknowledged offset on, and sent again only if it is not there.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Final

from ..append_counts import AppendCounts
from ..errors import AppendInDoubt, EventTooLarge, JournalError, JournalGone, JournalUnavailable
from ..event import Draft, Event, place_all
from ..limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX
from .client import BATCH_TOO_LARGE, LOGGER, NOT_ALLOWED
from .clocks import ClockComparison
from .condition import Condition, headers_of
from .limits import KAFKA_SILENCE_SECONDS_MAX
from .lookup import PARTITIONS_HEADER, Lookup
from .producer import ProducerSource, ProducerUse, backoff

UNKNOWN_OFFSET: Final = -1
_TOO_LARGE: Final = "the sizes checked before do not fit one record batch"
_NO_HEADERS: Final[list[tuple[str, bytes]]] = []


class Part:
    """The events that one append writes to one partition, atomically.

    `events` and `rows` are released once it is settled; `base` is then the offset of its first event. `condition` is
    set for a conditional append: its records may be in the log and yet be refused.
    """

    __slots__ = ("base", "condition", "drafts", "error", "events", "partition", "rows", "settled", "size", "waiters")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.drafts: list[Draft] = []
        self.events: list[Event] = []
        self.rows: list[bytes] = []
        self.size = 0
        self.base = UNKNOWN_OFFSET
        self.condition: Condition | None = None
        self.error: JournalError | None = None
        self.settled = False
        self.waiters: list[asyncio.Future[None]] = []

    def add(self, draft: Draft, event: Event, row: bytes, size: int) -> None:
        """Add an event, numbered and encoded, of at most `size` bytes."""
        self.drafts.append(draft)
        self.events.append(event)
        self.rows.append(row)
        self.size += size

    def headers(self) -> Iterable[list[tuple[str, bytes]]]:
        """Iterate over the headers of each of its records."""
        return headers_of(self.condition, len(self.rows)) if self.condition is not None else repeat(_NO_HEADERS)

    async def wait(self, deadline: float) -> bool:
        """Wait until it is settled, at most until `deadline` (loop time); whether it is. Cancelling is harmless."""
        if not self.settled:
            loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            self.waiters.append(waiter)
            timer = loop.call_at(deadline, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
        return self.settled

    def settle(self, error: JournalError | None = None) -> None:
        """Settle it as appended, or failed with `error`; after an `AppendInDoubt` the outcome stays unknown here."""
        self.settled = True
        self.error = error
        self.events, self.rows, self.drafts = [], [], []
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            _wake(waiter)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


class Appender:
    """The queue of one partition and the task that drains it.

    `broken` is called if that task ends with an unexpected error. An unacknowledged batch can only be at or after the
    offset `acknowledged`: all acknowledged batches end before it.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        producers: ProducerSource,
        lookup: Lookup,
        acknowledged: int,
        clocks: ClockComparison,
        partitions: int,
        broken: Callable[[JournalGone], None],
        counts: AppendCounts,
    ) -> None:
        self._topic = topic
        self._headers = [(PARTITIONS_HEADER, b"%d" % partitions)]
        self._partition = partition
        self._producers = producers
        self._lookup = lookup
        self._clocks = clocks
        self._broken = broken
        self._counts = counts
        self._error: JournalGone | None = None  # the error that ended this task
        self.acknowledged = acknowledged
        self.queued_bytes = 0
        self._queue: deque[Part] = deque()
        self._in_flight: list[Part] = []
        self._arrival: asyncio.Future[None] | None = None
        self._idle: asyncio.Future[None] | None = None
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"journeyman-kafka-append-{topic}-{partition}"
        )

    def enqueue(self, part: Part) -> None:
        """Queue a part behind all parts enqueued before."""
        if self._error is not None:
            self._refuse([part], self._error)
            return
        self._queue.append(part)
        self.queued_bytes += part.size
        if self._arrival is not None:
            _wake(self._arrival)

    async def flush(self) -> None:
        """Wait until nothing is queued or in flight."""
        if self._queue or self._in_flight:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)

    def end(self, error: JournalError) -> None:
        """Stop appending because the topic changed, and fail all unacknowledged parts with `error`."""
        self._task.cancel()
        left = [*self._in_flight, *self._queue]
        self._in_flight, self._queue, self.queued_bytes = [], deque(), 0
        for part in left:
            part.settle(error)
        self._become_idle()

    async def stop(self) -> int:
        """Stop at once and fail the unsettled parts with `AppendInDoubt`. Returns how many events these contain."""
        self._task.cancel()
        await asyncio.wait([self._task])
        left = [*self._in_flight, *self._queue]
        self._in_flight, self._queue, self.queued_bytes = [], deque(), 0
        lost = sum(len(part.events) for part in left)
        for part in left:
            part.settle(
                AppendInDoubt(
                    f"the journal was closed before the broker had acknowledged an append to {self._topic!r}; append "
                    "the same drafts again to a journal on this topic",
                    tuple(part.drafts),
                )
            )
        return lost

    async def _run(self) -> None:
        try:
            await self._serve()
        except (asyncio.CancelledError, GeneratorExit):  # the second where the event loop was dropped as it stood
            raise
        except BaseException as error:
            self._break(error)
            if not isinstance(error, Exception):
                raise

    def _break(self, error: BaseException) -> None:
        """Fail the waiting appends and the log with an unexpected error: the batch in flight may still be written.

        No new task may replace this one: its appends could overtake the batch in flight, which readers would then drop
        as a repeat.
        """
        LOGGER.error(
            "appending to %r, partition %d, has ended: nothing more is appended until the journal is opened again",
            self._topic,
            self._partition,
            exc_info=error,
        )
        reason = f"unexpected {type(error).__name__}: {error}"
        for part in self._in_flight:
            part.settle(
                AppendInDoubt(
                    f"an append to {self._topic!r} failed with an {reason}; whether it was written is unknown. Close "
                    "the journal, open it again and append the same drafts: events already written are not duplicated",
                    tuple(part.drafts),
                )
            )
        self._in_flight = []
        self._error = JournalGone(
            f"appending to {self._topic!r}, partition {self._partition}, failed with an {reason}. Close the journal "
            "and open it again; restart a worker."
        )
        self._broken(self._error)
        self._refuse(list(self._queue), self._error)
        self._queue.clear()
        self._become_idle()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._queue:
                self._arrival = loop.create_future()
                await self._arrival
            self._arrival = None
            self._in_flight = self._take()
            silence = loop.call_later(KAFKA_SILENCE_SECONDS_MAX, self._report_silence)
            try:
                await self._deliver(self._in_flight)
            finally:
                silence.cancel()
            if silence.when() <= loop.time():
                LOGGER.warning("Kafka acknowledges appends to %r, partition %d, again", self._topic, self._partition)
            self.queued_bytes -= sum(part.size for part in self._in_flight)
            self._in_flight = []
            if not self._queue:
                self._become_idle()

    def _become_idle(self) -> None:
        self.queued_bytes = 0
        if self._idle is not None:
            _wake(self._idle)
            self._idle = None

    def _report_silence(self) -> None:
        LOGGER.warning(
            "Kafka has not acknowledged an append to %r, partition %d, for %g s; it waits",
            self._topic,
            self._partition,
            KAFKA_SILENCE_SECONDS_MAX,
        )

    def _take(self) -> list[Part]:
        """Dequeue the next parts that fit one record batch together."""
        parts = [self._queue.popleft()]
        size, events = parts[0].size, len(parts[0].rows)
        while self._queue:
            size += self._queue[0].size
            events += len(self._queue[0].rows)
            if size > BATCH_BYTES_MAX or events > BATCH_EVENTS_MAX:
                break
            parts.append(self._queue.popleft())
        return parts

    async def _deliver(self, parts: list[Part]) -> None:
        """Send the parts as one batch until the outcome is known, and settle them."""
        attempt, begun = 0, time.perf_counter()
        while True:
            base, refusal = await self._send(parts)
            if refusal is None and base >= 0 and not attempt:
                return self._settle(parts, base, begun)
            # From here on the batch may be in the log, even twice: an abandoned attempt may have been written late. The
            # first occurrence counts, as for every reader.
            found = await self._find(parts, base)
            if found >= 0:
                return self._settle(parts, found, begun)
            if refusal is not None and isinstance(refusal, BATCH_TOO_LARGE) and len(parts) > 1:
                for part in parts:  # too large together: the topic's limit was lowered; each may still fit
                    await self._deliver([part])
                return None
            if refusal is not None and (final := self._final(refusal)) is not None:
                return self._refuse(parts, final)
            attempt += 1
            await asyncio.sleep(backoff(attempt))

    async def _send(self, parts: Sequence[Part]) -> tuple[int, Exception | None]:
        """Send one batch and wait; return the offset of its first record (-1: unknown) and the error if it failed."""
        use: ProducerUse | None = None
        try:
            use = await self._producers.take()
            producer = use.producer
            batch = producer.create_batch()
            append = batch.append
            now = self._clocks.clock()
            now_ms = int(now * 1_000)  # the broker replaces it with its own
            rows = [pair for part in parts for pair in zip(part.rows, part.headers(), strict=False)]
            last, of_last = rows.pop()
            for row, headers in rows:
                if append(timestamp=now_ms, key=None, value=row, headers=headers) is None:
                    raise RuntimeError(_TOO_LARGE)  # noqa: TRY301
            if append(timestamp=now_ms, key=None, value=last, headers=[*of_last, *self._headers]) is None:
                raise RuntimeError(_TOO_LARGE)  # noqa: TRY301
            batch.close()
            sent = await (await producer.send_batch(batch, self._topic, partition=self._partition))
        except Exception as error:  # whatever the client raises, the log's contents decide
            if use is not None:
                self._producers.retire(use)
            LOGGER.warning(
                "an append to %r, partition %d, was not acknowledged (%s: %s); checking whether it was written",
                self._topic,
                self._partition,
                type(error).__name__,
                error,
            )
            return UNKNOWN_OFFSET, error
        else:
            self._clocks.compare(now, sent.timestamp)
            return sent.offset, None
        finally:
            if use is not None:
                self._producers.give_back(use)

    async def _find(self, parts: Sequence[Part], base: int) -> int:
        """Return the batch's first offset in the log, -1 if absent. Its first record suffices: it is contiguous."""
        first = parts[0].events[0]
        key = (first.writer, first.seq)
        attempt = 0
        while True:
            try:
                end = base + 1 if base >= 0 else (await self._lookup.ends([self._partition]))[self._partition]
                found = await self._lookup.find(self._partition, self.acknowledged, end, {key})
                return found.get(key, base)
            except JournalUnavailable as error:
                attempt += 1
                LOGGER.debug("cannot search for an append yet: %s", error)
                await asyncio.sleep(backoff(attempt))

    def _final(self, refusal: Exception) -> JournalError | None:
        """Return the error for the caller if sending again cannot succeed, otherwise None."""
        if isinstance(refusal, BATCH_TOO_LARGE):
            return EventTooLarge(
                f"the topic {self._topic!r} no longer accepts a batch of this size; nothing was appended. "
                "Raise its max.message.bytes again, or split the append."
            )
        if isinstance(refusal, NOT_ALLOWED):
            return JournalUnavailable(
                f"Kafka refuses an append to the topic {self._topic!r} ({type(refusal).__name__}: {refusal}); nothing "
                "was appended. Request the right to write it."
            )
        return None

    def _settle(self, parts: Sequence[Part], base: int, begun: float) -> None:
        encoded = sum(len(row) for part in parts for row in part.rows)
        partition, offset = self._partition, base
        for part in parts:
            part.base = offset
            place_all(part.events, partition, range(offset, offset + len(part.events)))
            offset += len(part.events)
            part.settle()
        self.acknowledged = max(self.acknowledged, offset)
        self._counts.add(len(parts), offset - base, encoded, time.perf_counter() - begun)

    def _refuse(self, parts: Sequence[Part], error: JournalError) -> None:
        for part in parts:
            for draft in part.drafts:
                draft.writer, draft.seq = "", 0  # never appended: a new draft when appended again
            part.settle(error)
