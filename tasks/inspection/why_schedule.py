"""Explain schedules and their ticks in sentences for operators. Pure; see `why`."""

from datetime import datetime
from shlex import quote
from typing import Any

import msgspec

from ..state.routing import routing_key
from ..state.schedules import Schedule
from ..state.ticks import tick_text
from ..state.view import TaskView
from ..triggers import calendar, in_words
from .findings import Finding, capital
from .late_schedules import lateness
from .schedule_lines import coming, is_late, schedule_line
from .wording import age, clock, number


def why_schedule(view: TaskView, name: str, now: float) -> list[Finding]:
    """Explain the schedule of that name; nothing if there is none."""
    schedule = view.schedules.get(name)
    if schedule is None:
        return []
    line = schedule_line(schedule, now)
    facts: dict[str, Any] = msgspec.to_builtins(line)
    told = f"It is no task but a schedule: {in_words(schedule.trigger)}"
    ticked = f"; {number(schedule.fired, 'tick')} fired, {schedule.skipped:,} skipped."
    findings = [Finding("schedule", f"{told}{ticked} {_state(schedule, now)}", facts)]
    if is_late(line):
        findings.append(Finding("schedule_late", f"{capital(lateness(line))}.", {"missed": line.missed}))
    return findings


def why_tick(view: TaskView, task_id: str, now: float) -> list[Finding]:
    """Explain why the journal knows no task of that id, if the id is a tick's of a known schedule; else nothing."""
    schedule, tick = view.schedules.get(routing_key(task_id)), _moment(task_id)
    if schedule is None or tick is None:
        return []
    facts = {"schedule": schedule.name, "tick": tick}
    if not _ticks_at(schedule, tick):
        sentence = f"The schedule {schedule.name} has no tick at {tick_text(tick)}: {in_words(schedule.trigger)}."
        return [Finding("no_tick", f"{sentence} {_state(schedule, now)}", facts)]
    if tick < schedule.first:
        return [Finding("no_tick", f"The tick is before the schedule {schedule.name} was created.", facts)]
    if tick <= schedule.last:
        sentence = (
            f"The schedule {schedule.name} has gone on without this tick: it was skipped, since the run before had not "
            "ended, or it was missed or fell into a pause. "
            f"`journeyman schedule show {quote(schedule.name)}` shows its events."
        )
        return [Finding("tick_left_out", sentence, facts)]
    if schedule.paused_at is None and tick > now * 1_000:
        sentence = f"It is the run of a tick of the schedule {schedule.name} that comes in {age(tick / 1_000 - now)}."
        return [Finding("tick_to_come", sentence, facts)]
    findings = [Finding("tick_waits", f"The tick was not fired. {_state(schedule, now)}", facts)]
    line = schedule_line(schedule, now)
    if is_late(line):
        findings.append(Finding("schedule_late", f"{capital(lateness(line))}.", {"missed": line.missed}))
    return findings


def schedule_behind(view: TaskView, task_id: str, now: float) -> list[Finding]:
    """Name the schedule of a task that is the run of a tick; nothing for another task."""
    schedule, tick = view.schedules.get(routing_key(task_id)), _moment(task_id)
    if schedule is None or tick is None:
        return []
    sentence = f"It is the run of the schedule {schedule.name} at {tick_text(tick)}. {_state(schedule, now)}"
    return [Finding("of_schedule", sentence, {"schedule": schedule.name, "tick": tick})]


def _state(schedule: Schedule, now: float) -> str:
    if schedule.paused_at is not None:
        return (
            f"It is paused since {clock(schedule.paused_at, now)}: "
            f"`journeyman schedule resume {quote(schedule.name)}` has it tick from then on."
        )
    line = schedule_line(schedule, now)
    return "It does not tick any more." if line.next_tick is None else f"Its next tick is {coming(line)}."


def _moment(task_id: str) -> int | None:
    """The tick in the id of its task, in ms since the epoch; None if it has none."""
    try:
        return round(datetime.fromisoformat(task_id.rpartition("@")[2]).timestamp() * 1_000)
    except ValueError:
        return None


def _ticks_at(schedule: Schedule, tick: int) -> bool:
    try:
        return calendar(schedule.trigger)(tick - 1) == tick
    except (ValueError, LookupError, TypeError):
        return True  # its calendar is not known to this process
