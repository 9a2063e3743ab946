"""Scan a log for events about checkpoints, and count the events ahead of a cursor."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

import msgspec

from ...journal.event import Event
from ...journal.event_decoding import readable
from ...journal.log import Log
from ...journal.row_decoder import RowDecoder
from ..limits import CHECKPOINT_WINDOW_EVENTS, SCAN_STEP_EVENTS
from ..topic import Topic
from .records import CONTROL_NAMES, REPLAYED, Saved, saved_of, valid_checkpoint

_MARK: Final = b'"consumer.'


async def control_events(log: Log, partition: int, start: int, end: int) -> AsyncIterator[Event]:
    """Yield the events about checkpoints in a range of a partition, in log order; skip bad records."""
    while start < end:
        pages = await log.read({partition: start}, min(SCAN_STEP_EVENTS, end - start))
        if not pages:
            return
        marked = [
            (offset, row)
            for offset, row in zip(pages[0].offsets, pages[0].rows, strict=True)
            if _MARK in row and offset < end  # avoids decoding most rows
        ]
        events, _ = readable([row for _, row in marked], partition, [offset for offset, _ in marked], contexts=True)
        for event in events:
            if event.name in CONTROL_NAMES:
                yield event
        start = pages[0].next_offset


async def newest_checkpoint(log: Log, name: str, first: int, end: int) -> Saved | None:
    """Return the valid checkpoint of that name; None if there is none.

    It searches its partition backwards from the end, so the cost is about that of the events the consumer has not read.
    """
    partition = log.partition_of(name)
    saves: list[Saved] = []
    upper, width = end, CHECKPOINT_WINDOW_EVENTS
    while upper > first:
        lower = max(first, upper - width)
        found = [saved_of(event) async for event in control_events(log, partition, lower, upper) if event.key == name]
        saves = [saved for saved in found if saved is not None] + saves
        if saves and (saves[-1].reset or saves[-1].after is None or saves[-1].after >= lower):
            break  # a reset unknown to the newest checkpoint would be in this range
        upper, width = lower, 2 * width
    return valid_checkpoint(saves)


class _Head(msgspec.Struct, gc=False):
    name: str
    key: str | None = None


_decoder: Final = RowDecoder(_Head)


async def count_ahead(
    log: Log,
    cursor: Mapping[int, int],
    end: Mapping[int, int],
    topic: Topic,
    most: int,
    *,
    key: str | None = None,
    control: bool = False,
) -> int | None:
    """Count the events of this topic and key between `cursor` and `end`.

    Events about checkpoints count only with `control`, or if the topic covers them explicitly. None if more than `most`
    events of any kind would have to be examined.
    """
    if sum(max(0, end.get(partition, 0) - offset) for partition, offset in cursor.items()) > most:
        return None
    count = 0
    for partition, start in cursor.items():
        offset, stop = start, end.get(partition, 0)
        while offset < stop:
            pages = await log.read({partition: offset}, min(SCAN_STEP_EVENTS, stop - offset))
            if not pages:
                break
            page = pages[0]
            rows = [row for at, row in zip(page.offsets, page.rows, strict=True) if at < stop]
            count += sum(_counts(row, topic, key, control) for row in rows)
            offset = page.next_offset
    return count


def _counts(row: bytes, topic: Topic, key: str | None, control: bool) -> bool:
    head = _decoder.read(row)
    if head is None:
        return False
    if not control and head.name in CONTROL_NAMES and topic.prefix.split(".")[0] != "consumer":
        return False
    return topic[head.name] and (key is None or head.key == key)


async def concerns(log: Log, saved: Saved, partition: int, end: int) -> bool:
    """Whether the consumer of a checkpoint may have something to read between its cursor and `end` in a partition.

    That is events of its topic, replays of its parked events, and bad records; any record if its topic is unknown.
    """
    if saved.topic is None:
        return True
    topic, offset = Topic(saved.topic), saved.cursor[partition]
    while offset < end:
        pages = await log.read({partition: offset}, min(SCAN_STEP_EVENTS, end - offset))
        if not pages:
            return False
        page = pages[0]
        for at, row in zip(page.offsets, page.rows, strict=True):
            if at < end and _may_concern(row, topic, saved.name):
                return True
        offset = page.next_offset
    return False


def _may_concern(row: bytes, topic: Topic, name: str) -> bool:
    head = _decoder.read(row)
    if head is None:
        return True
    return (head.name == REPLAYED and head.key == name) or _counts(row, topic, None, control=False)
