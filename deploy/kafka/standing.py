"""A cluster that outlives the command that started it: up, down and status, from any shell."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from .cluster import KafkaCluster
from .distribution import KAFKA_VERSION, Report
from .errors import KafkaClusterError
from .limits import GONE_LOOK_SECONDS, KILL_SECONDS_MAX, READY_SECONDS_MAX, STOP_SECONDS_MAX
from .readiness import await_ready
from .settings import DEFAULT_PORT, fixed_nodes


class Process(msgspec.Struct, frozen=True):
    """One broker as recorded, with enough fields to find it again and to recognise a reused pid."""

    number: int
    pid: int
    address: str
    properties: str
    log: str

    def running(self) -> bool:
        """Whether this process still is that broker: a reused pid has another command line."""
        return self.properties in (_command_line(self.pid) or "")

    def ended(self) -> bool:
        """Whether it is gone for good: one that is just ending has no command line any more, but still its ports."""
        line = _command_line(self.pid)
        return line is None or (line != "" and self.properties not in line)


class Record(msgspec.Struct, frozen=True):
    """The file that ``up`` leaves for ``down`` and ``status``."""

    version: str
    bootstrap: str
    directory: str
    processes: tuple[Process, ...]

    def running(self) -> tuple[Process, ...]:
        """The brokers of the record that run now."""
        return tuple(process for process in self.processes if process.running())


def default_directory() -> Path:
    """``$XDG_STATE_HOME/journeyman/kafka``, or the same under ``~/.local/state``."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "journeyman" / "kafka"


def up(
    directory: Path, *, nodes: int = 1, port: int = DEFAULT_PORT, throughput: bool = False, report: Report | None = None
) -> tuple[Record, bool]:
    """Bring the cluster up, or find that it is; returns its record and whether it was started now.

    Each size keeps its data in a directory of its own, and so does each version of Kafka: an older broker cannot read
    the storage of a newer one. Raises ``KafkaClusterError`` if a different cluster is up in this directory.
    """
    with _alone(directory):
        record = _read(directory)
        if record is not None and (running := record.running()):
            if len(running) == len(record.processes):
                _check_same(record, nodes, port)
                _check_answers(record, port)
                return record, False
            _end(running)  # a part of a cluster is of no use: start it whole
        _forget(directory)
        storage = directory / f"{KAFKA_VERSION}-nodes-{nodes}"
        cluster = KafkaCluster(nodes, port=port, directory=storage, throughput=throughput, report=report)
        with cluster:
            record = _describe(cluster, storage)
            _write(directory, record)
            cluster.detach()
        return record, True


def down(directory: Path, *, erase: bool = False) -> tuple[Process, ...]:
    """Stop what is up; returns the brokers that were. ``erase`` removes the data of every cluster kept here as well."""
    with _alone(directory):
        record = _read(directory)
        running = record.running() if record is not None else ()
        _end(running)
        _forget(directory)
        if erase:
            for storage in directory.glob("*-nodes-[13]"):
                shutil.rmtree(storage)
        return running


def status(directory: Path) -> Record | None:
    """The record of the cluster that was brought up here, running or not; None when there is none."""
    return _read(directory)


def _check_same(record: Record, nodes: int, port: int) -> None:
    wanted = f"{nodes} broker{'s' * (nodes > 1)} on port {port}"
    first = record.processes[0].address
    if len(record.processes) != nodes or not first.endswith(f":{port}"):
        raise KafkaClusterError(f"asked for {wanted}, but Kafka is up at {record.bootstrap}: take that down first.")


def _check_answers(record: Record, port: int) -> None:
    def check_alive() -> None:
        if len(record.running()) < len(record.processes):
            raise KafkaClusterError(f"a broker of {record.bootstrap} ended just now: see {record.directory}.")

    try:
        await_ready(fixed_nodes(len(record.processes), port), timeout=READY_SECONDS_MAX, check_alive=check_alive)
    except TimeoutError as error:
        raise KafkaClusterError(f"Kafka runs at {record.bootstrap} but does not work, take it down: {error}") from error


def _describe(cluster: KafkaCluster, storage: Path) -> Record:
    processes = tuple(
        Process(broker.number, broker.pid, broker.address, str(broker.properties), str(broker.log))
        for broker in cluster.brokers
    )
    return Record(KAFKA_VERSION, cluster.bootstrap, str(storage), processes)


def _end(processes: Sequence[Process]) -> None:
    """Send SIGTERM, then SIGKILL to those that do not end. Not our children, so they are polled, not waited for."""
    for process in processes:
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)
    if _await_gone(processes, STOP_SECONDS_MAX):
        return
    for process in processes:
        _signal(process, signal.SIGKILL)
    if not _await_gone(processes, KILL_SECONDS_MAX):
        pids = ", ".join(str(process.pid) for process in processes)
        raise KafkaClusterError(f"the brokers (processes {pids}) did not end even after SIGKILL.")


def _signal(process: Process, number: signal.Signals) -> None:
    if process.running():
        with contextlib.suppress(ProcessLookupError):  # it ended in between
            os.kill(process.pid, number)


def _await_gone(processes: Sequence[Process], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not all(process.ended() for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(GONE_LOOK_SECONDS)
    return True


def _command_line(pid: int) -> str | None:
    """The arguments of a process, separated by spaces; None when there is no such process, or only its zombie."""
    if not Path("/proc/self/stat").exists():
        return _command_line_by_ps(pid)
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    state = status.rpartition(b")")[2].split()[0]  # the name before it, in parentheses, may hold anything
    return None if state in b"ZX" else _text(arguments.replace(b"\0", b" "))


def _command_line_by_ps(pid: int) -> str | None:
    command = ["ps", "-ww", "-o", "state=,command=", "-p", str(pid)]
    state, _, line = _text(subprocess.run(command, capture_output=True, check=False).stdout.strip()).partition(" ")
    return None if state in {"", "Z"} else line


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the lock that lets one ``up`` or ``down`` run at a time; the second waits for the first."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _path(directory: Path) -> Path:
    return directory / "cluster.json"


def _read(directory: Path) -> Record | None:
    path = _path(directory)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise KafkaClusterError(f"{path} is not a record of a cluster ({error}): remove it.") from error


def _write(directory: Path, record: Record) -> None:
    path = _path(directory)
    written = path.with_suffix(".new")
    written.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    written.replace(path)


def _forget(directory: Path) -> None:
    _path(directory).unlink(missing_ok=True)
