"""The health of a worker: the judgement by tables, and the reports by file, HTTP and systemd, for real."""

import asyncio
import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journeyman import AsyncJournal
from journeyman.tasks.errors import ValidationError
from journeyman.workers.errors import HealthUnavailable
from journeyman.workers.health.progress import ReadProgress, WorkerHealth, judge, progress
from journeyman.workers.health.report import HealthTarget, reporting
from journeyman.workers.health.systemd import notify, watchdog_wanted
from journeyman.workers.limits import HEALTH_PROGRESS_SECONDS_MAX, HEALTH_TURN_SECONDS_MAX
from support.waiting import reached, wait_until

NOW = 1_000.0
IDLE = WorkerHealth("w", False, NOW, {0: 5}, 0, None, 15.0)
HOLDING = IDLE._replace(claims=3, acknowledged_at=NOW - 1.0)
SEEN = ReadProgress(0, NOW, NOW)
LATE = HEALTH_PROGRESS_SECONDS_MAX + 0.1


@pytest.mark.parametrize(
    ("health", "seen", "reason"),
    [
        (IDLE, SEEN, ""),
        (IDLE, SEEN._replace(moved_at=NOW - 9_000), ""),  # nothing to apply for hours
        (IDLE, SEEN._replace(behind=7), ""),  # behind, and moving
        (HOLDING, SEEN, ""),
        (IDLE._replace(draining=True), SEEN, ""),
        (IDLE._replace(acknowledged_at=None), SEEN, ""),
        (None, SEEN, "starting"),
        (IDLE, None, "starting"),
        (IDLE._replace(turned_at=NOW - HEALTH_TURN_SECONDS_MAX - 0.1), SEEN, "the loop has not turned for 10.1 s"),
        (IDLE, SEEN._replace(behind=7, moved_at=NOW - LATE), "7 events wait to be applied"),
        (IDLE, SEEN._replace(looked_at=NOW - LATE), "the journal has not returned its end for 10.1 s"),
        (
            HOLDING._replace(acknowledged_at=NOW - 15.0),
            SEEN,
            "holds 3 claims and its last acknowledged append",
        ),
        (HOLDING._replace(acknowledged_at=NOW - 14.9), SEEN, ""),
    ],
)
def test_judgement_gives_the_reason_of_bad_health(
    health: WorkerHealth | None, seen: ReadProgress | None, reason: str
) -> None:
    judgement = judge(health, seen, NOW)
    assert judgement.healthy == (reason == "")
    assert reason in " ".join(judgement.reasons)


def test_health_report_gives_every_reason() -> None:
    health = HOLDING._replace(turned_at=0.0, acknowledged_at=0.0)
    assert len(judge(health, ReadProgress(1, 0.0, 0.0), NOW).reasons) == 3


@pytest.mark.parametrize(
    ("old", "applied", "end", "behind", "moved_at"),
    [
        ({0: 5}, {0: 5}, {0: 5}, 0, NOW),  # nothing to apply
        ({0: 5}, {0: 6}, {0: 9}, 3, NOW),  # it moves
        ({0: 5}, {0: 5}, {0: 9}, 4, NOW - 7.0),  # it stands still
        ({0: 5, 1: 2}, {0: 5, 1: 3}, {0: 9, 1: 3}, 4, NOW),  # one partition moves
        ({0: 5}, {0: 7}, {0: 6}, 0, NOW),  # it has applied what came after the look
        ({}, {0: 5}, {0: 5, 1: 2}, 2, NOW),  # a partition it has not come to
    ],
)
def test_progress_is_measured_between_two_looks(
    old: dict[int, int], applied: dict[int, int], end: dict[int, int], behind: int, moved_at: float
) -> None:
    before = ReadProgress(0, NOW - 1.0, NOW - 7.0)
    assert progress(before, old, applied, end, NOW) == ReadProgress(behind, NOW, moved_at)


def test_first_health_check_counts_as_progress() -> None:
    assert progress(None, {}, {0: 5}, {0: 9}, NOW) == ReadProgress(4, NOW, NOW)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("health.json", HealthTarget(path="health.json")),
        ("/run/shop/health.json", HealthTarget(path="/run/shop/health.json")),
        ("./127.0.0.1:80", HealthTarget(path="./127.0.0.1:80")),
        ("./:abc", HealthTarget(path="./:abc")),
        ("shop:health", HealthTarget(path="shop:health")),
        ("127.0.0.1:8081", HealthTarget(host="127.0.0.1", port=8081)),
        (":0", HealthTarget(host="127.0.0.1", port=0)),
        ("[::1]:81", HealthTarget(host="::1", port=81)),
    ],
)
def test_health_target_is_a_file_or_an_address(text: str, target: HealthTarget) -> None:
    assert HealthTarget.parse(text) == target


