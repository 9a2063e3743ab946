"""Answer bounded queries about a topic: its first and end offsets, records at an offset, the offset of a time.

Queries use their own consumer, kept open. A broker answers the requests of one connection in order, so on a tail's
connection a query waits behind the long poll (measured: up to 1.9 s); this connection never polls for long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from ..errors import HistoryTruncated, JournalClosed, JournalUnavailable
from ..event_decoding import time_in
from ..limits import PAGE_EVENTS
from ..numbers import is_number
from .client import (
    CHECKSUM_ADVICE,
    CHECKSUM_FAILED,
    ConsumerStopped,
    KafkaError,
    OffsetOutOfRange,
    make_consumer,
    stop_consumer,
    topic_seen,
)
from .client_types import Consumer, Record, TopicPartition, topic_partition
from .connection import Connection
from .identity import TopicSeen
from .limits import (
    DEDUPE_PRIMING_BYTES,
    DEDUPE_PRIMING_EVENTS,
    LOOKUP_FETCH_BYTES,
    LOOKUP_SECONDS_MAX,
    LOOKUP_STEP_EVENTS,
    LOOKUP_WAIT_MS,
)
from .repeats import RepeatFilter, identity
from .wire import Binding

T = TypeVar("T")

# In the last record of each batch: how many partitions the journal has.
PARTITIONS_HEADER: Final = "partitions"
_TIMES_MAX: Final = 2**63 - 1


class Rows(NamedTuple):
    """Records of one partition and the offset to continue from, which may lie beyond the last record's."""

    offsets: list[int]
    rows: list[bytes]
    next_offset: int
    records: Sequence[Record] = ()


