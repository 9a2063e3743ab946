"""`journeyman worker`: run the tasks of a package."""

import asyncio
from typing import Annotated, Any

import typer

from ..journal.limits import (
    COROUTINES_DEFAULT,
    COROUTINES_MAX,
    DRAIN_SECONDS_DEFAULT,
    LEASE_MS_DEFAULT,
    LEASE_MS_MAX,
    LEASE_MS_MIN,
    PROCESSES_MAX,
    THREADS_DEFAULT,
    THREADS_MAX,
)
from ..workers.errors import TaskError
from ..workers.foreman.foreman import Foreman
from ..workers.health.report import HealthTarget
from ..workers.loading import collect_tasks
from ..workers.settings import Settings, Statistics, processes_default
from ..workers.task import Task
from ..workers.worker import journal_url, work
from .failures import BadInput
from .opening import shared_journal
from .options import JournalURL, Level, LogLevel, configure_logging

_TASKS_NAMED = 8


def worker(
    package: Annotated[
        str, typer.Argument(metavar="PACKAGE", help="The module or package that holds the tasks, such as shop.tasks.")
    ],
    journal: JournalURL = None,
    queues: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Work on these queues only, the first one first.", show_default="all queues"),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=THREADS_MAX, metavar="N", help="How many tasks run in threads at the same time.")
    ] = THREADS_DEFAULT,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=PROCESSES_MAX,
            metavar="N",
            help="How many child processes, at most, for tasks with mechanism='process'.",
            show_default="one less than there are processors",
        ),
    ] = None,
    coroutines: Annotated[
        int, typer.Option(min=1, max=COROUTINES_MAX, metavar="N", help="How many async tasks run at the same time.")
    ] = COROUTINES_DEFAULT,
    lease_ms: Annotated[
        int,
        typer.Option(
            min=LEASE_MS_MIN,
            max=LEASE_MS_MAX,
            metavar="MS",
            help="Milliseconds of silence after which the other workers take over what this one held.",
        ),
    ] = LEASE_MS_DEFAULT,
    drain_timeout: Annotated[
        float,
        typer.Option(min=0.0, metavar="SECONDS", help="How long running tasks may take to end after SIGTERM."),
    ] = DRAIN_SECONDS_DEFAULT,
    health: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|HOST:PORT",
            help="Report whether the worker makes progress, in JSON: in a file, replaced every second, or over HTTP, "
            "with 200 or 503.",
            show_default=False,
        ),
    ] = None,
    log_level: Level = LogLevel.INFO,
) -> None:
    """Run the tasks of PACKAGE: everything decorated with @task in it and in its submodules.

    Start as many workers as you like, on one machine or many: they share the queue through the journal and nothing
    else. The current directory is importable.

    SIGTERM or Ctrl-C drains: nothing new is claimed, what runs may end, the rest is given back and no attempt is used.
    A second signal ends the process at once; nothing is lost, what it held returns when its lease is over.

    [bold]Examples[/bold]

    journeyman worker shop.tasks --journal sqlite:///shop.db

    JOURNEYMAN_JOURNAL=kafka://10.0.0.5:9092/shop journeyman worker shop.tasks --queues urgent,mail --threads 32

    [bold]Exit status[/bold]

    0: it has drained and left, after SIGTERM or SIGINT.

    1: the journal, or what --health names, cannot be used. Starting it again may help.

    2: PACKAGE or an option makes no sense. Starting it again does not help.

    130: a second signal ended it at once. Nothing is lost.
    """
    configure_logging(log_level)
    settings = Settings(
        queues=_names(queues),
        threads=threads,
        processes=processes or processes_default(),
        coroutines=coroutines,
        lease_ms=lease_ms,
        drain_seconds=drain_timeout,
    )
    tasks = _tasks(package)
    shown = shared_journal(journal_url(tasks, journal)).url
    target = HealthTarget.parse(health) if health is not None else None
    statistics = asyncio.run(work(tasks, journal, settings, lambda foreman: _announce(foreman, tasks, shown), target))
    print(_summary(statistics), flush=True)


def _names(queues: str | None) -> tuple[str, ...] | None:
    if queues is None:
        return None
    named = tuple(name.strip() for name in queues.split(","))
    if not all(named):
        raise BadInput(f"--queues takes the queues' names, separated by commas, such as urgent,mail; got {queues!r}")
    return named


def _tasks(package: str) -> dict[str, Task[Any, Any]]:
    try:
        return collect_tasks(package)
    except TaskError:
        raise
    except Exception as error:
        raise BadInput(f"{package} cannot be imported: {type(error).__name__}: {error}") from error


def _announce(foreman: Foreman, tasks: dict[str, Task[Any, Any]], journal: str) -> None:
    settings = foreman.settings
    names = sorted(tasks)
    shown = ", ".join(names[:_TASKS_NAMED]) + (f" and {len(names) - _TASKS_NAMED} more" * (len(names) > _TASKS_NAMED))
    print(
        f"worker {foreman.worker} is ready: journal {journal}, tasks {shown}, "
        f"queues {', '.join(settings.queues) if settings.queues else 'all'}, {settings.threads} threads",
        flush=True,
    )


def _summary(done: Statistics) -> str:
    return (
        f"left: {done.succeeded:,} succeeded, {done.failed:,} failed, {done.retried:,} to be retried, "
        f"{done.interrupted:,} given back"
    )
