"""Workers as real processes on one file: killed, stopped, terminated, locked out. Nothing is lost, nothing done twice.

The tests read the journal and nothing else, and wait for what they name; they never sleep for a time.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from journeyman.journal import Journal
from journeyman.journal.event import Event
from journeyman.tasks import Message, State, Task, TaskState, TaskView
from journeyman.tasks.state import names
from journeyman.tasks.state.remembering import RememberingView
from journeyman.tasks.submitting import submission
from support.waiting import insist, wait_until
from task_modules import daemon_tasks

LEASE_MS = 1_000
LEASE = LEASE_MS / 1_000
STRANGER = Message(task_name="unknown.to.workers")


class Yard:
    """A directory with a journal, and workers that are started there and ended again, whatever happens."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path = path
        self.journal = journal
        self.view = RememberingView()
        self.events: list[Event] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    # -- what there is -----------------------------------------------------------------------------------------------

    def read(self) -> TaskView:
        """Fold what came since the last look."""
        while found := self.journal.read({0: len(self.events)}, 10_000).events:
            for event in found:
                self.view.apply(event)
            self.events += found
        return self.view

    def task(self, message: Message) -> TaskState:
        """The state of a task now."""
        state = self.read().find(message.uuid)
        assert state is not None
        return state

    def reached(self, message: Message, state: State, timeout: float = 30.0) -> None:
        """Wait until a task is in a state."""
        wait_until(lambda: self.task(message).state is state, f"{message.task_name} to be {state.name}", timeout)

    def count(self, name: str) -> int:
        """How many events of a name there are."""
        self.read()
        return sum(event.name == name for event in self.events)

    def marks(self, prefix: str) -> int:
        """How many lines the tasks have left that begin so."""
        try:
            lines = (self.path / "marks").read_text().splitlines()
        except FileNotFoundError:
            return 0
        return sum(line == prefix or line.startswith(f"{prefix} ") for line in lines)

    # -- what is done ------------------------------------------------------------------------------------------------

    def submit(self, task: Task[Any, Any], *args: Any, **options: Any) -> Message:
        """Submit one message."""
        message = task.generate(args=list(args), submit=False, **options)
        self.journal.append_drafts([submission(message)])
        return message

    def start(self, threads: int = 2) -> "subprocess.Popen[bytes]":
        """Start a worker as a user would, and wait until it has joined."""
        worker = self.launch(threads)
        assert worker.poll() is None, f"the worker ended: {self.log(worker)}"
        return worker

    def launch(self, threads: int = 2) -> "subprocess.Popen[bytes]":
        """As `start`, for a worker that its first task may end."""
        joined = self.count(names.JOINED)
        command = [
            sys.executable,
            "-m",
            "journeyman",
            "worker",
            "task_modules.daemon_tasks",
            "--journal",
            self.journal.url,
        ]
        options = ["--threads", str(threads), "--lease-ms", str(LEASE_MS), "--drain-timeout", "20"]
        with (self.path / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [*command, *options],
                cwd=Path(daemon_tasks.__file__).parents[1],
                env={**os.environ, "YARD": str(self.path)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(worker)
        wait_until(lambda: self.count(names.JOINED) > joined or worker.poll() is not None, "the worker to join")
        return worker

    def log(self, worker: "subprocess.Popen[bytes]") -> str:
        """The output of a worker."""
        return (self.path / f"worker-{self.workers.index(worker)}.log").read_text()

    def let(self, name: str) -> None:
        """Let a task that holds go on."""
        (self.path / f"{name}.go").touch()

    def ended(self, worker: "subprocess.Popen[bytes]") -> int:
        """Wait for the end of a worker; its exit status."""
        wait_until(lambda: worker.poll() is not None, f"the worker to end; it has said: {self.log(worker)}")
        return worker.returncode

    def close(self) -> None:
        """End all workers, stopped ones too."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Journal(f"sqlite:///{tmp_path / 'yard.db'}") as journal:
        place = Yard(tmp_path, journal)
        try:
            yield place
        finally:
            place.close()


def accepted_outcomes(yard: Yard) -> Counter[str]:
    """How many final outcomes of each task were accepted, by an independent fold."""
    fresh, accepted = TaskView(), Counter[str]()
    for event in yard.events:
        if fresh.apply(event) == 0 and event.name in (names.SUCCEEDED, names.FAILED):
            accepted[event.context["task"]] += 1
    return accepted


# -- SIGKILL ---------------------------------------------------------------------------------------------------------


def test_sigkill_during_a_task_hands_it_to_another_worker(yard: Yard) -> None:
    victim = yard.start(threads=1)
    held = yard.submit(daemon_tasks.hold, "a")
    yard.reached(held, State.CLAIMED)
    wait_until(lambda: yard.marks("hold a") == 1, "the task to run")
    heir = yard.start()
    victim.kill()
    wait_until(lambda: yard.marks("hold a") == 2, "the heir to run it")
    others = [yard.submit(daemon_tasks.add, number, 1) for number in range(20)]
    yard.let("a")
    for message in (held, *others):
        yard.reached(message, State.SUCCEEDED)

    assert yard.task(held).attempts == 2
    assert f"in {heir.pid}" in yard.events[yard.task(held).changed].context["result"]
    assert (yard.view.takeovers, yard.count(names.EXPIRED)) == (1, 1)
    assert set(accepted_outcomes(yard).values()) == {1}
    assert yard.marks("add") == 20


def test_task_that_kills_its_workers_fails_after_its_retries(yard: Yard) -> None:
    workers = [yard.start(threads=1) for _ in range(3)]
    deadly = yard.submit(daemon_tasks.die, "d")
    yard.reached(deadly, State.FAILED)

    dead = [worker for worker in workers if worker.poll() is not None]
    assert [worker.returncode for worker in dead] == [7, 7]
    assert (yard.task(deadly).attempts, yard.marks("die d")) == (2, 2)
    after = yard.submit(daemon_tasks.add, 1, 1)
    yard.reached(after, State.SUCCEEDED)


def test_task_that_kills_its_workers_fails_no_other(yard: Yard) -> None:
    def drafted(task: Task[Any, Any], *args: Any) -> Message:
        message = task.generate(args=list(args), submit=False)
        message.max_retries = 2
        return message

    innocent = [drafted(daemon_tasks.add, number, 1) for number in range(600)]
    deadly = drafted(daemon_tasks.die, "d")
    messages = [*innocent[:300], deadly, *innocent[300:]]
    yard.journal.append_drafts([submission(message) for message in messages])

    while yard.task(deadly).state is not State.FAILED:
        if all(worker.poll() is not None for worker in yard.workers):
            yard.launch()
        worker = yard.workers[-1]
        wait_until(
            lambda worker=worker: worker.poll() is not None or yard.task(deadly).state is State.FAILED,  # type: ignore[misc]
            "the worker to die of it, or the task to be dead",
            40,
        )
    yard.start(threads=2)
    for message in innocent:
        yard.reached(message, State.SUCCEEDED)

    assert list(yard.read().dead) == [deadly.uuid]
    assert (yard.task(deadly).attempts, yard.marks("die d")) == (3, 3)
    assert max(yard.task(message).attempts for message in innocent) <= 3
    assert set(accepted_outcomes(yard).values()) == {1}


# -- SIGSTOP ---------------------------------------------------------------------------------------------------------


def test_late_outcome_of_a_stopped_worker_is_refused(yard: Yard) -> None:
    sleeper = yard.start(threads=1)
    held = yard.submit(daemon_tasks.hold, "a")
    wait_until(lambda: yard.marks(f"hold a {sleeper.pid}") == 1, "the sleeper to run the task")
    with stopped(sleeper):
        heir = yard.start(threads=1)
        wait_until(lambda: yard.marks(f"hold a {heir.pid}") == 1, "the heir to run it", 60)
        yard.let("a")
        yard.reached(held, State.SUCCEEDED)
        joined = yard.count(names.JOINED)
    wait_until(lambda: yard.count(names.SUCCEEDED) == 2, "the late outcome")
    wait_until(lambda: yard.count(names.JOINED) == joined + 1, "the sleeper to join anew")

    assert yard.view.stale_outcomes == 1
    assert yard.task(held).refused == 1
    assert f"in {heir.pid}" in yard.events[yard.task(held).changed].context["result"]
    wait_until(lambda: "was refused" in yard.log(sleeper), "the sleeper to say so")
    assert "joining with a new one" in yard.log(sleeper)
    heir.terminate()
    assert yard.ended(heir) == 0
    yard.reached(yard.submit(daemon_tasks.add, 2, 2), State.SUCCEEDED)
    sleeper.terminate()
    assert yard.ended(sleeper) == 0
    assert not list(yard.read().all_sessions())


@contextmanager
def stopped(worker: "subprocess.Popen[bytes]") -> Iterator[None]:
    """The worker stands still meanwhile."""
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGCONT)


# -- SIGTERM ---------------------------------------------------------------------------------------------------------


def test_sigterm_ends_running_tasks_and_gives_back_the_rest(yard: Yard) -> None:
    worker = yard.start(threads=1)
    warm = [yard.submit(daemon_tasks.add, number, 0) for number in range(50)]  # so that it claims ahead
    for message in warm:
        yard.reached(message, State.SUCCEEDED)
    held = yard.submit(daemon_tasks.hold, "a")
    wait_until(lambda: yard.marks("hold a") == 1, "the task to run")
    behind = [yard.submit(daemon_tasks.add, number, 1_000) for number in range(5)]

    worker.terminate()
    wait_until(lambda: "draining" in yard.log(worker), "the worker to drain")
    for message in behind:
        yard.reached(message, State.READY)
    yard.let("a")

    assert yard.ended(worker) == 0
    assert yard.task(held).state is State.SUCCEEDED
    assert [(yard.task(message).state, yard.task(message).attempts) for message in behind] == [(State.READY, 0)] * 5
    assert not list(yard.view.all_sessions())
    yard.start()
    for message in behind:
        yard.reached(message, State.SUCCEEDED)
    assert yard.view.stale_outcomes == 0
    assert yard.marks("hold a") == 1


def test_second_sigterm_ends_the_worker_and_loses_nothing(yard: Yard) -> None:
    worker = yard.start(threads=1)
    held = yard.submit(daemon_tasks.hold, "a")
    wait_until(lambda: yard.marks("hold a") == 1, "the task to run")
    worker.terminate()
    wait_until(lambda: "draining" in yard.log(worker), "the worker to drain")
    assert worker.poll() is None
    insist(worker, signal.SIGTERM)
    assert yard.ended(worker) == 130

    yard.let("a")
    yard.start()
    yard.reached(held, State.SUCCEEDED)
    assert yard.task(held).attempts == 2
    assert accepted_outcomes(yard)[held.uuid] == 1


# -- sharing ---------------------------------------------------------------------------------------------------------


def test_two_workers_run_each_task_once(yard: Yard) -> None:
    workers = [yard.start(), yard.start()]
    messages = [daemon_tasks.add.generate(args=[number, 1], submit=False) for number in range(600)]
    for start in range(0, 600, 50):
        yard.journal.append_drafts([submission(message) for message in messages[start : start + 50]])
    wait_until(lambda: yard.read().succeeded == 600, "all tasks to be done")

    assert set(accepted_outcomes(yard).values()) == {1}
    assert yard.marks("add") == 600
    assert yard.view.stale_outcomes == 0
    by_worker = Counter(task.worker for task in yard.view.finished.values())
    assert len(by_worker) == 2
    for worker in workers:
        worker.terminate()
    assert [yard.ended(worker) for worker in workers] == [0, 0]


def test_unknown_task_waits_and_harms_no_other(yard: Yard) -> None:
    yard.journal.append_drafts([submission(STRANGER)])
    worker = yard.start()
    known = [yard.submit(daemon_tasks.add, number, 1) for number in range(10)]
    for message in known:
        yard.reached(message, State.SUCCEEDED)
    worker.terminate()
    assert yard.ended(worker) == 0
    assert (yard.task(STRANGER).state, yard.task(STRANGER).attempts) == (State.READY, 0)


# -- time ------------------------------------------------------------------------------------------------------------


def test_backoff_counts_from_the_failure(yard: Yard) -> None:
    yard.start()
    message = yard.submit(daemon_tasks.stumble, "s", 2)
    yard.reached(message, State.SUCCEEDED)

    about = [event for event in yard.events if event.context.get("task") == message.uuid]
    failures = [event for event in about if event.name == names.RETRIED]
    claims = [event for event in about if event.name == names.CLAIMED]
    assert (len(failures), len(claims)) == (2, 3)
    for failure, claim in zip(failures, claims[1:], strict=True):
        assert failure.context["due"] - failure.timestamp == pytest.approx(0.7, abs=0.2)
        assert claim.timestamp >= failure.context["due"]
    assert yard.events[yard.task(message).changed].context["result"] == 3


def test_delayed_task_is_not_claimed_before_it_is_due(yard: Yard) -> None:
    yard.start()
    delayed = yard.submit(daemon_tasks.add, 1, 1, delay=1_200)
    at_once = yard.submit(daemon_tasks.add, 2, 2)
    yard.reached(at_once, State.SUCCEEDED)
    assert yard.task(delayed).state is State.READY
    yard.reached(delayed, State.SUCCEEDED)
    claim = next(
        event for event in yard.events if event.name == names.CLAIMED and event.context["task"] == delayed.uuid
    )
    assert claim.timestamp >= delayed.due


# -- a journal that is held ------------------------------------------------------------------------------------------


def test_journal_locked_beyond_the_lease_costs_no_claims(yard: Yard) -> None:
    holder = yard.start(threads=1)
    held = yard.submit(daemon_tasks.hold, "a")
    wait_until(lambda: yard.marks(f"hold a {holder.pid}") == 1, "the task to run")
    yard.start(threads=1)
    for _ in range(2):
        with written_by_nobody(yard):
            passed(3 * LEASE)
        beats = yard.count(names.BEAT)
        wait_until(lambda beats=beats: yard.count(names.BEAT) >= beats + 6, "both to live on for two leases")  # type: ignore[misc]
    assert yard.count(names.EXPIRED) == 0
    yard.let("a")
    yard.reached(held, State.SUCCEEDED)
    assert (yard.task(held).attempts, yard.view.stale_outcomes) == (1, 0)


@contextmanager
def written_by_nobody(yard: Yard) -> Iterator[None]:
    """Hold the lock that every writer of the journal waits for."""
    with (yard.path / "yard.db-lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def passed(seconds: float) -> None:
    """Wait until so much time has really passed: it is a lease that is to run out."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, f"{seconds} s to pass")
