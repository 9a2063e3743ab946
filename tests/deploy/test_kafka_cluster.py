"""A real Kafka: records survive killed and stopped brokers, and no process or file is left behind."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from journeyman.deploy.kafka import Broker, KafkaCluster, KafkaClusterError
from journeyman.deploy.kafka.broker import Guard
from journeyman.deploy.kafka.ports import free_nodes, is_free
from support.raw_kafka import consume, create, produce
from support.waiting import alive

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300), pytest.mark.usefixtures("kafka_can_run")]


def eventually(what: str, condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def test_acknowledged_record_survives_sigkill(shaky: KafkaCluster) -> None:
    create(shaky.bootstrap, "kept")
    produce(shaky.bootstrap, "kept", b"before")
    broker = shaky.broker(1)
    dead = broker.pid
    broker.kill()
    assert not broker.running
    assert not alive(dead)
    broker.start()
    produce(shaky.bootstrap, "kept", b"after")
    assert consume(shaky.bootstrap, "kept") == [b"before", b"after"]


def test_orderly_restart_keeps_records(shaky: KafkaCluster) -> None:
    create(shaky.bootstrap, "ordered")
    produce(shaky.bootstrap, "ordered", b"before")
    former = shaky.broker(1).pid
    shaky.broker(1).restart()
    assert shaky.broker(1).pid != former
    assert consume(shaky.bootstrap, "ordered") == [b"before"]


def test_paused_broker_keeps_its_writer_waiting(shaky: KafkaCluster) -> None:
    create(shaky.bootstrap, "paused")

    async def run() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=shaky.bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            await producer.send_and_wait("paused", b"before")
            shaky.broker(1).pause()
            assert shaky.broker(1).paused
            sending = asyncio.ensure_future(producer.send_and_wait("paused", b"during"))
            finished, _ = await asyncio.wait([sending], timeout=0.3)
            assert not finished
            shaky.broker(1).resume()
            await asyncio.wait_for(sending, 60)
        finally:
            shaky.broker(1).resume()
            await producer.stop()

    asyncio.run(run())
    shaky.wait_until_ready()
    assert consume(shaky.bootstrap, "paused") == [b"before", b"during"]


def test_cluster_can_be_queried_inside_an_event_loop(shaky: KafkaCluster) -> None:
    create(shaky.bootstrap, "asked")

    async def ask() -> Broker:
        return shaky.leader_of("asked")

    assert asyncio.run(ask()) is shaky.broker(1)


def test_misspelt_topics_are_not_created(shaky: KafkaCluster) -> None:
    async def topics() -> list[str]:
        admin = AIOKafkaAdminClient(bootstrap_servers=shaky.bootstrap)
        await admin.start()
        try:
            await admin.describe_topics(["mistyped"])
            listed: list[str] = await admin.list_topics()
            return listed
        finally:
            await admin.close()

    names = asyncio.run(topics())
    assert "mistyped" not in names
    assert not [name for name in names if "probe" in name]


def test_operation_on_a_missing_broker_is_an_error(shaky: KafkaCluster) -> None:
    with pytest.raises(KafkaClusterError, match="expected a broker from 1 to 1, got 2"):
        shaky.broker(2)
    with pytest.raises(KafkaClusterError, match=r"running already \(process \d+\)"):
        shaky.broker(1).launch()


def test_with_block_leaves_nothing_behind() -> None:
    with KafkaCluster() as cluster:
        broker = cluster.broker(1)
        pid, port, directory = broker.pid, broker.node.port, broker.directory
        broker.pause()  # even then
    assert not alive(pid)
    assert is_free(port)
    assert not directory.exists()


def test_guard_ends_while_a_forked_child_holds_its_pipe() -> None:
    guard = Guard(None)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        os.read(read, 1)  # until the parent closes its end
        os._exit(0)
    guard.close()
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    os.close(read)


OWNER = """
from journeyman.deploy.kafka import KafkaCluster
cluster = KafkaCluster()
cluster.start()
print(cluster.broker(1).pid, cluster.broker(1).directory.parent, flush=True)
input()
"""


def test_brokers_die_with_their_killed_owner() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, directory = owner.stdout.readline().split()
        assert alive(int(pid))
        owner.kill()
    eventually("the broker is gone", lambda: not alive(int(pid)))
    eventually("its directory is gone", lambda: not Path(directory).exists())


def test_broker_dying_at_the_start_shows_the_cause(tmp_path: Path) -> None:
    node = tmp_path / "node-1" / "data"
    node.mkdir(parents=True)
    (node / "meta.properties").write_text("version=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nnode.id=7\n")
    with pytest.raises(KafkaClusterError, match=r"broker 1 ended with status 1:\n.*broker\.log:\n(.*\n)*.*node"):
        KafkaCluster(directory=tmp_path).start()


class Command:
    """The command line, with a state directory and a port of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        while not is_free((port := free_nodes(1)[0].port) + 1):
            pass
        self.port = port

    def __call__(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-m", "journeyman.deploy.kafka", name, "--dir", str(self.directory)]
        if name == "up":
            command += ["--port", str(self.port)]
        return subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=120)

    def pids(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"runs as process (\d+)", self("status").stdout)]


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    made = Command(tmp_path / "state")
    yield made
    made("down", "--erase")


def test_up_status_and_down_work_from_separate_shells(command: Command) -> None:
    bootstrap = f"127.0.0.1:{command.port}"
    assert command("status").returncode == 3
    up = command("up")
    assert (up.returncode, up.stderr) == (0, "")
    assert f"is up: {bootstrap}\n" in up.stdout
    (pid,) = command.pids()
    create(bootstrap, "standing")
    produce(bootstrap, "standing", b"kept")

    again = command("up")
    assert again.returncode == 0
    assert f"is already up: {bootstrap}\n" in again.stdout
    assert command.pids() == [pid]
    other = command("up", "--nodes", "3")
    assert other.returncode == 1
    assert "take that down first" in other.stderr

    # Gone without a goodbye: status tells, and `up` starts it anew on the same data.
    os.kill(pid, signal.SIGKILL)
    eventually("the broker is gone", lambda: not alive(pid))
    gone = command("status")
    assert gone.returncode == 3
    assert "is gone" in gone.stdout
    assert command("up").returncode == 0
    assert consume(bootstrap, "standing") == [b"kept"]

    (pid,) = command.pids()
    down = command("down")
    assert (down.returncode, down.stdout) == (0, f"Kafka is down: {bootstrap} stopped.\n")
    assert not alive(pid)
    assert command("down").stdout == "Kafka was not up.\n"


def test_process_with_a_reused_pid_is_left_alone(command: Command) -> None:
    command.directory.mkdir()
    stranger = {
        "number": 1,
        "pid": os.getpid(),
        "address": f"127.0.0.1:{command.port}",
        "properties": str(command.directory / "node-1" / "server.properties"),
        "log": str(command.directory / "node-1" / "broker.log"),
    }
    record = {"version": "4.3.1", "bootstrap": stranger["address"], "directory": "", "processes": [stranger]}
    (command.directory / "cluster.json").write_text(json.dumps(record))
    assert "is gone" in command("status").stdout
    assert command("down").stdout == "Kafka was not up.\n"


def test_unreadable_cluster_record_is_named(command: Command) -> None:
    command.directory.mkdir()
    (command.directory / "cluster.json").write_text("{")
    status = command("status")
    assert status.returncode == 1
    assert "cluster.json is not a record of a cluster" in status.stderr
    (command.directory / "cluster.json").unlink()
