"""Store snapshots on Kafka in a compacted topic beside the journal's, ``<topic>.snapshots``, with two partitions.

Partition 0 holds the labels, a few hundred bytes each: reading all of them is cheap, and each lists the offsets of its
state's parts in partition 1. Compaction keeps offsets, so a state is fetched without reading the others.

A writer first writes the label without offsets, then the parts, then the complete label. So readers see a snapshot
whole or not at all, and the next writer finds and removes the remains of a writer that crashed in between.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from ..cursor import Cursor
from ..errors import JournalUnavailable, UnsafeTopic
from ..limits import PAGE_EVENTS
from ..snapshots import SnapshotLabel
from .client import (
    TOPIC_EXISTS,
    UNKNOWN_TOPIC,
    KafkaError,
    OffsetOutOfRange,
    create_topic,
    describe_settings,
    make_admin,
    make_consumer,
    make_producer,
    stop_admin,
    stop_consumer,
    stop_producer,
)
from .client_types import Admin, Consumer, Producer, Record, topic_partition
from .connection import Connection
from .limits import (
    KAFKA_REQUEST_SECONDS_MAX,
    LOOKUP_SECONDS_MAX,
    SNAPSHOT_ABANDONED_SECONDS,
    SNAPSHOT_LOOK_SECONDS,
    SNAPSHOT_PART_BYTES,
    SNAPSHOT_WAIT_MS,
    TOPIC_MESSAGE_BYTES_MIN,
)

logger = logging.getLogger("journeyman")

SUFFIX: Final = ".snapshots"
LABELS: Final = 0
PARTS: Final = 1
_TOPIC_CHARS_MAX: Final = 249
_REQUEST_MS: Final = int(KAFKA_REQUEST_SECONDS_MAX * 1_000)
# A snapshot still incomplete after this long, in seconds, counts as abandoned.
_SETTINGS: Final = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(TOPIC_MESSAGE_BYTES_MIN),
    "message.timestamp.type": "LogAppendTime",
    "unclean.leader.election.enable": "false",
    # The active segment is never compacted: roll it after an hour where snapshots are rare.
    "segment.ms": "3600000",
    "segment.bytes": str(64 * SNAPSHOT_PART_BYTES),
    "min.cleanable.dirty.ratio": "0.1",
}


class _Label(msgspec.Struct, frozen=True):
    """A label as stored; `parts` are the offsets of the state's parts, None while they are being written."""

    id: str
    view: str
    schema: str
    cursor: str
    created: float
    anchor: str
    size: int
    digest: bytes
    count: int
    parts: list[int] | None = None

    def label(self) -> SnapshotLabel:
        cursor = Cursor.parse(self.cursor)
        return SnapshotLabel(self.id, self.view, self.schema, cursor, self.created, self.anchor, self.size, self.digest)


