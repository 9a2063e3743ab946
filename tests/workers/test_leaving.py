"""The end of a worker's process, whatever its tasks and its journal do: real processes, and what they leave behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.journal import Journal
from journeyman.tasks import Message, State, Task, TaskState, TaskView
from journeyman.tasks.state.remembering import RememberingView
from journeyman.workers.limits import FORCED_EXIT_SECONDS
from support.waiting import insist, wait_until
from task_modules import ending_tasks

Start = Callable[..., "subprocess.Popen[str]"]
LEASE_MS = 1_000


class Place:
    """A directory with a journal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path / 'place.db'}"

    def submit(self, task: Task[Any, Any]) -> Message:
        message = task.generate(submit=False)
        with Journal(self.url) as journal:
            jm.Broker(journal).submit(message)
        return message

    def view(self) -> TaskView:
        view = RememberingView()
        with Journal(self.url) as journal:
            for event in journal.read().events:
                view.apply(event)
        return view

    def task(self, message: Message) -> TaskState:
        state = self.view().find(message.uuid)
        assert state is not None
        return state

    def marked(self, line: str) -> None:
        marks = self.path / "marks"
        wait_until(lambda: marks.exists() and line in marks.read_text().split(), f"{line} to run")

    @contextmanager
    def written_by_nobody(self) -> Iterator[None]:
        """Hold the lock that every writer of the journal waits for."""
        with (self.path / "place.db-lock").open("rb") as lock:
            flock(lock, LOCK_EX)
            yield


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    with Journal(place.url) as journal:
        journal.append("place.made", {})
    yield place
    (tmp_path / "go").touch()


