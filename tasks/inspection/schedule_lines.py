"""Summarise the schedules: what is next, paused, overdue, missed. Pure: the caller passes the time."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

import msgspec

from ..limits import SCHEDULE_MISSED_COUNTED_MAX
from ..state.schedules import Schedule, Schedules
from ..state.ticks import NextTick, next_due, tick_text
from ..triggers import calendar

_BAD: Final = (ValueError, LookupError, TypeError)


class ScheduleLine(msgspec.Struct, frozen=True):
    """One schedule, as of a moment.

    - `next_tick`: the first tick that is not settled and will be, due or not, in ms since the epoch; None if it has
      none, is paused, or its calendar is not known to this process.
    - `paused_since`: when it was paused, in seconds since the epoch; None if it is not.
    - `overdue_seconds`: by how much `next_tick` is over; None if it is not due.
    - `missed`: how many of the ticks that are over are later than the grace of the schedule, at most
      `SCHEDULE_MISSED_COUNTED_MAX`; its policy `misfire` says what becomes of them.
    - `fired`, `skipped`: how many ticks were; `last_task` is the task of the last one.
    """

    schedule: str
    next_tick: int | None
    paused_since: float | None
    overdue_seconds: float | None
    missed: int
    misfire: str
    fired: int
    skipped: int
    last_task: str | None


def schedule_lines(schedules: Schedules, now: float) -> tuple[ScheduleLine, ...]:
    """Return a line for each schedule at `now`, in seconds since the epoch, in the order of their names."""
    return tuple(schedule_line(schedules[name], now) for name in sorted(schedules))


def schedule_line(schedule: Schedule, now: float) -> ScheduleLine:
    """Return the line of a schedule."""
    at, overdue, missed = int(now * 1_000), None, 0
    tick = None
    try:
        next_tick = calendar(schedule.trigger)
    except _BAD:
        next_tick = None  # of another program, or in a time zone that this machine does not know
    if next_tick is not None and schedule.paused_at is None:
        policy = schedule.policy
        tick = next_due(schedule.last, policy.misfire, policy.grace_ms, at, next_tick)
        overdue = None if tick is None or tick > at else (at - tick) / 1_000
        missed = _missed(next_tick, schedule.last, at - policy.grace_ms)
    return ScheduleLine(
        schedule.name,
        tick,
        schedule.paused_at,
        overdue,
        missed,
        schedule.policy.misfire,
        schedule.fired,
        schedule.skipped,
        schedule.task or None,
    )


def _missed(next_tick: NextTick, last: int, before: int) -> int:
    """How many ticks there are behind `last` and before the moment `before`."""

    def ticks() -> Iterable[int]:
        tick = next_tick(last)
        while tick is not None and tick < before:
            yield tick
            tick = next_tick(tick)

    return sum(1 for _ in islice(ticks(), SCHEDULE_MISSED_COUNTED_MAX))


def is_late(line: ScheduleLine) -> bool:
    """Whether ticks are over that no process has fired within the grace of the schedule."""
    return line.missed > 0


def coming(line: ScheduleLine) -> str:
    """Return the next tick as text; "-" if there is none."""
    return "-" if line.next_tick is None else tick_text(line.next_tick)
