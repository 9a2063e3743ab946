"""The command line: the table of commands, and the exit statuses of errors."""

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, Final

import typer

from .shared.encoding import typed, write_anything
from .shared.failures import EXIT_INTERRUPTED, report

# Each command or group, in the order of the help, with the module and name of its function.
COMMANDS: Final = {
    "worker": "worker:worker",
    "thread-pool": "pools:thread_pool",
    "process-pool": "pools:process_pool",
    "submit": "submit:submit",
    "status": "status:status",
    "report": "report:report",
    "top": "top:top",
    "why": "why:why",
    "history": "history:history",
    "tail": "tail:tail",
    "requests": "requests:requests",
    "revoke": "acting:revoke",
    "requeue": "dead_letters:requeue_dead_letters",
    "pause": "queues:pause",
    "resume": "queues:resume",
    "demo": "demo:demo",
    "init": "init:init",
    "dlq": "dead_letters:dead_letter_commands",
    "lock": "locks:lock_commands",
    "schedule": "schedules:schedule_commands",
    "scheduler": "scheduler:scheduler",
    "serve": "serve:serve_journal",
    "export": "export:export_lines",
    "import": "importing:import_lines",
    "compact": "compact:compact_history",
    "consumers": "parked:consumers",
    "verify": "verify:verify_journal",
    "backup": "backup:backup_journal",
    "restore": "backup:restore_journal",
}


_COMPLETION: Final = "_JOURNEYMAN_COMPLETE"  # set by the shell that asks for completions


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the command line with these commands; only their modules are imported."""
    app = typer.Typer(
        name="journeyman",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "token_normalize_func": _dashed},
    )
    app.callback()(journeyman)
    for name in names:
        module, _, function = COMMANDS[name].partition(":")
        command = getattr(import_module(f".{module}", __package__), function)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _dashed(token: str) -> str:
    """Return the name of an option or command with dashes: `--n_threads` and `--n-threads` are the same."""
    return token.replace("_", "-")


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"journeyman {version('journeyman')}")
        raise typer.Exit


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


def _needed(arguments: Sequence[str]) -> Iterable[str]:
    """Return the commands to import: the one that is called; all for the help, a completion or a misspelt one."""
    if arguments[:1] == ["--version"]:
        return ()
    called = next((each for each in arguments if not each.startswith("-")), "")
    return (called,) if called in COMMANDS and _COMPLETION not in os.environ else COMMANDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 success, 1 runtime error, 2 usage error; see `failures`."""
    logging.captureWarnings(True)
    write_anything()
    if os.environ.get(_COMPLETION, "").endswith("_bash"):
        from .shared.completing import join_words

        join_words(os.environ)
    try:
        given = typed(sys.argv[1:] if arguments is None else arguments)
        status = application(_needed(given))(args=given, prog_name="journeyman", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        return report(error)
    return status if isinstance(status, int) else 0
