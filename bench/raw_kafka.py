"""The Kafka floor: aiokafka, hand-written for one fixed kind of record.

It has the journal's durability (`acks=all`, idempotent), one partition and the same bytes a record, and nothing else:
no numbering of events, no look-up after a failed append, no filter of repeated records.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

PAGE_RECORDS: Final = 500
BATCH_BYTES_MAX: Final = 2**20
FETCH_BYTES: Final = 2**20
WAIT_MS: Final = 1_000


@contextlib.asynccontextmanager
async def producer(servers: str) -> AsyncIterator[Any]:
    """A producer that sends at once and counts a record as written when every copy has it."""
    client = AIOKafkaProducer(
        bootstrap_servers=servers,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=BATCH_BYTES_MAX,
        max_request_size=BATCH_BYTES_MAX,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@contextlib.asynccontextmanager
async def consumer(servers: str, topic: str, *, from_end: bool = False) -> AsyncIterator[Any]:
    """A consumer of the topic's only partition, without a group, from the beginning or from the end."""
    client = AIOKafkaConsumer(
        bootstrap_servers=servers,
        group_id=None,
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await client.start()
    try:
        place = TopicPartition(topic, 0)
        client.assign([place])
        await (client.seek_to_end(place) if from_end else client.seek_to_beginning(place))
        await client.position(place)
        yield client
    finally:
        await client.stop()


async def append_batch(client: Any, topic: str, rows: Sequence[bytes]) -> None:
    """All rows in one record batch, acknowledged."""
    batch = client.create_batch()
    for row in rows:
        batch.append(key=None, value=row, timestamp=None)
    await (await client.send_batch(batch, topic, partition=0))


async def append(client: Any, topic: str, row: bytes) -> None:
    """One record, acknowledged."""
    await client.send_and_wait(topic, value=row, partition=0)


async def page(client: Any, limit: int = PAGE_RECORDS) -> list[Any]:
    """Wait for the next records, at least one, and return them."""
    while True:
        got = await client.getmany(timeout_ms=WAIT_MS, max_records=limit)
        for records in got.values():
            return list(records)