@pytest.fixture
def start(place: Place) -> Iterator[Start]:
    """Start a worker; whatever still runs at the end of the test is killed."""
    with ExitStack() as stack:

        def call(*options: str, ready: bool = True) -> "subprocess.Popen[str]":
            command = [
                sys.executable,
                "-m",
                "journeyman",
                "worker",
                "task_modules.ending_tasks",
                "--journal",
                place.url,
            ]
            process = stack.enter_context(
                subprocess.Popen(
                    [*command, "--lease-ms", str(LEASE_MS), *options],
                    cwd=Path(ending_tasks.__file__).parents[1],
                    env={**os.environ, "YARD": str(place.path)},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            if ready:
                assert process.stdout is not None
                assert "is ready" in process.stdout.readline()
            return process

        yield call


@pytest.mark.parametrize("task", [ending_tasks.in_a_thread, ending_tasks.refuses, ending_tasks.thread])
def test_drain_ends_in_time_with_tasks_still_running(place: Place, start: Start, task: Task[Any, Any]) -> None:
    worker = start("--drain-timeout", "0.2")
    message = place.submit(task)
    place.marked(task.name)
    worker.terminate()
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert "1 given back" in out
    assert "Traceback" not in err
    assert "destroyed" not in err
    state = place.task(message)
    assert (state.state, state.attempts) == (State.READY, 0)
    assert not list(place.view().all_sessions())


def test_thread_left_behind_by_a_task_does_not_keep_its_worker(place: Place, start: Start) -> None:
    worker = start()
    message = ending_tasks.in_a_thread.generate(timeout_override=100, submit=False)
    with Journal(place.url) as journal:
        jm.Broker(journal).submit(message)
    place.marked("in_a_thread")
    wait_until(lambda: place.task(message).state is not State.CLAIMED, "its timeout")
    worker.terminate()
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert "left:" in out


@pytest.mark.parametrize("task", [ending_tasks.stops_the_loop, ending_tasks.stops_the_loop_and_waits])
def test_worker_with_a_stopped_loop_names_likely_causes(place: Place, start: Start, task: Task[Any, Any]) -> None:
    worker = start()
    other = place.submit(ending_tasks.refuses)
    place.marked("refuses")
    message = place.submit(task)
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert "event loop was stopped, by loop.stop() or the like in an async task that had just ended or that ran:" in err
    assert f"refuses {other.uuid}" in err
    if task is ending_tasks.stops_the_loop_and_waits:
        assert f"{task.name} {message.uuid}" in err
    assert len(err.splitlines()) == 1, err


@pytest.mark.parametrize("task", [ending_tasks.refuses, ending_tasks.blocks])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_a_busy_worker_at_once(
    place: Place, start: Start, task: Task[Any, Any], number: int
) -> None:
    worker = start("--drain-timeout", "100")
    place.submit(task)
    place.marked(task.name)
    worker.send_signal(number)
    wait_until(lambda: not pending(worker.pid, number), "the first signal to be taken")
    insist(worker, number)
    assert worker.wait(60) == 130


def test_signal_sent_twice_at_once_counts_once(place: Place, start: Start) -> None:
    worker = start("--drain-timeout", "100")
    message = ending_tasks.in_a_thread.generate(timeout_override=300, submit=False)
    with Journal(place.url) as journal:
        jm.Broker(journal).submit(message)
    place.marked("in_a_thread")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        worker.send_signal(number)
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert "left:" in out


def pending(pid: int, number: int) -> bool:
    """Whether a signal waits to be delivered: a second one would be the same one until then."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def test_blocked_loop_is_ended_after_the_grace_period(place: Place, start: Start) -> None:
    worker = start("--drain-timeout", "0.1")
    message = place.submit(ending_tasks.blocks)
    place.marked("blocks")
    worker.terminate()
    _, err = worker.communicate(timeout=0.1 + LEASE_MS / 1_000 + FORCED_EXIT_SECONDS + 60)
    assert worker.returncode == 1
    assert "1 tasks still run" in err
    assert place.task(message).state is State.CLAIMED, "it returns when the lease is over"


def test_stuck_journal_keeps_a_worker_for_a_lease_at_most(place: Place, start: Start) -> None:
    worker = start("--drain-timeout", "0.2")
    message = place.submit(ending_tasks.thread)
    place.marked("thread")
    with place.written_by_nobody():
        (place.path / "go").touch()
        worker.terminate()
        _, err = worker.communicate(timeout=0.2 + LEASE_MS / 1_000 + FORCED_EXIT_SECONDS + 60)
    assert worker.returncode == 1
    assert "1 outcomes could not be written to the journal" in err
    assert "Traceback" not in err
    assert place.task(message).state is State.CLAIMED
    start()
    wait_until(lambda: place.task(message).state is State.SUCCEEDED, "another worker to run it when the lease is over")
    assert place.task(message).attempts == 2


def test_worker_waiting_for_its_journal_can_be_stopped(place: Place, start: Start) -> None:
    with place.written_by_nobody():
        worker = start("--drain-timeout", "100", ready=False)
        wait_until(lambda: waits_for_lock(place.path / "place.db-lock"), "the worker to wait for the journal")
        worker.terminate()
        out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert "stopped before it was ready" in err
    assert "is ready" not in out


def test_idle_worker_leaves_though_its_journal_is_stuck(place: Place, start: Start) -> None:
    worker = start("--drain-timeout", "1000")
    with place.written_by_nobody():
        worker.terminate()
        _, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert "the journal did not take its last event" in err


def waits_for_lock(path: Path) -> bool:
    """Whether a process waits in the queue for the lock on a file."""
    inode = f":{path.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_program_outlives_its_worker_with_a_task_still_running(tmp_path: Path, place: Place) -> None:
    script = (
        f"import sys, os; sys.path.insert(0, {str(Path(ending_tasks.__file__).parents[1])!r})\n"
        "import journeyman as jm\n"
        "from task_modules import ending_tasks\n"
        f"worker = jm.Worker([ending_tasks.refuses], {place.url!r}, jm.Settings(drain_seconds=0.2))\n"
        "print('run', worker.run().left_running, flush=True)\n"
        "os._exit(0)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "YARD": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            place.submit(ending_tasks.refuses)
            place.marked("refuses")
            process.terminate()
            out, err = process.communicate(timeout=60)
            assert out == "run 1\n", err
        finally:
            process.kill()


@pytest.mark.parametrize("task", [ending_tasks.refuses, ending_tasks.refuses_everything])
def test_program_ends_silently_with_an_abandoned_coroutine(place: Place, task: Task[Any, Any]) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(Path(ending_tasks.__file__).parents[1])!r})\n"
        "import journeyman as jm\n"
        "from task_modules import ending_tasks\n"
        "from journeyman.workers.executors import coroutines\n"
        "coroutines.ABANDON_SECONDS = 0.2\n"
        f"worker = jm.Worker([ending_tasks.{task.name}], {place.url!r}, jm.Settings(drain_seconds=100))\n"
        "print('run', worker.run().left_running, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "YARD": str(place.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    message = task.generate(timeout_override=100, submit=False)
    message.max_retries = 0
    with process:
        try:
            with Journal(place.url) as journal:
                jm.Broker(journal).submit(message)
            wait_until(lambda: place.task(message).state is State.FAILED, "it to be given up")
            process.terminate()
            out, err = process.communicate(timeout=60)
            assert (process.returncode, out, err.count("\n")) == (0, "run 0\n", 2), err
            assert "cannot be stopped: it goes on" in err
            assert "has failed for good, after 1 attempt" in err
            assert "cannot be stopped" in err
        finally:
            process.kill()
