"""Processes that a task starts end by SIGTERM and SIGINT as usual, wherever the task runs; real workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journeyman.journal import Journal
from journeyman.tasks import Broker, ResultStore, Task
from task_modules import starting_tasks as tasks

OPTIONS = {"process": (), "group": ("--thread-processes", "1"), "thread": ()}


@pytest.fixture(params=OPTIONS)
def worker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A worker; its mechanism and its journal's URL."""
    url = f"sqlite:///{tmp_path / 'started.db'}"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "journeyman",
        "worker",
        "task_modules.starting_tasks",
        "--journal",
        url,
    ]
    process = subprocess.Popen(
        [*command, "--mechanism", request.param.replace("group", "thread"), *OPTIONS[request.param]],
        cwd=Path(tasks.__file__).parents[1],
        env={**os.environ, "YARD": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "is ready" in process.stdout.readline()
        yield request.param, url
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


def run(url: str, task: Task[Any, Any], **kwargs: Any) -> Any:
    with Journal(url) as journal:
        message = task.generate(kwargs=kwargs, submit=False)
        Broker(journal).submit(message)
        return ResultStore(journal).get(message, timeout=60_000)


def test_process_started_by_a_task_can_be_ended(worker: tuple[str, str]) -> None:
    mechanism, url = worker
    in_process = mechanism == "process"
    terminates = tasks.terminates_in_process if in_process else tasks.terminates_in_thread
    interrupts = tasks.interrupts_in_process if in_process else tasks.interrupts_in_thread
    by_term = -signal.SIGTERM
    assert run(url, terminates) == {"program": by_term, "process": by_term, "at once": by_term}
    assert run(url, interrupts) == {"program": -signal.SIGINT, "process": 1}  # 1: KeyboardInterrupt, as multiprocessing
    if in_process:
        assert run(url, tasks.waits_in_c_in_process) == 1, "a child leaves signals to its worker"


@pytest.mark.parametrize(("fails", "status"), [(False, 0), (True, 1)])
def test_forked_process_reports_nothing_of_its_own(worker: tuple[str, str], fails: bool, status: int) -> None:
    mechanism, url = worker
    task = tasks.forks_in_process if mechanism == "process" else tasks.forks_in_thread
    assert run(url, task, fails=fails) == [status]


def test_import_path_of_a_worker_reaches_no_other_program(worker: tuple[str, str]) -> None:
    mechanism, url = worker
    if mechanism == "process":
        assert run(url, tasks.import_path) == [os.environ.get("PYTHONPATH"), []]
