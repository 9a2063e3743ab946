"""Compute the state of any view at a past moment, given by a cursor or a time.

At a **cursor** the state is the fold of all events before it in the partitions it names, and of no events in others.

At a **time** the state is one that the journal was in: a prefix of each partition. Order is never changed: the events
left out are always at the end, never in the middle.

- In a file these are the events with a timestamp up to the time. If a clock was wrong and timestamps step back, it is
  the split of the log that leaves the fewest events on the wrong side: see `journal.timeline`.
- Elsewhere each writer has its own clock, and so has the log. There a partition's prefix ends before its first event
  with a later timestamp. A timestamp that the log's clock contradicts is ignored: with S = `CLOCK_SKEW_SECONDS_MAX`, an
  event that was appended more than S before the time belongs to the prefix, and an event that was appended less than S
  after the time, but is stamped more than 2 S after it, does not end the prefix. An event stamped too late by less ends
  the prefix early by as much, and an event stamped too early is missing if it follows an event later than the time.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.divergence import refuse_diverged
from ...journal.event_decoding import time_in
from ...journal.limits import CLOCK_SKEW_SECONDS_MAX
from ...journal.log import Log, OneClock, check_cursor
from ..limits import SCAN_STEP_EVENTS
from ..truncation import removed_history_is_before
from .snapshots import SnapshotKeeper, refuse_gap
from .view import View

V = TypeVar("V", bound=View)


async def as_of(
    journal: AsyncJournal,
    view: Callable[[], V],
    moment: float | Mapping[int, int],
    progress: Callable[[int, int], None] | None = None,
) -> V:
    """Return a fresh `view()` in the state at `moment`: seconds since the epoch, or a cursor.

    It starts with the newest snapshot from before the moment. `progress(done, all)` is called with the number of events
    read since that and their total. `HistoryTruncated` if retention has removed the events
    before it and no snapshot covers them; `JournalDiverged` (a `ValueError`) if a cursor is beyond the journal's end or
    of another history, `ValueError` if it names a partition that the journal does not have.
    """
    log = await journal.open()
    if isinstance(moment, Mapping):
        goal = Cursor(moment)
        bounds = await log.bounds()
        check_cursor(goal, len(bounds.end))
        await refuse_diverged(log, goal, bounds)
    else:
        goal = await cursor_at(log, moment)
        await _refuse_unknown(log, view(), moment, goal)
    seen = view()
    await replay(log, seen, await _start_position(log, seen, goal), goal, progress)
    return seen


async def cursor_at(log: Log, timestamp: float) -> Cursor:
    """Return where the prefix at `timestamp` (seconds since the epoch) ends in each partition, by the rule above."""
    bounds = await log.bounds()
    if isinstance(log, OneClock):
        place = await log.position_at(math.nextafter(timestamp, math.inf))
        return Cursor({each: min(max(first, place[each]), bounds.end[each]) for each, first in bounds.first.items()})
    start = await log.position_at(timestamp - CLOCK_SKEW_SECONDS_MAX)
    stop = await log.position_at(timestamp + CLOCK_SKEW_SECONDS_MAX)
    return Cursor(
        {
            each: await _first_later(log, each, range(max(first, start[each]), bounds.end[each]), stop[each], timestamp)
            for each, first in bounds.first.items()
        }
    )


async def _first_later(log: Log, partition: int, offsets: range, stop: int, timestamp: float) -> int:
    """Return the first of the offsets at which an event is later, by the rule above; their end if none is.

    Events before `stop` were appended up to `CLOCK_SKEW_SECONDS_MAX` after the time.
    """
    offset, latest = offsets.start, timestamp + 2 * CLOCK_SKEW_SECONDS_MAX
    while offset < offsets.stop:
        pages = await log.read({partition: offset}, min(SCAN_STEP_EVENTS, offsets.stop - offset))
        if not pages:
            break  # the last ones are repeats, which a read leaves out
        for at, row in zip(pages[0].offsets, pages[0].rows, strict=True):
            moment = time_in(row)  # None for a record that is not an event
            if moment is not None and moment > timestamp and (moment <= latest or at >= stop):
                return at
        offset = pages[0].next_offset
    return offsets.stop


async def _refuse_unknown(log: Log, view: View, timestamp: float, goal: Cursor) -> None:
    """Refuse a time before a partition's first remaining event, unless all removed events were before it.

    See `removed_history_is_before`.
    """
    bounds = await log.bounds()
    unknown = [place for place, first in bounds.first.items() if first and goal[place] == first < bounds.end[place]]
    if not unknown:
        return
    if await removed_history_is_before(log, unknown, bounds.first, timestamp):
        return
    gone = {place: bounds.first[place] for place in unknown}
    await refuse_gap(log, gone, await _advice(log, view, bounds.first))


async def _start_position(log: Log, view: View, goal: Cursor) -> Cursor:
    """Restore the newest snapshot up to `goal`; return where to replay from, the start of history without one."""
    first = (await log.bounds()).first
    restored = await SnapshotKeeper(log, view).restore(first, goal)
    if restored is None:
        gone = {partition: offset for partition, offset in first.items() if goal.get(partition, 0)}
        await refuse_gap(log, gone, await _advice(log, view, first))
    return first if restored is None else restored


async def _advice(log: Log, view: View, first: Cursor) -> str:
    oldest = await SnapshotKeeper(log, view).oldest(first)
    if oldest is None:
        return f"No snapshot of the view {view.snapshot_name or type(view).__name__!r} covers it."
    return f"Snapshots cover it from the cursor {oldest.offsets} on: use that one or a later one."


async def replay(
    log: Log, view: View, start: Cursor, goal: Cursor, progress: Callable[[int, int], None] | None = None
) -> None:
    """Apply the events from `start` up to, not including, `goal`; for `progress` see `as_of`."""
    everything, done = sum(max(0, end - start[partition]) for partition, end in goal.items()), 0
    for partition, end in goal.items():
        offset = start[partition]
        while offset < end:
            pages = await log.read({partition: offset}, min(SCAN_STEP_EVENTS, end - offset))
            if not pages:
                break
            view.apply_page(pages[0])
            done += pages[0].next_offset - offset
            offset = pages[0].next_offset
            if progress is not None:
                progress(done, everything)
