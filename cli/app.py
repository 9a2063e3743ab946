"""The command line: registers all commands, and maps errors to exit statuses."""

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from . import parked as _parked  # noqa: F401 - it adds its commands to `consumers`
from .acting import requeue, revoke
from .backup import backup_journal, restore_journal
from .compact import compact_history
from .consumers import consumers
from .dead_letters import dead_letter_commands
from .demo import demo
from .export import export_lines
from .history import history
from .importing import import_lines
from .queues import pause, resume
from .shared.encoding import typed, write_anything
from .shared.failures import EXIT_INTERRUPTED, report
from .status import status
from .submit import submit
from .tail import tail
from .verify import verify_journal
from .why import why
from .worker import worker

app = typer.Typer(
    name="journeyman",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"journeyman {version('journeyman')}")
        raise typer.Exit


@app.callback()
def journeyman(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """An event-sourced task queue: one journal, on a file or on Kafka, and everything else is derived from it.

    Every command takes the journal's URL with --journal, or from the environment variable JOURNEYMAN_JOURNAL.
    A task's id may be given by its end, as it is shown: …d59c189e.
    To see it work: [bold]journeyman demo[/bold]
    """


for command in (worker, submit, status, why, history, tail, revoke, requeue, pause, resume, demo):
    app.command()(command)
app.add_typer(dead_letter_commands, name="dlq")
app.command("export")(export_lines)
app.command("import")(import_lines)
app.command("compact")(compact_history)
app.add_typer(consumers, name="consumers")
app.command("verify")(verify_journal)
app.command("backup")(backup_journal)
app.command("restore")(restore_journal)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 success, 1 runtime error, 2 usage error; see `failures`."""
    logging.captureWarnings(True)
    write_anything()
    try:
        given = typed(sys.argv[1:] if arguments is None else arguments)
        status = app(args=given, prog_name="journeyman", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        return report(error)
    return status if isinstance(status, int) else 0
