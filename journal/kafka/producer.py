"""The producer of a log, made anew when it is spoilt.

A batch that the broker rejects for good has used up sequence numbers, and every later batch of that producer to that
partition is then refused (aiokafka issue #1017; seen on Kafka 4.3.1). Such a producer is retired: it is sent nothing
new, what other partitions still have under way by it is let come home, and the next batch gets a new one.
"""

import asyncio
import logging
from typing import Final

from .client import LOGGER, NOT_ALLOWED, KafkaError, Producer, make_producer, stop_producer
from .connection import Connection
from .limits import KAFKA_REQUEST_SECONDS_MAX, TOPIC_MESSAGE_BYTES_MIN
from .wire import Binding

BACKOFF_SECONDS: Final = 0.1
BACKOFF_SECONDS_MAX: Final = 1.0


def backoff(attempt: int) -> float:
    """How long to wait before attempt number `attempt` (from 1), in seconds."""
    return min(BACKOFF_SECONDS * float(1 << min(attempt - 1, 10)), BACKOFF_SECONDS_MAX)


class ProducerUse:
    """The use of a producer for one batch."""

    __slots__ = ("in_use", "producer", "retired")

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.in_use = 0
        self.retired = False


class ProducerSource:
    """Hands out the current producer, starting one when there is none."""

    def __init__(self, connection: Connection, topic: str) -> None:
        self.binding: Binding | None = None
        self._connection = connection
        self._topic = topic
        self._current: ProducerUse | None = None
        self._retired: set[ProducerUse] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()

    async def take(self) -> ProducerUse:
        """The producer for one batch; give it back. Waits for the cluster as long as it takes.

        Raises what the cluster answers if it does not let us write at all.
        """
        while self._current is None:
            async with self._starting:
                if self._current is None:
                    self._current = ProducerUse(await self._start())
        self._current.in_use += 1
        return self._current

    def give_back(self, lease: ProducerUse) -> None:
        """The batch's fate is known, or unknowable by this producer."""
        lease.in_use -= 1
        if lease.retired and not lease.in_use:
            self._stop_later(lease)

    def retire(self, lease: ProducerUse) -> None:
        """Send nothing new by this producer."""
        if not lease.retired:
            lease.retired = True
            self._retired.add(lease)
            if self._current is lease:
                self._current = None

    async def stop(self) -> None:
        """Stop every producer at once; what is under way may or may not land."""
        if self._current is not None:
            self.retire(self._current)
        for lease in list(self._retired):
            self._stop_later(lease)
        if self._stopping:
            await asyncio.wait(self._stopping)

    def _stop_later(self, lease: ProducerUse) -> None:
        self._retired.discard(lease)
        task = asyncio.get_running_loop().create_task(stop_producer(lease.producer), name="journeyman-kafka-stop")
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
                    "no producer for the topic %r at %s yet (%s); trying on",
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
