"""`journeyman lock`: list the locks, show one with its history, and release a lock in place of its holder."""

import sys
import time
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..journal.journal import Journal
from ..tasks.acting import Attribution
from ..tasks.answers.locks import ReleaseAnswer, lock_answer, lock_in_full
from ..tasks.inspection.as_of import cursor_at, view_as_of
from ..tasks.inspection.lock_findings import explain_lock, is_silent, named
from ..tasks.inspection.lock_history import LockHistory, LockStep, lock_history
from ..tasks.inspection.wording import age, number, signature, when
from ..tasks.locking.requests import lock_requests
from ..tasks.state import names
from ..tasks.state.locks import Requests, capacity_of, holders
from ..tasks.state.verdict import Verdict
from .limits import LOCK_STEPS_SHOWN_DEFAULT
from .shared.asking import Reason, Yes, confirm, operator
from .shared.failures import EXIT_ENVIRONMENT, quiet_on_broken_pipe
from .shared.json_lines import print_json
from .shared.moments import parse_past
from .shared.opening import existing_journal
from .shared.options import AsOf, JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, show, span
from .shared.table import FittedTable

_COLUMNS: Final = (("lock", "left"), ("held", "right"), ("waiting", "right"), ("for", "left"), ("holder", "left"))
_STYLES: Final = {"silent": "bold red", "capacities_differ": "yellow", "free": "green"}

lock_commands = typer.Typer(no_args_is_help=True, help="List the locks, show one with its history, or release one.")

