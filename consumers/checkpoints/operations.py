"""The operator's actions on consumers: list and move checkpoints, and list, replay and drop parked events."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor, Position
from ...journal.divergence import marked
from ...journal.errors import EventConflict, JournalUnavailable
from ...journal.event import Event
from ...journal.event_decoding import time_in
from ...journal.log import Bounds, Log
from ..limits import CONFLICTS_MAX, LAG_EVENTS_MAX
from ..topic import Topic
from .records import (
    CHECKPOINTED,
    DROPPED,
    REPLAYED,
    Parked,
    ParkedEvents,
    Saved,
    ValidCheckpoint,
    position_text,
    saved_of,
)
from .scan import control_events, count_ahead, newest_checkpoint
from .session import reset_context


class CheckpointStatus(NamedTuple):
    """The progress of the consumer of a checkpoint.

    - `saved`: the valid checkpoint.
    - `ahead`: how many events of any topic it has not received. `lag`: how many of its own topic; None if the topic is
      unknown, or too many events are ahead to count them.
    - `next_time`: when the oldest event that it has not received happened, in seconds since the epoch; None if there is
      none.
    - `removed`: how many events that it has not received retention has removed.
    - `parked`: how many events are parked under its name.
    """

    saved: Saved
    ahead: int
    lag: int | None
    next_time: float | None
    removed: int
    parked: int


class Consumers(NamedTuple):
    """All checkpoints of a journal by name, and all parked events."""

    checkpoints: Mapping[str, Saved]
    parked: Mapping[str, Sequence[Parked]]


async def read_consumers(journal: AsyncJournal) -> Consumers:
    """Search the whole journal for checkpoints and parked events."""
    log = await journal.open()
    bounds = await log.bounds()
    folds: dict[str, ValidCheckpoint] = {}
    parked = ParkedEvents()
    for partition, first in bounds.first.items():
        async for event in control_events(log, partition, first, bounds.end[partition]):
            saved = saved_of(event)
            if saved is not None:
                folds.setdefault(saved.name, ValidCheckpoint()).apply(saved)
            parked.apply(event)
    return Consumers(
        {name: fold.newest for name, fold in sorted(folds.items()) if fold.newest is not None},
        {name: list(held.values()) for name, held in sorted(parked.parked.items()) if held},
    )


async def checkpoint_statuses(journal: AsyncJournal) -> list[CheckpointStatus]:
    """Return the status of each checkpoint of the journal, sorted by name."""
    consumers = await read_consumers(journal)
    log = await journal.open()
    bounds = await log.bounds()
    return [
        await _status(log, bounds, saved, len(consumers.parked.get(name, ())))
        for name, saved in consumers.checkpoints.items()
    ]


async def _status(log: Log, bounds: Bounds, saved: Saved, parked: int) -> CheckpointStatus:
    cursor = {partition: saved.cursor.get(partition, first) for partition, first in bounds.first.items()}
    start = {partition: max(offset, bounds.first[partition]) for partition, offset in cursor.items()}
    lag = None
    if saved.topic is not None:
        lag = await count_ahead(log, start, bounds.end, Topic(saved.topic), LAG_EVENTS_MAX)
    return CheckpointStatus(
        saved,
        sum(max(0, bounds.end[partition] - offset) for partition, offset in cursor.items()),
        lag,
        await _next_time(log, start, bounds.end),
        sum(start[partition] - offset for partition, offset in cursor.items()),
        parked,
    )


async def _next_time(log: Log, cursor: Mapping[int, int], end: Mapping[int, int]) -> float | None:
    times: list[float] = []
    for partition, offset in cursor.items():
        if offset < end[partition]:
            pages = await log.read({partition: offset}, 1)
            times += [moment for page in pages if (moment := time_in(page.rows[0])) is not None]
    return min(times, default=None)


class CheckpointMove(NamedTuple):
    """A planned move of a checkpoint, and its consequences for the consumer.

    `again` events are delivered again, `skipped` ones never; of the consumer's topic only if `counted`, of any topic
    otherwise.
    """

    saved: Saved
    to: Cursor
    again: int
    skipped: int
    counted: bool


async def find_checkpoint(journal: AsyncJournal, name: str) -> Saved | None:
    """Return the valid checkpoint of that name; None if there is none."""
    log = await journal.open()
    bounds = await log.bounds()
    partition = log.partition_of(name)
    return await newest_checkpoint(log, name, bounds.first[partition], bounds.end[partition])


async def plan_move(journal: AsyncJournal, saved: Saved, to: Mapping[int, int]) -> CheckpointMove:
    """Plan the move of a checkpoint; `ValueError` if `to` is not in the journal."""
    log = await journal.open()
    bounds = await log.bounds()
    _check_target(bounds, to)
    begun = {
        p: saved.cursor.get(p, first) for p, first in bounds.first.items()
    }  # as its consumer interprets the cursor
    target = Cursor({**begun, **to})
    forward = {p: offset for p, offset in begun.items() if offset < target[p]}
    backward = {p: offset for p, offset in target.items() if offset < begun[p]}
    again = await _count(log, backward, {p: begun[p] for p in backward}, saved.topic)
    present = {p: max(offset, bounds.first[p]) for p, offset in forward.items()}
    skipped = await _count(log, present, target, saved.topic)
    return CheckpointMove(
        saved, await marked(log, target), again.events, skipped.events, again.counted and skipped.counted
    )


class _Counted(NamedTuple):
    events: int
    counted: bool


async def _count(log: Log, start: Mapping[int, int], end: Mapping[int, int], topic: str | None) -> _Counted:
    everything = sum(max(0, end[partition] - offset) for partition, offset in start.items())
    if topic is None:
        return _Counted(everything, counted=False)
    of_topic = await count_ahead(log, start, end, Topic(topic), max(LAG_EVENTS_MAX, everything))
    assert of_topic is not None, "the limit is as high as the count"
    return _Counted(of_topic, counted=True)


def _check_target(bounds: Bounds, to: Mapping[int, int]) -> None:
    for partition, offset in to.items():
        if partition not in bounds.end:
            raise ValueError(f"the journal has no partition {partition}; it has {', '.join(map(str, bounds.end))}")
        if not bounds.first[partition] <= offset <= bounds.end[partition]:
            raise ValueError(
                f"partition {partition} holds the offsets {bounds.first[partition]} to {bounds.end[partition]}; "
                f"{offset} is not one of them"
            )


async def move_checkpoint(journal: AsyncJournal, move: CheckpointMove, by: str) -> Event:
    """Move a checkpoint: consumers started later resume there; a running one ends with `CheckpointMoved`."""
    name = move.saved.name
    return await journal.append(CHECKPOINTED, reset_context(name, move.to, by, move.saved.topic), key=name)


# --- parked events --------------------------------------------------------------------------------------------------


async def parked_events(journal: AsyncJournal, name: str) -> list[Parked]:
    """Return the events parked under a name, in the order in which they were parked."""
    log = await journal.open()
    bounds = await log.bounds()
    partition = log.partition_of(name)
    fold = ParkedEvents()
    async for event in control_events(log, partition, bounds.first[partition], bounds.end[partition]):
        if event.key == name:
            fold.apply(event)
    return sorted(fold.parked.get(name, {}).values(), key=lambda parked: parked.stands_at)


def chosen(parked: Sequence[Parked], positions: Sequence[Position]) -> list[Parked]:
    """Select the events at these positions, all if none is given; `ValueError` if no event is parked at one."""
    if not positions:
        return list(parked)
    by_position = {one.position: one for one in parked}
    missing = [position_text(position) for position in positions if position not in by_position]
    if missing:
        raise ValueError(
            f"no event is parked at {', '.join(missing)}; parked are "
            f"{', '.join(map(position_text, by_position)) or 'none'}"
        )
    return [by_position[position] for position in dict.fromkeys(positions)]


async def replay(journal: AsyncJournal, parked: Parked, by: str) -> None:
    """Make the consumer of that checkpoint, running or started later, deliver the event again.

    `ValueError` if it is no longer parked: two operators replay it only once.
    """
    context = {"event": parked.context["event"], "by": by}
    await _settle(journal, parked, REPLAYED, context)


async def drop(journal: AsyncJournal, parked: Parked, by: str, why: str = "") -> None:
    """Discard the event: it is not delivered again. `ValueError` if it is no longer parked."""
    await _settle(journal, parked, DROPPED, {"by": by, "why": why})


async def _settle(journal: AsyncJournal, parked: Parked, name: str, context: dict[str, Any]) -> None:
    """Append the end of a parked event, on condition that no event of its consumer was appended meanwhile."""
    log = await journal.open()
    partition, position = parked.stands_at
    fold, read = ParkedEvents(), position
    for _ in range(CONFLICTS_MAX):
        end = (await log.bounds()).end[partition]
        async for event in control_events(log, partition, read, end):
            if event.key == parked.name:
                fold.apply(event)
        if parked.position not in fold.parked.get(parked.name, {}):
            raise ValueError(
                f"the event {position_text(parked.position)} is no longer parked: it was replayed or dropped"
            )
        read = end
        context = {"name": parked.name, "position": position_text(parked.position), **context}
        try:
            await journal.append(name, context, key=parked.name, expected=Position(partition, end - 1))
        except EventConflict:
            continue
        return
    raise JournalUnavailable(
        f"the consumer {parked.name!r} saved its checkpoint during each of {CONFLICTS_MAX:,} attempts; try again"
    )
