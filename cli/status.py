"""`journeyman status`: print the state of queues, workers, schedules and dead letters."""

import sys
import time
from collections.abc import Iterator, Sequence
from shlex import quote
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from ..consumers.moments import span_seconds
from ..consumers.views.replica import Replica
from ..journal.journal import Journal
from ..journal.limits import CLOCK_SKEW_SECONDS_MAX
from ..tasks.answers.overview import status_answer
from ..tasks.inspection.alarms import Alarm, Thresholds, alarms
from ..tasks.inspection.as_of import view_as_of
from ..tasks.inspection.clocks import clock_faults
from ..tasks.inspection.evidence import last_signs
from ..tasks.inspection.late_schedules import lateness
from ..tasks.inspection.overview import Letter, Orphans, Overview, QueueLine, Totals, WorkerLine, overview
from ..tasks.inspection.schedule_lines import ScheduleLine, coming, is_late
from ..tasks.inspection.wording import age, clock, listing, number, short_id
from ..tasks.state.view import TaskView
from .limits import STATUS_NAMES_SHOWN, STATUS_REFRESH_SECONDS, STATUS_ROWS_SHOWN
from .shared.failures import EXIT_ALARM, BadInput, quiet_on_broken_pipe
from .shared.json_lines import print_json
from .shared.moments import parse_past
from .shared.opening import existing_journal
from .shared.options import AsOf, JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, show, when
from .shared.table import FittedTable

_ALLOWED: Final = Thresholds()


