"""Pools as programs use them: the reference's parameters, real programs on a file, threads that start and stop one."""

import functools
import gc
import math
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.journal import Journal
from journeyman.journal.event import Event
from journeyman.tasks import State, Task, TaskView
from journeyman.tasks.state import names
from journeyman.tasks.state.remembering import RememberingView
from journeyman.workers import Settings
from journeyman.workers.loop.loop import WorkerLoop
from journeyman.workers.settings import processes_default
from support.shop import named
from support.waiting import alive, wait_until
from task_modules import daemon_tasks, pool_tasks

BROKER = jm.Broker()
wrongly: Any = jm  # as a program without a type checker calls it


def make(name: str, queue: str, mechanism: str = "thread") -> Task[Any, Any]:
    return Task(lambda: None, BROKER, name, queue, mechanism=mechanism)


def made_of(function: Any, **options: Any) -> Task[Any, Any]:
    decorator: Any = jm.task(BROKER, **options)
    made: Task[Any, Any] = decorator(function)
    return made


TASKS = [make("send", "mail"), make("remind", "mail"), make("resize", "images"), make("count", "sums", "process")]


# -- parameters ------------------------------------------------------------------------------------------------------


def test_pool_defaults_equal_the_reference() -> None:
    threads = jm.ThreadWorkerPool(tasks=TASKS).settings
    assert (threads.threads, threads.thread_processes, threads.process_floor) == (8, processes_default(), 1)
    assert threads.queues == ["images", "mail"], "the queues of its tasks, sorted"
    assert threads.abandon_threads
    processes = jm.ProcessWorkerPool(tasks=TASKS).settings
    assert (processes.processes, processes.enforce_ms, processes.queues) == (processes_default(), 100, ["sums"])


def test_pool_takes_tasks_of_its_mechanism_and_worker_takes_all() -> None:
    assert set(jm.ThreadWorkerPool(TASKS).tasks) == {"send", "remind", "resize"}
    assert set(jm.ProcessWorkerPool(TASKS).tasks) == {"count"}
    assert set(jm.Worker(TASKS).tasks) == {"send", "remind", "resize", "count"}
    assert set(jm.Worker(TASKS, mechanisms=["process"]).tasks) == {"count"}


@pytest.mark.parametrize(
    ("options", "served"),
    [
        ({"queues": ["mail", "images"]}, ["mail", "images"]),
        ({"subset": ["mail"]}, ["mail"]),
        ({"subset": {"mail": ["remind"], "images": None}}, {"mail": ["remind"], "images": None}),
        ({"task_specific_mode": True}, {"images": ["resize"], "mail": ["send", "remind"]}),
        ({"task_specific_mode": True, "queues": ["mail"]}, {"mail": ["send", "remind"]}),
        ({"settings": Settings(queues=["images"])}, ["images"]),
    ],
)
def test_pool_serves_the_named_queues(options: dict[str, Any], served: object) -> None:
    assert jm.ThreadWorkerPool(TASKS, **options).settings.queues == served


