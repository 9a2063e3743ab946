"""`journeyman worker`: run the tasks of packages."""

from enum import StrEnum
from typing import Annotated

import typer

from ..journal.numbers import is_number
from ..tasks.limits import (
    DRAIN_SECONDS_DEFAULT,
    LEASE_MS_DEFAULT,
    LEASE_MS_MAX,
    LEASE_MS_MIN,
    THREADS_DEFAULT,
    THREADS_MAX,
)
from ..tasks.task_checks import MECHANISMS
from ..workers.limits import COROUTINES_DEFAULT, COROUTINES_MAX, PRIORITY_AGEING_MS_MAX, PROCESSES_MAX
from ..workers.pools import Worker
from ..workers.settings import Settings, Subset, processes_default
from .reloading import run_reloading
from .shared.failures import BadInput
from .shared.options import JournalURL, LevelOption, LogLevel
from .shared.running import names, run_worker

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
    no_schedules: Annotated[
        bool, typer.Option("--no-schedules", help="Fire no schedules: other workers do, or `journeyman scheduler`.")
    ] = False,
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
        fires_schedules=not no_schedules,
    )
    mechanisms = [each.value for each in mechanism or ()] or MECHANISMS
    run_worker(
        packages, log_level, lambda tasks: Worker(tasks, journal, settings, mechanisms=mechanisms, health=health)
    )


def _subset(queues: str | None, subset: list[str] | None) -> Subset | None:
    """The queues and their tasks as `--queues` or `--subset` names them; only one of the two may be given."""
    if not subset:
        return names("--queues", "urgent,mail", queues) if queues is not None else None
    if queues is not None:
        raise BadInput("--queues and --subset both say which queues: give one of them; --subset NAME is a whole queue")
    narrowed: dict[str, tuple[str, ...] | None] = {}
    for each in subset:
        queue, equals, named = (part.strip() for part in each.partition("="))
        if queue in narrowed or not queue:
            raise BadInput(f"--subset takes each queue once, as QUEUE or QUEUE=TASK,TASK; got {' and '.join(subset)}")
        narrowed[queue] = names("--subset", "mail=send,remind", named) if equals else None
    return narrowed


def _weights(weights: str | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in weights.split(",") if weights is not None else ():
        queue, _, count = (part.strip() for part in each.rpartition("="))
        if not queue or not is_number(count):
            raise BadInput(f"--queue-weights takes queues and whole numbers, such as urgent=3,mail=1; got {weights!r}")
        found[queue] = int(count)
    return found
