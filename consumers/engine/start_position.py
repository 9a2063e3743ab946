"""Where a consumer begins to read, and whether what it asks for is still there.

An explicit start (a cursor, a checkpoint or a time) is refused where retention has removed what comes next, and where
it does not belong to this log's history: nothing is skipped in silence. Without one, reading starts at the oldest
event, and the consumer is told if that is not the first there was.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from ...journal.cursor import Cursor
from ...journal.divergence import marked, refuse_diverged
from ...journal.errors import HistoryTruncated
from ...journal.limits import CLOCK_SKEW_SECONDS_MAX
from ...journal.log import Bounds, Log
from ..options import ConsumerDefinition
from ..truncation import refuse_cursor, refuse_time, told

_ADVICE: Final = "All that is left is delivered, as no place to begin at was named."


class StartPosition(NamedTuple):
    """Where reading begins, and what is missing before it; None if nothing that was asked for."""

    cursor: Mapping[int, int]
    truncated: HistoryTruncated | None = None


async def start_position(
    log: Log, bounds: Bounds, definition: ConsumerDefinition, resume: Mapping[int, int] | None, *, skips: bool
) -> StartPosition:
    """Where a consumer begins; `resume` comes before all that its definition says.

    `skips`: whether it may begin near `since`; a source of the user's may need what came before. `HistoryTruncated` if
    what it names was removed by retention, `JournalDiverged` if it is a place in another history than the log's.
    """
    found = await _start_position(log, bounds, definition, resume, skips)
    if log.needs_loop:  # a look at each partition takes its time there; a consumer that commits does it then
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
        return StartPosition(begin, await told(log, added, who, _ADVICE))
    if not definition.full:
        return StartPosition(bounds.end)
    if definition.start_cursor is not None:
        await _refuse_foreign(log, definition.start_cursor, bounds)
        return StartPosition(definition.start_cursor)
    if definition.since <= 0:
        return StartPosition(first, await told(log, first, who, _ADVICE))
    since, sought = definition.since, first
    if since > CLOCK_SKEW_SECONDS_MAX:
        sought = await log.position_at(since - CLOCK_SKEW_SECONDS_MAX)
    await refuse_time(log, bounds, sought, since)
    if not skips:
        return StartPosition(first)
    return StartPosition({partition: max(offset, sought.get(partition, 0)) for partition, offset in first.items()})


async def _refuse_foreign(log: Log, cursor: Mapping[int, int], bounds: Bounds) -> None:
    """Refuse a place whose following events were removed, or that belongs to another history than the log's."""
    await refuse_cursor(log, cursor, bounds.first)
    await refuse_diverged(log, cursor, bounds)
