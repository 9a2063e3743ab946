"""Detect what retention has removed, and refuse or report requests for removed events."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from ..journal.errors import HistoryTruncated
from ..journal.event_decoding import time_in
from ..journal.limits import PAGE_EVENTS
from ..journal.log import Bounds, Log

logger = logging.getLogger("journeyman")


async def first_moment(log: Log, partition: int, offset: int) -> float | None:
    """Return the time (seconds since the epoch) of the first event at or soon after `offset`; None if there is none."""
    for limit in (1, PAGE_EVENTS):
        pages = await log.read({partition: offset}, limit)
        for row in pages[0].rows if pages else ():
            moment = time_in(row)
            if moment is not None:
                return moment
    return None


async def removed_history_is_before(
    log: Log, partitions: Iterable[int], first: Mapping[int, int], timestamp: float
) -> bool:
    """Whether all removed events of these partitions are known to have happened up to `timestamp`.

    This holds from the creation time of a snapshot on that ends exactly where the remaining history begins; `compact`
    takes such a snapshot.
    """
    wanted = list(partitions)
    return any(
        label.created <= timestamp and all(label.cursor.get(each) == first[each] for each in wanted)
        for label in await log.snapshots().listed()
    )


async def truncation_of(log: Log, first: Mapping[int, int], advice: str) -> HistoryTruncated | None:
    """Return the `HistoryTruncated` for a history that begins at `first`; None if it is complete.

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


async def log_truncation(log: Log, first: Mapping[int, int], who: str, advice: str) -> HistoryTruncated | None:
    """Log the result of `truncation_of` once and return it: the reader named `who` reads the remaining history."""
    truncated = await truncation_of(log, first, advice)
    if truncated is not None:
        logger.warning("%s: %s", who, truncated)
    return truncated


async def refuse_cursor(log: Log, cursor: Mapping[int, int], first: Mapping[int, int]) -> None:
    """Raise `HistoryTruncated` if the events at a cursor were removed."""
    for partition, offset in cursor.items():
        begin = first.get(partition, 0)
        if offset < begin:
            raise HistoryTruncated(partition, offset, begin, await first_moment(log, partition, begin))


async def refuse_time(log: Log, bounds: Bounds, sought: Mapping[int, int], since: float) -> None:
    """Raise `HistoryTruncated` if events later than `since` may have been removed.

    `sought` is where reading for `since` would begin. Such events are possible if that is the first remaining event,
    this is later than `since`, and no snapshot shows that all removed events were earlier.
    """
    unknown: dict[int, int] = {}
    for partition, first in bounds.first.items():
        if first and sought[partition] <= first:
            moment = await first_moment(log, partition, first)
            if moment is not None and moment > since:
                unknown[partition] = first
    if unknown and not await removed_history_is_before(log, unknown, bounds.first, since):
        asked = datetime.fromtimestamp(since, UTC).isoformat()
        error = await truncation_of(
            log,
            unknown,
            f"Events later than the requested {asked} may be among them. Use a time later than the first remaining "
            "event, or since=0 for all remaining events.",
        )
        assert error is not None, "history of these partitions was removed"
        raise error
