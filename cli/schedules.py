"""`journeyman schedule`: list schedules and their next ticks, show one, pause, resume and clear them."""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import orjson
import typer
from rich.text import Text

from ..journal.event import Event
from ..tasks.acting import Attribution
from ..tasks.answers.schedules import ScheduleChangeAnswer, schedule_answer, schedule_in_full, tick_answer
from ..tasks.inspection.schedules import events_of, next_tick_of, next_ticks
from ..tasks.inspection.wording import number
from ..tasks.scheduling import Changes, act_on_schedule, clearing, now_ms, pausing, resuming, schedules_of
from ..tasks.state import names
from ..tasks.state.schedules import Schedule
from ..tasks.state.ticks import tick_text
from ..tasks.triggers import in_words
from .shared.asking import Reason, Yes, confirm_on_terminal, operator
from .shared.failures import EXIT_ENVIRONMENT, print_problem, quiet_on_broken_pipe
from .shared.json_lines import print_json
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, show, when
from .shared.table import FittedTable

schedule_commands = typer.Typer(no_args_is_help=True, help="List schedules and their next ticks; pause or clear them.")

Names = Annotated[
    list[str], typer.Argument(metavar="NAME…", help="The schedules, by their exact names.", show_default=False)
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and append nothing.")]

# What to append for a schedule, and the words for it: done, and not done.
Act = Callable[[Schedule | None], Changes]

_COLUMNS: Final = (
    ("schedule", "left"),
    ("next tick", "left"),
    ("fired", "right"),
    ("skipped", "right"),
    ("last fired", "left"),
    ("ticks", "left"),
)


@schedule_commands.command("list")
def list_schedules(
    journal: JournalURL = None, as_json: AsJSON = False, log_level: LevelOption = LogLevel.WARNING
) -> None:
    """Show the schedules of the journal: when each ticks next, and how often it was fired.

    [bold]Example[/bold]

    journeyman schedule list --journal sqlite:///shop.db

    Exit status: 0; 1 if the journal cannot be used.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        known = opened.run(schedules_of(opened.asynchronous))
        schedules, now = [known[name] for name in sorted(known)], now_ms()
        if as_json:
            print_json(*(schedule_answer(schedule, now) for schedule in schedules))
        elif schedules:
            show(console_for(), FittedTable(_COLUMNS, [_row(schedule, now) for schedule in schedules], give_way=2))
        else:
            print(f"no schedule stands in {opened.url}")


def _row(schedule: Schedule, now: int) -> list[Text]:
    tick = next_tick_of(schedule, now)
    coming = "-" if tick is None else tick_text(tick)
    return [
        Text(printable(schedule.name)),
        Text("paused", "yellow") if schedule.paused_at is not None else Text(coming),
        Text(f"{schedule.fired:,}"),
        Text(f"{schedule.skipped:,}"),
        Text("-" if schedule.fired_at is None else when(schedule.fired_at)),
        Text(printable(in_words(schedule.trigger))),
    ]


@schedule_commands.command("show")
def show_schedule(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.", show_default=False)],
    journal: JournalURL = None,
    last: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="The number of its events to show.")] = 20,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Show a schedule: its ticks, its policy, its message, and its history, the newest events last.

    Exit status: 0; 1 if the journal has no such schedule, or cannot be used.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        schedule = opened.run(schedules_of(opened.asynchronous)).get(name)
        if schedule is None:
            print_problem(f"the journal {opened.location} has no schedule {name}: see `journeyman schedule list`")
            raise typer.Exit(EXIT_ENVIRONMENT)
        events, now = opened.run(events_of(opened.asynchronous, schedule, last)), now_ms()
        if as_json:
            print_json(schedule_in_full(schedule, now, events))
        else:
            _print(schedule, events, now)


def _print(schedule: Schedule, events: Sequence[Event], now: int) -> None:
    policy, tick, console = schedule.policy, next_tick_of(schedule, now), console_for()
    paused = schedule.paused_at is not None
    state = f"paused since {when(schedule.paused_at)}" if schedule.paused_at is not None else "does not tick any more"
    message = orjson.loads(schedule.message)
    lines = [
        Text.assemble((printable(schedule.name), "bold"), f"  {printable(in_words(schedule.trigger))}"),
        Text.assemble(("next", "dim"), f" {state if paused or tick is None else tick_text(tick)}"),
        Text.assemble(
            ("policy", "dim"), f" misfire {policy.misfire} after {policy.grace_ms:,} ms, overlap {policy.overlap}"
        ),
        Text.assemble(("message", "dim"), f" {printable(orjson.dumps(message).decode())}"),
        Text.assemble(("fired", "dim"), f" {number(schedule.fired, 'time')}, skipped {schedule.skipped:,}"),
        Text(),
        *(_event_line(event) for event in events),
    ]
    for line in lines:
        console.print(line, soft_wrap=True)


def _event_line(event: Event) -> Text:
    said: dict[str, Any] = event.context
    told = {
        names.SCHEDULE_FIRED: lambda: f"submitted {said.get('task')}",
        names.SCHEDULE_SKIPPED: lambda: f"{tick_text(said['tick'])}, as {said.get('behind')} had not ended",
    }.get(event.name, lambda: _signature(said))()
    return Text(f"{when(event.timestamp)}  {event.name}  {printable(told)}".rstrip())


def _signature(said: dict[str, Any]) -> str:
    by = f"by {said['by']}" if said.get("by") else ""
    return ", ".join(part for part in (by, str(said.get("reason") or "")) if part)


@schedule_commands.command("next")
def show_next(
    count: Annotated[int, typer.Argument(min=1, max=10_000, metavar="N", help="How many ticks to show.")] = 10,
    journal: JournalURL = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", metavar="NAME", help="Of this schedule only.", show_default="all")
    ] = None,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Show the next ticks of all schedules that are not paused, in UTC and in local time.

    [bold]Example[/bold]

    journeyman schedule next 20 --journal sqlite:///shop.db

    Exit status: 0; 1 if the journal cannot be used, or has no schedule of that name.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        known = opened.run(schedules_of(opened.asynchronous))
        if schedule is not None and schedule not in known:
            print_problem(f"the journal {opened.location} has no schedule {schedule}: see `journeyman schedule list`")
            raise typer.Exit(EXIT_ENVIRONMENT)
        ticks = list(itertools.islice(next_ticks(known, now_ms(), schedule), count))
        if as_json:
            print_json(*map(tick_answer, ticks))
            return
        for tick in ticks:
            local = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(tick.at / 1_000))
            print(f"{tick_text(tick.at)}  {local}  {printable(tick.schedule)}")


@schedule_commands.command("pause")
def pause(
    schedules: Names,
    journal: JournalURL = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Pause schedules: no process fires them until they are resumed. Tasks of earlier ticks go on.

    [bold]Example[/bold]

    journeyman schedule pause report --reason stocktaking --journal sqlite:///shop.db

    Exit status: 0, also if they were paused already; 1 if the journal has no such schedule, or cannot be used.
    """
    configure_logging(log_level)
    by = Attribution(operator(), reason).fields()
    _each(schedules, journal, lambda known: pausing(known, by), ("paused", "was paused already"), dry_run, as_json)


@schedule_commands.command("resume")
def resume(
    schedules: Names,
    journal: JournalURL = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Resume paused schedules: they tick again from now on. The ticks of the pause are left out.

    Exit status: 0, also if they were not paused; 1 if the journal has no such schedule, or cannot be used.
    """
    configure_logging(log_level)
    by = Attribution(operator(), reason).fields()
    _each(
        schedules, journal, lambda known: resuming(known, now_ms(), by), ("resumed", "was not paused"), dry_run, as_json
    )


@schedule_commands.command("clear")
def clear(
    schedules: Names,
    journal: JournalURL = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Remove schedules from the journal: no process fires them any more. Tasks of earlier ticks go on.

    A program that calls generate() creates the schedule anew. On a terminal the command asks first.

    Exit status: 0; 1 if the journal has no such schedule, or cannot be used.
    """
    configure_logging(log_level)
    if not (yes or dry_run):
        confirm_on_terminal(f"Clear {number(len(schedules), 'schedule')}: {printable(', '.join(schedules))}?")
    by = Attribution(operator(), reason).fields()
    _each(schedules, journal, lambda known: clearing(known, by), ("cleared", "is not known"), dry_run, as_json)


def _each(
    schedules: Sequence[str], url: str | None, act: Act, words: tuple[str, str], dry_run: bool, as_json: bool
) -> None:
    """Act on each schedule and print the result; exit status 1 if one is not known."""
    unknown = False
    with existing_journal(url) as opened, quiet_on_broken_pipe():
        for name in dict.fromkeys(schedules):
            is_known, changed = opened.run(act_on_schedule(opened.asynchronous, name, act, dry_run=dry_run))
            unknown = unknown or not is_known
            if as_json:
                done = words[0] if changed and not dry_run else None
                print_json(ScheduleChangeAnswer(name, is_known, changed, done, dry_run))
            elif not is_known:
                print(f"schedule {printable(name)} is not known to the journal {opened.location}", flush=True)
            else:
                done = f"would be {words[0]}" if dry_run else words[0]
                print(f"schedule {printable(name)} {done if changed else words[1]}", flush=True)
    if unknown:
        raise typer.Exit(EXIT_ENVIRONMENT)
