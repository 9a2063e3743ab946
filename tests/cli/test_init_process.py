"""A worker as the first process of a container: it collects orphans, passes signals on and ends with the worker."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from support.waiting import wait_until

TASKS = """
import subprocess, time
import journeyman as jm

broker = jm.Broker()


@jm.task(broker)
def leave_orphans(count: int) -> int:
    for _ in range(count):
        subprocess.run(["sh", "-c", "sleep 0.2 &"], check=True)
    return count


@jm.task(broker)
def number() -> int:
    import os
    return os.getpid()
"""


def _can_unshare() -> bool:
    command = ["unshare", "--pid", "--fork", "true"]
    return shutil.which("unshare") is not None and subprocess.run(command, check=False, stderr=-3).returncode == 0


pytestmark = pytest.mark.skipif(
    not _can_unshare(), reason="needs a process namespace of its own: run as root on Linux, with unshare of util-linux"
)


@pytest.fixture
def first(tmp_path: Path) -> Iterator[tuple[int, "subprocess.Popen[str]", str]]:
    """The id of a worker's first process as seen from here, the program that made its namespace, and the journal."""
    (tmp_path / "contained.py").write_text(TASKS)
    url = f"sqlite:///{tmp_path}/contained.db"
    command = [sys.executable, "-m", "journeyman", "worker", "contained", "--journal", url]
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", *command], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as program:
        try:
            assert program.stdout is not None
            assert "is ready" in program.stdout.readline()
            yield int(_children(program.pid)[0]), program, url
        finally:
            program.kill()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _zombies(pid: int) -> list[str]:
    stats = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] for child in _children(pid)]
    return [state for state in stats if state == "Z"]


def test_init_process_reaps_orphans(first: tuple[int, "subprocess.Popen[str]", str]) -> None:
    pid, _, url = first
    with jm.Journal(url) as journal:
        message = jm.Message(task_name="leave_orphans", args=[20])
        jm.Broker(journal).submit(message)
        assert jm.ResultStore(journal).get(message, timeout=60_000) == 20
        numbered = jm.Message(task_name="number")
        jm.Broker(journal).submit(numbered)
        assert jm.ResultStore(journal).get(numbered, timeout=60_000) != 1, "the worker is not the first process"
    wait_until(lambda: len(_children(pid)) == 1, "the orphans have ended and were collected")
    assert _zombies(pid) == []


def test_signal_reaches_the_worker_and_its_status_comes_back(first: tuple[int, "subprocess.Popen[str]", str]) -> None:
    pid, program, _ = first
    os.kill(pid, signal.SIGTERM)
    assert program.wait(60) == 0


def test_killed_worker_ends_the_init_process(first: tuple[int, "subprocess.Popen[str]", str]) -> None:
    pid, program, _ = first
    os.kill(int(_children(pid)[0]), signal.SIGKILL)
    assert program.wait(60) == 128 + signal.SIGKILL
