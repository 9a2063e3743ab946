"""A log in virtual time that does to its writers what real ones do: late, twice, in doubt, away, slow."""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from journeyman.journal.conditions import conditions_of, conflicts
from journeyman.journal.errors import EventConflict
from journeyman.journal.event import Draft, Event, place, record
from journeyman.journal.log import Page
from journeyman.journal.memory.snapshots import MemorySnapshots
from journeyman.tasks.state import names

if TYPE_CHECKING:
    from .stage import Stage


class Landed(NamedTuple):
    """One record: its encoding, and when (virtual seconds) it became part of the log."""

    row: bytes
    at: float


# Is told the events of an append, the conflict that refused it, or None if its fate is unknown.
Done = Callable[[list[Event] | EventConflict | None], None]


class SimulatedLog:
    """Partitions in memory. The referee is told of every record in the moment in which it lands."""

    def __init__(self, world: "Stage", partitions: int) -> None:
        self.world = world
        self.partitions: list[list[Landed]] = [[] for _ in range(partitions)]
        self.events: dict[tuple[str, int], Event] = {}
        self.snapshots = MemorySnapshots()
        self.away_until = 0.0
        self.away_places = frozenset[int]()
        self.refuses = False  # while it is away: whether appends fail at once or hang
        self.slow_until = 0.0
        self.slow_seconds = (0.0, 0.0)
        self.conflicts = 0  # appends that were refused

    def away(self, place: int) -> bool:
        """Whether nothing can be appended to a partition and nothing is read from it."""
        return place in self.away_places and self.world.now < self.away_until

    def append(self, drafts: Sequence[Draft], done: Done) -> None:
        """Make the drafts durable sooner or later; `done` is told their events, a conflict, or None if in doubt."""
        world, chance = self.world, self.world.random.random()
        if self.refuses and any(draft.partition is not None and self.away(draft.partition) for draft in drafts):
            world.after(world.random.uniform(0.001, 0.02), lambda: done(None))
            return
        wait = self._latency()
        if world.faults and any(draft.name == names.EXPIRED for draft in drafts) and world.random.random() < 0.3:
            wait += world.random.uniform(0, world.lease / 12)  # and meanwhile the expired come back to life
            for worker in world.workers:
                worker.rouse()
        if not world.faults or chance > 0.04:
            self._land(drafts, wait, done)
        elif chance > 0.02:  # it lands, and the acknowledgement is lost
            self._land(drafts, wait, lambda _: world.after(self._latency(), lambda: done(None)))
        elif chance > 0.01:  # it is told to be in doubt, and lands later
            world.after(wait, lambda: done(None))
            self._land(drafts, wait + world.random.uniform(0, world.lease / 20), lambda _: None)
        else:  # it never lands
            world.after(wait, lambda: done(None))

    def _latency(self) -> float:
        if self.world.now < self.slow_until:
            return self.world.random.uniform(*self.slow_seconds)
        chance = self.world.random.random()
        if chance < 0.9 or not self.world.faults:
            return self.world.random.uniform(0.001, 0.02)
        return self.world.random.uniform(0.02, self.world.lease / 15)

    def _land(self, drafts: Sequence[Draft], wait: float, done: Done) -> None:
        """Land each partition's part whole, at a moment of its own; acknowledge when all have landed."""
        parts: dict[int, list[Draft]] = {}
        for draft in drafts:
            assert draft.partition is not None
            parts.setdefault(draft.partition, []).append(draft)
        missing = len(parts)

        def land(number: int, part: list[Draft]) -> None:
            nonlocal missing
            conflict = self._conflict(number, part)
            if conflict is not None:
                assert len(parts) == 1, "an append with conditions is of one partition"
                self.conflicts += 1
                done(conflict)
                return
            for draft in part:
                self._record(draft)
            self.world.notify_readers()
            missing -= 1
            if not missing:
                done([self.events[draft.writer, draft.seq] for draft in drafts])

        for number, part in parts.items():
            away = self.away_until - self.world.now if self.away(number) else 0.0
            seconds = away + wait + self.world.random.uniform(0, 0.002)
            self.world.after(seconds, functools.partial(land, number, part))

    def _conflict(self, partition: int, drafts: Sequence[Draft]) -> EventConflict | None:
        conditions = conditions_of(drafts)
        if conditions is None or all((draft.writer, draft.seq) in self.events for draft in drafts):  # or a repeat
            return None
        rows = [(offset, landed.row) for offset, landed in enumerate(self.partitions[partition])]
        found = next(conflicts(conditions, rows), None)
        return None if found is None else conditions.conflict(partition, *found)

    def _record(self, draft: Draft) -> None:
        if (draft.writer, draft.seq) in self.events:
            return
        assert draft.partition is not None
        rows = self.partitions[draft.partition]
        event, row = record(draft, self.world.now)
        self.events[draft.writer, draft.seq] = place(event, draft.partition, len(rows))
        rows.append(Landed(row, self.world.now))
        self.world.referee.landed(draft.partition, len(rows) - 1, row)

    def page(self, partition: int, offset: int, limit: int, seen_until: float) -> Page | None:
        """Up to `limit` records from `offset` on, as far as they landed before `seen_until`."""
        rows = self.partitions[partition]
        stop = min(len(rows), offset + limit)
        while stop > offset and rows[stop - 1].at > seen_until:
            stop -= 1
        if stop <= offset:
            return None
        return Page(partition, range(offset, stop), [landed.row for landed in rows[offset:stop]])
