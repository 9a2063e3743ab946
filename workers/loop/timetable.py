"""The timetable: when the schedules of a view tick next. It computes with the calendar, and reads no clock.

The next tick of a schedule is computed when the schedule has changed, and then only compared with the time: a turn of
the loop costs no more with a thousand schedules than with one.
"""

import heapq
import logging
from typing import Final

import msgspec

from ...tasks.limits import SCHEDULE_TICKS_MAX
from ...tasks.state.schedules import Schedule, Schedules
from ...tasks.state.ticks import NextTick, due_ticks, next_due
from ...tasks.tick_messages import check_template
from ...tasks.triggers import calendar
from ..scheduling.decide import DueTicks

logger = logging.getLogger("journeyman.worker")

# The errors of a schedule that another program has written, or whose time zone this machine does not know.
_BAD: Final = (ValueError, LookupError, TypeError, msgspec.MsgspecError)


class Timetable:
    """The next tick of each of `schedules`. Moments are in ms since the epoch."""

    def __init__(self, schedules: Schedules) -> None:
        self._schedules = schedules
        self._next: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []  # also of ticks that are no longer the next ones
        self._calendars: dict[str, tuple[int, NextTick | None]] = {}  # with the offset of the schedule's creation
        schedules.touched |= schedules.keys()

    def next_moment(self, now: int) -> int | None:
        """Return the moment of the next tick; None if there is none."""
        if self._schedules.touched:
            self._refresh(now)
        while self._queue and self._next.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def due(self, now: int) -> list[DueTicks]:
        """Return the schedules with ticks to fire now, and these ticks."""
        names: list[str] = []
        while (moment := self.next_moment(now)) is not None and moment <= now:
            names.append(heapq.heappop(self._queue)[1])
            del self._next[names[-1]]
        self._schedules.touched |= set(names)  # they are looked at again, whatever becomes of the firing
        found = [DueTicks(self._schedules[name], self._ticks(self._schedules[name], now)) for name in names]
        return [each for each in found if each.ticks]

    def _ticks(self, schedule: Schedule, now: int) -> list[int]:
        next_tick, policy = self._calendar(schedule), schedule.policy
        if next_tick is None:
            return []
        return due_ticks(schedule.last, policy.misfire, policy.grace_ms, now, next_tick, SCHEDULE_TICKS_MAX)

    def _refresh(self, now: int) -> None:
        """Compute the next ticks of the schedules that have changed."""
        touched, self._schedules.touched = self._schedules.touched, set()
        for name in touched:
            self._next.pop(name, None)
            schedule = self._schedules.get(name)
            if schedule is None:
                self._calendars.pop(name, None)
                continue
            next_tick = self._calendar(schedule)
            if next_tick is None or schedule.paused_at is not None:
                continue
            policy = schedule.policy
            tick = next_due(schedule.last, policy.misfire, policy.grace_ms, now, next_tick)
            if tick is not None:
                self._next[name] = tick
                heapq.heappush(self._queue, (tick, name))

    def _calendar(self, schedule: Schedule) -> NextTick | None:
        """Return the calendar of a schedule; None, logged once, if it cannot be fired here."""
        created, found = self._calendars.get(schedule.name, (-1, None))
        if created != schedule.created:
            try:
                check_template(schedule.message)
                found = calendar(schedule.trigger)
                found(schedule.last)
            except _BAD as error:
                found = None
                logger.warning(
                    "the schedule %s cannot be fired by this process: %s. Clear it, or run a process that knows more, "
                    "such as its time zone",
                    schedule.name,
                    error,
                )
            self._calendars[schedule.name] = schedule.created, found
        return found