class KafkaSnapshots:
    """The snapshots of the journal on `topic`; `copies` is the replication factor of the journal's own topic."""

    def __init__(self, connection: Connection, topic: str, copies: int) -> None:
        self.topic = topic + SUFFIX
        self._connection = connection
        self._copies = copies
        self._exists = False
        self._safe = False

    async def listed(self) -> Sequence[SnapshotLabel]:
        """See `SnapshotStore.listed`."""
        return [stored.label() for stored in (await self._stored()).values() if stored.parts is not None]

    async def load(self, label: SnapshotLabel) -> bytes | None:
        """See `SnapshotStore.load`."""
        if not await self._found():
            return None
        async with _reader(self._connection, self.topic) as reader:
            stored = _folded(await reader.all(LABELS)).get(label.id)
            if stored is None or not stored.parts:
                return None
            records = await reader.some(PARTS, min(stored.parts), max(stored.parts) + 1)
        wanted = set(stored.parts)
        return b"".join(record.value or b"" for record in records if record.offset in wanted)

    async def save(self, label: SnapshotLabel, sealed: bytes) -> None:
        """See `SnapshotStore.save`. `UnsafeTopic` if the topic exists and is not compacted."""
        await self._ensure()
        chunks = [sealed[at : at + SNAPSHOT_PART_BYTES] for at in range(0, len(sealed), SNAPSHOT_PART_BYTES)]
        announced = _Label(**{**label._asdict(), "cursor": str(label.cursor)}, count=len(chunks))
        left_behind = [
            stored
            for stored in (await self._stored()).values()
            if stored.parts is None and stored.created < time.time() - SNAPSHOT_ABANDONED_SECONDS
        ]
        async with _writer(self._connection, self.topic) as writer:
            await self._write_tombstones(writer, left_behind)
            await writer.put(LABELS, label.id, msgspec.json.encode(announced))
            parts = [await writer.put(PARTS, f"{label.id}/{number}", chunk) for number, chunk in enumerate(chunks)]
            await writer.put(LABELS, label.id, msgspec.json.encode(msgspec.structs.replace(announced, parts=parts)))

    async def remove(self, labels: Sequence[SnapshotLabel]) -> None:
        """See `SnapshotStore.remove`: tombstones; compaction frees the space later."""
        stored = await self._stored()
        async with _writer(self._connection, self.topic) as writer:
            await self._write_tombstones(writer, [stored[label.id] for label in labels if label.id in stored])

    async def _write_tombstones(self, writer: "_Writer", labels: Sequence[_Label]) -> None:
        for stored in labels:
            await writer.put(LABELS, stored.id, None)  # first: from here on no reader looks for its parts
            for number in range(stored.count):
                await writer.put(PARTS, f"{stored.id}/{number}", None)

    async def _stored(self) -> Mapping[str, _Label]:
        if not await self._found():
            return {}
        async with _reader(self._connection, self.topic) as reader:
            return _folded(await reader.all(LABELS))

    async def _found(self) -> bool:
        """Whether the topic exists; reading does not create it."""
        if not self._exists and len(self.topic) <= _TOPIC_CHARS_MAX:
            async with _admin(self._connection, self.topic) as admin:
                self._exists = await _leaders(admin, self.topic) is not None
        return self._exists

    async def _ensure(self) -> None:
        """Create the topic if it is missing, and check that it is compacted."""
        if self._safe:
            return
        if len(self.topic) > _TOPIC_CHARS_MAX:
            raise UnsafeTopic(
                f"a topic's name has at most {_TOPIC_CHARS_MAX} characters, {self.topic!r} has {len(self.topic)}: "
                "snapshots cannot be stored. Use a topic with a shorter name for the journal."
            )
        async with _admin(self._connection, self.topic) as admin:
            if await _leaders(admin, self.topic) is None:
                await self._create(admin)
            while not await _leaders(admin, self.topic):  # noqa: ASYNC110 - Kafka does not notify of a new leader
                await asyncio.sleep(SNAPSHOT_LOOK_SECONDS)
            found = await describe_settings(admin, "topic", self.topic, ["cleanup.policy"])
        if found is None or found["cleanup.policy"] != "compact":
            raise UnsafeTopic(
                f"the topic {self.topic!r} would delete the journal's snapshots. Fix it with: kafka-configs "
                f"--bootstrap-server {self._connection.addresses} --alter --entity-type topics --entity-name "
                f"{self.topic} --add-config cleanup.policy=compact"
            )
        self._exists = self._safe = True

    async def _create(self, admin: Admin) -> None:
        settings = {**_SETTINGS, "min.insync.replicas": "2" if self._copies >= 3 else "1"}
        refusal = await create_topic(admin, self.topic, 2, self._copies, settings)
        if refusal is not None and refusal.code != TOPIC_EXISTS:
            raise JournalUnavailable(
                f"Kafka refused to create the topic {self.topic!r} for the journal's snapshots: "
                f"{refusal.message or f'error {refusal.code}'}. Create it yourself, with 2 partitions and "
                "cleanup.policy=compact."
            )


