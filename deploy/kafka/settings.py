"""The settings of a broker: its addresses, its ``server.properties``, its JVM flags. Pure, no processes here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import KafkaClusterError

HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 9092
NODE_PORT_STEP: Final = 100
NODES_ALLOWED: Final = (1, 3)  # one for speed, three for fail-over; two would have neither a quorum nor simplicity

# The same for every node; compose.yaml repeats them, and a test compares the two.
#
# The four timeouts: a killed broker is registered at the controller until its session ends, and its successor is
# refused until then. With Kafka's defaults (session 9 s) a restart takes 14 s.
# Automatic topic creation would turn a mistyped journal name into an empty journal with seven days of retention.
# The cleaner's buffer is 128 MiB by default, allocated at the start: more than these heaps can spare.
COMMON: Final[Mapping[str, str]] = {
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "controller.quorum.election.backoff.max.ms": "500",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "num.io.threads": "2",
    "num.network.threads": "2",
    "offsets.topic.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
}

SMALL_JVM: Final = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # the first compiler only: a broker that lives for a minute never earns the second
    "-Xms128m",
    "-Xmx384m",
)
FAST_JVM: Final = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Xms1g", "-Xmx1g")
EVERY_JVM: Final = ("-XX:-UsePerfData", "-Djava.awt.headless=true")


@dataclass(frozen=True)
class Node:
    """One combined broker and controller: its id (1, 2, …) and its two ports on the loopback address."""

    number: int
    port: int
    controller_port: int

    @property
    def address(self) -> str:
        """``host:port`` for clients."""
        return f"{HOST}:{self.port}"


def check_nodes(nodes: int) -> None:
    """Refuse cluster sizes other than `NODES_ALLOWED`."""
    if nodes not in NODES_ALLOWED:
        raise KafkaClusterError(f"expected 1 or 3 brokers, got {nodes}: one for speed, three for fail-over.")


def fixed_nodes(nodes: int, port: int = DEFAULT_PORT) -> tuple[Node, ...]:
    """Brokers on ``port``, ``port + 100``, ``port + 200``; each one's controller on the port after its own."""
    check_nodes(nodes)
    last = port + (nodes - 1) * NODE_PORT_STEP + 1
    if port < 1 or last > 65535:
        raise KafkaClusterError(f"expected a port with room up to 65535, got {port} (the last one would be {last}).")
    ports = range(port, last, NODE_PORT_STEP)
    return tuple(Node(number, each, each + 1) for number, each in enumerate(ports, start=1))


def replication(nodes: int) -> dict[str, str]:
    """The replication factors: as many copies as brokers; of three, two must have a write before it counts.

    ``min.insync.replicas`` of ordinary topics is not set here: since Kafka 4.1 it belongs to the topic or to the
    cluster's dynamic settings, so the program that creates a topic sets it there.
    """
    in_sync = "2" if nodes == 3 else "1"
    return {
        "default.replication.factor": str(nodes),
        "offsets.topic.replication.factor": str(nodes),
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": str(nodes),
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.replication.factor": str(nodes),
    }


def server_properties(node: Node, everyone: Sequence[Node], data: Path) -> dict[str, str]:
    """All settings of one node of the cluster ``everyone``, with its log in the directory ``data``."""
    if "," in str(data):
        raise KafkaClusterError(f"Kafka separates directories by commas: choose one without, not {data}.")
    voters = ",".join(f"{each.number}@{HOST}:{each.controller_port}" for each in everyone)
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "listeners": f"PLAINTEXT://{node.address},CONTROLLER://{HOST}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{node.address}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": voters,
        "log.dirs": str(data),
        **COMMON,
        **replication(len(everyone)),
    }


def properties_text(properties: Mapping[str, str]) -> str:
    r"""A Java properties file: read as Latin-1 there, so that anything beyond ASCII is written as ``\uXXXX``."""
    return "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())


def _escaped(value: str) -> str:
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    pairs = (units[at : at + 2] for at in range(0, len(units), 2))
    return "".join(chr(pair[1]) if pair[0] == 0 and pair[1] < 0x80 else f"\\u{pair.hex()}" for pair in pairs)