def status(
    journal: JournalURL = None,
    as_of: AsOf = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; with --watch one a line at each change.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show the state continuously, until Ctrl-C.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Print only problems, and exit with status 3 if there are any; for monitoring."),
    ] = False,
    max_dead: Annotated[
        int, typer.Option(min=0, metavar="N", help="With --check: report more than N dead letters.")
    ] = _ALLOWED.dead_max,
    max_oldest: Annotated[
        str,
        typer.Option(metavar="SPAN", help="With --check: report a task that is ready for longer, such as 30s, 10m."),
    ] = f"{_ALLOWED.oldest_seconds_max / 60:g}m",
    min_workers: Annotated[
        int, typer.Option(min=0, metavar="N", help="With --check: report fewer than N live workers.")
    ] = _ALLOWED.workers_min,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Show the state of queues, workers, schedules, dead letters, and the number of refused events.

    An idle worker appends nothing, so its last sign of life ("last sign") may be long ago; a worker that holds tasks
    must append within its lease, and is marked if it does not. "holds 8 of 8 +24" means: 8 tasks run, of 8 that can run
    at a time, and 24 are claimed ahead.

    With --check these are problems: more dead letters than --max-dead, a task that has been ready for longer than
    --max-oldest in a queue that is not paused, fewer live workers than --min-workers, a worker that holds tasks and has
    been silent for longer than its lease, and a schedule with ticks that no process has fired within their grace.

    [bold]Examples[/bold]

    journeyman status --journal sqlite:///shop.db --watch

    journeyman status --as-of 2026-11-21T03:10

    journeyman status --json | jq '.queues[] | select(.oldest_seconds > 60)'

    journeyman status --check --max-dead 10 --max-oldest 2m || notify-send 'look after the queue'

    Exit status: 0; 1 if the journal cannot be used; 3 if --check has found something.
    """
    configure_logging(log_level)
    if watch and as_of is not None:
        raise BadInput("--watch follows the present, and --as-of shows a moment of the past: choose one")
    if watch and check:
        raise BadInput("--check looks once, and --watch continuously: choose one")
    moment = parse_past(as_of, time.time())
    allowed = Thresholds(max_dead, _span(max_oldest), min_workers)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        console = console_for()
        if check:
            _check(_overview(opened, moment), allowed, opened.url, as_json=as_json)
            return
        if watch and not as_json and console.is_terminal:
            _live(opened, console)
            return
        for seen in _overviews(opened) if watch else [_overview(opened, moment)]:
            if as_json:
                print_json(status_answer(seen))
            else:
                show(console, _screen(seen, opened.url, moment))
            sys.stdout.flush()


def _span(text: str) -> float:
    try:
        return span_seconds(text, "--max-oldest")
    except ValueError as error:
        raise BadInput(str(error)) from None


def _check(seen: Overview, allowed: Thresholds, url: str, *, as_json: bool) -> None:
    """Print a line for each problem; exit with `EXIT_ALARM` if there is any."""
    found: Sequence[Alarm] = alarms(seen, allowed)
    if as_json:
        print(
            orjson.dumps({"ok": not found, "as_of": seen.at, "alarms": [alarm._asdict() for alarm in found]}).decode()
        )
    else:
        for line in [alarm.sentence for alarm in found] or [f"{url} is well"]:
            print(printable(line))
    if found:
        raise typer.Exit(EXIT_ALARM)


def _overview(journal: Journal, moment: float | None) -> Overview:
    view, _ = journal.run(view_as_of(journal.asynchronous, moment))
    return _look(journal, view, time.time() if moment is None else moment)


def _look(journal: Journal, view: TaskView, now: float) -> Overview:
    log = journal.run(journal.asynchronous.open())
    seen = overview(view, now, journal.run(last_signs(log, list(view.all_sessions()))))
    return seen._replace(clocks=tuple(journal.run(clock_faults(log, time.time()))))


def _overviews(journal: Journal, *, still: bool = False) -> Iterator[Overview]:
    """The state, now and after each change; with `still` also each second without a change."""
    replica = Replica(journal.asynchronous, TaskView())
    journal.run(replica.catch_up())
    try:
        while True:
            shown_at = time.monotonic()
            yield _look(journal, replica.view, time.time())
            while not journal.run(replica.advance(STATUS_REFRESH_SECONDS)) and not still:
                pass
            # Not more often than people can read, however fast the journal grows.
            while (rest := shown_at + STATUS_REFRESH_SECONDS - time.monotonic()) > 0:
                journal.run(replica.advance(rest))
    finally:
        journal.run(replica.aclose())


def _live(journal: Journal, console: Console) -> None:
    with Live(console=console, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
        for seen in _overviews(journal, still=True):
            live.update(_screen(seen, journal.url, None), refresh=True)


# -- for people ----------------------------------------------------------------------------------------------------


def _screen(seen: Overview, url: str, moment: float | None) -> RenderableType:
    at = f"as of {when(moment)}" if moment is not None else when(seen.at, "seconds")
    head = Text.assemble((printable(url), "bold"), "  ", (at, "dim"))
    parts: list[RenderableType] = [head, Text(), _queues(seen), Text(), _workers(seen)]
    if seen.schedules:
        parts += [Text(), _schedules(seen)]
    warnings = _warnings(seen)
    if warnings:
        parts += [Text(), *warnings]
    return Group(*parts, Text(), *_totals(seen))


def _queues(seen: Overview) -> RenderableType:
    if not seen.queues:
        return Text("no task waits or runs", "dim")
    rows = [_queue_row(queue) for queue in seen.queues[:STATUS_ROWS_SHOWN]]
    return _with_rest(FittedTable(_QUEUE_COLUMNS, rows), len(seen.queues) - STATUS_ROWS_SHOWN, "queue")


_QUEUE_COLUMNS: Final = (
    ("queue", "left"),
    ("ready", "right"),
    ("delayed", "right"),
    ("claimed", "right"),
    ("oldest", "right"),
    ("dead", "right"),
    ("workers", "right"),
)


def _queue_row(queue: QueueLine) -> list[Text]:
    unserved = not queue.workers and bool(queue.ready or queue.delayed)
    return [
        Text(printable(queue.name) + (" (paused)" if queue.paused_since is not None else ""), "bold"),
        _count(queue.ready),
        _count(queue.delayed),
        _count(queue.claimed),
        Text("-", "dim") if queue.oldest_seconds is None else Text(age(queue.oldest_seconds)),
        _count(queue.dead, "red"),
        Text(f"{queue.workers:,}", "yellow" if unserved else ""),
    ]


def _count(count: int, style: str = "") -> Text:
    return Text(f"{count:,}", style if count else "dim")


def _workers(seen: Overview) -> RenderableType:
    if not seen.workers:
        return Text("no worker is running", "yellow")
    rows = [_worker_row(worker, seen.at) for worker in seen.workers[:STATUS_ROWS_SHOWN]]
    return _with_rest(FittedTable(_WORKER_COLUMNS, rows, give_way=2), len(seen.workers) - STATUS_ROWS_SHOWN, "worker")


_SCHEDULE_COLUMNS: Final = (
    ("schedule", "left"),
    ("next tick", "left"),
    ("fired", "right"),
    ("skipped", "right"),
    ("missed", "right"),
)


def _schedules(seen: Overview) -> RenderableType:
    rows = [_schedule_row(line) for line in seen.schedules[:STATUS_ROWS_SHOWN]]
    return _with_rest(FittedTable(_SCHEDULE_COLUMNS, rows), len(seen.schedules) - STATUS_ROWS_SHOWN, "schedule")


def _schedule_row(line: ScheduleLine) -> list[Text]:
    paused = line.paused_since is not None
    return [
        Text(printable(line.schedule), "bold"),
        Text("paused", "yellow") if paused else Text(coming(line), "bold red" if is_late(line) else ""),
        _count(line.fired),
        _count(line.skipped),
        _count(line.missed, "red"),
    ]


_WORKER_COLUMNS: Final = (
    ("worker", "left"),
    ("host", "left"),
    ("pid", "right"),
    ("holds", "right"),
    ("last sign", "right"),
    ("since", "left"),
    ("queues", "left"),
    ("tasks", "left"),
)


def _worker_row(worker: WorkerLine, now: float) -> list[Text]:
    last_sign = "not known" if worker.last_sign is None else _ago(now - worker.last_sign)
    return [
        Text(short_id(worker.worker), "bold red" if worker.overdue else "bold"),
        Text(printable(worker.host)),
        Text(str(worker.pid)),
        Text(_holds(worker), "" if worker.claims else "dim"),
        Text(last_sign, "bold red" if worker.overdue else ""),
        Text(clock(worker.joined_at, now), "dim"),
        Text(printable(_served(worker))),
        Text(_known(worker)),
    ]


def _holds(worker: WorkerLine) -> str:
    """The running tasks, of how many it can run at a time; and how many it has claimed ahead."""
    if not worker.slots:
        return f"{worker.claims:,}"
    ahead = worker.claims - worker.slots
    return f"{min(worker.claims, worker.slots):,} of {worker.slots:,}" + (f" +{ahead:,}" if ahead > 0 else "")


def _ago(seconds: float) -> str:
    return f"{age(seconds)} ago" if seconds > -CLOCK_SKEW_SECONDS_MAX else f"{age(-seconds)} ahead"


def _served(worker: WorkerLine) -> str:
    """The worker's queues, each with the tasks to which it is restricted."""
    if worker.queues is None:
        return "all"
    only = {
        queue: f" ({listing(names, STATUS_NAMES_SHOWN)})" for queue, names in worker.selection.get("tasks", {}).items()
    }
    return listing([f"{queue}{only.get(queue, '')}" for queue in worker.queues], STATUS_NAMES_SHOWN)


