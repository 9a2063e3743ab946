"""The classes with which a program starts workers: one for all mechanisms, one for threads, one for processes.

`ThreadWorkerPool` and `ProcessWorkerPool` take the parameters of the reference task queue, by its names, in its units
and with its defaults. There each class is an engine of its own; here both run the same worker with other settings.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from msgspec.structs import replace

from ..journal.journal import Journal
from ..tasks.backoff import Backoff
from ..tasks.broker import check_journal
from ..tasks.definition import Task
from ..tasks.errors import NoTasksFoundError, TaskNameCollisionError, ValidationError
from ..tasks.limits import THREADS_DEFAULT
from ..tasks.message_fields import is_whole
from ..tasks.task_checks import MECHANISMS
from .health.report import HealthTarget
from .limits import ENFORCE_MS_DEFAULT, SLOT_WAIT_MS_DEFAULT
from .loading import by_every_name, tasks_by_name
from .loop.loop import WorkerLoop
from .settings import Settings, Subset, WorkerCounts, processes_default
from .signals import Signals
from .worker import journal_url, run_to_its_end, work

logger = logging.getLogger("journeyman.worker")

Tasks = str | Iterable[Task[Any, Any]] | Mapping[str, Task[Any, Any]]


class Worker:
    """Runs `tasks` of every mechanism until SIGTERM or SIGINT, or until `stop` is called.

    - `tasks`: a list of them, or the name of the package that holds them.
    - `journal`: a journal or its URL; None for the tasks' brokers' own, else the one in `JOURNEYMAN_JOURNAL`.
    - `mechanisms`: run only the tasks of these: "async", "thread", "process".
    - `health`: where to report its health: a path, HOST:PORT, or a `HealthTarget`.

    `NoTasksFoundError` if there are no tasks; `ValidationError` for settings that do not fit them.
    """

    def __init__(
        self,
        tasks: Tasks,
        journal: Journal | str | None = None,
        settings: Settings | None = None,
        *,
        mechanisms: Collection[str] = MECHANISMS,
        health: HealthTarget | str | None = None,
    ) -> None:
        self.tasks = _of(_by_name(tasks), mechanisms)
        by_every_name(self.tasks)  # refuses two that answer to one name
        if journal is not None:
            check_journal(journal, type(self).__name__)
        self.settings = _settings(settings)
        _check_subset(self.settings.queues, self.tasks)
        self._journal = journal.asynchronous.opening_url if isinstance(journal, Journal) else journal
        self._health = HealthTarget.parse(health) if isinstance(health, str) else health
        self._worker_loop: WorkerLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guard = threading.Lock()
        self._stopping = False
        self._runs = 0  # under way
        self._has_run = False

    @property
    def journal_url(self) -> str | None:
        """The URL of the journal it works on; None if the environment is to name it."""
        return journal_url(self.tasks, self._journal)

    def run(self, started: Callable[[WorkerLoop], None] = lambda _: None) -> WorkerCounts:
        """Run until stopped, drain and leave; return its counts. `started(worker_loop)` is called when it is ready.

        In the main thread SIGTERM and SIGINT stop it, and a second one ends the process at once. Tasks that still run
        when the drain's time is over are given back; their threads are neither ended nor waited for.
        """
        with self._under_way():
            self.on_boot()
            try:
                with Signals() as signals:
                    return run_to_its_end(self._work(started, signals), self._in_loop)
            finally:
                self.on_shutdown()

    async def work(self, started: Callable[[WorkerLoop], None] = lambda _: None) -> WorkerCounts:
        """Do the same as `run`, within a running event loop and without the hooks."""
        with self._under_way(), Signals() as signals:
            return await self._work(started, signals)

    @contextlib.contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._guard:
            self._runs += 1
        try:
            yield
        finally:
            with self._guard:
                self._runs -= 1
                self._has_run, self._stopping = True, False

    async def _work(self, started: Callable[[WorkerLoop], None], signals: Signals) -> WorkerCounts:
        def made(worker_loop: WorkerLoop) -> None:
            with self._guard:
                self._worker_loop, self._loop = worker_loop, asyncio.get_running_loop()
                stopping = self._stopping
            if stopping:
                worker_loop.stop()

        try:
            return await work(
                self.tasks, self._journal, self.settings, started, self._health, signals=signals, made=made
            )
        finally:
            with self._guard:
                self._worker_loop = None

    def _in_loop(self) -> str:
        return self._worker_loop.in_loop() if self._worker_loop is not None else ""

    def stop(self) -> None:
        """Have it drain and leave. May be called from any thread, before it is ready, and before its first `run`.

        After a run has ended this has no effect on the next one.
        """
        with self._guard:
            self._stopping = bool(self._runs) or not self._has_run
            if self._worker_loop is not None and self._loop is not None:
                self._loop.call_soon_threadsafe(self._worker_loop.stop)

    def on_boot(self) -> None:
        """Hook for subclasses: called before it begins."""

    def on_shutdown(self) -> None:
        """Hook for subclasses: called when it has ended, even by an exception."""


class ThreadWorkerPool(Worker):
    """Runs the tasks with mechanism "thread": in groups of `n_threads`, each in a child process.

    - `n_processes`: how many groups at most; None for one less than there are processors. A group is added if all are
      full and tasks wait, and ended when it has been idle for a minute.
    - `n_process_floor`: how many groups are kept whatever the load.
    - `complete_only_on_thread_exit`: a task past its timeout ends when its thread does. Otherwise a thread that does
      not react is abandoned after some seconds: the task has failed, and may run elsewhere while the call lasts.
    - `queues`: the queues it serves, in order of preference; None for those of its tasks, sorted. `subset`: the same,
      or a mapping of queues to the tasks it takes from there. `task_specific_mode`: of each queue only its own tasks.
    - `settings`: everything else, as for `Worker`. `slot_wait_interval` and `backoff` are accepted for compatibility
      and ignored: a worker does not poll.

    The children import the tasks' modules by name: tasks of the script that was started are refused with
    `ValidationError`. A `Worker` can run these, with threads of its own process.
    """

    def __init__(
        self,
        tasks: Tasks,
        queues: Subset | None = None,
        *,
        n_threads: int = THREADS_DEFAULT,
        n_processes: int | None = None,
        n_process_floor: int = 1,
        complete_only_on_thread_exit: bool = False,
        task_specific_mode: bool = False,
        subset: Subset | None = None,
        slot_wait_interval: int = SLOT_WAIT_MS_DEFAULT,
        backoff: Backoff | None = None,
        journal: Journal | str | None = None,
        settings: Settings | None = None,
        health: HealthTarget | str | None = None,
    ) -> None:
        self.slot_wait_interval, self.backoff = slot_wait_interval, backoff
        own = _of(_by_name(tasks), ["thread"])
        pool = replace(
            _settings(settings),
            queues=_subset(own, _settings(settings), queues, subset, task_specific_mode=task_specific_mode),
            threads=n_threads,
            thread_processes=_positive("n_processes", n_processes),
            process_floor=n_process_floor,
            abandon_threads=not complete_only_on_thread_exit,
        )
        super().__init__(own, journal, pool, health=health)


class ProcessWorkerPool(Worker):
    """Runs the tasks with mechanism "process": each in a child process, which is killed at the task's timeout.

    - `n_processes`: how many at most; None for one less than there are processors. They are resident: started when
      there is work, used again for the next task, ended when idle for a minute, down to one.
    - `prune_interval`: how often, in ms, running tasks are compared with their timeouts.
    - The other parameters are those of `ThreadWorkerPool`.
    """

    def __init__(
        self,
        tasks: Tasks,
        queues: Subset | None = None,
        *,
        n_processes: int | None = None,
        prune_interval: int = ENFORCE_MS_DEFAULT,
        task_specific_mode: bool = False,
        subset: Subset | None = None,
        slot_wait_interval: int = 2 * SLOT_WAIT_MS_DEFAULT,
        backoff: Backoff | None = None,
        journal: Journal | str | None = None,
        settings: Settings | None = None,
        health: HealthTarget | str | None = None,
    ) -> None:
        self.slot_wait_interval, self.backoff = slot_wait_interval, backoff
        own = _of(_by_name(tasks), ["process"])
        pool = replace(
            _settings(settings),
            queues=_subset(own, _settings(settings), queues, subset, task_specific_mode=task_specific_mode),
            processes=_positive("n_processes", n_processes),
            enforce_ms=prune_interval,
        )
        super().__init__(own, journal, pool, health=health)


def _settings(settings: Settings | None) -> Settings:
    if not isinstance(settings, Settings | None):
        raise ValidationError(f"settings are given as Settings(threads=8), for example, got {settings!r:.80}")
    return settings or Settings()


def _positive(name: str, count: int | None) -> int:
    if count is None:
        return processes_default()
    if not is_whole(count) or count < 1:
        raise ValidationError(f"{name} must be at least 1, a whole number, got {count!r:.80}")
    return count


def _by_name(tasks: Tasks) -> dict[str, Task[Any, Any]]:
    if isinstance(tasks, str):
        return tasks_by_name(tasks)
    if not isinstance(tasks, Iterable):
        raise ValidationError(f"tasks are given in a list, or as the name of their package, got {tasks!r:.80}")
    named: dict[str, Task[Any, Any]] = {}
    for task in tasks.values() if isinstance(tasks, Mapping) else tasks:
        if not isinstance(task, Task):
            raise ValidationError(f"a worker runs tasks, which are functions decorated with @task, got {task!r:.80}")
        if named.setdefault(task.name, task) is not task:
            raise TaskNameCollisionError(f"two tasks are called {task.name!r}; give one of them another name")
    return named


def _of(tasks: Mapping[str, Task[Any, Any]], mechanisms: Collection[str]) -> dict[str, Task[Any, Any]]:
    """Return the tasks of these mechanisms, and log which are left out."""
    if unknown := sorted(set(mechanisms) - set(MECHANISMS)):
        raise ValidationError(f"mechanism is one of {', '.join(MECHANISMS)}, got {', '.join(unknown)}")
    wanted = {name: task for name, task in tasks.items() if task.mechanism in mechanisms}
    left_out = sorted(tasks.keys() - wanted.keys())
    if not wanted:
        there = f"; there are {', '.join(left_out)}, of other mechanisms" if left_out else ""
        raise NoTasksFoundError(f"expected tasks with mechanism {' or '.join(sorted(mechanisms))}, got none{there}")
    if left_out:
        logger.info("left to other workers, for their mechanism: %s", ", ".join(left_out))
    return wanted


def _subset(
    tasks: Mapping[str, Task[Any, Any]],
    settings: Settings,
    queues: Subset | None,
    subset: Subset | None,
    *,
    task_specific_mode: bool,
) -> Subset:
    """Return what a pool serves: the given queues, else those of its tasks, in the order of their names."""
    given = [each for each in (queues, subset, settings.queues) if each is not None]
    if len(given) > 1:
        raise ValidationError("queues, subset and the settings' queues mean the same: give one of them")
    served = given[0] if given else sorted({task.queue for task in tasks.values()})
    if not task_specific_mode or isinstance(served, Mapping):
        return served
    return {queue: [name for name, task in tasks.items() if task.queue == queue] for queue in served}


def _check_subset(queues: Subset | None, tasks: Mapping[str, Task[Any, Any]]) -> None:
    """Raise `ValidationError` for a subset that names unknown tasks, which the worker could never run."""
    for queue, names in queues.items() if isinstance(queues, Mapping) else ():
        for name in names or ():
            if name not in tasks:
                close = get_close_matches(name, tasks, n=1)
                hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(tasks))}"
                raise ValidationError(f"the queue {queue!r} is narrowed to {name!r}, which is none of the tasks{hint}")