class Lookup:
    """Reads bounded ranges and offsets of one topic."""

    def __init__(self, connection: Connection, topic: str, check: Callable[[], None] = lambda: None) -> None:
        # Raises once the topic is known to differ from the one opened.
        self._check = check
        self._connection = connection
        self._topic = topic
        self._consumer: Consumer | None = None
        self._one_at_a_time = asyncio.Lock()
        # Both only ever grow, so an old answer is still a lower bound.
        self.known_first: dict[int, int] = {}
        self.known_end: dict[int, int] = {}
        self.binding: Binding | None = None
        self._at: tuple[int, int] | None = None  # the partition it is assigned and the offset it reads next

    async def start(self) -> None:
        """Connect."""
        consumer = make_consumer(self._connection, LOOKUP_FETCH_BYTES, LOOKUP_WAIT_MS, lambda: self.binding)
        try:
            await consumer.start()
        except BaseException:
            await stop_consumer(consumer)
            raise
        self._consumer = consumer

    async def stop(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def topic_seen(self) -> TopicSeen | None:
        """Return the topic's current id and number of partitions; None if no topic has its name."""
        found = await self._ask(lambda consumer: topic_seen(consumer, self._topic), "the id")
        return None if found is None else TopicSeen(*found)

    async def partitions_said(self, partition: int, offset: int) -> int | None:
        """Return the journal's number of partitions from the header of the record at an offset; None without header."""
        async with self._one_at_a_time:
            return await self._ask(lambda consumer: self._partitions_said(consumer, partition, offset), "a record")

    async def _partitions_said(self, consumer: Consumer, partition: int, offset: int) -> int | None:
        name = topic_partition(self._topic, partition)
        self._point(consumer, name, offset)
        said: bytes | None = None
        try:
            while said is None and await consumer.position(name) <= offset:  # beyond it: the end of a transaction
                self._check()
                got = await consumer.getmany(name, timeout_ms=500, max_records=1)
                said = next((dict(each.headers).get(PARTITIONS_HEADER) for each in got.get(name, ())), None)
        except OffsetOutOfRange:  # removed meanwhile
            return None
        finally:
            consumer.pause(name)
        return int(said) if said is not None and is_number(said) else None

    async def firsts(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the first available offset of each partition."""
        names = self._names(partitions)
        found = await self._ask(lambda consumer: consumer.beginning_offsets(names), "the first offsets")
        firsts = {name.partition: found[name] for name in names}
        self.known_first.update(firsts)
        return firsts

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the offset after the last readable record of each partition."""
        names = self._names(partitions)
        found = await self._ask(lambda consumer: consumer.end_offsets(names), "the end offsets")
        ends = {name.partition: found[name] for name in names}
        self.known_end.update(ends)
        return ends

    async def offsets_at(self, timestamp: float, partitions: Iterable[int]) -> dict[int, int]:
        """Return per partition the first offset appended at or after `timestamp` (seconds), or its end if none is."""
        # Rounded down: the log stores milliseconds, and an event of the same millisecond must not be missed.
        at = int(min(max(timestamp * 1_000, 0), _TIMES_MAX)) if timestamp == timestamp else 0  # noqa: PLR0124
        asked = {name: min(at, _TIMES_MAX) for name in self._names(partitions)}
        # The ends first: events appended between the two queries are found by time, never skipped.
        ends = await self.ends(name.partition for name in asked)
        found = await self._ask(lambda consumer: consumer.offsets_for_times(asked), "the offset of a time")
        return {
            name.partition: at_time.offset if (at_time := found[name]) is not None else ends[name.partition]
            for name in asked
        }

    async def read(self, partition: int, offset: int, end: int, limit: int) -> Rows:
        """Read up to `limit` records from `offset` on, below `end`, which must exist; `HistoryTruncated` if removed."""
        if offset >= end:
            return Rows([], [], offset)
        limit = min(limit, end - offset)
        async with self._one_at_a_time:
            return await self._ask(lambda consumer: self._read(consumer, partition, offset, end, limit), "a record")

    async def _read(self, consumer: Consumer, partition: int, offset: int, end: int, limit: int) -> Rows:
        name = topic_partition(self._topic, partition)
        self._point(consumer, name, offset)
        try:
            while True:
                self._check()
                got = await consumer.getmany(name, timeout_ms=500, max_records=limit)
                records = got.get(name, ())
                self._at = (partition, await consumer.position(name))
                offsets = [record.offset for record in records if record.offset < end]
                if offsets or self._at[1] >= end:
                    rows = [record.value or b"" for record in records[: len(offsets)]]
                    return Rows(offsets, rows, offsets[-1] + 1 if offsets else end, records[: len(offsets)])
        except OffsetOutOfRange as error:
            self._at = None
            first = self.known_first[partition] = (await consumer.beginning_offsets([name]))[name]
            if offset < first:
                raise HistoryTruncated(partition, offset, first, await self._time_at(consumer, name, first)) from error
            return Rows([], [], offset)
        except BaseException:
            self._at = None
            raise
        finally:
            # Otherwise the consumer keeps prefetching unrequested records, and the next query queues behind them.
            consumer.pause(name)

    async def stretch(self, partition: int, start: int, end: int) -> list[Record]:
        """Read all records from `start` up to, not including, `end`, which must exist; removed ones are left out."""
        found: list[Record] = []
        at = start
        while at < end:
            try:
                got = await self.read(partition, at, end, LOOKUP_STEP_EVENTS)
            except HistoryTruncated as error:
                at = error.first_offset
                continue
            found += got.records
            if got.next_offset == at:
                break
            at = got.next_offset
        return found

    async def time_at(self, partition: int, offset: int) -> float | None:
        """Return the event's own timestamp at an offset, in seconds since the epoch; None if no event is there."""
        name = topic_partition(self._topic, partition)
        async with self._one_at_a_time:
            return await self._ask(lambda consumer: self._time_at(consumer, name, offset), "a record")

    async def _time_at(self, consumer: Consumer, name: TopicPartition, offset: int) -> float | None:
        if offset >= (await consumer.end_offsets([name]))[name]:
            return None
        found = await self._read(consumer, name.partition, offset, offset + 1, 1)
        return time_in(found.rows[0]) if found.rows else None  # another program's record has none

    def _point(self, consumer: Consumer, name: TopicPartition, offset: int) -> None:
        """Make the next fetch start at `offset`; keep the buffered records if the last read ended there."""
        if self._at is None or self._at[0] != name.partition:
            consumer.assign([name])
            consumer.seek(name, offset)
        elif self._at[1] != offset:
            consumer.seek(name, offset)
        consumer.resume(name)
        self._at = None

    async def find(
        self, partition: int, start: int, end: int, wanted: set[tuple[str, int]]
    ) -> dict[tuple[str, int], int]:
        """Return the first offsets of these (writer, seq) between `start` and `end`; missing ones are left out."""
        found: dict[tuple[str, int], int] = {}
        at = start
        while at < end and len(found) < len(wanted):
            try:
                got = await self.read(partition, at, end, LOOKUP_STEP_EVENTS)
            except HistoryTruncated as error:
                at = error.first_offset
                continue
            for offset, row in zip(got.offsets, got.rows, strict=True):
                one = identity(row)
                if one is not None and (key := (one.writer, one.seq)) in wanted:
                    found.setdefault(key, offset)
            if got.next_offset == at:
                break
            at = got.next_offset
        return found

    async def primed(self, partition: int, offset: int, events: int = DEDUPE_PRIMING_EVENTS) -> RepeatFilter:
        """Return the repeat filter of a reader that starts at `offset`, primed with up to `events` records before it.

        `offset` must not be beyond the end. Reads backwards in growing stretches until enough events or bytes were
        seen, because the size of a number of events is not known in advance.
        """
        repeats = RepeatFilter()
        lowest = max(0, offset - events, self.known_first.get(partition, 0))
        high, size, step = offset, 0, PAGE_EVENTS
        while high > lowest and size < DEDUPE_PRIMING_BYTES:
            low = max(lowest, high - step)
            try:
                size += await self._prime(repeats, partition, low, high)
            except HistoryTruncated as error:
                lowest = max(lowest + 1, error.first_offset)
            else:
                high, step = low, step * 4
        return repeats

    async def _prime(self, repeats: RepeatFilter, partition: int, low: int, high: int) -> int:
        size, at = 0, low
        while at < high:
            got = await self.read(partition, at, high, LOOKUP_STEP_EVENTS)
            if got.next_offset == at:
                break
            repeats.prime(got.rows)
            size += sum(map(len, got.rows))
            at = got.next_offset
        return size

    def _names(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [topic_partition(self._topic, partition) for partition in partitions]

    async def _ask(self, question: Callable[[Consumer], Awaitable[T]], what: str) -> T:
        consumer = self._consumer
        if consumer is None:
            raise JournalClosed(f"the journal on the topic {self._topic!r} is closed; open it again to go on")
        try:
            async with asyncio.timeout(LOOKUP_SECONDS_MAX):
                return await question(consumer)
        except TimeoutError as error:
            raise self._unavailable(f"{what} ({LOOKUP_SECONDS_MAX:g} s passed)") from error
        except ConsumerStopped as error:
            raise JournalClosed(f"the journal on the topic {self._topic!r} was closed meanwhile") from error
        except CHECKSUM_FAILED as error:
            raise JournalUnavailable(f"the topic {self._topic!r} is damaged: {CHECKSUM_ADVICE} ({error})") from error
        except KafkaError as error:
            raise self._unavailable(f"{what} ({type(error).__name__}: {error})") from error

    def _unavailable(self, what: str) -> JournalUnavailable:
        return JournalUnavailable(
            f"Kafka at {self._connection.addresses} did not return {what} of the topic {self._topic!r}; try again later"
        )
