"""Determine where a consumer starts to read, and refuse a start position that is no longer available.

An explicit start (a cursor, a checkpoint or a time) is refused if retention has removed the events that follow, or if
it does not belong to this log's history: no event is skipped silently. Without one, reading starts at the oldest event,
and a warning is logged if earlier events were removed.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from ...journal.cursor import Cursor
from ...journal.divergence import marked, refuse_diverged
from ...journal.errors import HistoryTruncated
from ...journal.limits import CLOCK_SKEW_SECONDS_MAX
from ...journal.log import Bounds, Log
from ..options import ConsumerDefinition
from ..truncation import log_truncation, refuse_cursor, refuse_time

_ADVICE: Final = "The remaining history is delivered, as no start position was given."


class StartPosition(NamedTuple):
    """Where reading starts, and the removed history before it; None if no requested event is missing."""

    cursor: Mapping[int, int]
    truncated: HistoryTruncated | None = None


async def start_position(
    log: Log, bounds: Bounds, definition: ConsumerDefinition, resume: Mapping[int, int] | None, *, skips: bool
) -> StartPosition:
    """Return where a consumer starts; `resume` takes precedence over its definition.

    `skips`: whether it may start near `since`; a user's response source may need earlier events. `HistoryTruncated` if
    retention has removed the start position, `JournalDiverged` if it belongs to another history than the log's.
    """
    found = await _start_position(log, bounds, definition, resume, skips)
    if log.needs_loop:  # reading each partition is slow there; a commit does it when needed
        return found
    return found._replace(cursor=await marked(log, found.cursor))


async def _start_position(
    log: Log, bounds: Bounds, definition: ConsumerDefinition, resume: Mapping[int, int] | None, skips: bool
) -> StartPosition:
    first, who = bounds.first, f"a consumer of {definition.topic or 'all topics'!r}"
    if resume is not None:
        await _refuse_foreign(log, resume, bounds)
        behind = resume.marks if isinstance(resume, Cursor) else {}
        begin = Cursor({each: resume.get(each, offset) for each, offset in first.items()}, behind)
        added = {partition: offset for partition, offset in first.items() if partition not in resume}
        return StartPosition(begin, await log_truncation(log, added, who, _ADVICE))
    if not definition.full:
        return StartPosition(bounds.end)
    if definition.start_cursor is not None:
        await _refuse_foreign(log, definition.start_cursor, bounds)
        return StartPosition(definition.start_cursor)
    if definition.since <= 0:
        return StartPosition(first, await log_truncation(log, first, who, _ADVICE))
    since, sought = definition.since, first
    if since > CLOCK_SKEW_SECONDS_MAX:
        sought = await log.position_at(since - CLOCK_SKEW_SECONDS_MAX)
    await refuse_time(log, bounds, sought, since)
    if not skips:
        return StartPosition(first)
    return StartPosition({partition: max(offset, sought.get(partition, 0)) for partition, offset in first.items()})


async def _refuse_foreign(log: Log, cursor: Mapping[int, int], bounds: Bounds) -> None:
    """Refuse a cursor whose following events were removed, or that belongs to another history than the log's."""
    await refuse_cursor(log, cursor, bounds.first)
    await refuse_diverged(log, cursor, bounds)
