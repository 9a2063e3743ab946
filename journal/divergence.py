"""Detects a cursor that belongs to another history than the log's.

A log that was restored from a copy, or replaced, has other events, or none, at a reader's cursor. A cursor carries the
mark of the event that its reader has just passed; this module compares it with the event in the log.
"""

import asyncio
import time
from collections.abc import Mapping

from .cursor import Behind, Cursor
from .errors import HistoryTruncated, JournalDiverged
from .fingerprint import Mark, mark
from .limits import CURSOR_AHEAD_SECONDS_MAX, CURSOR_LOOK_SECONDS
from .log import Bounds, Lagging, Log


async def refuse_diverged(log: Log, cursor: Mapping[int, int], bounds: Bounds | None = None) -> None:
    """Raise `JournalDiverged` if `cursor` is ahead of the log's end, or another event stands behind it.

    Partitions whose event behind the cursor is not known, or was removed by retention, are compared with the end only.
    `bounds` are those that the caller already knows.
    """
    bounds = await _bounds_up_to(log, cursor, bounds)
    marks = cursor.marks if isinstance(cursor, Cursor) else {}
    for partition, offset in cursor.items():
        end, behind = bounds.end.get(partition), marks.get(partition)
        if end is None:
            continue  # not a partition of this log: reading it raises an error
        if offset > end:
            found = f"partition {partition} ends at offset {end}"
            raise await _diverged(log, partition, offset, bounds, found, behind)
        if behind is None or behind.offset < bounds.first[partition]:
            continue
        stands = await mark_at(log, partition, behind.offset)
        if stands is None or stands.fingerprint != behind.fingerprint:
            found = f"the event at offset {behind.offset} of partition {partition} is not the one that was read there"
            raise await _diverged(log, partition, offset, bounds, found, behind)


async def _bounds_up_to(log: Log, cursor: Mapping[int, int], bounds: Bounds | None) -> Bounds:
    """Return the log's bounds; if the cursor is ahead of them, wait for the end to catch up.

    After a fail-over, Kafka's end may for some seconds be behind events that it has already handed out.
    """
    bounds = bounds or await log.bounds()
    end_may_lag = log.end_may_lag if isinstance(log, Lagging) else log.needs_loop
    deadline = time.monotonic() + (CURSOR_AHEAD_SECONDS_MAX if end_may_lag else 0.0)
    while any(offset > bounds.end.get(partition, offset) for partition, offset in cursor.items()):
        if time.monotonic() >= deadline:
            break
        await asyncio.sleep(CURSOR_LOOK_SECONDS)
        bounds = await log.bounds()
    return bounds


async def mark_at(log: Log, partition: int, offset: int) -> Mark | None:
    """The mark of the event at a position; None if none stands there, or it was removed by retention."""
    try:
        pages = await log.read({partition: offset}, 1)
    except HistoryTruncated:
        return None
    return mark(offset, pages[0].rows[0]) if pages and pages[0].offsets[0] == offset else None


async def marked(log: Log, cursor: Mapping[int, int]) -> Cursor:
    """The cursor with the events behind it, which are read from the log where the cursor does not know them."""
    known: dict[int, Behind] = dict(cursor.marks) if isinstance(cursor, Cursor) else {}
    for partition, offset in cursor.items():
        if offset and partition not in known:
            found = await mark_at(log, partition, offset - 1)
            if found is not None:
                known[partition] = found
    return Cursor(cursor, known)


async def _diverged(
    log: Log, partition: int, offset: int, bounds: Bounds, found: str, behind: Mark | None
) -> JournalDiverged:
    first, end = bounds.first[partition], bounds.end[partition]
    common = time_ = None
    if behind is not None and behind.time is not None:
        common = await _first_later(log, partition, first, min(end, behind.offset), behind.time)
    elif offset > end:
        common = end
    if common is not None and common > first:
        last = await mark_at(log, partition, common - 1)
        time_ = last.time if last is not None else None
    return JournalDiverged(partition, offset, end, found, common_offset=common, common_time=time_)


async def _first_later(log: Log, partition: int, low: int, high: int, moment: float) -> int:
    """Return the end of the events up to `moment`, between the offsets `low` and `high`: by bisection, as times rise.

    Events appended after the log was restored are later than all events that its former readers have read.
    """
    while low < high:
        middle = (low + high) // 2
        found = await mark_at(log, partition, middle)
        if found is None or found.time is None or found.time <= moment:
            low = middle + 1
        else:
            high = middle
    return low
