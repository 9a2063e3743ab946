"""Carry forward checkpoints and parked events before retention removes the history that contains them.

A checkpoint in the journal is an event; a consumer that is inactive for longer than the retention time would lose its
position with it. A parked event waits for an operator, possibly longer. So the valid events are appended again before
the old ones are removed. A checkpoint whose consumer has nothing to read in the removed history is moved to its end;
otherwise the consumer would be refused although it misses nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.log import Log
from .records import CHECKPOINTED, PARKED, Parked, ParkedEvents, Saved, ValidCheckpoint, saved_of
from .scan import concerns, control_events


class Carried(NamedTuple):
    """The names of the checkpoints, and the number of the parked events, that were appended again."""

    checkpoints: list[str]
    parked: int


async def carry(journal: AsyncJournal, before: Mapping[int, int]) -> Carried:
    """Append again each checkpoint and parked event whose last event is below `before`.

    Those in another partition than their name's, because partitions were added, are left: their consumer does not find
    them there either.
    """
    log = await journal.open()
    bounds = await log.bounds()
    checkpoints: list[str] = []
    parked = 0
    for partition, limit in before.items():
        first, end = bounds.first[partition], bounds.end[partition]
        if limit <= first:
            continue
        valid, held = await _control_state(log, partition, first, end)
        for saved in valid.values():
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
    """Return the valid checkpoint of each name and all parked events, folded from a range of a partition."""
    folds: dict[str, ValidCheckpoint] = {}
    parked = ParkedEvents()
    async for event in control_events(log, partition, start, end):
        saved = saved_of(event)
        if saved is not None:
            folds.setdefault(saved.name, ValidCheckpoint()).apply(saved)
        parked.apply(event)
    valid = {name: fold.newest for name, fold in folds.items() if fold.newest is not None}
    return valid, [one for held in parked.parked.values() for one in held.values()]


async def _moved_on(log: Log, saved: Saved, before: Mapping[int, int], first: Mapping[int, int]) -> Cursor:
    """Return a checkpoint's cursor, advanced to `before` where its consumer has nothing to read below it."""
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
    """Append a checkpoint again; if its consumer saved one meanwhile, append that one again, so that it is valid."""
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
    """Park an event again; `looked_to` lets readers detect that it was replayed or dropped meanwhile."""
    context = {**parked.context, "looked_to": looked_to, "parked_at": parked.timestamp}
    await journal.append(PARKED, context, key=parked.name)
