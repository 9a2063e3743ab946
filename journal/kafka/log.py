"""Implement the log on a Kafka topic.

A record's value is the encoded event; its key is empty, because the event carries its own. Kafka's guarantees and
gaps were measured on Kafka 4.3.1; the modules of this package document them.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from ..append_counts import AppendCounts
from ..cursor import Cursor
from ..errors import BadJournalURL, JournalError, JournalGone, JournalUnavailable, PartitionsChanged
from ..event import Draft, Event
from ..limits import PAGE_EVENTS, PARTITIONS_MAX
from ..log import Bounds, Page, check_cursor
from ..loop_bound import check_usable
from ..runtime.forks import reset_after_fork
from ..runtime.portal import keep_for_ever
from ..snapshots import SnapshotStore
from ..state_directory import index_path
from .appends import Appends, hash_of
from .client import (
    LOGGER,
    KafkaError,
    delete_records,
    make_admin,
    make_consumer,
    quiet_client_logging,
    stop_admin,
    stop_consumer,
    warn_of_slow_records,
)
from .connection import Connection
from .identity import TopicIdentity, TopicSeen
from .limits import (
    KAFKA_FETCH_WAIT_SECONDS,
    KAFKA_OPEN_SECONDS_MAX,
    KAFKA_REQUEST_SECONDS_MAX,
    TOPIC_MESSAGE_BYTES_MIN,
)
from .lookup import Lookup
from .partition_count import journal_partitions, written_partitions
from .producer import ProducerSource
from .reads import Reads
from .recent import RecentPages
from .relay import Relay
from .snapshots import KafkaSnapshots
from .tail import KafkaTail
from .topic import TopicFacts, ensure_topic
from .verdicts import whole_from

_FETCH_WAIT_MS: Final = int(KAFKA_FETCH_WAIT_SECONDS * 1_000)


class _Opened(NamedTuple):  # the parts of an open log
    facts: TopicFacts
    reader: Lookup
    appends: Appends
    reads: Reads
    relay: Relay


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
        self._state: _Opened | None = None
        self._identity: TopicIdentity | None = None
        self._producers = ProducerSource(connection, topic)
        self._tails: set[KafkaTail] = set()
        self._recent = RecentPages()
        self._snapshots: KafkaSnapshots | None = None
        self._opening = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._is_parents = False
        self._broken: JournalGone | None = None
        reset_after_fork(self)

    @property
    def partitions(self) -> int:
        """The number of partitions of the topic; known once opened."""
        return self._opened.facts.partitions

    async def open(self, *, create: bool = True) -> None:
        """Connect to the cluster; create the topic, or check that its settings keep history.

        Raises `JournalUnavailable`, `JournalNotFound`, `UnsafeTopic` or `BadJournalURL`, each with what to do.
        """
        self.check_open()
        async with self._opening:
            if self._state is not None:
                return
            self._loop = asyncio.get_running_loop()
            quiet_client_logging()
            warn_of_slow_records()
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
                    ends = await lookup.ends(range(facts.partitions))
                    written = await written_partitions(lookup, ends, hash_of)
                    count = journal_partitions(
                        self.topic,
                        self.url,
                        facts.partitions,
                        written,
                        self._asked_partitions,
                        ignore_added=self._ignore_added,
                    )
                    facts = facts._replace(partitions=count)
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
            self._identity.start()
            self._state = self._set_up(facts, lookup, ends)

    def _set_up(self, facts: TopicFacts, lookup: Lookup, ends: Mapping[int, int]) -> "_Opened":
        appends = Appends(
            self._connection.addresses,
            self.topic,
            facts.partitions,
            producers=self._producers,
            reader=lookup,
            recent=self._recent,
            ends_at_open=ends,
            clock=self._clock,
            broken=self._break,
        )
        reads = Reads(facts.partitions, lookup, self._recent, appends.acknowledged)
        return _Opened(facts, lookup, appends, reads, Relay(appends, lookup))

    @property
    def append_counts(self) -> AppendCounts:
        """See `Counting.append_counts`; all zero until the log is opened."""
        return self._state.appends.counts if self._state is not None else AppendCounts()

    def partition_of(self, key: str | None) -> int:
        """Return the partition of a key by the hash of Kafka's default partitioner; without a key, the writer's."""
        return self._opened.appends.partition_of(key)

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log.append`. Waits for the broker at most `APPEND_SECONDS_MAX`; after that the append stays queued.

        Back-pressure: raises `JournalUnavailable`, with nothing sent, when too many bytes are queued already.
        """
        self.check_open()
        return await self._opened.appends.append(drafts)

    async def identity(self) -> str:
        """See `Relaying.identity`: the topic's id."""
        binding = self._identity.binding if self._identity is not None else None
        return binding.id.hex() if binding is not None and binding.id is not None else ""

    async def append_numbered(self, drafts: Sequence[Draft], since: Mapping[int, int]) -> list[Event]:
        """See `Relaying.append_numbered` and `relay`."""
        self.check_open()
        return await self._opened.relay.append(drafts, since)

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """See `Log.read`."""
        self.check_open()
        return await self._opened.reads.read(cursor, limit)

    async def tail(self, cursor: Mapping[int, int]) -> KafkaTail:
        """See `Log.tail`."""
        self.check_open()
        check_cursor(cursor, self.partitions)
        facts, reader, _, reads, _ = self._opened
        ends = await reads.ends_for(cursor)
        filters = {each: await reader.primed(each, min(offset, ends[each])) for each, offset in cursor.items()}
        fetch_bytes = max(facts.message_bytes, TOPIC_MESSAGE_BYTES_MIN)
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
        tail = KafkaTail(self, self.topic, consumer, reader, cursor, filters)
        tail.start()
        self._tails.add(tail)
        return tail

    async def bounds(self) -> Bounds:
        """See `Log.bounds`."""
        self.check_open()
        every = range(self.partitions)
        reader = self._opened.reader
        firsts, ends = await asyncio.gather(reader.firsts(every), reader.ends(every))
        # The two answers are from two moments: everything may have been removed between them.
        return Bounds(Cursor(firsts), Cursor({each: max(ends[each], firsts[each]) for each in every}))

    async def position_at(self, timestamp: float) -> Cursor:
        """See `Log.position_at`; times are those of the brokers, in milliseconds."""
        self.check_open()
        return Cursor(await self._opened.reader.offsets_at(timestamp, range(self.partitions)))

    async def trim(self, before: Mapping[int, int]) -> None:
        """Remove the records below the given offsets permanently and for all readers, as retention does."""
        self.check_open()
        check_cursor(before, self.partitions)
        bounds = await self.bounds()
        orders = {
            each: await whole_from(self._opened.reader, each, min(offset, bounds.end[each]), bounds.end[each])
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

    def snapshots(self) -> SnapshotStore:
        """See `Log.snapshots`: in a compacted topic beside the journal's."""
        if self._snapshots is None:
            self._snapshots = KafkaSnapshots(self._connection, self.topic, self._opened.facts.replication)
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
        if self._state is not None:
            self._state.appends.end(error)

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
            if self._state is not None:
                steps.push_async_callback(self._state.reader.stop)
            steps.push_async_callback(self._producers.stop)
            for tail in list(self._tails):
                steps.push_async_callback(tail.aclose)
            if self._state is not None:
                steps.push_async_callback(self._stop_appends, self._state.appends)
            if self._identity is not None:
                steps.push_async_callback(self._identity.stop)

    async def _stop_appends(self, appends: Appends) -> None:
        lost = await appends.stop()
        if lost:
            LOGGER.warning("closed the journal %r with %d events of unknown fate: Kafka did not answer", self.url, lost)

    def check_open(self) -> None:
        """Raise `JournalClosed` after `aclose` or the end of its loop, `JournalUnavailable` in a forked child."""
        check_usable(self.url, self._loop, is_parents=self._is_parents, is_closed=self._closing is not None)
        self._check_topic()

    def acknowledged(self, partition: int) -> int:
        """Return the offset after the last event this log has appended to `partition`; 0 if none."""
        return self._opened.appends.acknowledged(partition)

    def handed_out(self, page: Page) -> None:
        """Remember a page that a reader of this log received."""
        self._recent.keep(page)

    def last_number(self, partition: int, offset: int) -> tuple[str, int]:
        """Return the writer of this log and the number of its last event below `offset` of `partition`."""
        return self._opened.appends.last_number(partition, offset)

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
    def _opened(self) -> "_Opened":
        if self._state is None:
            raise JournalError(f"the journal {self.url} is not open yet: await open() first")
        return self._state

    def _unreachable(self, error: Exception) -> JournalUnavailable:
        return JournalUnavailable(
            f"Kafka at {self._connection.addresses} does not answer for the topic {self.topic!r} "
            f"({str(error) or type(error).__name__}); try again later"
        )
