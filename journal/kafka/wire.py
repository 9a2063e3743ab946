"""Encode requests that address a topic by its id, which aiokafka does not support: produce, fetch and describe.

A recreated topic has the same name and a new id. A broker refuses requests with the old id, so no client reads from or
writes to the new topic by mistake, even with stale metadata. Implements Kafka's Produce 13 (Kafka 4.0), Fetch 13 and
Metadata 12 (Kafka 3.1). An older broker gets aiokafka's own request, by name.
"""

import functools
import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final, NamedTuple

from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v7
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
    UnsignedVarInt32,
)

PRODUCE: Final = 0
FETCH: Final = 1
BY_ID_VERSION: Final = 13
UNKNOWN_TOPIC: Final = 3
UNKNOWN_TOPIC_ID: Final = 100
INCONSISTENT_TOPIC_ID: Final = 103
_FOREIGN: Final = (UNKNOWN_TOPIC, UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID)
# The most common layout of message parts, encoded in one step: their entry counts take one byte.
_PRODUCE_HEAD: Final = struct.Struct(">BhiB")
_PARTITION: Final = struct.Struct(">i")
_PRODUCED_ONE: Final = struct.Struct(">B16sBihqqqBBBBiB")
_varint: Final = UnsignedVarInt32.encode
_NO_ID: Final = bytes(16)
_TEXT: Final = CompactString("utf-8")


class _Uuid(AbstractType):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), ("tags", TaggedFields)),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", _TEXT), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class DescribeTopic(Request[_MetadataRequest]):  # type: ignore[misc]
    """Request a topic's description by name, without creating the topic; the response contains its id."""

    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        """See aiokafka's `Request.build`."""
        return request_struct_class([(_NO_ID, self._topic, {})], False, False, {})


class Binding(NamedTuple):
    """The topic that a client addresses by id; `suspect` is called when a broker does not know that id."""

    topic: str
    id: bytes
    suspect: Callable[[], None]


