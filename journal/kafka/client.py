"""Wrap the aiokafka clients: constructors, and a reliable stop for each client.

aiokafka has some defects (read in its 0.14 source) that this module works around:

- an idempotent producer never gives up a batch, so its own ``stop`` waits for ever when the broker is gone;
- a consumer stopped during back-off raises ``CancelledError`` from its ``stop`` and leaves its connections open;
- a connection with unsent bytes to a broker that no longer reads is never closed, so it must be aborted;
- a client that is garbage-collected without being stopped logs an error.
"""

import asyncio
import contextlib
import logging
import warnings
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, cast

import aiokafka
import aiokafka.admin
import aiokafka.conn
import aiokafka.errors as kafka_errors
import aiokafka.partitioner
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from .client_types import Admin, Consumer, Producer, TopicPartition, TopicRefusal
from .connection import Connection
from .limits import (
    CLIENT_RETRY_MS,
    CLIENT_STOP_SECONDS_MAX,
    KAFKA_APPEND_REQUEST_SECONDS_MAX,
    KAFKA_REQUEST_SECONDS_MAX,
)
from .stall import StallWatch, connect_soon
from .wire import Bound, DescribeTopic, translate, unbound

LOGGER: Final = logging.getLogger("journeyman")
REQUEST_MS: Final = int(KAFKA_REQUEST_SECONDS_MAX * 1_000)
APPEND_REQUEST_MS: Final = int(KAFKA_APPEND_REQUEST_SECONDS_MAX * 1_000)

KafkaError: Final[type[Exception]] = kafka_errors.KafkaError
OffsetOutOfRange: Final[type[Exception]] = kafka_errors.OffsetOutOfRangeError
CHECKSUM_FAILED: Final[type[Exception]] = kafka_errors.CorruptRecordException
CHECKSUM_ADVICE: Final = (
    "the checksum of a record batch does not match, on the broker that leads the partition; have another replica lead "
    "it (kafka-leader-election), then try again"
)
ConsumerStopped: Final[type[Exception]] = kafka_errors.ConsumerStoppedError
# The errors of a batch that the broker will never accept because of its size.
BATCH_TOO_LARGE: Final[tuple[type[Exception], ...]] = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
)
NOT_ALLOWED: Final[tuple[type[Exception], ...]] = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.TransactionalIdAuthorizationFailed,
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.AuthenticationFailedError,
    kafka_errors.PolicyViolationError,
    kafka_errors.InvalidTopicError,
)
AUTHENTICATION_FAILED: Final[tuple[type[Exception], ...]] = (
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.AuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)
CONNECTION_CLOSED: Final[type[Exception]] = kafka_errors.KafkaConnectionError
TOPIC_EXISTS: Final = 36
NOT_AUTHORIZED: Final = 29
UNKNOWN_TOPIC: Final = 3


def murmur2(key: bytes) -> int:
    """Return the hash of Kafka's default partitioner, made positive as Kafka does."""
    return cast("int", aiokafka.partitioner.murmur2(key)) & 0x7FFFFFFF


