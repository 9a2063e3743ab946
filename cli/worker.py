"""`journeyman worker`: run the tasks of packages."""

import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from ..journal.limits import LET_GO_SECONDS
from ..journal.numbers import is_number
from ..tasks.errors import TaskError
from ..tasks.limits import DRAIN_SECONDS_DEFAULT, THREADS_DEFAULT, THREADS_MAX
from ..tasks.state.selection import Selection
from ..tasks.task import MECHANISMS, Task
from ..workers.limits import (
    COROUTINES_DEFAULT,
    COROUTINES_MAX,
    LEASE_MS_DEFAULT,
    LEASE_MS_MAX,
    LEASE_MS_MIN,
    PRIORITY_AGEING_MS_MAX,
    PROCESSES_MAX,
)
from ..workers.loading import collect_tasks
from ..workers.logs import configure, name_tasks_in_records, set_level
from ..workers.loop.loop import WorkerLoop
from ..workers.pools import Worker
from ..workers.settings import Settings, Statistics, Subset, processes_default
from .init_process import leave_duties_of_first_process
from .reloading import run_reloading
from .shared.failures import BadInput, tell
from .shared.opening import shared_journal
from .shared.options import JournalURL, LevelOption, LogLevel

_TASKS_NAMED = 8
_CHOICE = "Which tasks, and which first"
_EXECUTION = "How they are run"


class Mechanism(StrEnum):
    """How a task runs: as a coroutine, in a thread, or in a child process."""

    ASYNC = "async"
    THREAD = "thread"
    PROCESS = "process"


class QueueOrder(StrEnum):
    """The order in which a worker claims from its queues."""

    STRICT = "strict"
    FAIR = "fair"


