"""Provide a log's producer and replace it when it has become unusable.

A batch that the broker rejects permanently has used up sequence numbers, and every later batch of that producer to that
partition is then refused (aiokafka issue #1017; seen on Kafka 4.3.1). Such a producer is retired: it gets no new
batches, its batches in flight to other partitions may finish, and the next batch gets a new producer.
"""

import asyncio
import logging

from .client import LOGGER, NOT_ALLOWED, KafkaError, make_producer, stop_producer
from .client_types import Producer
from .connection import Connection
from .limits import (
    APPEND_BACKOFF_SECONDS,
    APPEND_BACKOFF_SECONDS_MAX,
    KAFKA_REQUEST_SECONDS_MAX,
    TOPIC_MESSAGE_BYTES_MIN,
)
from .wire import Binding


def backoff(attempt: int) -> float:
    """Return how long to wait before attempt number `attempt` (from 1), in seconds."""
    return min(APPEND_BACKOFF_SECONDS * float(1 << min(attempt - 1, 10)), APPEND_BACKOFF_SECONDS_MAX)


class ProducerUse:
    """A producer, the number of batches using it, and whether it is retired."""

    __slots__ = ("in_use", "producer", "retired")

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.in_use = 0
        self.retired = False


class ProducerSource:
    """Provides the current producer and starts one if there is none."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self.binding: Binding | None = None
        self._connection = connection
        self._topic = topic
        self._current: ProducerUse | None = None
        self._retired: set[ProducerUse] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()

    async def take(self) -> ProducerUse:
        """Return the producer for one batch, to be given back. Waits for the cluster without a time limit.

        Raises the cluster's error if it denies writing.
        """
        while self._current is None:
            async with self._starting:
                if self._current is None:
                    self._current = ProducerUse(await self._start())
        self._current.in_use += 1
        return self._current

    def give_back(self, use: ProducerUse) -> None:
        """Return the producer: its batch was acknowledged or failed."""
        use.in_use -= 1
        if use.retired and not use.in_use:
            self._stop_later(use)

    def retire(self, use: ProducerUse) -> None:
        """Give this producer no new batches."""
        if not use.retired:
            use.retired = True
            self._retired.add(use)
            if self._current is use:
                self._current = None

    async def stop(self) -> None:
        """Stop every producer at once; batches in flight may or may not be written."""
        if self._current is not None:
            self.retire(self._current)
        for use in list(self._retired):
            self._stop_later(use)
        if self._stopping:
            await asyncio.wait(self._stopping)

    def _stop_later(self, use: ProducerUse) -> None:
        self._retired.discard(use)
        task = asyncio.get_running_loop().create_task(stop_producer(use.producer), name="journeyman-kafka-stop")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _start(self) -> Producer:
        attempt = 0
        while True:
            producer = make_producer(self._connection, TOPIC_MESSAGE_BYTES_MIN, lambda: self.binding)
            try:
                async with asyncio.timeout(2 * KAFKA_REQUEST_SECONDS_MAX):
                    await producer.start()
            except NOT_ALLOWED:
                await stop_producer(producer)
                raise
            except (KafkaError, OSError, TimeoutError) as error:
                await stop_producer(producer)
                attempt += 1
                LOGGER.log(
                    logging.WARNING if attempt == 1 else logging.DEBUG,
                    "no producer for the topic %r at %s yet (%s); retrying",
                    self._topic,
                    self._connection.addresses,
                    error or type(error).__name__,
                )
                await asyncio.sleep(backoff(attempt))
            except BaseException:
                await stop_producer(producer)
                raise
            else:
                return producer
