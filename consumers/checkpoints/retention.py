"""Before history is removed: bring forward the checkpoints and parked events that stand in it and nowhere later.

A checkpoint kept by the journal is an event; a consumer that has been silent for longer than history is kept would lose
its place with it. A parked event waits for an operator, who may take longer than that. So the events that count are
appended again before the old ones go. A checkpoint whose consumer has nothing to read in what goes is moved behind it,
or its consumer would be refused although it misses nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.log import Log
from .records import CHECKPOINTED, PARKED, Parked, ParkedEvents, Saved, Standing, saved_of
from .scan import concerns, control_events


class Carried(NamedTuple):
    """What was appended again: the names of checkpoints, and how many parked events."""

    checkpoints: list[str]
    parked: int


async def carry(journal: AsyncJournal, before: Mapping[int, int]) -> Carried:
    """Append again each checkpoint and parked event whose last event stands below `before`.

    One that stands in another partition than its name's, since partitions were added, is not found there by its
    consumer either, and is left.
    """
    log = await journal.open()
    bounds = await log.bounds()
    checkpoints: list[str] = []
    parked = 0
    for partition, limit in before.items():
        first, end = bounds.first[partition], bounds.end[partition]
        if limit <= first:
            continue
        standing, held = await _control_state(log, partition, first, end)
        for saved in standing.values():
            if log.partition_of(saved.name) != partition:
                continue
            moved = await _moved_on(log, saved, before, bounds.first)
            if saved.position.offset < limit or moved != saved.cursor:
                await _carry_checkpoint(journal, saved, before, bounds.first, end)
                checkpoints.append(saved.name)
        for one in held:
            if one.stands_at.offset < limit and log.partition_of(one.name) == partition:
                await _carry_parked(journal, one, end)
                parked += 1
    return Carried(sorted(checkpoints), parked)


async def _control_state(log: Log, partition: int, start: int, end: int) -> tuple[dict[str, Saved], list[Parked]]:
    """The checkpoint of each name that counts, and all parked events, by a stretch of a partition."""
    folds: dict[str, Standing] = {}
    parked = ParkedEvents()
    async for event in control_events(log, partition, start, end):
        saved = saved_of(event)
        if saved is not None:
            folds.setdefault(saved.name, Standing()).apply(saved)
        parked.apply(event)
    standing = {name: fold.newest for name, fold in folds.items() if fold.newest is not None}
    return standing, [one for held in parked.parked.values() for one in held.values()]


async def _moved_on(log: Log, saved: Saved, before: Mapping[int, int], first: Mapping[int, int]) -> Cursor:
    """The cursor of a checkpoint, behind what goes wherever its consumer has nothing to read there."""
    cursor = dict(saved.cursor)
    for partition, limit in before.items():
        offset = cursor.get(partition, limit)
        if first[partition] <= offset < limit and not await concerns(log, saved, partition, limit):
            cursor[partition] = limit
    marks = {each: mark for each, mark in saved.cursor.marks.items() if cursor[each] == saved.cursor[each]}
    return Cursor(cursor, marks)


async def _carry_checkpoint(
    journal: AsyncJournal, saved: Saved, before: Mapping[int, int], first: Mapping[int, int], looked_to: int
) -> None:
    """Append a checkpoint again; where its consumer wrote one meanwhile, that one once more, so that it counts."""
    log = await journal.open()
    while True:
        context = {
            "name": saved.name,
            "cursor": str(await _moved_on(log, saved, before, first)),
            "consumer": saved.consumer,
            "topic": saved.topic,
            "carried": True,
        }
        event = await journal.append(CHECKPOINTED, context, key=saved.name)
        meanwhile, _ = await _control_state(log, event.partition, looked_to, event.offset)
        if saved.name not in meanwhile:
            return
        saved, looked_to = meanwhile[saved.name], event.offset + 1


async def _carry_parked(journal: AsyncJournal, parked: Parked, looked_to: int) -> None:
    """Park an event again as it was; should it be replayed or dropped meanwhile, `looked_to` tells readers so."""
    context = {**parked.context, "looked_to": looked_to, "parked_at": parked.timestamp}
    await journal.append(PARKED, context, key=parked.name)