def _folded(records: Sequence[Record]) -> dict[str, _Label]:
    """Return the last label of each snapshot, without removed and unreadable ones."""
    labels: dict[str, _Label] = {}
    for record in records:
        id_ = (record.key or b"").decode(errors="replace")
        labels.pop(id_, None)
        if not record.value:
            continue
        try:
            stored = msgspec.json.decode(record.value, type=_Label)
            stored.label()
        except ValueError as error:
            logger.debug("a record of the snapshots' topic is skipped: %s", error)
            continue
        labels[id_] = stored
    return labels


async def _leaders(admin: Admin, topic: str) -> bool | None:
    """Whether each partition has a leader; None if the topic does not exist."""
    found = (await admin.describe_topics([topic]))[0]
    if found["error_code"] == UNKNOWN_TOPIC:
        return None
    return bool(found["partitions"]) and all(each["leader"] >= 0 for each in found["partitions"])


class _SnapshotReader:
    """Reads bounded stretches of the topic."""

    def __init__(self, consumer: Consumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic

    async def all(self, partition: int) -> list[Record]:
        """Return all current records of a partition."""
        name = topic_partition(self._topic, partition)
        first = (await self._consumer.beginning_offsets([name]))[name]
        return await self.some(partition, first, (await self._consumer.end_offsets([name]))[name])

    async def some(self, partition: int, start: int, end: int) -> list[Record]:
        """Return the records of a partition from `start` on, below `end`; compaction may have removed some."""
        name = topic_partition(self._topic, partition)
        self._consumer.assign([name])
        self._consumer.seek(name, start)
        records: list[Record] = []
        try:
            while await self._consumer.position(name) < end:
                got = await self._consumer.getmany(name, timeout_ms=SNAPSHOT_WAIT_MS, max_records=PAGE_EVENTS)
                records += got.get(name, ())
        except OffsetOutOfRange:
            return []
        return [record for record in records if record.offset < end]


class _Writer:
    """Writes records one by one, each durable before the next."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def put(self, partition: int, key: str, value: bytes | None) -> int:
        """Append a record (a tombstone if `value` is None) and return its offset."""
        batch = self._producer.create_batch()
        batch.append(timestamp=None, key=key.encode(), value=value)
        batch.close()
        sent = await (await self._producer.send_batch(batch, self._topic, partition=partition))
        if sent.offset < 0:
            raise JournalUnavailable(
                f"Kafka did not return the offset of a record appended to the topic {self._topic!r}; try again"
            )
        return sent.offset


@asynccontextmanager
async def _operation(connection: Connection, topic: str) -> AsyncIterator[None]:
    """Bound the time of one operation and turn its errors into `JournalUnavailable`."""
    try:
        async with asyncio.timeout(LOOKUP_SECONDS_MAX):
            yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise JournalUnavailable(
            f"Kafka at {connection.addresses} does not answer for the topic {topic!r} of the journal's snapshots "
            f"({str(error) or type(error).__name__}); try again later"
        ) from error


@asynccontextmanager
async def _admin(connection: Connection, topic: str) -> AsyncIterator[Admin]:
    async with _operation(connection, topic):
        admin = make_admin(connection, _REQUEST_MS)
        try:
            await admin.start()
            yield admin
        finally:
            await stop_admin(admin)


@asynccontextmanager
async def _reader(connection: Connection, topic: str) -> AsyncIterator[_SnapshotReader]:
    async with _operation(connection, topic):
        consumer = make_consumer(connection, TOPIC_MESSAGE_BYTES_MIN, SNAPSHOT_WAIT_MS)
        try:
            await consumer.start()
            yield _SnapshotReader(consumer, topic)
        finally:
            await stop_consumer(consumer)


@asynccontextmanager
async def _writer(connection: Connection, topic: str) -> AsyncIterator[_Writer]:
    async with _operation(connection, topic):
        producer = make_producer(connection, TOPIC_MESSAGE_BYTES_MIN)
        try:
            await producer.start()
            yield _Writer(producer, topic)
        finally:
            await stop_producer(producer)
