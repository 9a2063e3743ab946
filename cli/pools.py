"""`journeyman thread-pool` and `process-pool`: workers by the names and options of the reference task queue."""

from typing import Annotated, Final

import typer

from ..tasks.backoff import Backoff, LinearBackoff
from ..tasks.limits import THREADS_DEFAULT, THREADS_MAX
from ..workers.limits import ENFORCE_MS_DEFAULT, PROCESSES_MAX, SLOT_WAIT_MS_DEFAULT
from ..workers.pools import ProcessWorkerPool, ThreadWorkerPool
from .shared.failures import BadInput
from .shared.options import JournalURL, LevelOption, LogLevel
from .shared.running import names, run_worker

_IGNORED: Final = "Accepted for compatibility, without effect"
_IDLE: Final = "Without effect, since a worker waits for events and does not poll"

Package = Annotated[
    str,
    typer.Argument(
        metavar="PACKAGE",
        help="The module or package that holds the tasks, such as shop.tasks.",
        show_default=False,
    ),
]
Queues = Annotated[
    str | None,
    typer.Option(
        "--queues",
        metavar="A,B",
        help="Work on these queues only, the first one first. Names are matched exactly.",
        show_default="those of its tasks, sorted",
    ),
]
TaskSpecific = Annotated[
    bool,
    typer.Option(
        "--task_specific_mode",
        help="Take from each queue only tasks that the package puts there.",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(
        "--n_processes",
        min=1,
        max=PROCESSES_MAX,
        metavar="N",
        help="The greatest number of child processes.",
        show_default="one less than there are processors",
    ),
]
SlotWait = Annotated[
    int,
    typer.Option(
        "--slot_wait_interval",
        min=0,
        metavar="MS",
        help=f"The pause before a full pool is looked at again. {_IDLE}.",
        rich_help_panel=_IGNORED,
    ),
]
BackoffFactor = Annotated[
    int,
    typer.Option(
        "--consumer_backoff_factor",
        min=0,
        metavar="MS",
        help=f"By how much each look at empty queues lengthens the pause before the next. {_IDLE}.",
        rich_help_panel=_IGNORED,
    ),
]
BackoffFloor = Annotated[
    int,
    typer.Option(
        "--consumer_backoff_floor",
        min=0,
        metavar="MS",
        help=f"The shortest pause between two looks at the queues. {_IDLE}.",
        rich_help_panel=_IGNORED,
    ),
]
BackoffCeiling = Annotated[
    int,
    typer.Option(
        "--consumer_backoff_ceiling",
        min=0,
        metavar="MS",
        help=f"The longest pause between two looks at the queues. {_IDLE}.",
        rich_help_panel=_IGNORED,
    ),
]


def thread_pool(
    package: Package,
    journal: JournalURL = None,
    *,
    queues: Queues = None,
    task_specific_mode: TaskSpecific = False,
    n_threads: Annotated[
        int,
        typer.Option("--n_threads", min=1, max=THREADS_MAX, metavar="N", help="The threads of each child process."),
    ] = THREADS_DEFAULT,
    n_processes: Processes = None,
    n_process_floor: Annotated[
        int,
        typer.Option(
            "--n_process_floor",
            min=0,
            max=PROCESSES_MAX,
            metavar="N",
            help="The number of child processes that are kept when idle.",
        ),
    ] = 1,
    slot_wait_interval: SlotWait = SLOT_WAIT_MS_DEFAULT,
    complete_only_on_thread_exit: Annotated[
        bool,
        typer.Option(
            "--complete_only_on_thread_exit",
            help="Let a task past its timeout end when its thread does; by default, a thread that does not react is "
            "abandoned after some seconds.",
        ),
    ] = False,
    consumer_backoff_factor: BackoffFactor = 1_000,
    consumer_backoff_floor: BackoffFloor = 1_000,
    consumer_backoff_ceiling: BackoffCeiling = 30_000,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Run the tasks of a package that have mechanism='thread': in threads, in child processes as load requires.

    This is [bold]journeyman worker[/bold] with the options of a thread pool; it starts, drains and ends in the same
    way. Options may be written with underscores or with dashes.

    [bold]Example[/bold]

    journeyman thread-pool shop.tasks --journal sqlite:///shop.db --queues urgent,mail --n_threads 16

    Exit status: that of [bold]journeyman worker[/bold].
    """
    backoff = _backoff(consumer_backoff_factor, consumer_backoff_floor, consumer_backoff_ceiling)
    served = _queues(queues)
    run_worker(
        [package],
        log_level,
        lambda tasks: ThreadWorkerPool(
            tasks,
            served,
            n_threads=n_threads,
            n_processes=n_processes,
            n_process_floor=n_process_floor,
            complete_only_on_thread_exit=complete_only_on_thread_exit,
            task_specific_mode=task_specific_mode,
            slot_wait_interval=slot_wait_interval,
            backoff=backoff,
            journal=journal,
        ),
    )


def process_pool(
    package: Package,
    journal: JournalURL = None,
    *,
    queues: Queues = None,
    task_specific_mode: TaskSpecific = False,
    n_processes: Processes = None,
    prune_interval: Annotated[
        int,
        typer.Option(
            "--prune_interval",
            min=1,
            max=60_000,
            metavar="MS",
            help="How often running tasks are compared with their timeouts.",
        ),
    ] = ENFORCE_MS_DEFAULT,
    slot_wait_interval: SlotWait = 2 * SLOT_WAIT_MS_DEFAULT,
    consumer_backoff_factor: BackoffFactor = 1_000,
    consumer_backoff_floor: BackoffFloor = 1_000,
    consumer_backoff_ceiling: BackoffCeiling = 30_000,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Run the tasks of a package that have mechanism='process': each in a child process, killed at its timeout.

    This is [bold]journeyman worker[/bold] with the options of a process pool; it starts, drains and ends in the same
    way. Options may be written with underscores or with dashes.

    [bold]Example[/bold]

    journeyman process-pool shop.tasks --journal sqlite:///shop.db --n_processes 4

    Exit status: that of [bold]journeyman worker[/bold].
    """
    backoff = _backoff(consumer_backoff_factor, consumer_backoff_floor, consumer_backoff_ceiling)
    served = _queues(queues)
    run_worker(
        [package],
        log_level,
        lambda tasks: ProcessWorkerPool(
            tasks,
            served,
            n_processes=n_processes,
            prune_interval=prune_interval,
            task_specific_mode=task_specific_mode,
            slot_wait_interval=slot_wait_interval,
            backoff=backoff,
            journal=journal,
        ),
    )


def _queues(queues: str | None) -> tuple[str, ...] | None:
    return None if queues is None else names("--queues", "urgent,mail", queues)


def _backoff(factor: int, floor: int, ceiling: int) -> Backoff:
    try:
        return LinearBackoff(factor, floor, ceiling, zero_override=False)
    except ValueError as error:
        raise BadInput(f"--consumer_backoff_floor and --consumer_backoff_ceiling: {error}") from None
