"""Follow a topic with one consumer without a group; the tail keeps the positions and drops repeats.

aiokafka reconnects, finds new leaders and continues by itself; an unavailable broker only delays the next page.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from ..cursor import Cursor
from ..errors import HistoryTruncated, JournalClosed, JournalError, JournalUnavailable
from ..limits import PAGE_EVENTS
from ..log import Page
from .client import (
    CHECKSUM_ADVICE,
    CHECKSUM_FAILED,
    LOGGER,
    NOT_ALLOWED,
    ConsumerStopped,
    KafkaError,
    OffsetOutOfRange,
    prefetch,
    served,
    stop_consumer,
)
from .client_types import Consumer, Record, topic_partition
from .condition import has_conditions
from .limits import AHEAD_RETRY_SECONDS, ARRIVAL_SECONDS_MAX, KAFKA_SILENCE_SECONDS_MAX, READ_SLICE_SECONDS
from .lookup import Lookup
from .repeats import RepeatFilter
from .verdicts import Verdicts


class TailOwner(Protocol):
    """The methods of its log that a tail uses."""

    def check_open(self) -> None:
        """Raise `JournalClosed` once it is closed."""

    def acknowledged(self, partition: int) -> int:
        """Return the offset after the log's own last append to `partition`."""
        ...

    def handed_out(self, page: Page) -> None:
        """Remember a page that the tail is about to return."""

    def last_number(self, partition: int, offset: int) -> tuple[str, int]:
        """Return the log's writer and the number of that writer's last event below `offset`."""
        ...

    def forget(self, tail: "KafkaTail") -> None:
        """Remove a closed tail."""