def test_pool_parameters_override_settings() -> None:
    pool = jm.ThreadWorkerPool(
        TASKS, n_threads=3, n_processes=5, n_process_floor=2, complete_only_on_thread_exit=True,
        slot_wait_interval=10, backoff=jm.LinearBackoff(1_000), settings=Settings(lease_ms=2_000, threads=99),
    )  # fmt: skip
    settings = pool.settings
    assert (settings.threads, settings.thread_processes, settings.process_floor) == (3, 5, 2)
    assert (settings.abandon_threads, settings.lease_ms) == (False, 2_000)
    assert jm.ProcessWorkerPool(TASKS, prune_interval=20).settings.enforce_ms == 20


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: wrongly.ProcessWorkerPool(TASKS[:1]), jm.NoTasksFoundError, "process"),
        (lambda: wrongly.Worker([]), jm.NoTasksFoundError, "got none"),
        (lambda: wrongly.Worker([TASKS[0], make("send", "x")]), jm.TaskNameCollisionError, "'send'"),
        (lambda: wrongly.ThreadWorkerPool(TASKS, ["mail", "mail"]), jm.ValidationError, "different names"),
        (lambda: wrongly.ThreadWorkerPool(TASKS, ["mail"], subset=["mail"]), jm.ValidationError, "give one"),
        (lambda: wrongly.ThreadWorkerPool(TASKS, n_processes=0), jm.ValidationError, "n_processes must be at least 1"),
        (lambda: wrongly.ThreadWorkerPool(TASKS, n_processes="8"), jm.ValidationError, "a whole number, got '8'"),
        (lambda: wrongly.ThreadWorkerPool(TASKS, n_threads=2.5), jm.ValidationError, "a whole number from 1 to 1,024"),
        (lambda: wrongly.Worker(TASKS, settings=5), jm.ValidationError, "Settings(threads=8), for example, got 5"),
        (lambda: wrongly.ThreadWorkerPool(TASKS, settings=5), jm.ValidationError, "Settings(threads=8), for"),
        (lambda: wrongly.ProcessWorkerPool(TASKS, settings=5), jm.ValidationError, "Settings(threads=8), for example"),
        (lambda: wrongly.Worker(TASKS, journal=5), TypeError, "Worker() takes a Journal or its URL"),
        (lambda: wrongly.Worker([print]), jm.ValidationError, "decorated with @task, got <built-in function print>"),
        (lambda: wrongly.Worker(TASKS[0]), jm.ValidationError, "in a list, or as the name of their package, got Task"),
        (lambda: wrongly.Settings(threads="8"), jm.ValidationError, "threads must be a whole number from 1"),
        (lambda: wrongly.Settings(threads=2.5), jm.ValidationError, "a whole number from 1 to 1,024, got 2.5"),
        (lambda: wrongly.Settings(threads=None), jm.ValidationError, "a whole number from 1 to 1,024, got None"),
        (lambda: wrongly.Settings(threads=True), jm.ValidationError, "a whole number from 1 to 1,024, got True"),
        (lambda: wrongly.Settings(drain_seconds="soon"), jm.ValidationError, "drain_seconds must be a number from 0"),
        (lambda: wrongly.Settings(drain_seconds=math.nan), jm.ValidationError, "drain_seconds must be from 0"),
        (lambda: wrongly.Settings(queues=5), jm.ValidationError, "queues must be names, in a list"),
        (lambda: wrongly.Settings(queues=[5]), jm.ValidationError, "queues must be names, in a list"),
        (
            lambda: wrongly.Settings(queue_order="fair", queue_weights={"mail": "3"}),
            jm.ValidationError,
            "weighs from 1 to 1,000, got '3'",
        ),
        (lambda: made_of(print, max_retries=-1), jm.ValidationError, "max_retries is a whole number from 0 up"),
        (lambda: made_of(print, max_retries="3"), jm.ValidationError, "max_retries is a whole number from 0 up"),
        (lambda: made_of(print, timeout=0), jm.ValidationError, "timeout is a whole number of ms, more than 0, got 0"),
        (lambda: made_of(print, backoff=5), jm.ValidationError, "backoff is a Backoff, such as ConstantBackoff(5_000)"),
        (lambda: made_of(functools.partial(print, 1)), jm.ValidationError, "give it one by name=…"),
        (lambda: made_of(5), jm.ValidationError, "made of a function, got 5"),
        (lambda: made_of(print, name=5), jm.ValidationError, "the name of a task is a string, got 5"),
        (lambda: wrongly.ThreadWorkerPool(TASKS, n_threads=0), jm.ValidationError, "threads must be from 1"),
        (lambda: wrongly.ThreadWorkerPool(TASKS, subset={"mail": ["sent"]}), jm.ValidationError, "did you mean send"),
        (lambda: wrongly.Worker(TASKS, mechanisms=["fork"]), jm.ValidationError, "one of async, thread, process"),
    ],
)  # fmt: skip
def test_senseless_pool_parameters_are_refused(call: Callable[[], object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        call()


# -- in a thread of a program ----------------------------------------------------------------------------------------


class Noting(jm.Worker):
    """Notes when its hooks are called."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.noted: list[str] = []

    def on_boot(self) -> None:
        self.noted.append("boot")

    def on_shutdown(self) -> None:
        self.noted.append("shutdown")


def test_worker_in_a_thread_can_be_stopped_and_run_again(tmp_path: Path) -> None:
    url, tasks = f"sqlite:///{tmp_path / 'j.db'}", named(double=lambda number: 2 * number)
    worker = Noting(tasks, url)
    with Journal(url) as journal:
        for round_ in range(2):
            ready = threading.Event()
            thread = threading.Thread(target=lambda ready=ready: worker.run(lambda _: ready.set()))
            thread.start()
            assert ready.wait(60)
            jm.Broker(journal).submit(message := jm.Message(task_name="double", args=[round_]))
            assert jm.ResultStore(journal).get(message, timeout=60_000) == 2 * round_
            worker.stop()
            thread.join(60)
            assert not thread.is_alive()
    assert worker.noted == ["boot", "shutdown"] * 2


def test_stop_after_a_run_leaves_the_next_run_alone(tmp_path: Path) -> None:
    pool = jm.Worker([made_of(abs)], f"sqlite:///{tmp_path / 'again.db'}")
    for _ in range(2):
        stopped_when_ready: list[WorkerLoop] = []

        def started(worker_loop: WorkerLoop, ready: list[WorkerLoop] = stopped_when_ready) -> None:
            ready.append(worker_loop)
            pool.stop()

        pool.run(started)
        assert stopped_when_ready, "it has become ready"
        pool.stop()


def test_embedded_worker_leaves_garbage_collection_alone(tmp_path: Path) -> None:
    gc.unfreeze()  # what another test has left frozen would be left alone, and the threshold with it
    before = gc.get_threshold(), gc.get_freeze_count()
    during: list[tuple[tuple[int, int, int], int]] = []
    pool = jm.Worker([made_of(abs)], f"sqlite:///{tmp_path / 'collected.db'}")

    def started(_: WorkerLoop) -> None:
        during.append((gc.get_threshold(), gc.get_freeze_count()))
        pool.stop()

    pool.run(started)
    assert during[0][0] != before[0]
    assert during[0][1] > 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_stop_before_readiness_is_not_lost(tmp_path: Path) -> None:
    worker = jm.Worker(named(work=lambda: 1), f"sqlite:///{tmp_path / 'j.db'}")
    worker.stop()
    seen: list[WorkerLoop] = []
    assert worker.run(seen.append).claimed == 0
    assert not seen, "it has not even begun"


# -- as programs -----------------------------------------------------------------------------------------------------


class Site:
    """A directory with a journal and one program that runs there."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path, self.journal = path, journal
        self.view, self.events = RememberingView(), list[Event]()
        self.programs: list[subprocess.Popen[str]] = []

    def start(self, kind: str) -> "subprocess.Popen[str]":
        command = [
            sys.executable,
            str(Path(daemon_tasks.__file__).with_name("pool_program.py")),
            kind,
            self.journal.url,
        ]
        environment = {**os.environ, "YARD": str(self.path), "PYTHONPATH": str(Path(daemon_tasks.__file__).parents[1])}
        joined = self.count(names.JOINED)
        self.programs.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        wait_until(lambda: self.count(names.JOINED) > joined, "the program to join")
        return self.programs[-1]

    def count(self, name: str) -> int:
        self.read()
        return sum(event.name == name for event in self.events)

    def close(self) -> None:
        for program in self.programs:
            with program:  # which closes its pipe
                if program.poll() is None:
                    program.kill()

    def read(self) -> TaskView:
        while found := self.journal.read({0: len(self.events)}, 10_000).events:
            for event in found:
                self.view.apply(event)
            self.events += found
        return self.view

    def submit(self, task: Task[Any, Any], *arguments: Any) -> jm.Message:
        message = task.generate(args=list(arguments), submit=False)
        jm.Broker(self.journal).submit(message)
        return message

    def pids(self, task: str) -> list[int]:
        marks = self.path / "marks"
        lines = [line.split() for line in marks.read_text().splitlines()] if marks.exists() else []
        return [int(line[2]) for line in lines if line[0] == task]

    def reached(self, message: jm.Message, state: State) -> None:
        def there() -> bool:
            task = self.read().find(message.uuid)
            return task is not None and task.state is state

        wait_until(there, f"{message.task_name} to be {state.name}", 60)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Journal(f"sqlite:///{tmp_path / 'site.db'}") as journal:
        place = Site(tmp_path, journal)
        try:
            yield place
        finally:
            place.close()


def test_thread_pool_grows_drains_and_leaves_other_mechanisms(site: Site) -> None:
    program = site.start("thread")
    other = site.submit(pool_tasks.compute, 1)
    held = [site.submit(daemon_tasks.hold, "a") for _ in range(6)]
    wait_until(lambda: len(site.pids("hold")) == 4, "two groups of two threads to be full")
    assert len(set(site.pids("hold"))) == 2
    assert program.pid not in site.pids("hold")
    program.terminate()
    (site.path / "a.go").touch()
    assert program.wait(60) == 0
    states = sorted(site.read().find(message.uuid).state.name for message in held)  # type: ignore[union-attr]
    assert states == ["READY"] * 2 + ["SUCCEEDED"] * 4
    assert not any(alive(pid) for pid in site.pids("hold"))
    assert site.read().live[other.uuid].state is State.READY
    assert program.stdout is not None
    assert program.stdout.read() == "4 succeeded\n"


def test_killed_pool_leaves_no_orphan_and_a_successor_finishes(site: Site) -> None:
    program = site.start("thread")
    held = site.submit(daemon_tasks.hold, "a")
    wait_until(lambda: len(site.pids("hold")) == 1, "the task to run")
    (child,) = site.pids("hold")
    program.kill()
    program.wait()
    wait_until(lambda: not alive(child), "the child to end with its worker")
    (site.path / "a.go").touch()
    site.start("worker")
    site.reached(held, State.SUCCEEDED)
    assert site.read().find(held.uuid).attempts == 2  # type: ignore[union-attr]


def test_tasks_of_a_killed_group_count_an_attempt_and_run_again(site: Site) -> None:
    site.start("thread")
    held = [site.submit(daemon_tasks.hold, "a") for _ in range(2)]
    wait_until(lambda: len(site.pids("hold")) == 2, "both to run")
    assert len({*site.pids("hold")}) == 1
    os.kill(site.pids("hold")[0], 9)
    wait_until(lambda: len(site.pids("hold")) == 4, "both to run again")
    (site.path / "a.go").touch()
    for message in held:
        site.reached(message, State.SUCCEEDED)
        assert site.view.find(message.uuid).attempts == 2  # type: ignore[union-attr]
    retried = [event for event in site.events if event.name == names.RETRIED]
    assert ["SIGKILL" in event.context["exception"]["text"] for event in retried] == [True, True]


def test_process_pool_runs_its_own_tasks(site: Site) -> None:
    program = site.start("process")
    messages = [site.submit(pool_tasks.compute, number) for number in range(20)]
    for message in messages:
        site.reached(message, State.SUCCEEDED)
    assert 1 <= len(set(site.pids("compute"))) <= 2
    assert program.pid not in site.pids("compute")


def test_worker_runs_on_the_given_memory_journal(tmp_path: Path) -> None:
    with Journal("memory://") as journal:
        message = jm.Message(task_name="double", args=[21])
        jm.Broker(journal).submit(message)
        worker = jm.Worker(named(double=lambda number: 2 * number), journal)
        ready = threading.Event()
        thread = threading.Thread(target=lambda: worker.run(lambda _: ready.set()))
        thread.start()
        try:
            assert ready.wait(60)
            assert jm.ResultStore(journal).get(message, timeout=60_000) == 42
        finally:
            worker.stop()
            thread.join(60)
    assert not thread.is_alive()


def test_private_memory_journals_stay_apart() -> None:
    first, second = jm.AsyncJournal("memory://"), jm.AsyncJournal("memory://")
    assert first.opening_url != second.opening_url
    assert jm.AsyncJournal("memory://shared").opening_url == "memory://shared"