def worker(
    packages: Annotated[
        list[str],
        typer.Argument(
            metavar="PACKAGE…",
            help="The modules or packages that hold the tasks, such as shop.tasks.",
            show_default=False,
        ),
    ],
    journal: JournalURL = None,
    *,
    queues: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Work on these queues only, the first one first. Names are matched exactly.",
            show_default="all queues",
            rich_help_panel=_CHOICE,
        ),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="QUEUE[=TASK,TASK]",
            help="Work on this queue only, and on these of its tasks only. Repeat it for more, the first one first.",
            show_default=False,
            rich_help_panel=_CHOICE,
        ),
    ] = None,
    mechanism: Annotated[
        list[Mechanism] | None,
        typer.Option(
            help="Run only the tasks of this mechanism. Repeat it for more.",
            show_default="all",
            rich_help_panel=_CHOICE,
        ),
    ] = None,
    queue_order: Annotated[
        QueueOrder,
        typer.Option(
            help="strict: a queue is served when those before it are empty. fair: the queues take turns.",
            rich_help_panel=_CHOICE,
        ),
    ] = QueueOrder.STRICT,
    queue_weights: Annotated[
        str | None,
        typer.Option(
            metavar="A=3,B=1",
            help="With --queue-order fair: how many tasks of each queue are claimed at its turn, if not one.",
            show_default=False,
            rich_help_panel=_CHOICE,
        ),
    ] = None,
    priority_ageing_ms: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=PRIORITY_AGEING_MS_MAX,
            metavar="MS",
            help="Raise the priority of a waiting task by one step each MS milliseconds, so that none starves.",
            show_default="never",
            rich_help_panel=_CHOICE,
        ),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            min=1,
            max=THREADS_MAX,
            metavar="N",
            help="The number of tasks that run in threads at the same time; with --thread-processes, in each group.",
            rich_help_panel=_EXECUTION,
        ),
    ] = THREADS_DEFAULT,
    thread_processes: Annotated[
        int,
        typer.Option(
            min=0,
            max=PROCESSES_MAX,
            metavar="N",
            help="Run the threads in up to N groups, each in a child process, as load requires; 0: in the worker.",
            rich_help_panel=_EXECUTION,
        ),
    ] = 0,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=PROCESSES_MAX,
            metavar="N",
            help="The greatest number of child processes for tasks with mechanism='process'.",
            show_default="one less than there are processors",
            rich_help_panel=_EXECUTION,
        ),
    ] = None,
    process_floor: Annotated[
        int,
        typer.Option(
            min=0,
            max=PROCESSES_MAX,
            metavar="N",
            help="The number of child processes, or groups of threads, that are kept when idle.",
            rich_help_panel=_EXECUTION,
        ),
    ] = 1,
    coroutines: Annotated[
        int,
        typer.Option(
            min=1,
            max=COROUTINES_MAX,
            metavar="N",
            help="The number of async tasks that run at the same time.",
            rich_help_panel=_EXECUTION,
        ),
    ] = COROUTINES_DEFAULT,
    lease_ms: Annotated[
        int,
        typer.Option(
            min=LEASE_MS_MIN,
            max=LEASE_MS_MAX,
            metavar="MS",
            help="The lease: after so many milliseconds of silence other workers take over this worker's tasks.",
        ),
    ] = LEASE_MS_DEFAULT,
    drain_timeout: Annotated[
        float,
        typer.Option(min=0.0, metavar="SECONDS", help="The time that running tasks may take to end after SIGTERM."),
    ] = DRAIN_SECONDS_DEFAULT,
    health: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|HOST:PORT",
            help="Report the worker's health in JSON, in a file that is replaced every second, or over HTTP with 200 "
            "or 503.",
            show_default=False,
        ),
    ] = None,
    reload: Annotated[
        bool,
        typer.Option(
            "--reload", help="For development: restart the worker when a Python file of the packages changes."
        ),
    ] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Run the tasks of the packages: everything decorated with @task in them and in their submodules.

    Start as many workers as you like, on one machine or many: they share the queue through the journal and nothing
    else. The current directory is importable.

    SIGTERM or Ctrl-C drains: the worker claims nothing new, running tasks may end, and the rest is given back without
    using an attempt. A second signal ends the process at once; no task is lost: they return when the lease is over.

    Threads share the worker's interpreter, so work that computes belongs in processes, or in groups of threads: with
    --threads 8 --thread-processes 4 one group of 8 is started, and up to three more while all are full.

    [bold]Examples[/bold]

    journeyman worker shop.tasks --journal sqlite:///shop.db

    JOURNEYMAN_JOURNAL=kafka://10.0.0.5:9092/shop journeyman worker shop.tasks --queues urgent,mail --threads 32

    journeyman worker webapp.tasks logapp.tasks --reload

    journeyman worker shop.tasks --subset mail=send,remind --subset bulk --queue-order fair --priority-ageing-ms 60000

    [bold]Exit status[/bold]

    0: it has drained and left, after SIGTERM or SIGINT.

    1: the journal, or what --health names, cannot be used. Starting it again may help. After SIGTERM or SIGINT: not
    all outcomes could be written, for longer than a lease; their tasks return.

    2: A package or an option is invalid. Starting it again does not help.

    130: a second signal ended it at once. Nothing is lost.
    """
    if reload:
        raise typer.Exit(run_reloading(packages))
    leave_duties_of_first_process()
    set_level(log_level.value)
    tasks = _tasks(packages)
    configure(log_level.value)  # only now, since the tasks' modules may have configured logging
    name_tasks_in_records()
    settings = Settings(
        queues=_subset(queues, subset),
        queue_order=queue_order.value,
        queue_weights=_weights(queue_weights),
        priority_ageing_ms=priority_ageing_ms,
        threads=threads,
        thread_processes=thread_processes,
        processes=processes or processes_default(),
        process_floor=process_floor,
        coroutines=coroutines,
        lease_ms=lease_ms,
        drain_seconds=drain_timeout,
    )
    mechanisms = [each.value for each in mechanism or ()] or MECHANISMS
    made = Worker(tasks, journal, settings, mechanisms=mechanisms, health=health)
    shown = shared_journal(made.journal_url).url
    statistics = made.run(lambda worker_loop: _announce(worker_loop, made, shown))
    tell(_summary(statistics))
    if statistics.left_running or _held_up():
        logging.shutdown()
        sys.stderr.flush()
        os._exit(0)  # tasks that still run belong to other workers by now, and must not keep this process


def _held_up() -> bool:
    """Whether a thread would keep the process from ending, after a short wait for those that are about to end."""
    end = time.monotonic() + LET_GO_SECONDS
    here = threading.current_thread()
    others = [thread for thread in threading.enumerate() if not thread.daemon and thread is not here]
    for thread in others:
        thread.join(max(0.0, end - time.monotonic()))
    return any(thread.is_alive() for thread in others)


def _tasks(packages: Sequence[str]) -> dict[str, Task[Any, Any]]:
    try:
        return collect_tasks(*packages)
    except TaskError:
        raise
    except Exception as error:
        named = " and ".join(packages)
        raise BadInput(f"{named} cannot be imported: {type(error).__name__}: {error}") from error


def _subset(queues: str | None, subset: list[str] | None) -> Subset | None:
    """The queues and their tasks as `--queues` or `--subset` names them; only one of the two may be given."""
    if not subset:
        return _names("--queues", "urgent,mail", queues) if queues is not None else None
    if queues is not None:
        raise BadInput("--queues and --subset both say which queues: give one of them; --subset NAME is a whole queue")
    narrowed: dict[str, tuple[str, ...] | None] = {}
    for each in subset:
        queue, equals, names = (part.strip() for part in each.partition("="))
        if queue in narrowed or not queue:
            raise BadInput(f"--subset takes each queue once, as QUEUE or QUEUE=TASK,TASK; got {' and '.join(subset)}")
        narrowed[queue] = _names("--subset", "mail=send,remind", names) if equals else None
    return narrowed


def _weights(weights: str | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in weights.split(",") if weights is not None else ():
        queue, _, count = (part.strip() for part in each.rpartition("="))
        if not queue or not is_number(count):
            raise BadInput(f"--queue-weights takes queues and whole numbers, such as urgent=3,mail=1; got {weights!r}")
        found[queue] = int(count)
    return found


def _names(option: str, example: str, names: str) -> tuple[str, ...]:
    named = tuple(name.strip() for name in names.split(","))
    if not all(named):
        raise BadInput(f"{option} takes names, separated by commas, such as {example}; got {names!r}")
    return named


def _announce(worker_loop: WorkerLoop, made: Worker, journal: str) -> None:
    names = sorted(made.tasks)
    shown = ", ".join(names[:_TASKS_NAMED]) + (f" and {len(names) - _TASKS_NAMED} more" * (len(names) > _TASKS_NAMED))
    selection, settings = made.settings.selection, made.settings
    groups = f" in each of up to {settings.thread_processes} processes" if settings.thread_processes else ""
    tell(
        f"worker {worker_loop.worker} is ready: journal {journal}, tasks {shown}, "
        f"queues {_queues(selection)}, {settings.threads} threads{groups}"
    )


def _queues(selection: Selection) -> str:
    if selection.queues is None:
        return "all"
    narrowed = selection.tasks
    said = [
        f"{queue} ({', '.join(narrowed[queue])} only)" if queue in narrowed else queue for queue in selection.queues
    ]
    return ", ".join(said)


def _summary(done: Statistics) -> str:
    return (
        f"left: {done.succeeded:,} succeeded, {done.failed:,} failed, {done.retried:,} to be retried, "
        f"{done.interrupted + done.left_running:,} given back"
    )
