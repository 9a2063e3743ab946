"""A cluster of one or three brokers that lives as long as a ``with`` block."""

import base64
import shutil
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from .broker import Broker, Guard
from .distribution import Report, ensure_distribution
from .errors import KafkaClusterError
from .limits import LEADER_SECONDS_MAX, READY_SECONDS_MAX, STOP_SECONDS_MAX
from .ports import check_free, free_nodes
from .readiness import await_ready, find_leader
from .settings import FAST_JVM, SMALL_JVM, check_nodes, fixed_nodes


class KafkaCluster:
    """Apache Kafka on 127.0.0.1, one or three combined brokers, with real processes to kill, pause and restart.

    ``port`` fixes the ports (``port``, ``port + 100``, ``port + 200``); by default free ones are chosen. ``directory``
    keeps the data for later runs; by default it is temporary and removed at the end. ``throughput`` trades start-up
    and memory for speed (both compilers, 1 GiB of heap), for measurements. The brokers die with this process.

        with KafkaCluster(nodes=3) as cluster:
            journal = Journal(f"kafka://{cluster.bootstrap}/orders")
            cluster.leader_of("orders").kill()

    Blocking throughout; in asynchronous code start it before the loop, or in a thread.
    Raises ``KafkaUnavailable`` when Java, Maven or the jars are missing, ``KafkaClusterError`` when it fails to start.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        port: int | None = None,
        directory: Path | None = None,
        throughput: bool = False,
        report: Report | None = None,
    ) -> None:
        check_nodes(nodes)
        self._count = nodes
        self._port = port
        self._directory = directory
        self._temporary = directory is None
        self._jvm = FAST_JVM if throughput else SMALL_JVM
        self._report = report
        self._guard: Guard | None = None
        self._brokers: tuple[Broker, ...] = ()

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """All brokers, running or not, in the order of their numbers; empty before the start."""
        return self._brokers

    @property
    def bootstrap(self) -> str:
        """``127.0.0.1:port,…`` of all brokers, for clients."""
        if not self._brokers:
            raise KafkaClusterError("the cluster has not been started: use it in a with statement.")
        return ",".join(broker.address for broker in self._brokers)

    def broker(self, number: int) -> Broker:
        """The broker with this number (1, 2, 3: Kafka's node id)."""
        for broker in self._brokers:
            if broker.number == number:
                return broker
        raise KafkaClusterError(f"expected a broker from 1 to {len(self._brokers)}, got {number}.")

    def leader_of(self, topic: str, partition: int = 0) -> Broker:
        """The running broker that leads this partition; waits out an election."""
        serving = self._serving()
        number = find_leader([broker.node for broker in serving], topic, partition, timeout=LEADER_SECONDS_MAX)
        return self.broker(number)

    def start(self) -> None:
        """Format, start and wait until a record has been written to every broker."""
        if self._guard is not None:
            raise KafkaClusterError("the cluster has been started already.")
        distribution = ensure_distribution(self._report)
        nodes = free_nodes(self._count) if self._port is None else fixed_nodes(self._count, self._port)
        check_free(nodes)
        directory = self._directory or Path(tempfile.mkdtemp(prefix="journeyman-kafka-"))
        self._directory = directory
        guard = self._guard = Guard(directory if self._temporary else None)
        self._brokers = tuple(
            Broker(
                node,
                nodes,
                directory / f"node-{node.number}",
                distribution,
                self._jvm,
                guard,
                self.wait_until_ready,
            )
            for node in nodes
        )
        try:
            self._bring_up(directory)
        except BaseException:
            self.close()
            raise

    def wait_until_ready(self) -> None:
        """Wait until every broker that runs, and is not paused, has acknowledged a record with all the others."""
        serving = self._serving()
        try:
            await_ready([each.node for each in serving], timeout=READY_SECONDS_MAX, check_alive=lambda: _check(serving))
        except TimeoutError as error:
            raise KafkaClusterError("\n".join([str(error), *(each.log_tail() for each in serving)])) from error

    def close(self) -> None:
        """Stop every broker, all at once; remove the temporary directory.

        A cluster with a directory of its own is stopped in order. A temporary one is killed: no process will read its
        data, and three brokers take seconds to hand their roles to one another.
        """
        if self._temporary:
            _kill_all(self._brokers)
        else:
            _stop_all(self._brokers)
        self._brokers = ()
        if self._temporary and self._directory is not None:
            shutil.rmtree(self._directory)
            self._directory = None
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    def detach(self) -> None:
        """Leave the brokers running when this process ends; only for a cluster with a directory of its own."""
        if self._temporary:
            raise KafkaClusterError("a cluster in a temporary directory cannot outlive its process: give a directory.")
        for broker in self._brokers:
            broker.release()
        if self._guard is not None:
            self._guard.close()
            self._guard = None
        self._brokers = ()

    def _bring_up(self, directory: Path) -> None:
        cluster_id = _cluster_id(directory)
        with ThreadPoolExecutor(len(self._brokers), thread_name_prefix="kafka-format") as threads:
            list(threads.map(lambda broker: broker.format(cluster_id), self._brokers))
        for broker in self._brokers:
            broker.launch(keep_log=False)
        self.wait_until_ready()

    def _serving(self) -> list[Broker]:
        serving = [broker for broker in self._brokers if broker.running and not broker.paused]
        if not serving:
            raise KafkaClusterError("no broker of the cluster is running.")
        return serving

    def __enter__(self) -> Self:
        """Start the cluster."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.close()


def _check(brokers: Sequence[Broker]) -> None:
    for broker in brokers:
        broker.check_alive()


def _kill_all(brokers: Sequence[Broker]) -> None:
    for broker in brokers:
        if broker.running:
            broker.kill()


def _stop_all(brokers: Sequence[Broker]) -> None:
    for broker in brokers:
        broker.ask_to_stop()
    deadline = time.monotonic() + STOP_SECONDS_MAX
    for broker in brokers:
        broker.await_stopped(max(0.0, deadline - time.monotonic()))


def _cluster_id(directory: Path) -> str:
    """The id that all storage of this directory is formatted with: 16 random bytes as Kafka writes them."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "cluster.id"
    if not path.exists():
        # Kafka's own generator rejects a leading dash as well: it would read as an option.
        written = path.with_suffix(".new")
        written.write_text(_new_id(), encoding="ascii")
        written.replace(path)
    return path.read_text(encoding="ascii").strip()


def _new_id() -> str:
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
