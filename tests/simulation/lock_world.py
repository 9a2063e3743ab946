"""One simulated world of locks: processes that acquire, hold and release, faults and time, all from one seed.

The product's own requests, keeper, replica and fold run on the simulated log, in the time of the world.
"""

import asyncio
import random
from typing import Final, NamedTuple

from journeyman.journal import AsyncJournal
from journeyman.journal.errors import JournalError
from journeyman.tasks.locking.requests import LockTerms, lock_requests

from .lock_referee import LockReferee
from .log import SimulatedLog
from .port import LogPort
from .process import ProcessLoop
from .stage import Member, Stage
from .surroundings import time_of

LEASES: Final = (0.5, 5.0, 60.0)
FAULTY_LEASES: Final = 8.0
SETTLING_LEASES: Final = 60.0
LOCKS: Final = ("door", "gate")
# The modules whose clock is the world's.
_TIMED: Final = (
    "journeyman.tasks.locking.",
    "journeyman.consumers.views.",
    "journeyman.journal.tails.",
    "journeyman.journal.deadlines",
)


class LockStory(NamedTuple):
    """What happened in a world."""

    seed: int
    seconds: float
    records: int
    grants: int
    refused: int
    expiries: int
    crashes: int


class LockWorld(Stage):
    """The processes that use locks."""

    HAPPENINGS_MAX = 60_000
    referee: LockReferee
    workers: "list[Visitor]"

    def __init__(self, seed: int) -> None:
        super().__init__(seed, random.Random(f"locks of world {seed}"))
        self.lease = self.random.choice(LEASES)
        self.capacities = {lock: self.random.choice([(1,), (1,), (2,), (1, 3)]) for lock in LOCKS}
        self.peace_at = FAULTY_LEASES * self.lease
        self.crashes = 0
        self.log = SimulatedLog(self, self.random.choice([1, 2]))
        self.away_began = self.away_ended = -1e9
        self.referee = LockReferee(self)
        self.workers = []

    def run(self) -> LockStory:
        """The whole story: a time of faults, then one without, at whose end all visits are over."""
        with time_of(self, _TIMED):
            try:
                self._live()
            finally:
                for worker in self.workers:
                    worker.loop.end()
        referee = self.referee
        counts = (len(referee.grants), referee.refused, referee.expiries, self.crashes)
        return LockStory(self.seed, self.now, sum(map(len, self.log.partitions)), *counts)

    def _live(self) -> None:
        for number in range(self.random.randint(2, 4)):
            self.workers.append(Visitor(self, number))
        self.after(self.random.uniform(0.3, 2) * self.lease, self._trouble)
        self._until(self.peace_at)
        self.end_faults()
        self.workers.append(Visitor(self, len(self.workers)))  # in the end there is one that finds the dead
        end = self.now + SETTLING_LEASES * self.lease
        self._until(end, lambda: all(worker.gone or worker.done for worker in self.workers))
        for worker in self.workers:
            self.referee.check(worker.gone or worker.done, f"a visit of process {worker.number} does not end")
        self._until(self.now + 4 * self.lease)
        self.referee.close()

    def _trouble(self) -> None:
        """One misfortune, and the next one later."""
        if not self.faults:
            return
        kind = self.random.choice(["pause", "crash", "away", "away", "slow"])
        worker = self.random.choice(self.workers)
        if kind == "pause":
            worker.pause(self.random.choice([0.3, 1.2, 2.5]) * self.lease)
        elif kind == "crash" and self.random.random() < 0.6:
            worker.crash()
        elif kind == "away":
            self._go_away()
        elif kind == "slow" and self.now > self.log.slow_until:
            self.slow_down(self.random.uniform(0.5, 2.0) * self.lease, 0.1 * self.lease, 0.4 * self.lease)
        self.after(self.random.uniform(0.3, 2) * self.lease, self._trouble)

    def _go_away(self) -> None:
        """The journal is away, perhaps for longer than a lease."""
        if self.now > self.log.away_until + self.lease:
            seconds = self.random.choice([0.4, 0.9, 1.5, 2.5]) * self.lease
            self.away_began, self.away_ended = self.now, self.now + seconds
            self.go_away(seconds)


class Visitor(Member):
    """A process with a few visits to the locks, one after the other or at the same time."""

    world: LockWorld

    def __init__(self, world: LockWorld, number: int) -> None:
        super().__init__(world, number)
        self.loop = ProcessLoop(self, 1_000.0 * number)
        self.port = LogPort(self, notices=False)
        world.running = self
        self.journal = AsyncJournal(self.port)
        self._left = world.random.randint(1, 3)
        for user in range(self._left):
            self.loop.create_task(self._visits(f"p{number}.{user}")).add_done_callback(self._over)

    @property
    def done(self) -> bool:
        """Whether its visits are over."""
        return self._left == 0

    def _over(self, visits: "asyncio.Task[None]") -> None:
        self._left -= 1
        self.raised(visits)

    async def _visits(self, owner: str) -> None:
        chance, lease = self.world.random, self.world.lease
        for _ in range(chance.randint(2, 4)):
            await asyncio.sleep(chance.uniform(0, 1.5) * lease)
            try:
                await self._visit(owner)
            except JournalError:
                continue  # the log is away: the user comes back later

    async def _visit(self, owner: str) -> None:
        world, chance, lease = self.world, self.world.random, self.world.lease
        lock = chance.choice(LOCKS)
        ttl = chance.choice([None, None, int(2_000 * lease)])
        wanted = LockTerms(
            lock,
            owner,
            chance.choice(world.capacities[lock]),
            int(lease * 1_000),
            ttl,
            "host",
            self.number,
            lambda: True,
        )
        requests = lock_requests(self.journal)
        wait = chance.choice([None, 0.5 * lease, 8 * lease, 40 * lease])
        answer = await requests.acquire(wanted, wait)
        if answer.already:
            world.referee.releasing(lock, owner)
            await requests.release(lock, owner)  # it was kept at an earlier visit
            return
        if answer.token is None:
            return
        world.referee.believed(self, lock, owner, answer.token)
        await asyncio.sleep(chance.choice([0.0, 0.1, 0.5, 3.0]) * lease)
        if ttl is None or chance.random() < 0.5:  # otherwise its ttl ends it
            world.referee.releasing(lock, owner)
            released = await requests.release(lock, owner)
            world.referee.released(lock, answer.token, released)

    def crash(self) -> None:
        """End without a word; what is on its way to the log may still land."""
        if not self.gone:
            self.world.crashes += 1
        super().crash()


def simulate(seed: int) -> LockStory:
    """The story of the world of that seed."""
    return LockWorld(seed).run()