LockName = Annotated[str, typer.Argument(metavar="NAME", help="The name of the lock.", show_default=False)]
Token = Annotated[
    int | None,
    typer.Option("--token", metavar="N", help="Release only the hold of this token.", show_default="all holds"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and append nothing.")]


@lock_commands.command("list")
def list_locks(
    journal: JournalURL = None,
    as_of: AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line for each lock.")] = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """List the locks that are held or waited for, by name.

    [bold]Examples[/bold]

    journeyman lock list --journal sqlite:///shop.db

    journeyman lock list --json | jq -r 'select(.requests[].silent) | .lock'

    Exit status: 0, also if there are none; 1 if the journal cannot be used.
    """
    configure_logging(log_level)
    now = time.time()
    moment = parse_past(as_of, now)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        view = opened.run(view_as_of(opened.asynchronous, moment)).view
        locks = sorted((name, requests) for each in view.locks.values() for name, requests in each.items())
        at = now if moment is None else moment
        if as_json:
            print_json(*(lock_answer(name, requests, at) for name, requests in locks))
        elif locks:
            show(console_for(), FittedTable(_COLUMNS, [_row(*lock, at) for lock in locks], give_way=1))
        else:
            print(f"no lock is held in {opened.url}")


def _row(name: str, requests: Requests, now: float) -> tuple[Text, ...]:
    held = holders(requests)
    silent = any(is_silent(each, now) for each in held)
    owner = named(held[0]) + (f" and {len(held) - 1} more" if len(held) > 1 else "") if held else ""
    return (
        Text(printable(name), "bold"),
        Text(f"{len(held)} of {capacity_of(requests)}"),
        Text(f"{len(requests) - len(held):,}"),
        Text(age(now - held[0].granted_at) if held else ""),
        Text(printable(owner) + (" (silent)" if silent else ""), "red" if silent else ""),
    )


@lock_commands.command("show")
def show_lock(
    name: LockName,
    journal: JournalURL = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Show at most N events of its history, the newest.")
    ] = LOCK_STEPS_SHOWN_DEFAULT,
    as_of: AsOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with the whole history.")] = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Show who holds a lock and since when, who waits, whether the holder is silent, and the history of the lock.

    Renewals of leases are left out of the history. Refused events are shown with the reason. Spans compare this
    machine's clock with those of the programs that use the lock.

    [bold]Example[/bold]

    journeyman lock show nightly-report --journal sqlite:///shop.db

    Exit status: 0; 1 if the journal knows no such lock.
    """
    configure_logging(log_level)
    now = time.time()
    moment = parse_past(as_of, now)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        until = None if moment is None else opened.run(cursor_at(opened.asynchronous, moment))
        found = opened.run(lock_history(opened.asynchronous, name, until))
        at = now if moment is None else moment
        if as_json:
            print_json(lock_in_full(name, found, at))
        elif found.requests or found.steps:
            _print(name, found, at, limit, console_for())
        if not (found.requests or found.steps):
            print(f"journeyman: the journal {printable(opened.location)} knows no lock {name!r}", file=sys.stderr)
            raise typer.Exit(EXIT_ENVIRONMENT)


@lock_commands.command("release")
def release_lock(
    name: LockName,
    journal: JournalURL = None,
    *,
    token: Token = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line for each hold.")] = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Release a lock that is held, so that the next request is granted, whether its holder lives or not.

    A holder that lives goes on with its work and learns of the release when it renews its lease. So the command asks
    first; without a terminal it needs --yes.

    [bold]Example[/bold]

    journeyman lock release nightly-report --reason 'its host is gone' --journal sqlite:///shop.db

    Exit status: 0; 1 if the lock was not held, or its hold ended meanwhile.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        requests = opened.run(lock_requests(opened.asynchronous).look(name))
        held = [each for each in holders(requests) if token is None or each.token == token]
        if held and not (dry_run or yes):
            owners = ", ".join(printable(named(each)) for each in held)
            confirm(f"Release the lock {printable(name)}, held by {owners}?")
        done = [dry_run or _release(opened, name, each.token, reason) for each in held]
        for request, released in zip(held, done, strict=True):
            word = "would be released" if dry_run else "released" if released else "had ended already"
            if as_json:
                print_json(ReleaseAnswer(name, request.token, request.owner, released, dry_run))
            else:
                print(f"lock {printable(name)}, held by {printable(named(request))}: {word}", flush=True)
        if not held and not as_json:
            print(f"the lock {printable(name)} is not held{'' if token is None else f' with the token {token}'}")
        if not held or not all(done):
            raise typer.Exit(EXIT_ENVIRONMENT)


def _release(journal: Journal, name: str, token: int, reason: str | None) -> bool:
    return journal.run(lock_requests(journal.asynchronous).end(name, token, Attribution(operator(), reason).fields()))


def _print(name: str, found: LockHistory, now: float, limit: int, console: Console) -> None:
    console.print(Text.assemble("lock ", (printable(name), "bold")), soft_wrap=True)
    for finding in explain_lock(name, found.requests, now):
        console.print(Text(f"- {printable(finding.sentence)}", _STYLES.get(finding.code, "")), soft_wrap=True)
    console.print()
    if found.is_truncated:
        console.print(Text("retention has removed the beginning of its history", "yellow"), soft_wrap=True)
    more = len(found.steps) - limit
    if more > 0:
        console.print(Text(f"{number(more, 'older event')} left out: --limit, or --json for all", "dim"))
    grid = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "left", "left"):
        grid.add_column(justify=justify, no_wrap=True)
    grid.add_column(no_wrap=not console.is_terminal)
    previous: float | None = None
    for step in found.steps[-limit:]:
        grid.add_row(*_step_row(step, previous))
        previous = step.event.timestamp
    show(console, grid)
    if found.renewals:
        console.print(Text(f"and {number(found.renewals, 'renewal')} of leases", "dim"))


def _step_row(step: LockStep, previous: float | None) -> Sequence[Text]:
    event = step.event
    refused = step.verdict is Verdict.REFUSED
    since = "" if previous is None else f"+{span(event.timestamp - previous)}"
    style = "dim strike" if refused else "yellow" if event.name == names.LOCK_EXPIRED else ""
    return (
        Text(when(event.timestamp), "dim"),
        Text(since, "dim"),
        Text(event.name, style),
        Text(printable(step.owner)),
        _remark(step),
    )


def _remark(step: LockStep) -> Text:
    if step.verdict is Verdict.REFUSED:
        return Text.assemble(("refused", "bold red"), f": {step.reason}")
    said = printable(signature(step.event.context).strip())
    if task := step.event.context.get("task"):
        said = f"the task {printable(str(task))} has ended"
    if step.granted == (step.owner,) and step.event.name == names.LOCK_REQUESTED:
        return Text(f"granted at once, token {step.event.offset}")
    granted = f"granted to {printable(', '.join(step.granted))}" if step.granted else ""
    return Text("; ".join(part for part in (said, granted) if part))
