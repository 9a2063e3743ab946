"""`journeyman dlq`: the dead letters, tasks that have failed for good; list them, show one, requeue or purge them."""

import time
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.text import Text

from ..journal.journal import Journal
from ..tasks.answers.dead_letters import dead_letter_answer
from ..tasks.inspection.as_of import view_as_of
from ..tasks.inspection.dead_letters import DeadLetter, DeadLetterFilter, dead_letters
from ..tasks.inspection.wording import age, number, short_id
from .dead_letter import print_dead_letter
from .limits import DEAD_LETTER_ERROR_CHARS_MAX, DEAD_LETTERS_SHOWN_DEFAULT, WIDE_COLUMNS_MIN
from .shared.acts import (
    PURGING,
    REQUEUEING,
    AsJSON,
    DryRun,
    QueueName,
    Rate,
    TagName,
    TaskName,
    act_on,
    refuse_vague,
    whole_ids,
)
from .shared.asking import Reason, Yes, confirm, confirm_on_terminal
from .shared.failures import quiet_on_broken_pipe
from .shared.json_lines import print_json
from .shared.moments import parse_moment, parse_past
from .shared.opening import existing_journal
from .shared.options import AsOf, JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, show
from .shared.table import FittedTable
from .shared.task_ids import SomeTaskIds, TaskId, whole_id

_COLUMNS: Final = (
    ("id", "left"),
    ("task", "left"),
    ("queue", "left"),
    ("attempts", "right"),
    ("failed", "left"),
    ("error", "left"),
)

dead_letter_commands = typer.Typer(
    no_args_is_help=True, help="List the dead letters, show one, let them run again, or purge them."
)

Exceptions = Annotated[
    str | None,
    typer.Option(
        "--exception",
        metavar="TEXT",
        help="Select only those whose listed error contains TEXT: the exception's name, or a part of its message.",
        show_default=False,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Select only those that failed at TIME or later: 14:05, 2026-11-21, 2h.",
        show_default=False,
    ),
]  # fmt: skip
Until = Annotated[
    str | None,
    typer.Option(
        "--until", metavar="TIME", help="Select only those that failed at TIME or before.", show_default=False
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="Select all dead letters.")]


@dead_letter_commands.command("list")
def list_dead_letters(
    journal: JournalURL = None,
    task: TaskName = None,
    queue: QueueName = None,
    exception: Exceptions = None,
    tag: TagName = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=f"List at most N, the newest; by default {DEAD_LETTERS_SHOWN_DEFAULT}, or with --json all.",
            show_default=False,
        ),
    ] = None,
    as_of: AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line for each.")] = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """List the dead letters: tasks that have failed for good and run again only if they are requeued.

    The newest come first. [bold]journeyman dlq show[/bold] prints one in full: its arguments, each attempt, and the
    tracebacks. [bold]journeyman dlq requeue[/bold] lets them run again, [bold]dlq purge[/bold] gives them up.

    [bold]Examples[/bold]

    journeyman dlq list --journal sqlite:///shop.db

    journeyman dlq list --exception TimeoutError --since 2h

    journeyman dlq list --task send --as-of 14:05 --json | jq -r .id

    Exit status: 0, also if there are none; 1 if the journal cannot be used.
    """
    configure_logging(log_level)
    now = time.time()
    moment = parse_past(as_of, now)
    wanted = _wanted(task, queue, exception, tag, since, until, now)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        letters = _letters(opened, moment, wanted)
        if as_json:
            print_json(*(dead_letter_answer(letter) for letter in letters[:limit]))
        elif letters:
            _show(letters, limit or DEAD_LETTERS_SHOWN_DEFAULT, now if moment is None else moment)
        else:
            print(f"no {'such ' if wanted != DeadLetterFilter() else ''}dead letters in {opened.url}")


@dead_letter_commands.command("show")
def show_dead_letter(
    task: TaskId,
    journal: JournalURL = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Show a dead letter: its arguments, and for each attempt when, where, how long, and the error with its traceback.

    [bold]Example[/bold]

    journeyman dlq show …8a4c9d11 --journal sqlite:///shop.db

    Exit status: 0; 1 if it is no dead letter, or the journal knows no such task.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        print_dead_letter(opened, whole_id(opened, task), as_json=as_json)


@dead_letter_commands.command("requeue")
def requeue_dead_letters(
    tasks: SomeTaskIds = None,
    journal: JournalURL = None,
    *,
    task: TaskName = None,
    queue: QueueName = None,
    exception: Exceptions = None,
    tag: TagName = None,
    since: Since = None,
    until: Until = None,
    everything: Everything = False,
    rate: Rate = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Let dead letters run again, with their attempts reset; the oldest first.

    On a terminal the command asks first, unless each task is named. [bold]journeyman requeue[/bold] is the same.

    [bold]Examples[/bold]

    journeyman dlq requeue --exception ConnectionError --since 2h --rate 10 --reason 'mail server is back'

    journeyman dlq requeue --all --dry-run --journal sqlite:///shop.db

    Exit status: 0; 1 if the journal cannot be used, or one of them was requeued or purged by another program meanwhile.
    """
    configure_logging(log_level)
    wanted = _clear(tasks, _wanted(task, queue, exception, tag, since, until, time.time()), everything=everything)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        found = _chosen(opened, tasks, wanted)
        if found and not (dry_run or yes or tasks):
            confirm_on_terminal(f"Let {number(len(found), 'dead letter')} run again?")
        act_on(opened, found, REQUEUEING, rate=rate, reason=reason, dry_run=dry_run, as_json=as_json)


