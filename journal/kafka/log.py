"""Implement the log on a Kafka topic.

A record's value is the encoded event; its key is empty, because the event carries its own. Kafka's guarantees and
gaps were measured on Kafka 4.3.1; the modules of this package document them.
"""

import asyncio
import contextlib
import functools
import operator
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast
from urllib.parse import SplitResult, unquote

from ..conditions import is_conditional
from ..cursor import Cursor
from ..errors import (
    AppendInDoubt,
    BadJournalURL,
    JournalClosed,
    JournalError,
    JournalGone,
    JournalUnavailable,
    PartitionsChanged,
)
from ..event import Draft, Event, check, decode, record
from ..limits import CLOCK_SKEW_SECONDS_MAX, CLOSE_SECONDS_MAX, PAGE_EVENTS, PARTITIONS_MAX
from ..log import Bounds, Page, check_batch, check_cursor, check_partitions
from ..redaction import redacted
from ..runtime.forks import reset_after_fork
from ..runtime.portal import keep_for_ever
from ..snapshots import SnapshotStore
from ..url_options import CREATE, options, whole_number
from ..writer import Writer
from .append_history import AppendHistory, Place
from .appender import Appender, Part
from .client import (
    LOGGER,
    KafkaError,
    delete_records,
    has_c_extension,
    make_admin,
    make_consumer,
    murmur2,
    quiet_client_logging,
    stop_admin,
    stop_consumer,
)
from .clocks import ClockComparison
from .condition import Condition, condition_in, lowest_needed
from .conditional import ConditionalAppends
from .connection import SECURITY_OPTIONS, Connection, connection_from_url
from .identity import TopicIdentity, TopicSeen
from .limits import (
    APPEND_QUEUE_BYTES_MAX,
    APPEND_SECONDS_MAX,
    CONDITION_EVENTS_MAX,
    DEDUPE_PRIMING_EVENTS,
    KAFKA_FETCH_WAIT_SECONDS,
    KAFKA_OPEN_SECONDS_MAX,
    KAFKA_REQUEST_SECONDS_MAX,
    READINGS_REMEMBERED,
    TOPIC_MESSAGE_BYTES_MIN,
)
from .lookup import Lookup
from .partition_count import written_partitions
from .producer import ProducerSource
from .recent import RecentPages
from .repeats import RepeatFilter
from .snapshots import KafkaSnapshots
from .state import index_path
from .tail import KafkaTail
from .topic import TopicFacts, ensure_topic
from .verdicts import Verdicts

PRIMING_EVENTS_MIN: Final = 100
PRIMING_RATIO: Final = DEDUPE_PRIMING_EVENTS // PAGE_EVENTS
REPLICATION_MAX: Final = 32_767
KEYS_REMEMBERED: Final = 65_536
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_FETCH_WAIT_MS: Final = int(KAFKA_FETCH_WAIT_SECONDS * 1_000)
_warned_of_slow_records: list[bool] = []
_seq_of: Final = operator.attrgetter("seq")
_timestamp_of: Final = operator.attrgetter("timestamp")
_partition_named_by: Final = operator.attrgetter("partition")


def kafka_log_from_url(url: str, parts: SplitResult) -> "KafkaLog":
    """The log of ``kafka://[user:password@]host:9092,host2:9092/topic?partitions=N&replication=R&state=D&tls=true…``."""
    shown = redacted(url)
    if "@" in parts.path + parts.query:
        raise BadJournalURL(
            f"expected kafka://user:password@host:9092/topic, got {shown!r}, with an '@' after the host. In a "
            "password write / as %2F, # as %23, ? as %3F and @ as %40, or set it in JOURNEYMAN_KAFKA_PASSWORD; "
            "elsewhere write @ as %40"
        )
    given = options(shown, parts, ("partitions", "replication", "added", "state", CREATE, *SECURITY_OPTIONS))
    topic = unquote(parts.path[1:])
    if given.get("added") not in (None, "ignore"):
        raise BadJournalURL(f"{shown!r}: added is 'ignore' or left out, got {given['added']!r}")
    if not parts.netloc or not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise BadJournalURL(
            f"expected kafka://host:9092,host2:9092/topic with a topic of letters, digits, '._-', got {shown!r}"
        )
    return KafkaLog(
        connection_from_url(shown, parts, given),
        topic,
        partitions=whole_number(shown, "partitions", given["partitions"], PARTITIONS_MAX)
        if "partitions" in given
        else None,
        replication=whole_number(shown, "replication", given["replication"], REPLICATION_MAX)
        if "replication" in given
        else None,
        state=given.get("state"),
        ignore_added="added" in given,
        url=shown,
    )


