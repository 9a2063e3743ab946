"""`journeyman scheduler`: fire schedules, and nothing else."""

from typing import Annotated

import typer

from ..workers.health.report import HealthTarget
from ..workers.scheduler import fire_schedules
from ..workers.worker import run_to_its_end
from .init_process import leave_duties_of_first_process
from .shared.failures import print_line
from .shared.opening import shared_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging


def scheduler(
    journal: JournalURL = None,
    health: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|HOST:PORT",
            help="Report the health in JSON, in a file that is replaced every second, or over HTTP with 200 or 503.",
            show_default=False,
        ),
    ] = None,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Fire the schedules of the journal: submit a task at each tick. Workers run these tasks.

    Workers fire schedules, too, unless they have --no-schedules. Start as many schedulers as you like: each tick is
    fired once, whichever process is first, and none depends on one of them. SIGTERM or Ctrl-C ends it.

    [bold]Example[/bold]

    journeyman scheduler --journal sqlite:///shop.db

    Exit status: 0 after SIGTERM or SIGINT; 1 if the journal, or what --health names, cannot be used.
    """
    leave_duties_of_first_process()
    configure_logging(log_level)
    shown = shared_journal(journal).url
    target = HealthTarget.parse(health) if health is not None else None
    firing = fire_schedules(journal, lambda _: print_line(f"scheduler is ready: journal {shown}"), target)
    fired = run_to_its_end(firing, lambda: "the scheduler")
    print_line(f"left: {fired:,} ticks fired")
