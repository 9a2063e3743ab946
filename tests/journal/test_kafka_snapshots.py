"""Snapshots on Kafka: their parts, their labels, and the compacted topic that keeps them."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from journeyman.journal.errors import UnsafeTopic
from journeyman.journal.kafka.client import create_topic, make_admin, stop_admin
from journeyman.journal.kafka.log import KafkaLog
from journeyman.journal.kafka.snapshots import LABELS, PARTS, KafkaSnapshots, _Label, _reader, _writer
from journeyman.journal.snapshots import seal
from journeyman.journal.url import log_from_url

pytestmark = pytest.mark.kafka


@asynccontextmanager
async def opened(bootstrap: str) -> AsyncIterator[KafkaLog]:
    log = log_from_url(f"kafka://{bootstrap}/test-{uuid.uuid4()}?partitions=1")
    assert isinstance(log, KafkaLog)
    await log.open()
    try:
        yield log
    finally:
        await log.aclose()


def test_incomplete_snapshot_is_ignored_and_later_removed(kafka_bootstrap: str) -> None:
    async def test() -> None:
        async with opened(kafka_bootstrap) as log:
            store = log.snapshots()
            assert isinstance(store, KafkaSnapshots)
            whole, sealed = seal("v", "1", {0: 1}, 2_000_000_000.0, os.urandom(10))
            await store.save(whole, sealed)
            died, _ = seal("v", "1", {0: 2}, 1.0, b"")  # announced long ago, and its first part sent
            stored = _Label(**{**died._asdict(), "cursor": "0:2"}, count=2)
            async with _writer(log._connection, store.topic) as writer:
                await writer.put(LABELS, died.id, msgspec.json.encode(stored))
                await writer.put(PARTS, f"{died.id}/0", b"part")
            assert list(await store.listed()) == [whole]
            assert await store.load(died) is None
            await store.save(*seal("v", "1", {0: 3}, 2_000_000_000.0, b""))
            async with _reader(log._connection, store.topic) as reader:
                last = {record.key: record.value for record in await reader.all(PARTS)}
            assert last[f"{died.id}/0".encode()] is None
            assert died.id not in await store._stored()
            assert len(await store.listed()) == 2

    asyncio.run(test())


def test_concurrent_saves_do_not_mix_their_parts(kafka_bootstrap: str) -> None:
    async def test() -> None:
        async with opened(kafka_bootstrap) as log:
            one, other = (seal("v", "1", {0: reach}, 1.0, os.urandom(3_500_000)) for reach in (1, 2))
            await log.snapshots().save(*seal("v", "1", {0: 0}, 1.0, b""))
            await asyncio.gather(log.snapshots().save(*one), log.snapshots().save(*other))
            for label, sealed in (one, other):
                assert await log.snapshots().load(label) == sealed

    asyncio.run(test())


def test_snapshot_topic_with_retention_is_refused_with_the_fix(kafka_bootstrap: str) -> None:
    async def test() -> None:
        async with opened(kafka_bootstrap) as log:
            admin = make_admin(log._connection, 5_000)
            await admin.start()
            assert await create_topic(admin, f"{log.topic}.snapshots", 2, 1, {"cleanup.policy": "delete"}) is None
            await stop_admin(admin)
            with pytest.raises(UnsafeTopic, match=r"kafka-configs .* --add-config cleanup.policy=compact"):
                await log.snapshots().save(*seal("v", "1", {0: 1}, 1.0, b""))

    asyncio.run(test())