def _known(worker: WorkerLine) -> str:
    if worker.tasks is None:
        return "not said"
    names, more = list(worker.tasks[:STATUS_NAMES_SHOWN]), len(worker.tasks) - STATUS_NAMES_SHOWN + worker.more_tasks
    return printable(", ".join(names) + (f" and {more:,} more" if more > 0 else ""))


def _with_rest(rows: RenderableType, more: int, thing: str) -> RenderableType:
    return Group(rows, Text(f"and {number(more, thing)} more", "dim")) if more > 0 else rows


def _warnings(seen: Overview) -> list[Text]:
    """The problems that an operator should look at."""
    overdue = [
        f"worker {short_id(worker.worker)} holds {number(worker.claims, 'task')} and has been silent for longer than "
        f"its lease of {worker.lease_ms / 1_000:g} s"
        for worker in seen.workers
        if worker.overdue
    ]
    orphans = [
        f"{number(each.waiting, 'task')} {each.task} in queue {each.queue}: no live worker can run "
        f"{'it' if each.waiting == 1 else 'them'}{_other_functions(each)}"
        for each in seen.orphans[:STATUS_ROWS_SHOWN]
        if seen.workers  # without any the whole table says so
    ]
    paused = [
        f"queue {queue.name} is paused since {clock(queue.paused_since, seen.at)}: "
        f"`journeyman resume {quote(queue.name)}` lets it go on"
        for queue in seen.queues
        if queue.paused_since is not None
    ]
    stopped = [
        f"schedule {line.schedule} is paused since {clock(line.paused_since, seen.at)}: "
        f"`journeyman schedule resume {quote(line.schedule)}` has it tick from then on"
        for line in seen.schedules
        if line.paused_since is not None
    ]
    late = [lateness(line) for line in seen.schedules if is_late(line)]
    everything = (*overdue, *paused, *late, *stopped, *orphans, *seen.clocks)
    lines = [Text.assemble(("! ", "bold yellow"), printable(line)) for line in everything]
    more = len(seen.orphans) - STATUS_ROWS_SHOWN if seen.workers else 0
    return [*lines, Text(f"and {more:,} more kinds of task that no live worker can run")] if more > 0 else lines


def _other_functions(orphans: Orphans) -> str:
    if not orphans.others:
        return ""
    them = "it was" if orphans.waiting == 1 else "they were"
    return f", since {them} made for {orphans.function} and workers have {listing(orphans.others)} under that name"


def _totals(seen: Overview) -> list[Text]:
    totals = seen.totals
    dead = listing([f"{count:,} {name}" for name, count in seen.dead], STATUS_NAMES_SHOWN)
    lines = [
        ("submitted", f"{totals.submitted:,}"),
        ("alive", f"{totals.ready:,} ready, {totals.delayed:,} delayed, {totals.claimed:,} claimed"),
        ("ended", _ended(totals)),
        ("dead letters", f"{totals.dead:,}" + (f": {dead}" if totals.dead else "")),
        *(("", _letter(letter, seen.at)) for letter in seen.letters),
        ("refused", f"{number(totals.stale_outcomes, 'stale outcome')}, {number(totals.lost_claims, 'lost claim')}"),
        ("takeovers", f"{totals.takeovers:,}"),
    ]
    if totals.unreadable:
        lines.append(
            ("unreadable", f"{number(totals.unreadable, 'record')}: no events, or not as tasks and workers write")
        )
    return [Text.assemble((f"{name:<14}", "dim"), printable(words)) for name, words in lines]


def _letter(letter: Letter, now: float) -> str:
    return f"{letter.id} {letter.task}, {age(now - letter.failed_at)} ago"


def _ended(totals: Totals) -> str:
    since = "" if totals.counted_since is None else f", counted since {when(totals.counted_since, 'seconds')}"
    return f"{totals.succeeded:,} succeeded, {totals.revoked:,} revoked{since}"
