"""Topics and records on a real Kafka by its client alone, without anything of ours."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


def create(bootstrap: str, topic: str, copies: int = 1) -> None:
    async def run() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            configs = {"min.insync.replicas": str(max(1, copies - 1))}
            await admin.create_topics([NewTopic(topic, 1, copies, topic_configs=configs)])
        finally:
            await admin.close()

    asyncio.run(run())


def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    """Return once every value is acknowledged; an answer that is late is asked for again, without doubling it."""

    async def run() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, request_timeout_ms=3_000
        )
        await producer.start()
        try:
            for value in values:
                await producer.send_and_wait(topic, value)
        finally:
            await producer.stop()

    asyncio.run(asyncio.wait_for(run(), 60.0))


def consume(bootstrap: str, topic: str) -> list[bytes]:
    """Everything in the topic now."""

    async def run() -> list[bytes]:
        partition = TopicPartition(topic, 0)
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            end = (await consumer.end_offsets([partition]))[partition]
            values: list[bytes] = []
            while await consumer.position(partition) < end:
                batches = await consumer.getmany(partition, timeout_ms=1_000)
                values += [bytes(record.value) for record in batches.get(partition, [])]
            return values
        finally:
            await consumer.stop()

    return asyncio.run(asyncio.wait_for(run(), 60.0))