class KafkaTail:
    """A reader of a Kafka log; made by `KafkaLog.tail`."""

    def __init__(
        self,
        owner: TailOwner,
        topic: str,
        consumer: Consumer,
        lookup: Lookup,
        cursor: Mapping[int, int],
        filters: Mapping[int, RepeatFilter],
    ) -> None:
        self._owner = owner
        self._topic = topic
        self._consumer = consumer
        self._lookup = lookup
        self._offsets = dict(cursor)
        self._filters = filters
        self._names = {partition: topic_partition(topic, partition) for partition in cursor}
        # Fetched and not returned yet: never more than one call's limit, as nothing is fetched while any is left.
        self._fetched: deque[tuple[int, Sequence[Record]]] = deque()
        self._fetched_to = dict(cursor)
        # The refused conditional appends of the stretch being returned, and the offset up to which this is known.
        self._verdicts = {partition: Verdicts(lookup, partition) for partition in cursor}
        self._refused: dict[int, frozenset[int]] = dict.fromkeys(cursor, frozenset())
        self._judged = dict.fromkeys(cursor, 0)
        self._ahead: dict[int, float] = {}
        self._focused: int | None = None
        self._silent = False
        self._closed = False

    def start(self) -> None:
        """Start fetching; called once, after the consumer has started."""
        self._consumer.assign(list(self._names.values()))
        for partition, offset in self._offsets.items():
            self._seek(partition, offset)

    @property
    def cursor(self) -> Cursor:
        """The position after the records returned so far; dropped repeats count as returned."""
        return Cursor(self._offsets)

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail.page`. Can return None early if only repeats or markers arrived: see `cursor`."""
        if partition is not None and partition not in self._names:
            raise JournalError(f"this reader follows partitions {sorted(self._names)}, not {partition}")
        started = time.monotonic()
        while True:
            self._check_open()
            if (chosen := self._choose(partition)) is not None:
                if self._is_judged(chosen):
                    return self._page(chosen, limit)
                if await self._judge(chosen):
                    continue
            wait = self._patience(started, timeout, partition)
            if wait is None:
                await asyncio.sleep(0)  # a caller that never waits must not starve the fetch tasks
                return None
            if chosen is not None:  # records needed to judge a condition could not be read
                await asyncio.sleep(min(wait, AHEAD_RETRY_SECONDS))
                continue
            await self._fetch(limit, wait, partition)
            self._watch_silence(started)
            if not self._fetched and await self._passed_markers(partition):
                return None

    def skip(self, partition: int, offset: int) -> None:
        """See `Tail.skip`. Skipped events of this log's own writer still count for detecting repeats."""
        if offset <= self._offsets[partition]:
            return
        self._filters[partition].note(*self._owner.last_number(partition, offset))
        self._offsets[partition] = offset
        self._verdicts[partition].restart()
        if self._fetched_to[partition] < offset:
            self._seek(partition, offset)
        kept = [
            (each, records if each != partition else [record for record in records if record.offset >= offset])
            for each, records in self._fetched
        ]
        self._fetched = deque((each, records) for each, records in kept if records)

    def trimmed(self, before: Mapping[int, int]) -> None:
        """Discard prefetched records of these partitions: those below the given offsets were removed."""
        for partition, first in before.items():
            if self._offsets.get(partition, first) < first:
                self._fetched = deque(each for each in self._fetched if each[0] != partition)
                self._seek(partition, self._offsets[partition])

    def _patience(self, started: float, timeout: float | None, partition: int | None) -> float | None:
        """Return how long to wait now, in seconds; None if the timeout has passed and no more records are known."""
        passed = time.monotonic() - started
        if timeout is None:
            return READ_SLICE_SECONDS
        if passed < timeout:
            return min(READ_SLICE_SECONDS, timeout - passed)
        if passed < ARRIVAL_SECONDS_MAX and self._knows_of_more(partition):
            return min(READ_SLICE_SECONDS, ARRIVAL_SECONDS_MAX - passed)
        return None

    def _knows_of_more(self, partition: int | None) -> bool:
        """Whether known records have not arrived yet: a call with timeout 0 returns these, too."""
        for each in self._names if partition is None else (partition,):
            end = self._consumer.highwater(self._names[each])
            if each in self._ahead:
                continue
            if end is None or self._offsets[each] < max(end, self._owner.acknowledged(each)):
                return True
        return False

    async def _fetch(self, limit: int, wait: float, partition: int | None) -> None:
        """Wait for records and buffer them; nothing is awaited after they arrive, so cancelling loses nothing."""
        self._try_again()
        self._focus(partition)
        names = [self._names[partition]] if partition is not None else []
        if self._ahead:
            wait = min(wait, AHEAD_RETRY_SECONDS)
        try:
            got = await self._consumer.getmany(*names, timeout_ms=max(1, int(wait * 1_000)), max_records=limit)
        except OffsetOutOfRange as error:
            await self._explain(error, partition)
        except ConsumerStopped:
            self._check_open()
            raise
        except KafkaError as error:
            self._rewind()
            raise self._fatal(error) from error
        else:
            for name, records in got.items():
                self._fetched.append((name.partition, records))
                self._fetched_to[name.partition] = records[-1].offset + 1
                served(self._consumer, name)

    async def _passed_markers(self, partition: int | None) -> bool:
        """Move past records that are never returned (other programs' transaction markers); whether there were any."""
        moved = False
        for each in self._names if partition is None else (partition,):
            position = await self._consumer.position(self._names[each])  # known since the seek: it does not wait
            if position > self._offsets[each]:
                self._offsets[each] = self._fetched_to[each] = position
                moved = True
        return moved

    def _choose(self, partition: int | None) -> int | None:
        """Return the index of the next fetched stretch, None if there is none; in order of arrival."""
        for index, (each, _) in enumerate(self._fetched):
            if partition is None or each == partition:
                return index
        return None

    def _is_judged(self, index: int) -> bool:
        """Whether the refused records of a fetched stretch are known; always if none is conditional."""
        partition, records = self._fetched[index]
        return records[-1].offset < self._judged[partition] or not has_conditions(each.headers for each in records)

    async def _judge(self, index: int) -> bool:
        """Determine which records of a fetched stretch were refused; False if the broker is unavailable."""
        partition, records = self._fetched[index]
        try:
            refused = await self._verdicts[partition].refused(records)
        except JournalUnavailable:
            return False
        self._refused[partition], self._judged[partition] = refused, records[-1].offset + 1
        return True

    def _page(self, index: int, limit: int) -> Page | None:
        """Return at most `limit` records of a fetched stretch; None if all of them are repeats or refused."""
        partition, records = self._fetched[index]
        if len(records) > limit:
            self._fetched[index] = (partition, records[limit:])
            records = records[:limit]
        else:
            del self._fetched[index]
        rows = [record.value or b"" for record in records]
        first, after = records[0].offset, records[-1].offset + 1
        gapless = after - first == len(rows)  # gaps are other programs' transaction markers
        offsets: Sequence[int] = range(first, after) if gapless else [record.offset for record in records]
        self._offsets[partition] = after
        repeats = self._filters[partition].repeats(rows)
        self._verdicts[partition].passed(records)
        refused = self._refused[partition]
        if repeats or refused:
            dropped = {*repeats, *(index for index, offset in enumerate(offsets) if offset in refused)}
            offsets = [offset for index, offset in enumerate(offsets) if index not in dropped]
            rows = [row for index, row in enumerate(rows) if index not in dropped]
        if not rows:
            return None
        page = Page(partition, offsets, rows)
        self._owner.handed_out(page)
        return page

    async def _explain(self, error: Exception, partition: int | None) -> None:
        """Handle an offset out of range: below the start raise `HistoryTruncated`, beyond the end pause and retry."""
        asked = [each for each in (self._names if partition is None else (partition,)) if not self._has_fetched(each)]
        firsts = await self._lookup.firsts(asked)
        for each in asked:
            if self._offsets[each] < firsts[each]:
                first_time = await self._lookup.time_at(each, firsts[each])
                raise HistoryTruncated(each, self._offsets[each], firsts[each], first_time) from error
        ends = await self._lookup.ends(asked)
        for each in asked:
            if self._offsets[each] > ends[each]:
                self._ahead[each] = time.monotonic() + AHEAD_RETRY_SECONDS
                self._consumer.pause(self._names[each])

    def _focus(self, partition: int | None) -> None:
        """Fetch only the requested partition while a single one is requested.

        Otherwise a partition at its end would occupy the connection with a long poll, and one with buffered records
        would delay the next fetch, while a third is requested: a merge of partitions would wait for each in turn.
        """
        if partition == self._focused or len(self._names) == 1:
            return
        wanted = self._names if partition is None else (partition,)
        for each, name in self._names.items():
            if each not in wanted:
                self._consumer.pause(name)
            elif each not in self._ahead:
                self._consumer.resume(name)
        prefetch(self._consumer, partition is None)
        self._focused = partition

    def _has_fetched(self, partition: int) -> bool:
        return any(each == partition for each, _ in self._fetched)

    def _try_again(self) -> None:
        now = time.monotonic()
        for partition in [each for each, when in self._ahead.items() if when <= now]:
            del self._ahead[partition]
            if self._focused in (None, partition):
                self._consumer.resume(self._names[partition])

    def _rewind(self) -> None:
        """Seek back to the records returned last: aiokafka skips a record it could not read (its issue #1173)."""
        self._fetched.clear()
        for partition, offset in self._offsets.items():
            self._seek(partition, offset)

    def _seek(self, partition: int, offset: int) -> None:
        self._fetched_to[partition] = offset
        self._verdicts[partition].restart()
        self._judged[partition] = 0
        self._consumer.seek(self._names[partition], offset)

    def _fatal(self, error: Exception) -> JournalError:
        if isinstance(error, NOT_ALLOWED):
            return JournalUnavailable(
                f"Kafka denies reading the topic {self._topic!r} ({error}): request the right to read it"
            )
        if isinstance(error, CHECKSUM_FAILED):
            return JournalError(
                f"the topic {self._topic!r} is damaged at {self.cursor} or after it: {CHECKSUM_ADVICE} ({error})"
            )
        return JournalError(
            f"the topic {self._topic!r} cannot be read at {self.cursor}: {type(error).__name__}: {error}. Nothing was "
            "skipped."
        )

    def _watch_silence(self, started: float) -> None:
        """Log once that the broker is unavailable and once that it is back; every answered fetch counts as alive."""
        heard = max((self._consumer.last_poll_timestamp(name) or 0 for name in self._names.values()), default=0)
        waited = time.monotonic() - started
        silent = waited > KAFKA_SILENCE_SECONDS_MAX and time.time() - heard / 1_000 > KAFKA_SILENCE_SECONDS_MAX
        if silent and not self._silent and len(self._ahead) < len(self._names):
            self._silent = True
            LOGGER.warning(
                "Kafka has not answered a reader of %r for %g s; it waits", self._topic, KAFKA_SILENCE_SECONDS_MAX
            )
        elif self._silent and time.time() - heard / 1_000 < READ_SLICE_SECONDS:
            self._silent = False
            LOGGER.warning("Kafka answers the reader of %r again", self._topic)

    def _check_open(self) -> None:
        self._owner.check_open()
        if self._closed:
            raise JournalClosed(f"this reader of {self._topic!r} is closed; create another")

    def leave_to_parent(self) -> None:
        """Mark this reader closed in a forked child: the consumer belongs to the parent, which continues to use it."""
        self._closed = True

    async def aclose(self) -> None:
        """Stop fetching; closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._owner.forget(self)
            await asyncio.shield(stop_consumer(self._consumer))