@dead_letter_commands.command("purge")
def purge_dead_letters(
    tasks: SomeTaskIds = None,
    journal: JournalURL = None,
    *,
    task: TaskName = None,
    queue: QueueName = None,
    exception: Exceptions = None,
    tag: TagName = None,
    since: Since = None,
    until: Until = None,
    everything: Everything = False,
    rate: Rate = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Give dead letters up for good: they are listed no more and cannot be requeued. Their history stays.

    The command asks first. Without a terminal it needs --yes.

    [bold]Examples[/bold]

    journeyman dlq purge …8a4c9d11 --reason 'sent by hand'

    journeyman dlq purge --task probe --until 2026-11-01 --yes

    Exit status: 0; 1 if the journal cannot be used, or one of them was requeued or purged by another program meanwhile.
    """
    configure_logging(log_level)
    wanted = _clear(tasks, _wanted(task, queue, exception, tag, since, until, time.time()), everything=everything)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        found = _chosen(opened, tasks, wanted)
        if found and not (dry_run or yes):
            they = "It" if len(found) == 1 else "They"
            confirm(f"Purge {number(len(found), 'dead letter')}? {they} cannot be requeued afterwards.")
        act_on(opened, found, PURGING, rate=rate, reason=reason, dry_run=dry_run, as_json=as_json)


def _wanted(
    task: str | None,
    queue: str | None,
    exception: str | None,
    tag: str | None,
    since: str | None,
    until: str | None,
    now: float,
) -> DeadLetterFilter:
    begin = None if since is None else parse_moment(since, now)
    end = None if until is None else parse_moment(until, now, "--until")
    return DeadLetterFilter(task, queue, exception, begin, end, tag)


def _clear(tasks: Sequence[str] | None, wanted: DeadLetterFilter, *, everything: bool) -> DeadLetterFilter:
    """Return `wanted`; `BadInput` if the choice is ambiguous."""
    filters = "--task NAME, --queue NAME, --exception TEXT, --tag TAG, --since TIME, --until TIME"
    refuse_vague("dead letters", filters, tasks, filtered=wanted != DeadLetterFilter(), everything=everything)
    return wanted


def _chosen(journal: Journal, tasks: Sequence[str] | None, wanted: DeadLetterFilter) -> list[str]:
    """The ids of the dead letters that are meant, the oldest first."""
    if tasks:
        return whole_ids(journal, tasks)
    return [letter.task.id for letter in reversed(_letters(journal, None, wanted))]


def _letters(journal: Journal, moment: float | None, wanted: DeadLetterFilter) -> list[DeadLetter]:
    """The dead letters that are asked for, the newest first."""
    found = journal.run(view_as_of(journal.asynchronous, moment))
    return journal.run(dead_letters(journal.asynchronous, found, wanted))


def _shortened(error: str) -> str:
    most = DEAD_LETTER_ERROR_CHARS_MAX
    return error if len(error) <= most else f"{error[:most]}…"


def _show(letters: Sequence[DeadLetter], limit: int, now: float) -> None:
    console = console_for()
    # Every command accepts short ids, so a narrow screen shows these and leaves the room to the errors.
    whole = not console.is_terminal or console.width >= WIDE_COLUMNS_MIN
    rows = [
        (
            Text(printable(task.id if whole else short_id(task.id)), "bold"),
            Text(printable(task.name)),
            Text(printable(task.queue)),
            Text(f"{task.attempts:,}"),
            Text(f"{age(now - task.changed_at)} ago"),
            Text(printable(_shortened(error)), "red"),
        )
        for task, error, _ in letters[:limit]
    ]
    more = len(letters) - limit
    rest = [Text(f"and {number(more, 'older one')} more: --limit, or --json for all", "dim")] if more > 0 else []
    show(console, FittedTable(_COLUMNS, rows, give_way=1), *rest)
