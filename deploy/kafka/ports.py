"""Choose ports: free ones for tests, and an error when a fixed one is taken."""

import random
import socket
from collections.abc import Iterable
from typing import Final

from .errors import KafkaClusterError
from .limits import PORT_TRIES_MAX
from .settings import HOST, Node, check_nodes

# Below the range from which kernels take the source ports of outgoing connections (32768 up on Linux, 49152 up on
# macOS): the port of a broker that is down for a moment must not be given to a client in between.
FREE_FIRST: Final = 20_000
FREE_LAST: Final = 32_000

# Not the shared generator: a test runner seeds that one, and two runs would then choose the same ports.
_random: Final = random.SystemRandom()


def free_nodes(nodes: int) -> tuple[Node, ...]:
    """Nodes on ports on which no program listens now."""
    check_nodes(nodes)
    chosen: set[int] = set()
    for _ in range(PORT_TRIES_MAX):
        if len(chosen) == 2 * nodes:
            break
        port = _random.randrange(FREE_FIRST, FREE_LAST)
        if is_free(port):
            chosen.add(port)
    else:
        raise KafkaClusterError(f"no free ports on {HOST} between {FREE_FIRST} and {FREE_LAST}.")
    ports = sorted(chosen)
    return tuple(Node(at + 1, ports[2 * at], ports[2 * at + 1]) for at in range(nodes))


def check_free(nodes: Iterable[Node]) -> None:
    """Refuse to start where another program listens."""
    taken = [port for node in nodes for port in (node.port, node.controller_port) if not is_free(port)]
    if taken:
        named = ", ".join(map(str, taken))
        raise KafkaClusterError(
            f"another program listens on {HOST} port {named}: stop it, or choose a different port for Kafka."
        )


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As Java does: connections of a server that has just stopped do not count, a live listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
