"""What retention has removed, and whether somebody has asked for it."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from ..journal.errors import HistoryTruncated
from ..journal.event import time_in
from ..journal.limits import PAGE_EVENTS
from ..journal.log import Bounds, Log

logger = logging.getLogger("journeyman")


async def first_moment(log: Log, partition: int, offset: int) -> float | None:
    """The time of the first event from `offset` on, in seconds since the epoch; None if there is none close by."""
    for limit in (1, PAGE_EVENTS):
        pages = await log.read({partition: offset}, limit)
        for row in pages[0].rows if pages else ():
            moment = time_in(row)
            if moment is not None:
                return moment
    return None


async def is_told_of(log: Log, partitions: Iterable[int], first: Mapping[int, int], timestamp: float) -> bool:
    """Whether all that was removed of these partitions is known to have happened up to `timestamp`.

    That is so from the time on at which a snapshot was made that reaches just as far, which `compact` sees to.
    """
    wanted = list(partitions)
    return any(
        label.created <= timestamp and all(label.cursor.get(each) == first[each] for each in wanted)
        for label in await log.snapshots().listed()
    )


async def notice(log: Log, first: Mapping[int, int], advice: str) -> HistoryTruncated | None:
    """What is to be said where history begins at `first`: None if it is whole.

    Of several partitions it names the one whose remaining history begins last: from there on nothing is missing.
    """
    found: list[tuple[float, int]] = []
    for partition, offset in first.items():
        if offset:
            try:
                moment = await first_moment(log, partition, offset)
            except HistoryTruncated as error:  # more was removed meanwhile
                moment = error.first_time
            found.append((float("-inf") if moment is None else moment, partition))
    if not found:
        return None
    moment, partition = max(found)
    return HistoryTruncated(partition, 0, first[partition], moment if moment > float("-inf") else None, advice)


async def told(log: Log, first: Mapping[int, int], who: str, advice: str) -> HistoryTruncated | None:
    """As `notice`, and logs it, once: `who` goes on with what is left."""
    truncated = await notice(log, first, advice)
    if truncated is not None:
        logger.warning("%s: %s", who, truncated)
    return truncated


async def refuse_cursor(log: Log, cursor: Mapping[int, int], first: Mapping[int, int]) -> None:
    """`HistoryTruncated` if what a cursor points at was removed."""
    for partition, offset in cursor.items():
        begin = first.get(partition, 0)
        if offset < begin:
            raise HistoryTruncated(partition, offset, begin, await first_moment(log, partition, begin))


async def refuse_time(log: Log, bounds: Bounds, sought: Mapping[int, int], since: float) -> None:
    """`HistoryTruncated` if events later than `since` may be among what was removed.

    `sought` is where reading for `since` would begin. A removed event that is later than `since` is possible where that
    is the first one there is, and this is later than `since`, and no snapshot tells that all before it was earlier.
    """
    unknown: dict[int, int] = {}
    for partition, first in bounds.first.items():
        if first and sought[partition] <= first:
            moment = await first_moment(log, partition, first)
            if moment is not None and moment > since:
                unknown[partition] = first
    if unknown and not await is_told_of(log, unknown, bounds.first, since):
        asked = datetime.fromtimestamp(since, UTC).isoformat()
        error = await notice(
            log,
            unknown,
            f"Events later than {asked}, which was asked for, may be among them. Ask for what is later than the first "
            "one there is, or with since=0 for all there is.",
        )
        assert error is not None, "something of these partitions was removed"
        raise error
