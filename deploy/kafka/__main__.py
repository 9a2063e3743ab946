"""The command: ``python -m journeyman.deploy.kafka up|down|status``."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from . import standing
from .distribution import KAFKA_VERSION
from .errors import KafkaClusterError, KafkaUnavailable
from .settings import DEFAULT_PORT, NODE_PORT_STEP, NODES_ALLOWED

EXIT_NOT_UP = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 3 (``status``) not up, 130 interrupted."""
    options = _parser().parse_args(arguments)
    directory: Path = options.dir.expanduser().absolute()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers that are not up yet are expected here
    try:
        if options.command == "up":
            return _up(directory, options.nodes, options.port, throughput=options.throughput)
        if options.command == "down":
            return _down(directory, erase=options.erase)
        return _status(directory)
    except (KafkaUnavailable, KafkaClusterError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 130


def _up(directory: Path, nodes: int, port: int, *, throughput: bool) -> int:
    record, started = standing.up(directory, nodes=nodes, port=port, throughput=throughput)
    verb = "is up" if started else "is already up"
    _say(f"Apache Kafka {record.version} {verb}: {record.bootstrap}")
    _say(f"  journal  kafka://{record.bootstrap}/NAME")
    _say(f"  data     {record.directory}")
    _say("  stop     python -m journeyman.deploy.kafka down" + _dir_option(directory))
    return 0


def _down(directory: Path, *, erase: bool) -> int:
    stopped = standing.down(directory, erase=erase)
    if stopped:
        _say(f"Kafka is down: {', '.join(process.address for process in stopped)} stopped.")
    else:
        _say("Kafka was not up.")
    if erase:
        _say(f"Data in {directory} erased.")
    return 0


def _status(directory: Path) -> int:
    record = standing.status(directory)
    if record is None:
        _say("Kafka is not up.")
        return EXIT_NOT_UP
    running = record.running()
    for process in record.processes:
        state = f"runs as process {process.pid}" if process in running else "is gone"
        _say(f"broker {process.number}  {process.address}  {state}  {process.log}")
    return 0 if len(running) == len(record.processes) else EXIT_NOT_UP


def _dir_option(directory: Path) -> str:
    return "" if directory == standing.default_directory() else f" --dir {directory}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m journeyman.deploy.kafka",
        description=f"A real Apache Kafka {KAFKA_VERSION} on 127.0.0.1, without Docker: needs Java 17 and Maven.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start it, in the background, and wait until it takes records")
    up.add_argument("--nodes", type=int, choices=NODES_ALLOWED, default=1, help="brokers (default: 1)")
    up.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help=f"port of the first broker (default: {DEFAULT_PORT}); the others follow in steps of {NODE_PORT_STEP}, "
        "each controller is one above its broker",
    )
    up.add_argument("--throughput", action="store_true", help="1 GiB of heap and both compilers, for measurements")
    down = commands.add_parser("down", help="stop it; the data stays")
    down.add_argument("--erase", action="store_true", help="remove the data too")
    status = commands.add_parser("status", help=f"list the brokers; exit status {EXIT_NOT_UP} unless all of them run")
    for command in (up, down, status):
        command.add_argument(
            "--dir", type=Path, default=standing.default_directory(), help="state and data (default: %(default)s)"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
