"""Bounded questions to a topic: where it begins and ends, what stands at an offset, where a time is.

Asked through a consumer of their own, kept open. A broker answers the requests of one connection in order, so on a
connection that tails, a question waits behind the long poll (measured: up to 1.9 s); this one never polls for long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from ..errors import HistoryTruncated, JournalClosed, JournalUnavailable
from ..event import time_in
from ..limits import KIB, PAGE_EVENTS
from ..numbers import is_number
from .client import (
    CHECKSUM_ADVICE,
    CHECKSUM_FAILED,
    Consumer,
    ConsumerStopped,
    KafkaError,
    OffsetOutOfRange,
    Record,
    TopicPartition,
    make_consumer,
    stop_consumer,
    topic_partition,
    topic_seen,
)
from .connection import Connection
from .identity import TopicSeen
from .limits import DEDUPE_PRIMING_BYTES, DEDUPE_PRIMING_EVENTS, LOOKUP_SECONDS_MAX
from .repeats import RepeatFilter, identity
from .wire import Binding

T = TypeVar("T")

WAIT_MS: Final = 10
# Most questions want few records. A batch that is larger comes whole all the same: Kafka sees to it since 0.10.1.
FETCH_BYTES: Final = 512 * KIB
SCAN_EVENTS: Final = 5_000
# In the last record of each batch: how many partitions the journal has.
PARTITIONS_HEADER: Final = "partitions"
_TIMES_MAX: Final = 2**63 - 1


class Rows(NamedTuple):
    """Records of one partition and the offset to read on from, which may lie beyond the last one's."""

    offsets: list[int]
    rows: list[bytes]
    next_offset: int
    records: Sequence[Record] = ()


class Lookup:
    """Bounded reading of one topic."""

    def __init__(self, connection: Connection, topic: str, check: Callable[[], None] = lambda: None) -> None:
        # Raises once the topic is known not to be the one that was opened.
        self._check = check
        self._connection = connection
        self._topic = topic
        self._consumer: Consumer | None = None
        self._one_at_a_time = asyncio.Lock()
        # Both only ever grow, so an answer of long ago is still a bound.
        self.known_first: dict[int, int] = {}
        self.known_end: dict[int, int] = {}
        self.binding: Binding | None = None
        self._at: tuple[int, int] | None = None  # the partition it is assigned and the offset it reads next

    async def start(self) -> None:
        """Connect."""
        consumer = make_consumer(self._connection, FETCH_BYTES, WAIT_MS, lambda: self.binding)
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
        """What the cluster says of the topic now; None if there is none of its name."""
        found = await self._ask(lambda consumer: topic_seen(consumer, self._topic), "its id")
        return None if found is None else TopicSeen(*found)

    async def partitions_said(self, partition: int, offset: int) -> int | None:
        """How many partitions the record at an offset says that the journal has; None if it does not say."""
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
        """The first available offset of each partition."""
        names = self._names(partitions)
        found = await self._ask(lambda consumer: consumer.beginning_offsets(names), "where it begins")
        firsts = {name.partition: found[name] for name in names}
        self.known_first.update(firsts)
        return firsts

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the last readable record of each partition."""
        names = self._names(partitions)
        found = await self._ask(lambda consumer: consumer.end_offsets(names), "where it ends")
        ends = {name.partition: found[name] for name in names}
        self.known_end.update(ends)
        return ends

    async def offsets_at(self, timestamp: float, partitions: Iterable[int]) -> dict[int, int]:
        """For each partition the first offset appended at or after `timestamp` (seconds); its end if there is none."""
        # Rounded down: the log keeps milliseconds, and an event of this very millisecond must not be missed.
        at = int(min(max(timestamp * 1_000, 0), _TIMES_MAX)) if timestamp == timestamp else 0  # noqa: PLR0124
        asked = {name: min(at, _TIMES_MAX) for name in self._names(partitions)}
        # The ends first: what is appended between the two questions is found by time, never skipped.
        ends = await self.ends(name.partition for name in asked)
        found = await self._ask(lambda consumer: consumer.offsets_for_times(asked), "where a time is")
        return {
            name.partition: at_time.offset if (at_time := found[name]) is not None else ends[name.partition]
            for name in asked
        }

    async def read(self, partition: int, offset: int, end: int, limit: int) -> Rows:
        """At most `limit` records from `offset` on and below `end`, which must exist; `HistoryTruncated` if removed."""
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
            # Without this it would go on fetching what nobody asked for, and the next question would queue behind it.
            consumer.pause(name)

    async def stretch(self, partition: int, start: int, end: int) -> list[Record]:
        """All records from `start` up to, not including, `end`, which must exist; those removed are left out."""
        found: list[Record] = []
        at = start
        while at < end:
            try:
                got = await self.read(partition, at, end, SCAN_EVENTS)
            except HistoryTruncated as error:
                at = error.first_offset
                continue
            found += got.records
            if got.next_offset == at:
                break
            at = got.next_offset
        return found

    async def time_at(self, partition: int, offset: int) -> float | None:
        """The own time of the event at an offset, in seconds since the epoch; None if none is there."""
        name = topic_partition(self._topic, partition)
        async with self._one_at_a_time:
            return await self._ask(lambda consumer: self._time_at(consumer, name, offset), "a record")

    async def _time_at(self, consumer: Consumer, name: TopicPartition, offset: int) -> float | None:
        if offset >= (await consumer.end_offsets([name]))[name]:
            return None
        found = await self._read(consumer, name.partition, offset, offset + 1, 1)
        return time_in(found.rows[0]) if found.rows else None  # of another program's record, none

    def _point(self, consumer: Consumer, name: TopicPartition, offset: int) -> None:
        """Have the next fetch begin at `offset`; where the last reading ended, what is buffered is used."""
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
        """The first offsets of these (writer, seq) between `start` and `end`; those not there are left out."""
        found: dict[tuple[str, int], int] = {}
        at = start
        while at < end and len(found) < len(wanted):
            try:
                got = await self.read(partition, at, end, SCAN_EVENTS)
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
        """The filter of a reader that starts at `offset`, having seen a bounded stretch of `events` before it.

        There must be that much: `offset` is not beyond the end. Read from near to far, each stretch larger than the one
        before, until enough events or bytes were seen: how many bytes a number of events has is not known beforehand.
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
            got = await self.read(partition, at, high, SCAN_EVENTS)
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
            f"Kafka at {self._connection.addresses} does not tell of the topic {self._topic!r} {what}; try again later"
        )