class _ProduceRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = PRODUCE
    API_VERSION = BY_ID_VERSION
    RESPONSE_TYPE = ProduceResponse_v7
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("required_acks", Int16),
        ("timeout", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid),
                ("partitions", CompactArray(("partition", Int32), ("records", CompactBytes), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )

    def encode(self) -> bytes:
        """Encode as aiokafka does, but in one step: aiokafka copies the records once per nesting level."""
        if self.transactional_id is not None or len(self.topics) != 1:
            return bytes(super().encode())
        ((identity, partitions, _),) = self.topics
        encoded = [_PRODUCE_HEAD.pack(0, self.required_acks, self.timeout, 2), identity, _varint(len(partitions) + 1)]
        for partition, records, _ in partitions:
            encoded += (_PARTITION.pack(partition), _varint(len(records) + 1), records, b"\0")
        encoded.append(b"\0\0")
        return b"".join(encoded)


_PRODUCED: Final = Schema(
    (
        "topics",
        CompactArray(
            ("topic_id", _Uuid),
            (
                "partitions",
                CompactArray(
                    ("partition", Int32),
                    ("error_code", Int16),
                    ("offset", Int64),
                    ("timestamp", Int64),
                    ("log_start_offset", Int64),
                    ("record_errors", CompactArray(("index", Int32), ("message", _TEXT), ("tags", TaggedFields))),
                    ("error_message", _TEXT),
                    ("tags", TaggedFields),
                ),
            ),
            ("tags", TaggedFields),
        ),
    ),
    ("throttle_time_ms", Int32),
    ("tags", TaggedFields),
)


class _FetchRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = FETCH
    API_VERSION = BY_ID_VERSION
    RESPONSE_TYPE = FetchResponse_v11
    SCHEMA = Schema(
        ("replica_id", Int32),
        ("max_wait_time", Int32),
        ("min_bytes", Int32),
        ("max_bytes", Int32),
        ("isolation_level", Int8),
        ("session_id", Int32),
        ("session_epoch", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("current_leader_epoch", Int32),
                        ("fetch_offset", Int64),
                        ("last_fetched_epoch", Int32),
                        ("log_start_offset", Int64),
                        ("max_bytes", Int32),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        (
            "forgotten_topics_data",
            CompactArray(("topic_id", _Uuid), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)),
        ),
        ("rack_id", _TEXT),
        ("tags", TaggedFields),
    )


_FETCHED: Final = Schema(
    ("throttle_time_ms", Int32),
    ("error_code", Int16),
    ("session_id", Int32),
    (
        "topics",
        CompactArray(
            ("topic_id", _Uuid),
            (
                "partitions",
                CompactArray(
                    ("partition", Int32),
                    ("error_code", Int16),
                    ("highwater", Int64),
                    ("last_stable_offset", Int64),
                    ("log_start_offset", Int64),
                    (
                        "aborted_transactions",
                        CompactArray(("producer_id", Int64), ("first_offset", Int64), ("tags", TaggedFields)),
                    ),
                    ("preferred_read_replica", Int32),
                    ("records", CompactBytes),
                    ("tags", TaggedFields),
                ),
            ),
            ("tags", TaggedFields),
        ),
    ),
    ("tags", TaggedFields),
)


class _Answer:
    """Replaces a request's response type: decodes the response and translates ids into names."""

    def __init__(self, binding: Binding, read: Callable[[Binding, Any], Any]) -> None:
        self._binding = binding
        self._read = read

    def decode(self, data: BytesIO) -> Any:
        return self._read(self._binding, data)


def _known(binding: Binding, code: int) -> int:
    """Map an unknown or inconsistent id to `UNKNOWN_TOPIC`, at which aiokafka refreshes its metadata."""
    if code in _FOREIGN:
        binding.suspect()
        return UNKNOWN_TOPIC
    return code


def _read_produced(binding: Binding, data: BytesIO) -> Any:
    answer = data.read()
    if len(answer) == _PRODUCED_ONE.size:  # the common case: one partition without error details
        topics_, _, partitions_, *values, errors, message, tag, tag2, throttle, tag3 = _PRODUCED_ONE.unpack(answer)
        if (topics_, partitions_, message, tag, tag2, tag3) == (2, 2, 0, 0, 0, 0) and errors < 2:
            partition, code, offset, timestamp, log_start = values
            one = (partition, _known(binding, code), offset, timestamp, log_start)
            return ProduceResponse_v7([(binding.topic, [one])], throttle)
    data = BytesIO(answer)
    topics, throttle, _ = _PRODUCED.decode(data)
    partitions = [
        (partition, _known(binding, code), offset, timestamp, log_start)
        for _, answers, _ in topics
        for partition, code, offset, timestamp, log_start, *_ in answers
    ]
    return ProduceResponse_v7([(binding.topic, partitions)], throttle)


def _read_fetched(binding: Binding, data: BytesIO) -> Any:
    throttle, code, session, topics, _ = _FETCHED.decode(data)
    partitions = [
        (
            partition,
            _known(binding, error),
            highwater,
            stable,
            log_start,
            [(producer, first) for producer, first, _ in aborted or ()],
            preferred,
            records or b"",
        )
        for _, answers, _ in topics
        for partition, error, highwater, stable, log_start, aborted, preferred, records, _ in answers
    ]
    if code in _FOREIGN:
        binding.suspect()
    return FetchResponse_v11(throttle, code, session, [(binding.topic, partitions)] if partitions else [])


class _ProduceById(ProduceRequest):  # type: ignore[misc]
    def __init__(self, request: Any, binding: Binding) -> None:
        self.__dict__.update(request.__dict__)
        self._binding = binding

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        if versions.get(PRODUCE, (0, 0))[1] < BY_ID_VERSION:
            self._binding.suspect()  # by name it may reach a recreated topic: check the id
            return super().prepare(versions)
        topics: list[Any] = [
            (self._binding.id, [(*each, {}) for each in partitions], {}) for _, partitions in self._topics
        ]
        made = _ProduceRequest(self._transactional_id, self._required_acks, self._timeout, topics, {})
        made.RESPONSE_TYPE = _Answer(self._binding, _read_produced)
        return made


class _FetchById(FetchRequest):  # type: ignore[misc]
    def __init__(self, request: Any, binding: Binding) -> None:
        self.__dict__.update(request.__dict__)
        self._binding = binding

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        if versions.get(FETCH, (0, 0))[1] < BY_ID_VERSION:
            return super().prepare(versions)
        topics: list[Any] = [
            (
                self._binding.id,
                [(partition, -1, offset, -1, -1, most, {}) for partition, offset, most in partitions],
                {},
            )
            for _, partitions in self._topics
        ]
        made = _FetchRequest(
            -1,
            self._max_wait_ms,
            self._min_bytes,
            self._max_bytes,
            self._isolation_level,
            0,
            -1,
            topics,
            [],
            self._rack_id,
            {},
        )
        made.RESPONSE_TYPE = _Answer(self._binding, _read_fetched)
        return made


# Returns the topic that a client is bound to; None until it is known.
Bound = Callable[[], Binding | None]


def unbound() -> None:
    """The `Bound` of a client that addresses topics by name."""


def translate(client: Any, bound: Bound) -> None:
    """Make an aiokafka client address the bound topic by its id, and never auto-create a topic."""
    send = client.send

    @functools.wraps(send)
    async def send_by_id(node_id: int, request: Any, **options: Any) -> Any:
        if isinstance(request, MetadataRequest):
            request._allow_auto_topic_creation = False  # noqa: SLF001
        elif isinstance(request, ProduceRequest | FetchRequest) and (binding := bound()) is not None:
            topics = request._topics  # noqa: SLF001
            if all(topic == binding.topic for topic, _ in topics):
                by_id = _ProduceById if isinstance(request, ProduceRequest) else _FetchById
                request = by_id(request, binding)
        return await send(node_id, request, **options)

    client.send = send_by_id
