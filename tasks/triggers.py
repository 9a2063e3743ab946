"""Convert apscheduler's triggers to data for the journal, and compute the ticks of a schedule from such data.

The journal holds what a trigger means and not the object, so that each process computes the same ticks: a time zone by
its name, an interval with its start. apscheduler is imported where a trigger is first used, since most programs have
none.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

import msgspec

from .errors import SchedulingError
from .limits import SCHEDULE_INTERVAL_MS_MIN
from .state.schedules import Cron, Date, Interval, Trigger
from .state.ticks import NextTick, tick_text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)")
# Longer than any change of a time zone's offset, and shorter than the time between two of them.
_CHANGE_MS: Final = 3 * 60 * 60 * 1_000
_DAY_MS: Final = 24 * 60 * 60 * 1_000


def data_of(trigger: object) -> Trigger:
    """Return the data of an apscheduler trigger; `SchedulingError` if the journal cannot hold what it means."""
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.date import DateTrigger
    from apscheduler.triggers.interval import IntervalTrigger

    given: Any = trigger
    if isinstance(trigger, CronTrigger | IntervalTrigger) and given.jitter:
        raise SchedulingError(
            f"jitter={given.jitter} would give the ticks another time in each process; spread the load by "
            "`generate(delay=…)`, or by the seconds of the trigger"
        )
    if isinstance(trigger, CronTrigger):
        fields = {field.name: str(field) for field in given.fields if not field.is_default}
        return Cron(fields, zone_name(given.timezone), _ms(given.start_date), _ms(given.end_date))
    if isinstance(trigger, IntervalTrigger):
        every, rest = divmod(given.interval, _MILLISECOND)
        if rest or every < SCHEDULE_INTERVAL_MS_MIN:
            raise SchedulingError(
                f"an interval is a whole number of ms, at least {SCHEDULE_INTERVAL_MS_MIN}, got {given.interval}"
            )
        start = _ms(given.start_date)
        assert start is not None, "apscheduler gives each interval a start"
        return Interval(every, start, _ms(given.end_date))
    if isinstance(trigger, DateTrigger):
        at = _ms(given.run_date)
        assert at is not None, "apscheduler gives each date a moment"
        return Date(at)
    raise SchedulingError(
        "a trigger is a CronTrigger, an IntervalTrigger or a DateTrigger, from journeyman or apscheduler.triggers; "
        f"got {trigger!r:.80}"
    )


def calendar(trigger: Trigger) -> NextTick:
    """Return the function from a moment to the first tick behind it, both in ms since the epoch.

    `ValueError` or `LookupError` for data that is no valid trigger, such as that of another program, or for a time zone
    that this machine does not know.
    """
    if isinstance(trigger, Cron):
        return _Calendar(trigger).next_tick
    if isinstance(trigger, Date):
        return lambda moment: trigger.at_ms if trigger.at_ms > moment else None
    if trigger.every_ms < 1:
        raise ValueError(f"an interval was expected that is longer than 0 ms, got {trigger.every_ms}")
    return lambda moment: _next_of_interval(trigger, moment)


def _next_of_interval(trigger: Interval, moment: int) -> int | None:
    passed = max(-1, (moment - trigger.start_ms) // trigger.every_ms)
    tick = trigger.start_ms + (passed + 1) * trigger.every_ms
    return tick if trigger.end_ms is None or tick <= trigger.end_ms else None


class _Calendar:
    """The calendar of a cron trigger: apscheduler's on the clock on the wall, and the time zone's by rules of its own.

    apscheduler alone loses days at whose midnight the clocks have just changed. Here a tick at a fixed hour comes once
    on each of its days: where the hour occurs twice, the first time, and where it is left out, by so much later as the
    clocks are set forward. Ticks of an hour that is not fixed (`*`) follow real time.

    A moment on the wall is the moment in ms plus the time zone's offset.
    """

    def __init__(self, trigger: Cron) -> None:
        from apscheduler.triggers.cron import CronTrigger

        self._zone = zone(trigger.timezone)
        self._wall = CronTrigger(**_checked_fields(trigger.fields), timezone=UTC)
        self._start_ms, self._end_ms = trigger.start_ms, trigger.end_ms
        hours = next(str(field) for field in self._wall.fields if field.name == "hour")
        self._is_hour_fixed = not hours.startswith("*")

    def next_tick(self, moment: int) -> int | None:
        """Return the first tick behind a moment."""
        first = moment + 1 if self._start_ms is None else max(moment + 1, self._start_ms)
        try:
            tick = self._from(first)
        except OverflowError:  # beyond the year 9999
            return None
        return None if tick is None or (self._end_ms is not None and tick > self._end_ms) else tick

    def _from(self, first: int) -> int | None:
        """Return the first tick from a moment on; in steps, each within a time without a change of the clocks."""
        while True:
            late = self._left_out(first) if self._is_hour_fixed else None
            offset = self._offset(first)
            wall = self._match(self._past_repeated(first, offset))
            if wall is None:
                return late
            tick = wall - offset
            is_near = tick - first <= _DAY_MS
            until = tick if is_near else first + _CHANGE_MS
            if self._offset(until) != offset:
                change = self._change(first, until)
                if late is not None and late < change:
                    return late
                first = change
            elif is_near:
                return tick if late is None else min(tick, late)
            else:
                first = tick - _DAY_MS  # no time between matches, except where the clocks were about to be set back
                if late is not None:
                    return late

    def _match(self, wall: int) -> int | None:
        """Return the first moment on the wall from `wall` on that matches the fields."""
        return _ms(self._wall.get_next_fire_time(None, _EPOCH + wall * _MILLISECOND))

    def _past_repeated(self, first: int, offset: int) -> int:
        """Return the moment on the wall to begin with: at a fixed hour, behind a time that occurs again."""
        if self._is_hour_fixed:
            before = self._offset(first - _CHANGE_MS)
            if before > offset:
                return max(first + offset, self._change(first - _CHANGE_MS, first) + before)
        return first + offset

    def _left_out(self, first: int) -> int | None:
        """Return the first tick from `first` on of those at times that were left out shortly before it."""
        before, after = self._offset(first - _CHANGE_MS), self._offset(first)
        if after <= before:
            return None
        end = self._change(first - _CHANGE_MS, first) + after
        wall = self._match(first + before)
        return wall - before if wall is not None and wall < end else None

    def _change(self, low: int, high: int) -> int:
        """Return the first moment behind `low` with the offset of `high`: the clocks change once between the two."""
        offset = self._offset(high)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._offset(middle) == offset else (middle, high)
        return high

    def _offset(self, moment: int) -> int:
        """Return the offset of the time zone at a moment, in ms."""
        offset = (_EPOCH + moment * _MILLISECOND).astimezone(self._zone).utcoffset()
        return (offset or timedelta()) // _MILLISECOND


def _checked_fields(fields: Mapping[str, str]) -> dict[str, str]:
    from apscheduler.triggers.cron import CronTrigger

    unknown = fields.keys() - set(CronTrigger.FIELD_NAMES)
    if unknown:
        raise ValueError(f"fields of a calendar were expected, got {', '.join(sorted(unknown))}")
    return dict(fields)


def zone_name(zone: tzinfo) -> str:
    """Return the name by which each process finds the time zone; `SchedulingError` if it has none."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)  # of zoneinfo, of pytz
    if isinstance(name, str):
        return name
    if isinstance(zone, timezone):
        offset = zone.utcoffset(None)
        if not offset:
            return "UTC"
        minutes, rest = divmod(abs(offset), timedelta(minutes=1))
        if not rest:
            return f"{'-' if offset < timedelta() else '+'}{minutes // 60:02}:{minutes % 60:02}"
    raise SchedulingError(
        f"each process has to find a time zone by its name, such as timezone='Europe/Berlin'; {zone!r:.60} has none"
    )


def zone(name: str) -> tzinfo:
    """Return the time zone of a name; `ValueError` or `LookupError` if this machine has none of it."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        minutes = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-minutes if offset[1] == "-" else minutes)
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def in_words(trigger: Trigger) -> str:
    """Describe a trigger in a few words."""
    if isinstance(trigger, Cron):
        fields = ", ".join(f"{name}={value}" for name, value in trigger.fields.items()) or "every second"
        return f"{fields} ({trigger.timezone})"
    if isinstance(trigger, Date):
        return f"once, at {tick_text(trigger.at_ms)}"
    return f"every {_span(trigger.every_ms)}"


def _span(ms: int) -> str:
    for unit, size in _UNITS:
        if ms % size == 0:
            return f"{ms // size:,} {unit}s" if ms != size else unit
    return f"{ms:,} ms"


_UNITS: Final = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))


def is_same(known: Trigger, given: Trigger) -> bool:
    """Whether two triggers mean the same; an interval without an explicit start begins when its object is made."""
    if isinstance(known, Interval) and isinstance(given, Interval):
        known = msgspec.structs.replace(known, start_ms=given.start_ms)
    return known == given


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else -((_EPOCH - moment) // _MILLISECOND)
