"""`journeyman consumers`: list the consumers' checkpoints with their lag, and move a checkpoint."""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import orjson
import typer
from rich.text import Text

from ..consumers.checkpoints.operations import (
    CheckpointMove,
    CheckpointStatus,
    checkpoint_statuses,
    find_checkpoint,
    move_checkpoint,
    plan_move,
)
from ..consumers.checkpoints.records import Saved
from ..consumers.views.as_of import cursor_at
from ..journal.cursor import Cursor
from ..journal.journal import Journal
from ..tasks.inspection.wording import age, listing, number
from .limits import CONSUMER_RUNS_SECONDS
from .shared.asking import Yes, confirm, operator
from .shared.failures import BadInput, quiet_on_broken_pipe
from .shared.moments import parse_moment
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, show, when
from .shared.table import FittedTable

consumers = typer.Typer(no_args_is_help=False, invoke_without_command=True)

ConsumerName = Annotated[str, typer.Argument(metavar="NAME", help="The checkpoint's name.", show_default=False)]
AsJSON = Annotated[bool, typer.Option("--json", help="Print the result as a JSON object.")]


@consumers.callback()
def list_consumers(
    context: typer.Context,
    journal: JournalURL = None,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Show the checkpoints of the journal's consumers: the age of each, and the events that its consumer has to read.

    Lag counts the events of the consumer's own topic that it has still to read, exactly where at most 10,000 events of
    any kind lie ahead; ahead counts those of any kind. Next is the time of the oldest of them.

    [bold]Examples[/bold]

    journeyman consumers --journal sqlite:///shop.db

    journeyman consumers --json | jq '.consumers[] | select(.age_seconds > 600) | .name'

    journeyman consumers reset billing --to 2026-11-21T09:00 --dry-run

    journeyman consumers parked billing

    Exit status: 0; 1 if the journal cannot be used.
    """
    if context.invoked_subcommand is not None:
        return
    configure_logging(log_level)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        statuses = opened.run(checkpoint_statuses(opened.asynchronous))
        now = time.time()
        if as_json:
            print(orjson.dumps({"consumers": [_as_json(status, now) for status in statuses]}).decode())
        elif statuses:
            _show_statuses(statuses, now)
        else:
            print(f"no consumer has saved a checkpoint in {opened.url}")


def _as_json(status: CheckpointStatus, now: float) -> dict[str, object]:
    saved = status.saved
    return {
        "name": saved.name,
        "saved_at": saved.timestamp,
        "age_seconds": max(0.0, now - saved.timestamp),
        "cursor": str(saved.cursor),
        "topic": saved.topic,
        "consumer": saved.consumer or None,
        "reset_by": saved.by or None,
        "lag": status.lag,
        "ahead": status.ahead,
        "next_at": status.next_time,
        "removed": status.removed,
        "parked": status.parked,
    }


_COLUMNS: Final = (
    ("consumer", "left"),
    ("saved", "right"),
    ("lag", "right"),
    ("ahead", "right"),
    ("next", "left"),
    ("parked", "right"),
    ("topic", "left"),
    ("stands at", "left"),
    ("saved by", "left"),
)


def _show_statuses(statuses: Sequence[CheckpointStatus], now: float) -> None:
    show(console_for(), FittedTable(_COLUMNS, [_row(status, now) for status in statuses], give_way=3))
    for status in statuses:
        if status.removed:
            print(
                f"! {number(status.removed, 'event')} that {printable(status.saved.name)} has not been handed "
                f"{'was' if status.removed == 1 else 'were'} removed by retention: it is refused when it starts"
            )


def _row(status: CheckpointStatus, now: float) -> list[Text]:
    saved = status.saved
    cells = (
        saved.name,
        f"{age(now - saved.timestamp)} ago",
        "not counted" if status.lag is None else f"{status.lag:,}",
        f"{status.ahead:,}",
        "-" if status.next_time is None else when(status.next_time),
        f"{status.parked:,}",
        "not known" if saved.topic is None else saved.topic or "all",
        saved.cursor.offsets,
        f"{saved.by} (reset)" if saved.reset else saved.consumer or "not known",
    )
    return [Text(printable(cell)) for cell in cells]


@consumers.command("reset")
def reset(
    name: ConsumerName,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="PLACE",
            help="beginning, end, a time such as 2026-11-21T09:00 or 2h (events later than it come next), or a cursor "
            "such as 0:42.",
            show_default=False,
        ),
    ],
    journal: JournalURL = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print how many events come again or are skipped, and move nothing.")
    ] = False,
    yes: Yes = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Move a checkpoint: its consumer resumes there at its next start.

    A consumer that runs meanwhile ends with CheckpointMoved when it reads the reset, and its later saves are ignored.
    Before events are skipped the command asks.

    [bold]Examples[/bold]

    journeyman consumers reset billing --to 2h --dry-run

    journeyman consumers reset billing --to end --yes

    Exit status: 0; 1 if the journal cannot be used; 2 if there is no such checkpoint or place.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened:
        saved = found_checkpoint(opened, name)
        try:
            move = opened.run(plan_move(opened.asynchronous, saved, _target(opened, to)))
        except ValueError as error:
            raise BadInput(f"--to {to}: {error}") from None
        if not dry_run:
            if move.skipped and not yes:
                _ask(move)
            opened.run(move_checkpoint(opened.asynchronous, move, operator()))
        _say_move(move, dry_run=dry_run, as_json=as_json)


def found_checkpoint(journal: Journal, name: str) -> Saved:
    """The checkpoint of that name; `BadInput` names those there are."""
    saved = journal.run(find_checkpoint(journal.asynchronous, name))
    if saved is None:
        known = [each.saved.name for each in journal.run(checkpoint_statuses(journal.asynchronous))]
        raise BadInput(
            f"no consumer has saved a checkpoint named {name!r} in {journal.url}; there are {listing(known)}"
        )
    return saved


def _target(journal: Journal, to: str) -> Mapping[int, int]:
    if to == "beginning":
        return journal.bounds().first
    if to == "end":
        return journal.bounds().end
    try:
        cursor = Cursor.parse(to)
    except ValueError:
        cursor = None
    if cursor:
        return cursor
    now = time.time()
    try:
        moment = parse_moment(to, now, "--to")
    except BadInput as error:
        raise BadInput(f"{error}. It also takes beginning, end, or a cursor such as 0:42") from None
    if moment > now:
        raise BadInput(f"--to takes a moment of the past, and {to!r} lies ahead; 'end' skips what there is by now")
    log = journal.run(journal.asynchronous.open())
    return journal.run(cursor_at(log, moment))


def _ask(move: CheckpointMove) -> None:
    confirm(f"The consumer {printable(move.saved.name)} skips {_events(move, move.skipped)}. Move its checkpoint?")


def _events(move: CheckpointMove, count: int) -> str:
    kind = f" of the topic {move.saved.topic}" if move.counted and move.saved.topic else ""
    return f"{number(count, 'event')}{kind}"


def _say_move(move: CheckpointMove, *, dry_run: bool, as_json: bool) -> None:
    saved = move.saved
    if as_json:
        said = {
            "name": saved.name,
            "from": str(saved.cursor),
            "to": str(move.to),
            "again": move.again,
            "skipped": move.skipped,
            "counted_topic": saved.topic if move.counted else None,
            "moved": not dry_run,
        }
        print(orjson.dumps(said).decode())
        return
    verb = "would move" if dry_run else "moved"
    print(f"{verb} the checkpoint {printable(saved.name)} from {saved.cursor.offsets} to {move.to.offsets}")
    again, skipped = ("comes" if move.again == 1 else "come"), ("is" if move.skipped == 1 else "are")
    print(f"{_events(move, move.again)} {again} again, {_events(move, move.skipped)} {skipped} skipped")
    since = time.time() - saved.timestamp
    if not dry_run and since < CONSUMER_RUNS_SECONDS and not saved.reset:
        print(
            f"its consumer saved {age(since)} ago, so it may be running: it ends with CheckpointMoved when it "
            "reads this, and resumes there when it is started again"
        )
