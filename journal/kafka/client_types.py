"""Typed protocols of the parts of aiokafka that are used: aiokafka has no type annotations."""

# ruff: noqa: D102 - the protocols' methods are aiokafka's
import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import aiokafka


class TopicPartition(NamedTuple):
    """A partition of a topic; compares equal to aiokafka's own type and is accepted in its place."""

    topic: str
    partition: int


class Record(Protocol):
    """A record as a consumer returns it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Sent(Protocol):
    """The acknowledgement of a delivered batch; `offset` is -1 if the broker no longer knows it.

    `timestamp` is the time that the broker assigned, in ms; None or -1 if the broker did not report it.
    """

    offset: int
    timestamp: int | None


class Batch(Protocol):
    """A record batch being filled."""

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> object | None: ...
    def close(self) -> None: ...


class Producer(Protocol):
    """The part of AIOKafkaProducer used here."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def create_batch(self) -> Batch: ...
    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[Sent]": ...


class Consumer(Protocol):
    """The part of AIOKafkaConsumer used here."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def assign(self, partitions: Sequence[TopicPartition]) -> None: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    async def position(self, partition: TopicPartition) -> int: ...
    def highwater(self, partition: TopicPartition) -> int | None: ...
    def last_poll_timestamp(self, partition: TopicPartition) -> int | None: ...
    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[Record]]: ...
    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]: ...
    async def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, "OffsetAtTime | None"]: ...


class OffsetAtTime(Protocol):
    """The first record at or after a time."""

    offset: int


class TopicRefusal(NamedTuple):
    """The error with which the cluster refused to create a topic."""

    code: int
    message: str


class Admin(Protocol):
    """The part of AIOKafkaAdminClient used here."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def describe_topics(self, topics: list[str]) -> Sequence[Mapping[str, Any]]: ...
    async def describe_cluster(self) -> Mapping[str, Any]: ...
    async def describe_configs(self, config_resources: list[object]) -> Sequence[Any]: ...
    async def create_topics(self, new_topics: list[object]) -> Any: ...
    async def delete_records(self, records_to_delete: Mapping[object, object]) -> Mapping[object, int]: ...


def topic_partition(topic: str, partition: int) -> TopicPartition:
    """Return aiokafka's own `TopicPartition`: `getmany` asserts that exact type."""
    return cast("TopicPartition", aiokafka.TopicPartition(topic, partition))