class KafkaLog:
    """A log on a Kafka topic.

    `partitions` and `replication` apply when the topic is created (None: 1, and the cluster's default); an existing
    topic must not contradict them. With `ignore_added`, partitions added to the topic later are ignored; without it
    such a topic is refused. `state` is the directory for data that this host derives from the topic. `clock` returns
    seconds since the epoch. The log belongs to the event loop it is opened in.
    """

    needs_loop = True

    def __init__(
        self,
        connection: Connection,
        topic: str,
        *,
        partitions: int | None = None,
        replication: int | None = None,
        state: str | None = None,
        ignore_added: bool = False,
        url: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url or f"kafka://{connection.addresses}/{topic}"
        self.topic = topic
        self._connection = connection
        self._asked_partitions = partitions
        self._asked_replication = replication
        self._asked_state = state
        self._ignore_added = ignore_added
        self._clock = clock
        self._clocks = ClockComparison(clock)
        self._writer = Writer()
        self._facts: TopicFacts | None = None
        self._lookup: Lookup | None = None
        self._identity: TopicIdentity | None = None
        self._producers = ProducerSource(connection, topic)
        self._history = AppendHistory(self._writer.id)
        self._appenders: dict[int, Appender] = {}
        self._ends_at_open: dict[int, int] = {}
        self._tails: set[KafkaTail] = set()
        self._recent = RecentPages()
        self._filters: OrderedDict[tuple[int, int], RepeatFilter] = OrderedDict()
        self._snapshots: KafkaSnapshots | None = None
        self._conditionals: ConditionalAppends  # once opened
        self._opening = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._is_parents = False
        self._broken: JournalGone | None = None
        self._partition_of_key = functools.lru_cache(KEYS_REMEMBERED)(self._hash_key)
        reset_after_fork(self)

    @property
    def partitions(self) -> int:
        """The number of partitions of the topic; known once opened."""
        return self._opened.partitions

    async def open(self, *, create: bool = True) -> None:
        """Connect to the cluster; create the topic, or check that its settings keep history.

        Raises `JournalUnavailable`, `JournalNotFound`, `UnsafeTopic` or `BadJournalURL`, each with what to do.
        """
        self.check_open()
        async with self._opening:
            if self._facts is not None:
                return
            self._loop = asyncio.get_running_loop()
            quiet_client_logging()
            _warn_of_slow_records()
            facts = await ensure_topic(
                self._connection,
                self.topic,
                self._asked_partitions,
                self._asked_replication,
                self.url,
                create=create,
            )
            if facts.partitions > PARTITIONS_MAX:
                raise BadJournalURL(
                    f"{self.url!r}: the topic has {facts.partitions:,} partitions, a journal at most {PARTITIONS_MAX:,}"
                )
            lookup = Lookup(self._connection, self.topic, self._check_topic)
            try:
                async with asyncio.timeout(KAFKA_OPEN_SECONDS_MAX):
                    await lookup.start()
                    seen = await lookup.topic_seen()
                    self._ends_at_open = await lookup.ends(range(facts.partitions))
                    facts = await self._facts_as_written(lookup, facts)
            except (KafkaError, OSError, TimeoutError, JournalUnavailable) as error:
                await lookup.stop()
                raise self._unreachable(error) from error
            except (PartitionsChanged, BadJournalURL):
                await lookup.stop()
                raise
            opened = TopicSeen(
                seen.id if seen is not None else None, PARTITIONS_MAX if self._ignore_added else facts.partitions
            )
            self._identity = TopicIdentity(self.topic, opened, lookup.topic_seen, self._end)
            lookup.binding = self._producers.binding = self._identity.binding
            self._lookup, self._facts = lookup, facts
            self._identity.start()
            self._conditionals = ConditionalAppends(self, lookup)

    async def _facts_as_written(self, lookup: Lookup, facts: TopicFacts) -> TopicFacts:
        """Return the facts with the number of partitions that the journal was written with.

        Raises `PartitionsChanged` if the topic has more, `BadJournalURL` if the URL gives another number.
        """
        written = await written_partitions(lookup, self._ends_at_open, _hash)
        if written is not None and written < facts.partitions:
            if not self._ignore_added:
                raise PartitionsChanged(self.topic, written, facts.partitions)
            facts = facts._replace(partitions=written)
        asked = self._asked_partitions
        if asked not in (None, facts.partitions) and not self._ignore_added:
            raise BadJournalURL(
                f"{self.url!r}: the topic {self.topic!r} has {facts.partitions} partition(s), the URL says {asked}. A "
                f"journal's partitions never change, or its keys would move: use partitions={facts.partitions} or "
                "omit it."
            )
        return facts

    def partition_of(self, key: str | None) -> int:
        """Return the partition of a key by the hash of Kafka's default partitioner; without a key, the writer's."""
        if self._opened.partitions == 1:
            return 0
        return self._partition_of_key(key if key is not None else self._writer.id)

    def _hash_key(self, key: str) -> int:
        return _hash(key) % self._opened.partitions

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log.append`. Waits for the broker at most `APPEND_SECONDS_MAX`; after that the append stays queued.

        Back-pressure: raises `JournalUnavailable`, with nothing sent, when too many bytes are queued already.
        """
        self.check_open()
        sizes = [check(draft) for draft in drafts]
        check_batch(sizes)
        if is_conditional(drafts):
            return await self._conditionals.append(drafts, sum(sizes))
        if {*map(_partition_named_by, drafts)} != {None}:
            check_partitions(drafts, self._opened.partitions)
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
        """Return the common partition if all drafts are new, distinct and without a timestamp; otherwise None."""
        if any(map(_seq_of, drafts)) or {*map(_timestamp_of, drafts)} != {None}:
            return None
        if len({*map(id, drafts)}) < len(drafts):
            return None
        if self._opened.partitions == 1:
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
        places: list[Place] = []
        for index in fresh:
            draft = drafts[index]
            partition = self.partition_for(draft)
            part = parts.get(partition)
            if part is None:
                part = parts[partition] = Part(partition)
            number(draft)
            event, row = record(draft, stamp(draft, now))
            chosen[index] = event
            places.append(Place(part, len(part.rows)))
            part.add(draft, event, row, sizes[index])
        single = len(parts) == 1
        self._history.remember(drafts[fresh[0]].seq, places[0].part if single else places)
        return list(parts.values())

    def _check_room(self, size: int) -> None:
        waiting = sum(each.queued_bytes for each in self._appenders.values())
        if waiting and waiting + size > APPEND_QUEUE_BYTES_MAX:
            raise JournalUnavailable(
                f"{waiting:,} bytes of appends wait for Kafka at {self._connection.addresses}, the limit is "
                f"{APPEND_QUEUE_BYTES_MAX:,}; nothing of this one was sent. Try again when Kafka answers."
            )

    def _appender(self, partition: int) -> Appender:
        appender = self._appenders.get(partition)
        if appender is None:
            appender = Appender(
                self.topic,
                partition,
                self._producers,
                self._reader,
                self._ends_at_open.get(partition, 0),
                self._clocks,
                self.partitions,
                self._break,
            )
            self._appenders[partition] = appender
        return appender

    async def settled(self, parts: Sequence[Part], drafts: Sequence[Draft]) -> None:
        """Wait until parts are acknowledged, at most `APPEND_SECONDS_MAX`; `drafts` go into an `AppendInDoubt`."""
        deadline = asyncio.get_running_loop().time() + APPEND_SECONDS_MAX
        for part in parts:
            if not await part.wait(deadline):
                raise AppendInDoubt(
                    f"Kafka at {self._connection.addresses} has not acknowledged an append to {self.topic!r} for "
                    f"{APPEND_SECONDS_MAX:g} s; it stays queued. Append the same drafts again to keep waiting.",
                    tuple(drafts),
                )
        for part in parts:
            if part.error is not None:
                raise part.error

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """See `Log.read`."""
        self.check_open()
        pages: list[Page] = []
        if limit == 1 and len(cursor) == 1:
            ((partition, offset),) = cursor.items()
            if (row := self._recent.row(partition, offset)) is not None:
                return [Page(partition, [offset], [row])]
        check_cursor(cursor, self.partitions)
        ends = await self._ends_for({partition: offset + limit for partition, offset in cursor.items()})
        for partition, offset in cursor.items():
            if limit <= 0:
                break
            page = await self._read_page(partition, offset, ends[partition], limit)
            if page is not None:
                pages.append(page)
                limit -= len(page.rows)
        return pages

    async def _ends_for(self, wanted: Mapping[int, int]) -> Mapping[int, int]:
        """Return an end of each partition: a known one if it reaches the wanted offsets, otherwise the current one."""
        known = self._reader.known_end
        for partition in wanted:
            known[partition] = max(known.get(partition, 0), self.acknowledged(partition))
        if any(known[partition] < offset for partition, offset in wanted.items()):
            return await self._reader.ends(wanted)
        return known

    async def _read_page(self, partition: int, offset: int, end: int, limit: int) -> Page | None:
        """Read up to `limit` records from `offset` on, without repeats and refused records; None if there are none."""
        if offset >= end:
            return None
        repeats = self._filters.pop((partition, offset), None)
        if repeats is None:
            # In proportion to the limit: reading one record stays cheap.
            stretch = min(max(PRIMING_RATIO * limit, PRIMING_EVENTS_MIN), DEDUPE_PRIMING_EVENTS)
            repeats = await self._reader.primed(partition, offset, stretch)
        offsets: list[int] = []
        rows: list[bytes] = []
        verdicts = Verdicts(self._reader, partition)
        while offset < end and len(rows) < limit:
            got = await self._reader.read(partition, offset, end, limit - len(rows))
            refused = await verdicts.refused(got.records)
            dropped = {*repeats.repeats(got.rows), *(at for at, each in enumerate(got.offsets) if each in refused)}
            verdicts.passed(got.records)
            offsets += [each for index, each in enumerate(got.offsets) if index not in dropped]
            rows += [each for index, each in enumerate(got.rows) if index not in dropped]
            if got.next_offset == offset:
                break
            offset = got.next_offset
        if not rows:
            return None
        self._filters[partition, offsets[-1] + 1] = repeats
        if len(self._filters) > READINGS_REMEMBERED:
            self._filters.popitem(last=False)
        return Page(partition, offsets, rows)

    async def tail(self, cursor: Mapping[int, int]) -> KafkaTail:
        """See `Log.tail`."""
        self.check_open()
        check_cursor(cursor, self.partitions)
        ends = await self._ends_for(cursor)
        filters = {each: await self._reader.primed(each, min(offset, ends[each])) for each, offset in cursor.items()}
        fetch_bytes = max(self._opened.message_bytes, TOPIC_MESSAGE_BYTES_MIN)
        consumer = make_consumer(self._connection, fetch_bytes, _FETCH_WAIT_MS, lambda: self._producers.binding)
        try:
            async with asyncio.timeout(KAFKA_OPEN_SECONDS_MAX):
                await consumer.start()
            self.check_open()
        except BaseException as error:
            await stop_consumer(consumer)
            if isinstance(error, KafkaError | OSError | TimeoutError):
                raise self._unreachable(error) from error
            raise
        tail = KafkaTail(self, self.topic, consumer, self._reader, cursor, filters)
        tail.start()
        self._tails.add(tail)
        return tail

    async def bounds(self) -> Bounds:
        """See `Log.bounds`."""
        self.check_open()
        every = range(self.partitions)
        firsts, ends = await asyncio.gather(self._reader.firsts(every), self._reader.ends(every))
        # The two answers are from two moments: everything may have been removed between them.
        return Bounds(Cursor(firsts), Cursor({each: max(ends[each], firsts[each]) for each in every}))

    async def position_at(self, timestamp: float) -> Cursor:
        """See `Log.position_at`; times are those of the brokers, in milliseconds."""
        self.check_open()
        return Cursor(await self._reader.offsets_at(timestamp, range(self.partitions)))

    async def trim(self, before: Mapping[int, int]) -> None:
        """Remove the records below the given offsets permanently and for all readers, as retention does."""
        self.check_open()
        check_cursor(before, self.partitions)
        bounds = await self.bounds()
        orders = {
            each: await self._whole_from(each, min(offset, bounds.end[each]), bounds.end[each])
            for each, offset in before.items()
            if offset > bounds.first[each]
        }
        admin = make_admin(self._connection, int(KAFKA_REQUEST_SECONDS_MAX * 1_000))
        try:
            await admin.start()
            if orders:
                await delete_records(admin, self.topic, orders)
                self._recent.clear()
                for tail in self._tails:
                    tail.trimmed(orders)
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        finally:
            await stop_admin(admin)

    def index_path(self) -> str:
        """See `Sited.index_path`: in the host's state directory."""
        binding = None if self._identity is None else self._identity.binding
        topic_id = None if binding is None else binding.id
        return index_path(self._asked_state, self._connection.addresses, self.topic, topic_id)

    async def _whole_from(self, partition: int, offset: int, end: int) -> int:
        """Return the highest offset up to `offset` from which every conditional append can still be judged."""
        records = await self._reader.stretch(partition, offset, min(end, offset + CONDITION_EVENTS_MAX))
        return lowest_needed(offset, ((each.offset, condition_in(each.headers)) for each in records if each.headers))

    def snapshots(self) -> SnapshotStore:
        """See `Log.snapshots`: in a compacted topic beside the journal's."""
        if self._snapshots is None:
            self._snapshots = KafkaSnapshots(self._connection, self.topic, self._opened.replication)
        return self._snapshots

    async def aclose(self) -> None:
        """See `Log.aclose`. Waits at most `CLOSE_SECONDS_MAX` for appends; the rest fail with `AppendInDoubt`."""
        if self._is_parents:
            return
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(), name="journeyman-kafka-close")
        await asyncio.shield(self._closing)

    def _end(self, error: JournalError) -> None:
        """Fail all waiting appends: the topic is no longer the one opened. Readers detect it in `check_open`."""
        for appender in self._appenders.values():
            appender.end(error)

    def _break(self, error: JournalGone) -> None:
        """Mark the log as unusable: an appender failed unexpectedly."""
        self._broken = self._broken or error

    def _check_topic(self) -> None:
        if self._broken is not None:
            raise self._broken.with_traceback(None)
        if self._identity is not None and self._identity.error is not None:
            raise self._identity.error.with_traceback(None)

    async def _close(self) -> None:
        """Release all resources, even if a step fails or is cancelled; the exit stack runs the steps in reverse."""
        async with contextlib.AsyncExitStack() as steps:
            if self._lookup is not None:
                steps.push_async_callback(self._lookup.stop)
            steps.push_async_callback(self._producers.stop)
            for tail in list(self._tails):
                steps.push_async_callback(tail.aclose)
            steps.push_async_callback(self._stop_appenders)
            if self._identity is not None:
                steps.push_async_callback(self._identity.stop)

    async def _stop_appenders(self) -> None:
        flushes = [asyncio.ensure_future(each.flush()) for each in self._appenders.values()]
        if flushes:
            _, late = await asyncio.wait(flushes, timeout=CLOSE_SECONDS_MAX)
            for flush in late:
                flush.cancel()
            if late:
                await asyncio.wait(late)
        lost = sum([await each.stop() for each in self._appenders.values()])
        if lost:
            LOGGER.warning("closed the journal %r with %d events of unknown fate: Kafka did not answer", self.url, lost)

    def check_open(self) -> None:
        """Raise `JournalClosed` after `aclose` or the end of its loop, `JournalUnavailable` in a forked child."""
        if self._is_parents:
            raise JournalUnavailable(
                f"this process was forked from one that has {self.url!r} open and must not use its connections: "
                "open the journal here, and create new readers"
            )
        if self._closing is not None:
            raise JournalClosed(f"the journal {self.url} is closed; open it again to go on")
        if self._loop is not None and self._loop.is_closed():
            raise JournalClosed(
                f"the journal {self.url} was opened in an event loop that has been closed: create an AsyncJournal in "
                "each asyncio.run(), or use a Journal, which runs its own loop"
            )
        self._check_topic()

    def acknowledged(self, partition: int) -> int:
        """Return the offset after the last event this log has appended to `partition`; 0 if none."""
        appender = self._appenders.get(partition)
        return appender.acknowledged if appender is not None else 0

    def handed_out(self, page: Page) -> None:
        """Remember a page that a reader of this log received."""
        self._recent.keep(page)

    def last_number(self, partition: int, offset: int) -> tuple[str, int]:
        """Return the writer of this log and the number of its last event below `offset` of `partition`."""
        return self._writer.id, self._history.last_before(partition, offset)

    def forget(self, tail: KafkaTail) -> None:
        """Remove a closed reader."""
        self._tails.discard(tail)

    def anew(self) -> "KafkaLog":
        """Return a log with the same topic and options, not opened and with its own writer: for a forked child."""
        self.after_fork_in_child()
        return KafkaLog(
            self._connection,
            self.topic,
            partitions=self._asked_partitions,
            replication=self._asked_replication,
            state=self._asked_state,
            ignore_added=self._ignore_added,
            url=self.url,
            clock=self._clock,
        )

    def after_fork_in_child(self) -> None:
        """Refuse any further use in this process, and keep the parent's connections untouched.

        None of these objects may be garbage-collected here: collecting a connection closes it, which sends bytes to the
        broker over the parent's socket or unregisters that socket from the epoll that both processes share.
        """
        if not self._is_parents and self._process != os.getpid():
            self._is_parents = True
            for tail in self._tails:
                tail.leave_to_parent()
            if self._loop is not None:
                keep_for_ever(self._loop, self)

    @property
    def _opened(self) -> TopicFacts:
        if self._facts is None:
            raise JournalError(f"the journal {self.url} is not open yet: await open() first")
        return self._facts

    @property
    def _reader(self) -> Lookup:
        if self._lookup is None:
            raise JournalError(f"the journal {self.url} is not open yet: await open() first")
        return self._lookup

    def _unreachable(self, error: Exception) -> JournalUnavailable:
        return JournalUnavailable(
            f"Kafka at {self._connection.addresses} does not answer for the topic {self.topic!r} "
            f"({str(error) or type(error).__name__}); try again later"
        )


def _hash(key: str) -> int:
    return murmur2(key.encode())


def _birth(writer: str) -> float:
    """Return a writer's creation time (seconds since the epoch) less the allowed clock skew; 0 if its id has none."""
    try:
        return int(writer[:12], 16) / 1_000 - CLOCK_SKEW_SECONDS_MAX
    except ValueError:
        return 0.0


def _warn_of_slow_records() -> None:
    if not _warned_of_slow_records and not has_c_extension():
        _warned_of_slow_records.append(True)
        LOGGER.warning(
            "aiokafka runs without its C extension and is many times slower: install a wheel, and unset "
            "AIOKAFKA_NO_EXTENSIONS"
        )
