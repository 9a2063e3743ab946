"""Run a worker for a command: import the tasks, say when it is ready, run it, and print what it did."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...journal.limits import LET_GO_SECONDS
from ...tasks.definition import Task
from ...tasks.errors import TaskError
from ...tasks.state.selection import Selection
from ...workers.limits import TASK_NAMES_SHOWN
from ...workers.loading import tasks_by_name
from ...workers.logs import configure, name_tasks_in_records, set_level
from ...workers.loop.loop import WorkerLoop
from ...workers.pools import Worker
from ...workers.settings import Settings, WorkerCounts
from ..init_process import leave_duties_of_first_process
from .failures import BadInput, print_line
from .opening import shared_journal
from .options import LogLevel


def run_worker(
    packages: Sequence[str], log_level: LogLevel, make: Callable[[Mapping[str, Task[Any, Any]]], Worker]
) -> None:
    """Run the worker that `make` returns for the tasks of these packages, until SIGTERM or SIGINT.

    If threads of tasks still run then, the process exits with status 0 without waiting for them: their tasks are not
    this worker's any more. `BadInput` for a package that cannot be imported.
    """
    leave_duties_of_first_process()
    set_level(log_level.value)
    tasks = _tasks(packages)
    configure(log_level.value)  # only now, since the tasks' modules may have configured logging
    name_tasks_in_records()
    made = make(tasks)
    shown = shared_journal(made.journal_url).url
    counts = made.run(lambda worker_loop: _announce(worker_loop, made, shown))
    print_line(_summary(counts))
    if counts.left_running or _held_up():
        logging.shutdown()
        sys.stderr.flush()
        os._exit(0)  # threads that still run must not keep this process: their tasks are not this worker's any more


def names(option: str, example: str, given: str) -> tuple[str, ...]:
    """Return the names in `given`, the comma-separated value of `option`; `BadInput` if one of them is empty."""
    named = tuple(name.strip() for name in given.split(","))
    if not all(named):
        raise BadInput(f"{option} takes names, separated by commas, such as {example}; got {given!r}")
    return named


def _held_up() -> bool:
    """Wait a moment for threads that are about to end; return whether others would keep the process from exiting."""
    end = time.monotonic() + LET_GO_SECONDS
    here = threading.current_thread()
    others = [thread for thread in threading.enumerate() if not thread.daemon and thread is not here]
    for thread in others:
        thread.join(max(0.0, end - time.monotonic()))
    return any(thread.is_alive() for thread in others)


def _tasks(packages: Sequence[str]) -> dict[str, Task[Any, Any]]:
    try:
        return tasks_by_name(*packages)
    except TaskError:
        raise
    except Exception as error:
        named = " and ".join(packages)
        raise BadInput(f"{named} cannot be imported: {type(error).__name__}: {error}") from error


def _announce(worker_loop: WorkerLoop, made: Worker, journal: str) -> None:
    names = sorted(made.tasks)
    more = f" and {len(names) - TASK_NAMES_SHOWN} more" if len(names) > TASK_NAMES_SHOWN else ""
    shown = ", ".join(names[:TASK_NAMES_SHOWN]) + more
    selection, settings = made.settings.selection, made.settings
    print_line(
        f"worker {worker_loop.worker} is ready: journal {journal}, tasks {shown}, "
        f"queues {_queues(selection)}, {_concurrency(settings, made.tasks)}"
    )


def _concurrency(settings: Settings, tasks: Mapping[str, Task[Any, Any]]) -> str:
    if all(task.mechanism == "process" for task in tasks.values()):
        return f"up to {settings.processes} processes"
    groups = f" in each of up to {settings.thread_processes} processes" if settings.thread_processes else ""
    return f"{settings.threads} threads{groups}"


def _queues(selection: Selection) -> str:
    if selection.queues is None:
        return "all"
    narrowed = selection.tasks
    said = [
        f"{queue} ({', '.join(narrowed[queue])} only)" if queue in narrowed else queue for queue in selection.queues
    ]
    return ", ".join(said)


def _summary(done: WorkerCounts) -> str:
    return (
        f"left: {done.succeeded:,} succeeded, {done.failed:,} failed, {done.retried:,} to be retried, "
        f"{done.interrupted + done.left_running:,} given back"
    )