def quiet_client_logging() -> None:
    """Suppress aiokafka's error for each failed attempt; we log once when a broker is away and once when it is back.

    An application that wants to see these errors sets a level on the logger ``aiokafka`` itself.
    """
    logger = logging.getLogger("aiokafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


def has_c_extension() -> bool:
    """Whether aiokafka encodes and decodes records in C; in pure Python this is many times slower."""
    return cast("str", DefaultRecordBatchBuilder.__module__).startswith("aiokafka.record._crecords")


_warned_of_slow_records: list[bool] = []


def warn_of_slow_records() -> None:
    """Log once if records are encoded in pure Python."""
    if not _warned_of_slow_records and not has_c_extension():
        _warned_of_slow_records.append(True)
        LOGGER.warning(
            "aiokafka runs without its C extension and is many times slower: install a wheel, and unset "
            "AIOKAFKA_NO_EXTENSIONS"
        )


def _warn_if_unclosed(client: Any) -> None:
    """Emit a `ResourceWarning`, as Python does for an unclosed file, instead of aiokafka's logged error.

    A program may exit without closing its journal: an append that has returned is durable.
    """
    if client._closed is False:  # noqa: SLF001
        warnings.warn(f"unclosed {client!r}", ResourceWarning, source=client, stacklevel=2)


class _Producer(aiokafka.AIOKafkaProducer):  # type: ignore[misc]
    def __del__(self) -> None:
        _warn_if_unclosed(self)


class _Consumer(aiokafka.AIOKafkaConsumer):  # type: ignore[misc]
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stalls = StallWatch(self._client)

    async def start(self) -> None:
        await super().start()
        connect_soon(self._client)
        self.stalls.start()

    def __del__(self) -> None:
        _warn_if_unclosed(self)


def make_producer(connection: Connection, batch_bytes: int, bound: Bound = unbound) -> Producer:
    """Return an idempotent producer with acks=all, not started; it writes to the bound topic only."""
    producer = _Producer(
        **connection.client_options(),
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=batch_bytes,
        max_request_size=batch_bytes,
        request_timeout_ms=APPEND_REQUEST_MS,
        retry_backoff_ms=CLIENT_RETRY_MS,
    )
    _remember_requests(producer)
    translate(producer.client, bound)
    return cast("Producer", producer)


def make_consumer(connection: Connection, fetch_bytes: int, wait_ms: int, bound: Bound = unbound) -> Consumer:
    """Return a consumer without a group, not started; `wait_ms` bounds an idle fetch and the requests queued behind it.

    It reads the bound topic only, never another topic of the same name.
    """
    consumer = _Consumer(
        **connection.client_options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_min_bytes=1,
        fetch_max_wait_ms=wait_ms,
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_bytes=4 * fetch_bytes,
        request_timeout_ms=REQUEST_MS,
        retry_backoff_ms=CLIENT_RETRY_MS,
    )
    translate(consumer._client, bound)  # noqa: SLF001
    return cast("Consumer", consumer)


def make_admin(connection: Connection, request_ms: int) -> Admin:
    """Return an administration client, not started."""
    admin = aiokafka.admin.AIOKafkaAdminClient(
        **connection.client_options(), request_timeout_ms=request_ms, retry_backoff_ms=CLIENT_RETRY_MS
    )
    translate(admin._client, unbound)  # noqa: SLF001
    return cast("Admin", admin)


async def topic_seen(consumer: Consumer, topic: str) -> tuple[bytes | None, int] | None:
    """Return a topic's id (None if the brokers are too old) and its number of partitions; None if it does not exist.

    Raises `kafka_errors.KafkaError` if the brokers do not answer or report an error.
    """
    client = cast("Any", consumer)._client  # noqa: SLF001
    try:
        answer = await client.send(client.get_random_node(), DescribeTopic(topic))
    except NotImplementedError:
        partitions = client.cluster.partitions_for_topic(topic)
        return None, len(partitions or ())
    code, _name, identity, _internal, partitions, *_ = answer.topics[0]
    if code == UNKNOWN_TOPIC:
        return None
    if code:
        raise kafka_errors.for_code(code)(topic)
    return (identity if any(identity) else None), len(partitions)


def prefetch(consumer: Consumer, ahead: bool) -> None:
    """Set whether the next fetch briefly waits for partitions with unread records, so that all are fetched together."""
    cast("Any", consumer)._fetcher._prefetch_backoff = 0.1 if ahead else 0.0  # noqa: SLF001


def served(consumer: Consumer, partition: TopicPartition) -> None:
    """Move this partition's buffer to the end: `getmany` otherwise drains one partition before it serves the next."""
    buffered = cast("Any", consumer)._fetcher._records  # noqa: SLF001
    if partition in buffered:
        buffered.move_to_end(partition)


async def why_unreachable(connection: Connection, request_ms: int) -> Exception | None:
    """Connect to the servers in turn; return None if one answers, otherwise the last error.

    aiokafka's own bootstrap only logs the errors, so a wrong password would look like a dead broker.
    """
    reason: Exception | None = None
    for host, port in connection.servers:
        error = await _connection_error(connection, host, port, request_ms)
        if error is None:
            return None
        reason = error
        if isinstance(error, AUTHENTICATION_FAILED):
            break
    return reason


async def unreachable_advertised(connection: Connection, admin: Admin, request_ms: int) -> tuple[str, Exception] | None:
    """Return the first advertised address at which no broker answers, and the error.

    Clients connect to the advertised addresses, whatever the URL says; aiokafka's errors do not name them. None if all
    answer, or if the client has not yet received any.
    """
    cluster = cast("Any", admin)._client.cluster  # noqa: SLF001
    given = {(each.host, each.port) for each in cluster.brokers() if not str(each.nodeId).startswith("bootstrap")}
    for host, port in sorted(given - {*connection.servers}):
        error = await _connection_error(connection, host, port, request_ms)
        if error is not None:
            return f"{host}:{port}", error
    return None


async def _connection_error(connection: Connection, host: str, port: int, request_ms: int) -> Exception | None:
    """Return why a connection to an address fails; None if it succeeds."""
    options = {key: value for key, value in connection.client_options().items() if key != "bootstrap_servers"}
    try:
        made = await aiokafka.conn.create_conn(host, port, request_timeout_ms=request_ms, **options)
    except (OSError, KafkaError, TimeoutError) as error:
        return error
    made.close()
    return None


async def create_topic(
    admin: Admin, name: str, partitions: int, replication: int, settings: Mapping[str, str]
) -> TopicRefusal | None:
    """Create a topic; `replication` -1 is the cluster's default. Returns the cluster's refusal, None if created."""
    order = aiokafka.admin.NewTopic(
        name,
        partitions,
        replication,
        replica_assignments={} if replication == -1 else None,
        topic_configs=dict(settings),
    )
    answer = await admin.create_topics([order])
    code, *rest = answer.topic_errors[0][1:]
    return TopicRefusal(code, str(rest[0]) if rest and rest[0] else "") if code else None


async def describe_settings(admin: Admin, kind: str, name: str, settings: Sequence[str]) -> dict[str, str] | None:
    """Return the values of these settings of a ``topic`` or ``broker``; None if the cluster returns an error."""
    what = ConfigResourceType.TOPIC if kind == "topic" else ConfigResourceType.BROKER
    answers = await admin.describe_configs([ConfigResource(what, name, configs=dict.fromkeys(settings))])
    code, _message, _kind, _name, entries = answers[0].resources[0]
    return {entry[0]: entry[1] for entry in entries} if code == 0 else None


async def delete_records(admin: Admin, topic: str, before: Mapping[int, int]) -> None:
    """Move the start of these partitions up to the given offsets."""
    orders = {
        aiokafka.TopicPartition(topic, partition): aiokafka.admin.RecordsToDelete(before_offset=offset)
        for partition, offset in before.items()
    }
    await admin.delete_records(orders)


def _remember_requests(producer: Any) -> None:
    """Track the tasks of a producer's requests: cancelling the producer's own task does not cancel them."""
    sender = producer._sender  # noqa: SLF001
    send = sender._send_produce_req  # noqa: SLF001
    tasks: set[asyncio.Task[Any]] = set()

    async def remembered(node_id: int, batches: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await send(node_id, batches)
        finally:
            tasks.discard(task)

    sender._send_produce_req = remembered  # noqa: SLF001
    producer.journeyman_requests = tasks


async def stop_producer(producer: Producer) -> None:
    """Stop a producer at once; a batch in flight fails with ``ProducerClosed``, and may still be written."""
    raw: Any = producer
    task = raw._sender.sender_task  # noqa: SLF001
    if task is not None:
        tasks = {task, *raw.journeyman_requests}
        _abort_connections(raw.client, only_stuck=False)
        await _cancel_all(tasks)
        # When a batch waiting for a retry fails, the producer expects it among its pending batches.
        waiting = raw._message_accumulator  # noqa: SLF001
        waiting._pending_batches.update(*waiting._batches.values())  # noqa: SLF001
        # Only after the cancellation: a live request would try to re-enqueue its batch, which is then missing.
        waiting.fail_all(kafka_errors.ProducerClosed())
    await _finish(raw.stop(), raw.client)


async def stop_consumer(consumer: Consumer) -> None:
    """Stop a consumer whatever it is doing."""
    raw: Any = consumer
    raw.stalls.stop()
    fetcher = raw._fetcher  # noqa: SLF001
    if fetcher is not None:
        await _cancel_all({fetcher._fetch_task})  # noqa: SLF001
        await _cancel_all(set(fetcher._pending_tasks))  # noqa: SLF001
        fetcher._pending_tasks.clear()  # noqa: SLF001
    await _finish(raw.stop(), raw._client)  # noqa: SLF001


async def stop_admin(admin: Admin) -> None:
    """Stop an administration client."""
    raw: Any = admin
    await _finish(raw.close(), raw._client)  # noqa: SLF001


async def _cancel_all(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLIENT_STOP_SECONDS_MAX)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()


async def _finish(stop: Coroutine[Any, Any, None], client: Any) -> None:
    _abort_connections(client, only_stuck=True)
    _settle_metadata(client)
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(CLIENT_STOP_SECONDS_MAX):
            await stop


def _settle_metadata(client: Any) -> None:
    """Drop the client's metadata task if an error has ended it: `close()` would raise that error, and close nothing.

    While the interpreter exits, asyncio looks up no host name any more, and the task ends by a ``RuntimeError``.
    """
    task = client._sync_task  # noqa: SLF001
    if task is not None and task.done():
        client._sync_task = None  # noqa: SLF001
        if not task.cancelled():
            task.exception()


def _abort_connections(client: Any, *, only_stuck: bool) -> None:
    for connection in client._conns.values():  # noqa: SLF001
        writer = connection._writer  # noqa: SLF001
        if writer is not None and (not only_stuck or writer.transport.get_write_buffer_size()):
            writer.transport.abort()
