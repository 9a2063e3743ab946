"""`journeyman dlq`: the dead letters, tasks that have failed for good; list them and let them run again."""

import sys
import time
from typing import Annotated, Final

import orjson
import typer
from rich.table import Table
from rich.text import Text

from ..journal.journal import Journal
from ..tasks.broker import Broker
from ..tasks.inspection.as_of import view_as_of
from ..tasks.inspection.wording import age, number
from ..tasks.state.state import TaskState
from .acting import tell_effect
from .shared.failures import EXIT_ENVIRONMENT, BadInput, quiet_on_broken_pipe
from .shared.moments import parse_past
from .shared.opening import existing_journal
from .shared.options import AsOf, JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, show

_SHOWN_DEFAULT: Final = 100


dead_letters = typer.Typer(no_args_is_help=True, help="List the dead letters, or let them run again.")

TaskName = Annotated[
    str | None, typer.Option("--task", metavar="NAME", help="Only those of this task.", show_default=False)
]
QueueName = Annotated[
    str | None, typer.Option("--queue", metavar="NAME", help="Only those of this queue.", show_default=False)
]


@dead_letters.command("list")
def list_dead_letters(
    journal: JournalURL = None,
    task: TaskName = None,
    queue: QueueName = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=f"At most so many, the newest: {_SHOWN_DEFAULT}, or with --json all of them, unless it is given.",
            show_default=False,
        ),
    ] = None,
    as_of: AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object for each, one in a line.")] = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """List the dead letters: tasks that have failed for good and run again only if they are requeued.

    The newest come first. For what happened to one see [bold]journeyman history[/bold], for its error and traceback
    [bold]journeyman why[/bold]; [bold]journeyman dlq requeue[/bold] lets them run again.

    [bold]Examples[/bold]

    journeyman dlq list --journal sqlite:///shop.db

    journeyman dlq list --task send --as-of 2h --json | jq -r .id

    Exit status: 0, also if there are none; 1 if the journal cannot be used.
    """
    configure_logging(log_level)
    now = time.time()
    moment = parse_past(as_of, now)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        letters = _letters(opened, moment, task, queue)
        if as_json:
            for letter in letters[:limit]:
                sys.stdout.buffer.write(orjson.dumps(_as_json(letter)) + b"\n")
        elif letters:
            _show(letters, limit or _SHOWN_DEFAULT, now if moment is None else moment)
        else:
            print(f"no dead letters in {opened.url}")


@dead_letters.command("requeue")
def requeue_dead_letters(
    journal: JournalURL = None,
    task: TaskName = None,
    queue: QueueName = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, whatever their task and queue.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are; append nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object for each, one in a line.")] = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Let the dead letters of a task or a queue run again, or all, their attempts forgotten; the oldest first.

    For single ones see [bold]journeyman requeue[/bold].

    [bold]Examples[/bold]

    journeyman dlq requeue --task send --dry-run

    journeyman dlq requeue --all --journal sqlite:///shop.db

    Exit status: 0; 1 if the journal cannot be used, or one of them was requeued or purged by another program meanwhile.
    """
    configure_logging(log_level)
    if not (everything or task or queue):
        raise BadInput("dlq requeue takes --task NAME or --queue NAME, or --all for all dead letters")
    refused = 0
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        letters = _letters(opened, None, task, queue)
        if dry_run:
            print(f"{number(len(letters), 'dead letter')} would be requeued")
            return
        broker = Broker(opened)
        for letter in reversed(letters):
            effect = broker.requeue(letter.id)
            refused += not effect
            tell_effect(opened, letter.id, effect, as_json=as_json)
        if not letters and not as_json:
            print(f"no such dead letters in {opened.url}")
    if refused:
        raise typer.Exit(EXIT_ENVIRONMENT)


def _letters(journal: Journal, moment: float | None, task: str | None, queue: str | None) -> list[TaskState]:
    """The dead letters that are asked for, the newest first."""
    found = journal.run(view_as_of(journal.asynchronous, moment))
    letters = [
        letter
        for letter in found.view.dead.values()
        if (task is None or letter.name == task) and (queue is None or letter.queue == queue)
    ]
    return sorted(letters, key=lambda letter: letter.changed_at, reverse=True)


def _as_json(letter: TaskState) -> dict[str, object]:
    return {
        "id": letter.id,
        "task": letter.name,
        "queue": letter.queue,
        "attempts": letter.attempts,
        "submitted_at": letter.submitted_at,
        "failed_at": letter.changed_at,
    }


def _show(letters: list[TaskState], limit: int, now: float) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for name, justify in (
        ("id", "left"),
        ("task", "left"),
        ("queue", "left"),
        ("attempts", "right"),
        ("failed", "left"),
    ):
        table.add_column(name, justify=justify, no_wrap=True, overflow="fold")  # type: ignore[arg-type]
    for letter in letters[:limit]:
        table.add_row(
            Text(printable(letter.id), "bold"),
            Text(printable(letter.name)),
            Text(printable(letter.queue)),
            Text(f"{letter.attempts:,}"),
            Text(f"{age(now - letter.changed_at)} ago"),
        )
    more = len(letters) - limit
    rest = [Text(f"and {number(more, 'older one')} more: --limit, or --json for all", "dim")] if more > 0 else []
    show(console_for(), table, *rest)
