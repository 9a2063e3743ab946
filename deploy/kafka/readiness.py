"""Check that a cluster works: by a record written to every broker, not by an open port."""

import asyncio
import importlib
import socket
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar, cast

from .errors import KafkaClusterError
from .limits import ATTEMPT_RETRY_SECONDS, ATTEMPT_SECONDS_MAX
from .settings import HOST, Node

T = TypeVar("T")


class _Admin(Protocol):
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def describe_cluster(self) -> Mapping[str, Any]: ...
    async def describe_topics(self, topics: list[str]) -> Sequence[Mapping[str, Any]]: ...
    async def create_topics(self, new_topics: list[object]) -> Any: ...
    async def delete_topics(self, topics: list[str]) -> object: ...


class _Producer(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send_and_wait(self, topic: str, value: bytes) -> object: ...


class _AdminModule(Protocol):
    """The part of ``aiokafka.admin`` used here; aiokafka ships no type information of its own."""

    def AIOKafkaAdminClient(self, *, bootstrap_servers: str, request_timeout_ms: int) -> _Admin: ...  # noqa: N802
    def NewTopic(  # noqa: N802
        self,
        *,
        name: str,
        num_partitions: int,
        replication_factor: int,
        replica_assignments: Mapping[int, Sequence[int]],
        topic_configs: Mapping[str, str],
    ) -> object: ...


class _ClientModule(Protocol):
    def AIOKafkaProducer(self, *, bootstrap_servers: str, acks: str, request_timeout_ms: int) -> _Producer: ...  # noqa: N802


def _admin_module() -> _AdminModule:
    return cast("_AdminModule", importlib.import_module("aiokafka.admin"))


def _client_module() -> _ClientModule:
    return cast("_ClientModule", importlib.import_module("aiokafka"))


def await_ready(nodes: Sequence[Node], *, timeout: float, check_alive: Callable[[], None]) -> None:
    """Wait until every one of ``nodes`` has taken a record that was acknowledged by all of them.

    ``check_alive`` is called between attempts and raises when waiting longer is useless.
    Raises ``TimeoutError`` with the last complaint after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    _run(_await_ready(nodes, deadline, check_alive))


def find_leader(nodes: Sequence[Node], topic: str, partition: int, *, timeout: float) -> int:
    """The number of the one of ``nodes`` that leads this partition; waits up to ``timeout`` seconds for it.

    A broker that has just been killed may still be named for a while; it is not among ``nodes``, so that is waited out.
    """
    return _run(_find_leader(nodes, topic, partition, time.monotonic() + timeout))


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    # A thread that runs an event loop cannot run a second one: it waits, blocked, for one in another thread.
    with ThreadPoolExecutor(1, thread_name_prefix="kafka-probe") as thread:
        return thread.submit(asyncio.run, work).result()


async def _await_ready(nodes: Sequence[Node], deadline: float, check_alive: Callable[[], None]) -> None:
    # An open port is not enough to be ready, but without it there is no use in asking, and aiokafka would log it.
    last: str = "no answer yet"
    for node in nodes:
        while not _accepts_connections(node.port):
            check_alive()
            await _pause(deadline, f"node {node.number} does not listen on {node.address}")
    while True:
        check_alive()
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
                return await _prove(nodes)
        except _passing_errors() as error:
            last = str(error) or type(error).__name__
        await _pause(deadline, f"the brokers listen but do not take a record: {last}")


async def _pause(deadline: float, complaint: str) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"Kafka was not ready in time: {complaint}.")
    await asyncio.sleep(ATTEMPT_RETRY_SECONDS)


def _accepts_connections(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0):
            return True
    except OSError:
        return False


class _NotYet(Exception):
    """The cluster answers, but is not complete."""


def _passing_errors() -> tuple[type[Exception], ...]:
    errors = importlib.import_module("aiokafka.errors")
    return (_NotYet, TimeoutError, OSError, cast("type[Exception]", errors.KafkaError))


async def _prove(nodes: Sequence[Node]) -> None:
    bootstrap = ",".join(node.address for node in nodes)
    wanted = {node.number for node in nodes}
    admin = _admin_module().AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5_000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        present = {int(broker["node_id"]) for broker in cluster["brokers"]}
        if not wanted <= present:
            raise _NotYet(f"brokers {sorted(wanted - present)} have not joined the cluster")
        await _write_probe(admin, bootstrap, sorted(wanted))
    finally:
        await admin.close()


async def _write_probe(admin: _Admin, bootstrap: str, replicas: list[int]) -> None:
    """Write one record that all ``replicas`` must acknowledge, to a topic that lives no longer than that."""
    name = f"journeyman-probe-{uuid.uuid4().hex}"
    topic = _admin_module().NewTopic(
        name=name,
        num_partitions=-1,
        replication_factor=-1,
        replica_assignments={0: replicas},
        topic_configs={"min.insync.replicas": str(len(replicas))},
    )
    created = await admin.create_topics([topic])
    code, *rest = created.topic_errors[0][1:]
    if code != 0:
        raise _NotYet(f"a topic was refused (code {code}, {rest})")
    try:
        producer = _client_module().AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", request_timeout_ms=5_000)
        try:
            await producer.start()
            await producer.send_and_wait(name, b"ready")
        finally:
            await producer.stop()
    finally:
        await admin.delete_topics([name])


async def _find_leader(nodes: Sequence[Node], topic: str, partition: int, deadline: float) -> int:
    while True:
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
                return await _ask_leader(nodes, topic, partition)
        except _passing_errors() as error:
            complaint = str(error) or type(error).__name__
        if time.monotonic() > deadline:
            raise KafkaClusterError(f"no leader for partition {partition} of topic {topic!r} found: {complaint}.")
        await asyncio.sleep(ATTEMPT_RETRY_SECONDS)


async def _ask_leader(nodes: Sequence[Node], topic: str, partition: int) -> int:
    bootstrap = ",".join(node.address for node in nodes)
    admin = _admin_module().AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5_000)
    try:
        await admin.start()
        described = (await admin.describe_topics([topic]))[0]
    finally:
        await admin.close()
    leaders = {int(each["partition"]): int(each["leader"]) for each in described["partitions"]}
    leader = leaders.get(partition, -1)
    if leader not in {node.number for node in nodes}:
        raise _NotYet(f"the cluster names {leader} (topic error code {described['error_code']})")
    return leader
