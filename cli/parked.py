"""`journeyman consumers parked`, `replay`, `drop`: the events that a consumer has parked."""

from collections.abc import Coroutine, Sequence
from typing import Annotated, Any, Final

import orjson
import typer
from rich.text import Text

from ..consumers.checkpoints.operations import chosen, drop, parked_events, replay
from ..consumers.checkpoints.records import Parked, parse_position, position_text
from ..journal.journal import Journal
from ..tasks.inspection.wording import number
from .consumers import AsJSON, ConsumerName, consumers
from .limits import PARKED_ERROR_CHARS_MAX
from .shared.asking import Yes, confirm, operator
from .shared.failures import BadInput, quiet_on_broken_pipe
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, show, when
from .shared.table import FittedTable

_COLUMNS: Final = (
    ("position", "left"),
    ("event", "left"),
    ("key", "left"),
    ("parked", "left"),
    ("attempts", "right"),
    ("error", "left"),
)

Positions = Annotated[
    list[str] | None,
    typer.Option(
        "--position",
        metavar="P:O",
        help="The position of a parked event, as `parked` shows it; may be given several times.",
        show_default="all",
    ),
]


@consumers.command("parked")
def parked(
    name: ConsumerName, journal: JournalURL = None, as_json: AsJSON = False, log_level: LevelOption = LogLevel.INFO
) -> None:
    """Show the events that a consumer has parked, since its callback failed on them.

    --json adds the event itself, the traceback of the error, and the consumer that parked it.

    [bold]Examples[/bold]

    journeyman consumers parked billing --journal sqlite:///shop.db

    journeyman consumers parked billing --json | jq -r '.parked[].error.traceback'

    Exit status: 0; 1 if the journal cannot be used.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        held = opened.run(parked_events(opened.asynchronous, name))
        if as_json:
            print(orjson.dumps({"name": name, "parked": [_as_json(one) for one in held]}).decode())
        elif held:
            show(console_for(), FittedTable(_COLUMNS, [_row(one) for one in held], give_way=1))
        else:
            print(f"no event is parked under the name {printable(name)} in {opened.url}")


def _as_json(one: Parked) -> dict[str, Any]:
    return {
        "position": position_text(one.position),
        "parked_at": one.timestamp,
        "attempts": one.attempts,
        "error": one.error,
        "consumer": one.consumer,
        "event": one.event,
    }


def _row(one: Parked) -> list[Text]:
    text = " ".join(f"{one.error['name']}: {one.error['text']}".split())
    cells = (
        position_text(one.position),
        str(one.event.get("name", "")),
        str(one.event.get("key") or "-"),
        when(one.timestamp),
        f"{one.attempts:,}",
        text if len(text) <= PARKED_ERROR_CHARS_MAX else f"{text[:PARKED_ERROR_CHARS_MAX]}…",
    )
    return [Text(printable(cell)) for cell in cells]


@consumers.command("replay")
def replay_parked(
    name: ConsumerName,
    position: Positions = None,
    journal: JournalURL = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be replayed, and replay nothing.")
    ] = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Hand parked events to their consumer again: to the running one, or to the next that is started.

    Each is handed out once for each replay. If the callback fails again, the event is parked again.

    [bold]Examples[/bold]

    journeyman consumers replay billing --position 0:42

    journeyman consumers replay billing

    Exit status: 0; 1 if the journal cannot be used; 2 if nothing is parked at a position.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened:
        held = _chosen(opened, name, position)
        if not dry_run:
            by = operator()
            for one in held:
                _settled(opened, replay(opened.asynchronous, one, by))
        verb = "would be handed" if dry_run else "will be handed"
        _say(held, as_json=as_json, done=not dry_run, sentence=f"{verb} to the consumer {printable(name)} again")


@consumers.command("drop")
def drop_parked(
    name: ConsumerName,
    position: Positions = None,
    why: Annotated[str, typer.Option(help="The reason, kept in the journal.", show_default=False)] = "",
    journal: JournalURL = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be dropped, and drop nothing.")] = False,
    yes: Yes = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Give parked events up: they are not handed out again. The events themselves stay in the journal.

    [bold]Examples[/bold]

    journeyman consumers drop billing --position 0:42 --why "order 7 was a test"

    Exit status: 0; 1 if the journal cannot be used; 2 if nothing is parked at a position.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened:
        held = _chosen(opened, name, position)
        if held and not dry_run:
            if not yes:
                confirm(f"Give up {number(len(held), 'parked event')} of the consumer {printable(name)}?")
            by = operator()
            for one in held:
                _settled(opened, drop(opened.asynchronous, one, by, why))
        verb = "would be dropped" if dry_run else "dropped"
        _say(held, as_json=as_json, done=not dry_run, sentence=f"{verb} for the consumer {printable(name)}")


def _settled(journal: Journal, settling: Coroutine[Any, Any, None]) -> None:
    try:
        journal.run(settling)
    except ValueError as error:
        raise BadInput(str(error)) from None


def _chosen(journal: Journal, name: str, positions: Sequence[str] | None) -> list[Parked]:
    held = journal.run(parked_events(journal.asynchronous, name))
    try:
        return chosen(held, [parse_position(each) for each in positions or ()])
    except ValueError as error:
        raise BadInput(str(error)) from None


def _say(held: Sequence[Parked], *, as_json: bool, done: bool, sentence: str) -> None:
    if as_json:
        print(orjson.dumps({"positions": [position_text(one.position) for one in held], "done": done}).decode())
        return
    if not held:
        print("no event is parked under that name")
        return
    print(f"{number(len(held), 'event')} {sentence}: {', '.join(position_text(one.position) for one in held[:20])}")
