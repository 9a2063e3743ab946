"""`journeyman demo`: run a demonstration."""

from typing import Annotated

import typer

from .limits import DEMO_WORKERS_MAX
from .shared.failures import EXIT_ENVIRONMENT, BadInput
from .shared.opening import shared_journal
from .shared.options import LevelOption, LogLevel, configure_logging
from .shared.screen import console_for


def demo(
    journal: Annotated[
        str | None,
        typer.Option(
            "--journal",
            "-j",
            metavar="URL",
            help="The journal to run on, such as sqlite:///demo.db or kafka://127.0.0.1:9092/demo; "
            "JOURNEYMAN_JOURNAL is ignored.",
            show_default="a fresh file, removed at the end",
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=DEMO_WORKERS_MAX, help="How many worker processes to start with.")
    ] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the fresh file, and print commands to read it.")] = False,
    files: Annotated[int | None, typer.Option(min=1, hidden=True, help="So many files only.")] = None,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Run a demonstration on real input: every .py file of this Python's standard library becomes one task.

    Each task counts a file's lines, tokens, functions and classes, and computes its SHA-256. Worker processes share
    the queue through the journal. When a third is done one of them is killed (SIGKILL) and another joins; its tasks are
    taken over when its lease of 2,000 ms is over. Then a consumer replays the history, passes the sentinel and follows
    the workers' exit live, and a report follows.

    Every result is checked against a direct computation. Takes less than a minute on two cores; Ctrl-C leaves nothing
    behind.

    [bold]Examples[/bold]

    journeyman demo

    journeyman demo --journal kafka://127.0.0.1:9092/demo --workers 3

    Exit status: 0 if every result agrees, nothing was lost and nothing completed twice; otherwise 1.
    """
    from ..demo import DemoFailed, Stopped, run_demo  # not needed by the other commands, which start faster so

    configure_logging(log_level)
    if journal is not None:
        shared_journal(journal)
        if keep:
            raise BadInput("--keep is about the fresh file the demonstration makes; a journal of yours is always kept")
    try:
        agreed = run_demo(console_for(), journal, workers, keep=keep, files=files)
    except Stopped as stopped:
        raise typer.Exit(stopped.exit_status) from None
    except DemoFailed as failure:
        typer.echo(f"journeyman: {failure}", err=True)
        raise typer.Exit(EXIT_ENVIRONMENT) from None
    if not agreed:
        raise typer.Exit(EXIT_ENVIRONMENT)
