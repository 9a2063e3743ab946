"""Fire the ticks of schedules: each with its submission in one append, which lands only if no process was faster.

The append is conditional: it is refused if any event of one of its schedules has come since the state from which the
ticks were decided. So of all processes that fire a tick one succeeds, and a pause or a clearing that comes first wins.
"""

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Position
from ...journal.errors import EventConflict
from ...journal.event import Distinct, Draft, encode_context
from ...journal.limits import BATCH_BYTES_MAX
from ...tasks.state import names
from ...tasks.state.ticks import tick_id
from ...tasks.tick_messages import tick_message
from ..limits import SCHEDULE_WAIT_SECONDS_MAX, SCHEDULES_FIRED_MAX, TICK_BYTES_MAX
from ..scheduling.decide import Command, DueTicks, Fire
from .timetable import Timetable


class Firing:
    """Fires the ticks of a timetable; without a timetable it fires none."""

    def __init__(self, journal: AsyncJournal, timetable: Timetable | None) -> None:
        self._journal = journal
        self._timetable = timetable
        self.fired = 0  # ticks
        self.wait_seconds_max = SCHEDULE_WAIT_SECONDS_MAX
        self._has_due = False  # whether the commands of this turn may contain ticks

    def due(self, now: float) -> list[DueTicks]:
        """Return what is to be fired at the time `now`, in seconds since the epoch."""
        due = [] if self._timetable is None else self._timetable.due(int(now * 1_000))
        self._has_due = bool(due)
        return due

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next tick, or until the clock is to be compared again; None without any tick."""
        tick = None if self._timetable is None else self._timetable.next_moment(int(now * 1_000))
        return None if tick is None else min(max(0.0, tick / 1_000 - now), self.wait_seconds_max)

    def take(
        self, commands: list[Command], position: Callable[[], Mapping[int, int]]
    ) -> tuple[Iterator[Sequence[Draft]] | None, list[Command]]:
        """Return the drafts of each append for the ticks among the commands, None for none, and the other commands.

        `position()` returns the offsets up to which the view was read when the ticks were decided.
        """
        if not self._has_due:
            return None, commands
        fires = [command for command in commands if isinstance(command, Fire)]
        return drafts_of(fires, position()), [command for command in commands if not isinstance(command, Fire)]

    async def append(self, drafts: Sequence[Draft]) -> Position:
        """Append the drafts; return the position up to which the state has to be read before the next decision."""
        try:
            events = await self._journal.append_drafts(drafts)
        except EventConflict as conflict:
            return conflict.position
        self.fired += sum(event.name == names.SCHEDULE_FIRED for event in events)
        return events[-1].position

    async def fire(
        self,
        appends: Iterable[Sequence[Draft]],
        available: Callable[[Callable[[], Awaitable[Position]]], Awaitable[Position]],
    ) -> dict[int, int]:
        """Append the ticks; return up to where the state is to be read, before the next decision, by partition.

        `available(call)` repeats a call of the journal until it is available.
        """
        ends: dict[int, int] = {}
        for drafts in appends:
            position = await available(functools.partial(self.append, drafts))
            ends[position.partition] = max(position.offset + 1, ends.get(position.partition, 0))
        return ends


def drafts_of(fires: Iterable[Fire], position: Mapping[int, int]) -> Iterator[Sequence[Draft]]:
    """Yield the drafts of each append for the ticks; `position` is how far the state is read that decided them."""
    parts: dict[int, tuple[Distinct, int]] = {}
    for fire in fires:
        partition = fire.schedule.partition
        part, size = parts.get(partition, (Distinct(), 0))
        bytes_max = len(fire.schedule.message) + TICK_BYTES_MAX
        if part and (len(part) >= 2 * SCHEDULES_FIRED_MAX or size + bytes_max > BATCH_BYTES_MAX):
            yield part
            part, size = Distinct(), 0
        part += _drafts(fire, partition, position.get(partition, 0) - 1)
        parts[partition] = part, size + bytes_max
    yield from (part for part, _ in parts.values())


def _drafts(fire: Fire, partition: int, expected: int) -> Iterator[Draft]:
    """Yield the event about the schedule and, if the tick is not skipped, the submission of its task."""
    schedule, tick = fire.schedule, fire.tick
    context = {"schedule": schedule.name, "tick": tick}
    if fire.skipped:
        skipped = encode_context(names.SCHEDULE_SKIPPED, {**context, "reason": "overlap", "behind": schedule.task})
        yield Draft(names.SCHEDULE_SKIPPED, skipped, schedule.name, partition, expected=expected)
        return
    fired = encode_context(names.SCHEDULE_FIRED, {**context, "task": tick_id(schedule.name, tick)})
    yield Draft(names.SCHEDULE_FIRED, fired, schedule.name, partition, expected=expected)
    yield Draft(names.SUBMITTED, tick_message(schedule, tick), schedule.name, partition)