@pytest.mark.parametrize(
    "text", ["", "/tmp", "somewhere/", ":65536", ":abc", ":", "127.0.0.1:80a", "localhost:", "[::1]:x"]
)
def test_other_health_targets_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="--health"):
        HealthTarget.parse(text)


class Monitored:
    """Something that is looked after: it says what the test gives it."""

    def __init__(self) -> None:
        self.says: WorkerHealth | None = None

    def health(self) -> WorkerHealth | None:
        return self.says and self.says._replace(turned_at=asyncio.get_running_loop().time())


def _ask(address: tuple[str, int], method: str = "GET") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request(method, "/")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_http_health_answers_while_the_loop_is_blocked() -> None:
    address, patient = ("127.0.0.1", _free_port()), Monitored()

    async def main() -> dict[str, Any]:
        target = HealthTarget(host=address[0], port=address[1])
        async with AsyncJournal("memory://") as journal, reporting(patient, journal, target):
            await journal.append("something.happened")
            # Each of these questions blocks the loop until it is answered.
            assert _ask(address)[0] == 503
            assert _ask(address)[1]["reasons"] == ["starting: the history is being read"]
            patient.says = IDLE._replace(applied={0: 1})
            await reached(lambda: _ask(address)[0] == 200, "the worker is well")
            assert _ask(address, "HEAD") == (200, {})
            return _ask(address)[1]

    facts = asyncio.run(main())
    assert facts["healthy"] is True
    assert (facts["worker"], facts["applied"], facts["behind"], facts["pid"]) == ("w", "0:1", 0, os.getpid())
    with pytest.raises(ConnectionRefusedError):
        _ask(address)


def test_health_file_is_replaced_atomically_and_removed_at_end(tmp_path: Path) -> None:
    path, patient = tmp_path / "health.json", Monitored()
    seen: list[dict[str, Any]] = []

    def healthy() -> bool:
        seen.append(json.loads(path.read_bytes()))  # a part of a report could not be read
        return bool(seen[-1]["healthy"])

    async def main() -> list[int]:
        target = HealthTarget(path=str(path))
        async with AsyncJournal("memory://") as journal, reporting(patient, journal, target):
            assert not healthy()
            inodes = [path.stat().st_ino]
            patient.says = IDLE._replace(applied={0: 0})
            await reached(healthy, "the file says that the worker is well")
            return [*inodes, path.stat().st_ino]

    first, last = asyncio.run(main())
    assert first != last
    assert list(tmp_path.iterdir()) == []


def test_unavailable_health_target_is_refused_at_the_start(tmp_path: Path) -> None:
    async def report_at(target: HealthTarget) -> None:
        async with AsyncJournal("memory://") as journal, reporting(Monitored(), journal, target):
            raise AssertionError("it began")

    with pytest.raises(HealthUnavailable, match="nowhere"):
        asyncio.run(report_at(HealthTarget(path=str(tmp_path / "nowhere" / "health.json"))))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(HealthUnavailable, match="cannot listen on"):
            asyncio.run(report_at(HealthTarget(host="127.0.0.1", port=taken.getsockname()[1])))


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A service manager's end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield end


def test_service_manager_is_notified_in_one_datagram(manager: socket.socket) -> None:
    notify("READY=1")
    assert manager.recv(100) == b"READY=1"


def test_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"journeyman-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("STOPPING=1")
        assert end.recv(100) == b"STOPPING=1"


def test_missing_service_manager_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")


def test_watchdog_is_fed_only_while_the_worker_is_well(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not watchdog_wanted()
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert not watchdog_wanted()
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_wanted()
    patient = Monitored()

    async def main() -> None:
        async with AsyncJournal("memory://") as journal, reporting(patient, journal, None):
            await asyncio.sleep(0)
            manager.setblocking(False)
            with pytest.raises(BlockingIOError):
                manager.recv(100)  # it starts: not well yet
            manager.settimeout(20)
            patient.says = IDLE._replace(applied={0: 0})
            assert await asyncio.to_thread(manager.recv, 100) == b"WATCHDOG=1"

    asyncio.run(main())
    wait_until(lambda: "journeyman-health" not in {each.name for each in threading.enumerate()}, "the thread has ended")
