"""Describe schedules: when each ticks next, and what has happened to it."""

from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import Final, NamedTuple

from ...journal.async_journal import AsyncJournal
from ...journal.event import Event
from ...journal.event_decoding import readable
from ...journal.limits import PAGE_EVENTS
from ..state import names
from ..state.schedules import Schedule, Schedules
from ..state.ticks import NextTick, next_due
from ..triggers import calendar

_EVENTS: Final = frozenset(names.SCHEDULE_EVENTS)
_BAD: Final = (ValueError, LookupError, TypeError)


class Tick(NamedTuple):
    """A tick to come, in ms since the epoch, and its schedule's name."""

    at: int
    schedule: str


def next_ticks(schedules: Schedules, now: int, name: str | None = None) -> Iterator[Tick]:
    """Yield the ticks to come at `now`, in ms, in their order: of one schedule or of all that are not paused."""
    wanted = [schedule for schedule in schedules.values() if name is None or schedule.name == name]
    return merge(*(_ticks(schedule, now) for schedule in wanted))


def next_tick_of(schedule: Schedule, now: int) -> int | None:
    """Return the next tick of a schedule, in ms since the epoch; None if it has none, or is paused."""
    return next((tick.at for tick in islice(_ticks(schedule, now), 1)), None)


def _ticks(schedule: Schedule, now: int) -> Iterator[Tick]:
    try:
        next_tick: NextTick = calendar(schedule.trigger)
    except _BAD:
        return  # of another program, or in a time zone that this machine does not know
    if schedule.paused_at is not None:
        return
    tick = next_due(schedule.last, schedule.policy.misfire, schedule.policy.grace_ms, now, next_tick)
    while tick is not None:
        yield Tick(tick, schedule.name)
        tick = next_tick(tick)


async def events_of(
    journal: AsyncJournal, schedule: Schedule, last: int, until: Mapping[int, int] | None = None
) -> list[Event]:
    """Return the last events about a schedule since it was created, at most `last`; it reads the log from there on.

    `until` are the offsets before which they stand; by default, all that the log holds.
    """
    log, kept = await journal.open(), list[Event]()
    bounds = await log.bounds()
    offset = max(schedule.created, bounds.first.get(schedule.partition, 0))
    end = (bounds.end if until is None else until)[schedule.partition]
    while offset < end:
        pages = await log.read({schedule.partition: offset}, PAGE_EVENTS)
        if not pages:
            break
        for page in pages:
            found, _ = readable(page.rows, page.partition, page.offsets)
            about = (event for event in found if event.name in _EVENTS and event.key == schedule.name)
            kept += [event for event in about if event.offset < end]
            offset = page.next_offset
        del kept[:-last]
    return kept
