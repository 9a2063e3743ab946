"""The appends of one log on Kafka: numbering, queueing for the partitions' appenders, and waiting for the brokers."""

import asyncio
import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from ..append_counts import AppendCounts
from ..conditions import is_conditional
from ..errors import AppendInDoubt, JournalError, JournalGone, JournalUnavailable
from ..event import Draft, Event, check, record
from ..event_decoding import decode
from ..limits import CLOCK_SKEW_SECONDS_MAX, CLOSE_SECONDS_MAX
from ..log import check_batch, check_partitions
from ..writer import Writer
from .append_history import AppendHistory, LandedEvent
from .appender import Appender, Part
from .client import murmur2
from .clocks import ClockComparison
from .condition import Condition
from .conditional import ConditionalAppends
from .limits import APPEND_QUEUE_BYTES_MAX, APPEND_SECONDS_MAX, KEYS_REMEMBERED
from .lookup import Lookup
from .producer import ProducerSource
from .recent import RecentPages
from .verdicts import Verdicts

_seq_of: Final = operator.attrgetter("seq")
_timestamp_of: Final = operator.attrgetter("timestamp")
_origin_of: Final = operator.attrgetter("origin")
_partition_named_by: Final = operator.attrgetter("partition")


class Appends:
    """Appends to the `partitions` of one topic, which ended at `ends_at_open` when the log was opened.

    `addresses` are those of the cluster, for messages; `broken(error)` is called when an appender fails unexpectedly.
    """

    def __init__(
        self,
        addresses: str,
        topic: str,
        partitions: int,
        *,
        producers: ProducerSource,
        reader: Lookup,
        recent: RecentPages,
        ends_at_open: Mapping[int, int],
        clock: Callable[[], float],
        broken: Callable[[JournalGone], None],
    ) -> None:
        self._addresses = addresses
        self._topic = topic
        self._partitions = partitions
        self._producers = producers
        self._reader = reader
        self._recent = recent
        self._ends_at_open = ends_at_open
        self._clock = clock
        self._clocks = ClockComparison(clock)
        self._broken = broken
        self._writer = Writer()
        self._history = AppendHistory(self._writer.id)
        self._appenders: dict[int, Appender] = {}
        self._conditionals = ConditionalAppends(self, reader)
        self._partition_of_key = functools.lru_cache(KEYS_REMEMBERED)(self._hash_key)

    @property
    def counts(self) -> AppendCounts:
        """The counts of the acknowledged appends."""
        return self._writer.counts

    def partition_of(self, key: str | None) -> int:
        """Return the partition of a key by the hash of Kafka's default partitioner; without a key, the writer's."""
        if self._partitions == 1:
            return 0
        return self._partition_of_key(key if key is not None else self._writer.id)

    def _hash_key(self, key: str) -> int:
        return hash_of(key) % self._partitions

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log.append`. Waits for the broker at most `APPEND_SECONDS_MAX`; after that the append stays queued.

        Back-pressure: raises `JournalUnavailable`, with nothing sent, when too many bytes are queued already.
        """
        sizes = [check(draft) for draft in drafts]
        check_batch(sizes)
        if is_conditional(drafts):
            return await self._conditionals.append(drafts, sum(sizes))
        if {*map(_partition_named_by, drafts)} != {None}:
            check_partitions(drafts, self._partitions)
        if (partition := self._only_partition(drafts)) is not None:
            part = self._enqueue_plain(partition, drafts, sum(sizes))
            events = part.events  # the part drops its reference when it is settled
            await self.settled([part], drafts)
            return events
        if len({id(draft) for draft in drafts}) < len(drafts):
            return await self._append_with_doubles(drafts)
        recorded: dict[tuple[str, int], Event] = {}
        while missing := [each for each in drafts if each.seq and self._must_look_up(each, recorded)]:
            for draft in missing:
                await self.look_up(draft, recorded)
        events, parts = self._enqueue(drafts, sizes, recorded)
        await self.settled(parts, drafts)
        for part in parts:
            if part.condition is not None and await self._conditionals.is_refused(part):
                raise JournalUnavailable("an earlier conditional append of these drafts was refused: append them again")
        return events

    async def _append_with_doubles(self, drafts: Sequence[Draft]) -> list[Event]:
        """Append drafts of which some are the same object: each object becomes one event."""
        single = {id(draft): draft for draft in drafts}
        events = dict(zip(single, await self.append(list(single.values())), strict=True))
        return [events[id(draft)] for draft in drafts]

    def _only_partition(self, drafts: Sequence[Draft]) -> int | None:
        """Return the common partition if all drafts are new, distinct, without time and origin; else None."""
        if any(map(_seq_of, drafts)) or {*map(_timestamp_of, drafts)} != {None} or any(map(_origin_of, drafts)):
            return None
        if len({*map(id, drafts)}) < len(drafts):
            return None
        if self._partitions == 1:
            return 0
        partition = self.partition_for(drafts[0])
        return partition if all(self.partition_for(draft) == partition for draft in drafts) else None

    def _enqueue_plain(self, partition: int, drafts: Sequence[Draft], size: int) -> Part:
        """The fast path of `_enqueue` for the most common drafts, at a third of the cost."""
        self._check_room(size)
        part = Part(partition)
        part.drafts, part.size = list(drafts), size
        part.events, part.rows = self._writer.record_all(drafts, self._clock(), 0)
        self._history.remember(drafts[0].seq, part)
        self._appender(partition).enqueue(part)
        return part

    def enqueue_all(self, partition: int, drafts: Sequence[Draft], size: int, condition: Condition | None) -> Part:
        """Number new drafts of one partition and queue them as one part, with their condition."""
        self._check_room(size)
        part, now = Part(partition), self._clock()
        part.condition = condition
        for draft in drafts:
            self._writer.number(draft)
            event, row = record(draft, self._writer.time_of(draft, now))
            part.add(draft, event, row, 0)
        part.size = size
        self._history.remember(drafts[0].seq, part)
        self._appender(partition).enqueue(part)
        return part

    def pending(self, draft: Draft) -> tuple[Part, Event] | None:
        """Return the unsettled part that contains a draft handed in before, and its event; None if there is none."""
        return self._history.pending(draft.writer, draft.seq)

    def handed_out_at(self, partition: int, offset: int) -> bool:
        """Whether a reader of this log recently received the record at this position."""
        return self._recent.row(partition, offset) is not None

    def partition_for(self, draft: Draft) -> int:
        """Return the partition that a draft names, or its key's."""
        return draft.partition if draft.partition is not None else self.partition_of(draft.key)

    def _must_look_up(self, draft: Draft, recorded: Mapping[tuple[str, int], Event]) -> bool:
        key = (draft.writer, draft.seq)
        return key not in recorded and self._history.pending(*key) is None

    async def look_up(self, draft: Draft, recorded: dict[tuple[str, int], Event]) -> None:
        """Look up a draft that was numbered before: record its event if it was written and not refused, else reset it.

        The positions of this log's recent appends are remembered. Any other event is searched for from the creation
        time of its writer on, which is encoded in the writer's id (a UUIDv7).
        """
        key, partition = (draft.writer, draft.seq), self.partition_for(draft)
        place = self._history.place(*key)
        if place is not None:
            partition, offset = place
        else:
            begin = await self._earliest(draft.writer, partition)
            end = (await self._reader.ends([partition]))[partition]
            found = await self._reader.find(partition, begin, end, {key})
            offset = found.get(key, -1)
        rows = await self._reader.read(partition, offset, offset + 1, 1) if offset >= 0 else None
        if rows is not None and not await Verdicts(self._reader, partition).refused(rows.records):
            recorded[key] = decode(rows.rows[0], partition, rows.offsets[0])
        elif self._history.pending(*key) is None and (draft.writer, draft.seq) == key:
            # It was never written, or refused. Its number may be below one of the same writer that was written, and
            # then readers would drop it as a repeat.
            draft.writer, draft.seq = "", 0

    async def _earliest(self, writer: str, partition: int) -> int:
        """Return an offset before which the writer has no events; for this log's own writer, no clock is consulted."""
        if writer == self._writer.id:
            return self._ends_at_open.get(partition, 0)
        return (await self._reader.offsets_at(_birth(writer), [partition]))[partition]

    def _enqueue(
        self, drafts: Sequence[Draft], sizes: Sequence[int], recorded: Mapping[tuple[str, int], Event]
    ) -> tuple[list[Event], list[Part]]:
        """Number, stamp and queue the new drafts without awaiting, so that the log's order is the order of numbers.

        Returns the event of each draft, which gets its position once the parts are settled.
        """
        chosen: list[Event | None] = [None] * len(drafts)
        parts: dict[int, Part] = {}
        fresh: list[int] = []
        for index, draft in enumerate(drafts):
            if not draft.seq:
                fresh.append(index)
            elif (pending := self._history.pending(draft.writer, draft.seq)) is not None:
                parts[id(pending[0])], chosen[index] = pending
            else:
                chosen[index] = recorded[draft.writer, draft.seq]
        if fresh:
            self._check_room(sum(sizes[index] for index in fresh))
            for part in self._number(drafts, sizes, fresh, chosen):
                parts[id(part)] = part
                self._appender(part.partition).enqueue(part)
        return cast("list[Event]", chosen), list(parts.values())

    def _number(
        self, drafts: Sequence[Draft], sizes: Sequence[int], fresh: Sequence[int], chosen: list[Event | None]
    ) -> list[Part]:
        """Number and encode the fresh drafts in the order given, grouped into one part per partition."""
        number, stamp, now = self._writer.number, self._writer.time_of, self._clock()
        parts: dict[int, Part] = {}
        places: list[LandedEvent] = []
        for index in fresh:
            draft = drafts[index]
            partition = self.partition_for(draft)
            part = parts.get(partition)
            if part is None:
                part = parts[partition] = Part(partition)
            number(draft)
            event, row = record(draft, stamp(draft, now))
            chosen[index] = event
            places.append(LandedEvent(part, len(part.rows)))
            part.add(draft, event, row, sizes[index])
        single = len(parts) == 1
        self._history.remember(drafts[fresh[0]].seq, places[0].part if single else places)
        return list(parts.values())

    def _check_room(self, size: int) -> None:
        waiting = sum(each.queued_bytes for each in self._appenders.values())
        if waiting and waiting + size > APPEND_QUEUE_BYTES_MAX:
            raise JournalUnavailable(
                f"{waiting:,} bytes of appends wait for Kafka at {self._addresses}, the limit is "
                f"{APPEND_QUEUE_BYTES_MAX:,}; nothing of this one was sent. Try again when Kafka answers."
            )

    def _appender(self, partition: int) -> Appender:
        appender = self._appenders.get(partition)
        if appender is None:
            appender = Appender(
                self._topic,
                partition,
                self._producers,
                self._reader,
                self._ends_at_open.get(partition, 0),
                self._clocks,
                self._partitions,
                self._broken,
                self.counts,
            )
            self._appenders[partition] = appender
        return appender

    async def settled(self, parts: Sequence[Part], drafts: Sequence[Draft]) -> None:
        """Wait until parts are acknowledged, at most `APPEND_SECONDS_MAX`; `drafts` go into an `AppendInDoubt`."""
        deadline = asyncio.get_running_loop().time() + APPEND_SECONDS_MAX
        for part in parts:
            if not await part.wait(deadline):
                raise AppendInDoubt(
                    f"Kafka at {self._addresses} has not acknowledged an append to {self._topic!r} for "
                    f"{APPEND_SECONDS_MAX:g} s; it stays queued. Append the same drafts again to keep waiting.",
                    tuple(drafts),
                )
        for part in parts:
            if part.error is not None:
                raise part.error

    def acknowledged(self, partition: int) -> int:
        """Return the offset after the last event this log has appended to `partition`; 0 if none."""
        appender = self._appenders.get(partition)
        return appender.acknowledged if appender is not None else 0

    def last_number(self, partition: int, offset: int) -> tuple[str, int]:
        """Return the writer of this log and the number of its last event below `offset` of `partition`."""
        return self._writer.id, self._history.last_before(partition, offset)

    def end(self, error: JournalError) -> None:
        """Fail all waiting appends: the topic is no longer the one opened."""
        for appender in self._appenders.values():
            appender.end(error)

    async def stop(self) -> int:
        """Wait at most `CLOSE_SECONDS_MAX` for the queued appends, fail the rest, and return their events' number."""
        flushes = [asyncio.ensure_future(each.flush()) for each in self._appenders.values()]
        if flushes:
            _, late = await asyncio.wait(flushes, timeout=CLOSE_SECONDS_MAX)
            for flush in late:
                flush.cancel()
            if late:
                await asyncio.wait(late)
        return sum([await each.stop() for each in self._appenders.values()])


def hash_of(key: str) -> int:
    """Return the hash of Kafka's default partitioner."""
    return murmur2(key.encode())


def _birth(writer: str) -> float:
    """Return a writer's creation time (seconds since the epoch) less the allowed clock skew; 0 if its id has none."""
    try:
        return int(writer[:12], 16) / 1_000 - CLOCK_SKEW_SECONDS_MAX
    except ValueError:
        return 0.0
