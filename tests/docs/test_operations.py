"""The page on operations is true: its commands run, its unit starts a worker, its times fit each other."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.cli import main
from journeyman.journal.verification import Kind
from support.waiting import wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
TASKS = """
import journeyman as jm

broker = jm.Broker()


@jm.task(broker)
def add(a, b):
    return a + b
"""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def _unit() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", _blocks("ini")[0], re.MULTILINE))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A directory with the package `shop`, whose module `tasks` has a task."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "tasks.py").write_text(TASKS, encoding="utf-8")
    return tmp_path


@contextmanager
def _started(arguments: list[str], shop: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of the page, here; it has to leave with 0 when it is told to."""
    with subprocess.Popen(
        [sys.executable, "-m", "journeyman", *arguments], cwd=shop, env=os.environ | environment
    ) as worker:
        try:
            yield worker
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=60) == 0
        finally:
            worker.kill()


def test_unit_runs_a_worker_with_readiness_and_watchdog(shop: Path) -> None:
    unit = _unit()
    assert unit["Type"] == "notify"
    _, *arguments = shlex.split(unit["ExecStart"].replace("/var/lib/shop/shop.db", str(shop / "shop.db")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(shop / "notify"))
        manager.settimeout(30)
        watchdog = str(int(unit["WatchdogSec"]) * 1_000_000)
        with _started(arguments, shop, NOTIFY_SOCKET=str(shop / "notify"), WATCHDOG_USEC=watchdog):
            assert {manager.recv(100), manager.recv(100)} == {b"READY=1", b"WATCHDOG=1"}
        said = manager.recv(100)
        while said == b"WATCHDOG=1":
            said = manager.recv(100)
        assert said == b"STOPPING=1"


def test_stop_timeouts_exceed_the_drain_of_a_worker() -> None:
    unit = _unit()
    drain = int(re.findall(r"--drain-timeout (\d+)", unit["ExecStart"])[0])
    assert int(unit["TimeoutStopSec"]) > drain
    (pod,) = _blocks("yaml")
    (pod_drain,) = re.findall(r'--drain-timeout, "(\d+)"', pod)
    (grace,) = re.findall(r"terminationGracePeriodSeconds: (\d+)", pod)
    assert int(grace) > int(pod_drain)
    for patience in re.findall(r"(?:--stop-timeout |stop_grace_period: )(\d+)", PAGE):
        assert int(patience) > drain
    assert unit["RestartPreventExitStatus"] == "2"


def test_unit_is_valid_for_systemd(shop: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    unit = shop / "shop-worker.service"
    # Only what this machine cannot have is replaced: the user, the directory, the programme.
    text = _blocks("ini")[0].replace("User=shop\n", "").replace("/opt/shop/.venv/bin/journeyman", sys.executable)
    unit.write_text(text.replace("WorkingDirectory=/opt/shop", f"WorkingDirectory={shop}"), encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, unit.name in done.stderr) == (0, False), done.stderr


def test_container_starts_a_worker_healthy_to_its_probe(shop: Path) -> None:
    (pod,) = _blocks("yaml")
    (command,) = re.findall(r"command: \[(.*)\]", pod)
    _, *arguments = [each.strip().strip('"') for each in command.split(",")]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    assert arguments[-1] == "0.0.0.0:8081"
    arguments[-1] = f"127.0.0.1:{port}"
    asking = shlex.split(_blocks("sh")[0].replace("8081", port))
    with _started(arguments, shop, JOURNEYMAN_JOURNAL=f"sqlite:///{shop / 'shop.db'}"):
        wait_until(lambda: _succeeds(asking), "the probe finds the worker well")
    assert not _succeeds(asking)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def test_file_probe_checks_content_and_age(shop: Path) -> None:
    path = shop / "health.json"
    probe = ["sh", "-c", _blocks("sh")[1].replace("/run/shop/health.json", str(path))]
    assert not _succeeds(probe)
    arguments = ["worker", "shop.tasks", "--journal", f"sqlite:///{shop / 'shop.db'}", "--health", str(path)]
    with _started(arguments, shop):
        wait_until(lambda: _succeeds(probe), "the probe finds the worker well")
        written = path.read_bytes()
    assert not _succeeds(probe)
    path.write_bytes(written)
    assert _succeeds(probe)
    os.utime(path, (path.stat().st_atime - 120, path.stat().st_mtime - 120))
    assert not _succeeds(probe)
    path.write_bytes(written.replace(b'"healthy":true', b'"healthy":false'))
    assert not _succeeds(probe)


def test_operations_page_names_existing_commands_and_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {words.split()[1] for words in re.findall(r"`(journeyman [a-z][^`]*)`", PAGE)}
    assert named == {
        "worker",
        "thread-pool",
        "process-pool",
        "status",
        "why",
        "history",
        "tail",
        "backup",
        "restore",
        "verify",
        "export",
        "import",
        "consumers",
        "revoke",
        "requeue",
        "demo",
        "pause",
        "resume",
        "dlq",
        "submit",
    }
    monkeypatch.setenv("COLUMNS", "200")
    help_of = {}
    for command in named:
        assert main([command, "--help"]) == 0
        help_of[command] = capsys.readouterr().out
    for option in ("--drain-timeout", "--lease-ms", "--health"):
        assert option in PAGE
        assert option in help_of["worker"]
    for command in ("status", "why", "history"):
        assert "--as-of" in help_of[command]
    for command in ("status", "why", "history", "tail"):
        assert "--json" in help_of[command]
    assert "--watch" in help_of["status"]


def test_acting_commands_run_as_shown(shop: Path) -> None:
    url = f"sqlite:///{shop / 'shop.db'}"
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message(task_name="send", queue="mail"))
    (block,) = [each for each in _blocks("sh") if each.startswith("journeyman pause")]
    said = [
        subprocess.run(
            [sys.executable, "-m", *shlex.split(line)],
            cwd=shop,
            env=os.environ | {"JOURNEYMAN_JOURNAL": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for line in block.splitlines()
    ]
    assert [(each.returncode, each.stdout) for each in said] == [
        (0, "queue mail paused\n"),
        (0, "0 dead letters would be requeued\n"),
        (3, "0 workers are running, at least 1 wanted\n"),
    ]


def test_commands_for_copies_run_in_their_order(shop: Path) -> None:
    with jm.Journal(f"sqlite:///{shop / 'shop.db'}") as journal:
        journal.append_all([("order.paid", {"order": number}, None) for number in range(9)])
    for block in _blocks("bash"):
        for line in block.splitlines():
            done = subprocess.run(
                [sys.executable, "-m", *shlex.split(line)],
                cwd=shop,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            nine = len(done.stdout.splitlines()) == 9 if " tail " in line else re.search(r"\b9\b", done.stdout)
            assert nine, done.stdout
    kinds = set(typing.get_args(Kind))
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.partition("| finding |")[2], re.MULTILINE)) == kinds
