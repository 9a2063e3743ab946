"""The answers about schedules: their state, their history, and their ticks to come."""

from collections.abc import Iterable
from typing import Any

import msgspec

from ...journal.event import Event
from ..inspection.schedules import Tick, next_tick_of
from ..state.schedules import Schedule
from ..state.ticks import tick_text


class ScheduleAnswer(msgspec.Struct, frozen=True):
    """A schedule: ticks in ms since the epoch, other moments in seconds; `next_tick` is null if there is none."""

    schedule: str
    trigger: dict[str, Any]
    misfire: str
    grace_ms: int
    overlap: str
    message: dict[str, Any]
    paused: bool
    next_tick: int | None
    fired: int
    fired_at: float | None
    skipped: int
    last_task: str | None
    created_at: float


class ScheduleInFullAnswer(ScheduleAnswer, frozen=True):
    """A schedule with its last events: of each the time, the name, and the fields of its context."""

    history: list[dict[str, Any]]


class TickAnswer(msgspec.Struct, frozen=True):
    """A tick to come: in ms since the epoch, and as a text."""

    schedule: str
    tick: int
    at: str


class ScheduleChangeAnswer(msgspec.Struct, frozen=True):
    """A schedule after an act: `done` is the word for it, null if nothing was appended."""

    schedule: str
    known: bool
    changed: bool
    done: str | None
    dry_run: bool


def schedule_answer(schedule: Schedule, now: int) -> ScheduleAnswer:
    """Return the answer for a schedule at `now`, in ms since the epoch."""
    return ScheduleAnswer(**_fields(schedule, now))


def schedule_in_full(schedule: Schedule, now: int, events: Iterable[Event]) -> ScheduleInFullAnswer:
    """Return the answer for a schedule with these events."""
    history = [{"timestamp": event.timestamp, "name": event.name, **event.context} for event in events]
    return ScheduleInFullAnswer(**_fields(schedule, now), history=history)


def tick_answer(tick: Tick) -> TickAnswer:
    """Return the answer for a tick."""
    return TickAnswer(tick.schedule, tick.at, tick_text(tick.at))


def _fields(schedule: Schedule, now: int) -> dict[str, Any]:
    return {
        "schedule": schedule.name,
        "trigger": msgspec.to_builtins(schedule.trigger),
        "misfire": schedule.policy.misfire,
        "grace_ms": schedule.policy.grace_ms,
        "overlap": schedule.policy.overlap,
        "message": msgspec.json.decode(schedule.message),
        "paused": schedule.paused_at is not None,
        "next_tick": next_tick_of(schedule, now),
        "fired": schedule.fired,
        "fired_at": schedule.fired_at,
        "skipped": schedule.skipped,
        "last_task": schedule.task or None,
        "created_at": schedule.created_at,
    }
