"""`journeyman compact`: remove old history."""

import time
from datetime import UTC, datetime
from typing import Annotated

import orjson
import typer

from ..consumers.truncation import first_moment
from ..journal.journal import Journal
from ..tasks.inspection.wording import number
from ..tasks.retention import Compacted, CompactionPlan, KeptHistory, compact, plan
from ..tasks.state.transitions import State
from .shared.failures import BadInput
from .shared.moments import parse_moment
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import printable, when
from .shared.unreadable import print_unreadable


def compact_history(
    keep: Annotated[
        str,
        typer.Option(
            metavar="SPAN",
            help="How much history to keep: a span such as 30d or 12h, or the time from which on, such as 2026-10-01.",
        ),
    ],
    journal: JournalURL = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed, and remove nothing.")
    ] = False,
    forget_view: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Remove the snapshots of a view of your own that is no longer used, so that they hold nothing back.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as a JSON object.")] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Remove history that is older than --keep, permanently and for all readers.

    Nothing is lost that is still needed: the history of a task that is not finished stays, from its submission on, and
    a snapshot of the queue is stored first, from which workers start. The output names what holds history back. A
    reader that asks for removed history gets an error that names where history begins.

    To keep a copy, export first: [bold]journeyman export --until[/bold] the same moment.

    [bold]Examples[/bold]

    journeyman compact --keep 30d --dry-run --journal sqlite:///shop.db

    journeyman compact --keep 2026-10-01T00:00

    Exit status: 0; 1 if the journal cannot be used.
    """
    configure_logging(log_level)
    now = time.time()
    moment = parse_moment(keep, now, "--keep")
    if moment > now:
        raise BadInput(f"--keep takes a span back from now, or a moment of the past; {keep!r} lies ahead")
    forget = forget_view or []
    with existing_journal(journal) as opened:
        planned = opened.run(plan(opened.asynchronous, moment, forget=forget))
        done = None
        if planned.events and not dry_run:
            done = opened.run(compact(opened.asynchronous, planned, forget=forget))
        begins = _begins(opened, planned)
        say = _print_json if as_json else _print
        say(opened.url, planned, done, begins)
        print_unreadable(planned.unreadable, as_json=as_json)


def _begins(journal: Journal, planned: CompactionPlan) -> float | None:
    """The time of the earliest event that is left; None if none is left."""
    log = journal.run(journal.asynchronous.open())
    firsts = [
        journal.run(first_moment(log, partition, offset))
        for partition, offset in planned.before.items()
        if offset < planned.end[partition]
    ]
    return min((moment for moment in firsts if moment is not None), default=None)


def _print_json(url: str, planned: CompactionPlan, done: Compacted | None, begins: float | None) -> None:
    said = {
        "journal": url,
        "removed": planned.events if done is not None else 0,
        "removable": planned.events,
        "first": str(planned.first),
        "before": str(planned.before),
        "end": str(planned.end),
        "begins": begins,
        "held_back": [
            {
                "partition": hold.partition,
                "offset": hold.offset,
                "task": hold.task.id if hold.task is not None else None,
                "view": hold.view or None,
            }
            for hold in planned.holds
        ],
        "lost_dead_letters": planned.lost_letters,
        "snapshots": [label.view for label in done.snapshots] if done is not None else [],
        "carried_checkpoints": list(done.carried) if done is not None else [],
        "carried_parked": done.parked if done is not None else 0,
    }
    print(orjson.dumps(said).decode())


def _print(url: str, planned: CompactionPlan, done: Compacted | None, begins: float | None) -> None:
    total = sum(planned.end.values()) - sum(planned.first.values())
    if not planned.events:
        print(f"nothing to remove from {url}: {total:,} events, none of them older and free to go")
    elif done is None:
        print(f"would remove {planned.events:,} of {total:,} events from {url}")
    else:
        print(f"removed {planned.events:,} of {total:,} events from {url}")
    if begins is not None:
        utc = datetime.fromtimestamp(begins, UTC).isoformat(timespec="microseconds")
        print(f"history {'begins' if done or not planned.events else 'would begin'} at {planned.before}, {utc}")
    for hold in planned.holds:
        old = planned.old[hold.partition] - planned.before[hold.partition]
        print(f"held back: {old:,} older events of partition {hold.partition}, by {_reason(hold)}")
    if planned.lost_letters:
        print(f"{planned.lost_letters:,} dead letters can not run again: their submissions are among what is removed")
    if done is not None:
        size = sum(label.size for label in done.snapshots) / 1_000_000
        print(f"a snapshot of the queue stands for what was removed: {size:.1f} MB")
        for name in done.carried:
            print(f"brought forward: the checkpoint of the consumer {printable(name)}")
        if done.parked:
            print(f"brought forward: {number(done.parked, 'parked event')}")


def _reason(hold: KeptHistory) -> str:
    if hold.task is None:
        return (
            f"the view {printable(hold.view)}, whose newest snapshot reaches {hold.partition}:{hold.offset}. Let it "
            f"catch up, or forget it with --forget-view {printable(hold.view)}"
        )
    task = hold.task
    view_as_of = "is running" if task.state is State.CLAIMED else "waits to be run"
    return (
        f"the task {printable(task.id)} ({printable(task.name)}), submitted {when(task.submitted_at)} at "
        f"{hold.partition}:{hold.offset}, which {view_as_of}"
    )
