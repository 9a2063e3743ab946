"""Where a consumer begins to read, and whether what it asks for is still there.

Who names a place, by a cursor, a checkpoint or a time, and retention has removed what comes next there, is refused:
nothing is skipped in silence. Who names none asks for all there is, gets it, and is told that it is not all there was.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from ...journal.errors import HistoryTruncated
from ...journal.limits import CLOCK_SKEW_SECONDS_MAX
from ...journal.log import Bounds, Log
from ..definition import ConsumerDefinition
from ..truncation import refuse_cursor, refuse_time, told

_ADVICE: Final = "All that is left is delivered, as no place to begin at was named."


class Beginning(NamedTuple):
    """Where reading begins, and what is missing before it; None if nothing that was asked for."""

    cursor: Mapping[int, int]
    truncated: HistoryTruncated | None = None


async def beginning(
    log: Log, bounds: Bounds, definition: ConsumerDefinition, resume: Mapping[int, int] | None, *, skips: bool
) -> Beginning:
    """Where a consumer begins; `resume` comes before all that its definition says.

    `skips`: whether it may begin near `since`; a source of the user's may need what came before. `HistoryTruncated` if
    what it names was removed by retention.
    """
    first = bounds.first
    if resume is not None:
        await refuse_cursor(log, resume, first)
        return Beginning({partition: resume.get(partition, offset) for partition, offset in first.items()})
    if not definition.full:
        return Beginning(bounds.end)
    if definition.start_cursor is not None:
        await refuse_cursor(log, definition.start_cursor, first)
        return Beginning(definition.start_cursor)
    if definition.since <= 0:
        who = f"a consumer of {definition.topic or 'all topics'!r}"
        return Beginning(first, await told(log, first, who, _ADVICE))
    since, sought = definition.since, first
    if since > CLOCK_SKEW_SECONDS_MAX:
        sought = await log.position_at(since - CLOCK_SKEW_SECONDS_MAX)
    await refuse_time(log, bounds, sought, since)
    if not skips:
        return Beginning(first)
    return Beginning({partition: max(offset, sought.get(partition, 0)) for partition, offset in first.items()})
