"""Before history is removed: bring forward the checkpoints that stand in it and nowhere later.

A checkpoint kept by the journal is an event; a consumer that has been silent for longer than history is kept would lose
its place with it. So its newest checkpoint is appended again before the old one goes.
"""

from collections.abc import Mapping
from typing import Final

from ...journal.asynchronous import AsyncJournal
from ...journal.event import readable
from ...journal.log import Log
from ..checkpoint import CHECKPOINTED, kept_cursor

_MARK: Final = CHECKPOINTED.encode()
_STEP_EVENTS: Final = 2_000


async def carry_checkpoints(journal: AsyncJournal, before: Mapping[int, int]) -> list[str]:
    """Append again each checkpoint whose last event stands below `before`; the names of these."""
    log = await journal.open()
    bounds = await log.bounds()
    carried: list[str] = []
    for partition, limit in before.items():
        old = await _newest_of_each(log, partition, bounds.first[partition], limit)
        later = await _newest_of_each(log, partition, limit, bounds.end[partition]) if old else {}
        for name in old.keys() - later.keys():
            await _carry(journal, name, old[name], bounds.end[partition])
            carried.append(name)
    return sorted(carried)


async def _carry(journal: AsyncJournal, name: str, cursor: str, looked_to: int) -> None:
    """Append a checkpoint again; where its consumer wrote one meanwhile, that one once more, so that it counts."""
    log = await journal.open()
    while True:
        event = await journal.append(CHECKPOINTED, {"name": name, "cursor": cursor}, key=name)
        meanwhile = await _newest_of_each(log, event.partition, looked_to, event.offset)
        if name not in meanwhile:
            return
        cursor, looked_to = meanwhile[name], event.offset + 1


async def _newest_of_each(log: Log, partition: int, start: int, end: int) -> dict[str, str]:
    """The cursor of the last checkpoint of each name in a stretch of a partition."""
    found: dict[str, str] = {}
    while start < end:
        pages = await log.read({partition: start}, min(_STEP_EVENTS, end - start))
        if not pages:
            break
        marked = [
            (offset, row)
            for offset, row in zip(pages[0].offsets, pages[0].rows, strict=True)
            if _MARK in row and offset < end  # most rows are not worth decoding
        ]
        events, _ = readable([row for _, row in marked], partition, [offset for offset, _ in marked], contexts=True)
        for event in events:
            cursor = kept_cursor(event)
            if cursor is not None and event.key is not None:
                found[event.key] = str(cursor)
        start = pages[0].next_offset
    return found
