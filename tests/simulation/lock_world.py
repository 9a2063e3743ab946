"""One simulated world of locks: processes that acquire, hold and release, faults and time, all from one seed.

The product's own requests, keeper, replica and fold run on the simulated log, in the time of the world.
"""

import asyncio
import heapq
import itertools
import logging
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import pytest
from journeyman.journal import AsyncJournal
from journeyman.journal.errors import JournalError
from journeyman.journal.event import Draft, Event
from journeyman.journal.limits import PAGE_EVENTS
from journeyman.journal.log import Page
from journeyman.tasks.locking.requests import Wanted, lock_requests

from .lock_referee import LockReferee
from .log import SimulatedLog
from .port import LogPort, SimulatedTail
from .process import ProcessLoop
from .surroundings import Clock

LEASES: Final = (0.5, 5.0, 60.0)
FAULTY_LEASES: Final = 8.0
SETTLING_LEASES: Final = 60.0
LOCKS: Final = ("door", "gate")
HAPPENINGS_MAX: Final = 60_000
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


class LockWorld:
    """Virtual time in seconds, and the processes that use locks."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(f"locks of world {seed}")
        self.now = 0.0
        self.lease = self.random.choice(LEASES)
        self.capacities = {lock: self.random.choice([(1,), (1,), (2,), (1, 3)]) for lock in LOCKS}
        self.peace_at = FAULTY_LEASES * self.lease
        self.faults = True
        self.crashes = 0
        self.log = SimulatedLog(self, self.random.choice([1, 2]))  # type: ignore[arg-type]
        self.away_began = self.away_ended = -1e9
        self.referee = LockReferee(self)
        self.workers: list[Visitor] = []
        self.running: Visitor
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Let it happen in so many seconds."""
        heapq.heappush(self._heap, (self.now + seconds, next(self._order), call))

    def notify_readers(self) -> None:
        """Something has landed, or the log is back: each process learns of it soon."""
        for worker in self.workers:
            if not worker.gone:
                worker.port.notify(self.random.uniform(0.0, 0.02))

    def run(self) -> LockStory:
        """The whole story: a time of faults, then one without, at whose end all visits are over."""
        with _surroundings(self):
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
        self.faults = False
        self.log.away_until = min(self.log.away_until, self.now)
        self.log.slow_until = min(self.log.slow_until, self.now)
        self.notify_readers()
        for worker in self.workers:
            worker.rouse()
        self.workers.append(Visitor(self, len(self.workers)))  # in the end there is one that finds the dead
        end = self.now + SETTLING_LEASES * self.lease
        self._until(end, lambda: all(worker.gone or worker.done for worker in self.workers))
        for worker in self.workers:
            self.referee.check(worker.gone or worker.done, f"a visit of process {worker.number} does not end")
        self._until(self.now + 4 * self.lease)
        self.referee.close()

    def _until(self, end: float, done: Callable[[], bool] = lambda: False) -> None:
        while self._heap and self._heap[0][0] <= end and not done():
            self.now, order, call = heapq.heappop(self._heap)
            call()
            if self.referee.violation is not None:
                raise self.referee.violation
            self.referee.check(order < HAPPENINGS_MAX, "they are busy without end")
        if not done():
            self.now = end

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
            self.log.slow_until = self.now + self.random.uniform(0.5, 2.0) * self.lease
            self.log.slow_seconds = (0.1 * self.lease, 0.4 * self.lease)
        self.after(self.random.uniform(0.3, 2) * self.lease, self._trouble)

    def _go_away(self) -> None:
        """The journal is away, perhaps for longer than a lease."""
        if self.now > self.log.away_until + self.lease:
            seconds = self.random.choice([0.4, 0.9, 1.5, 2.5]) * self.lease
            self.away_began, self.away_ended = self.now, self.now + seconds
            self.log.away_until = self.now + seconds
            self.log.away_places = frozenset(range(len(self.log.partitions)))
            self.log.refuses = self.random.random() < 0.5
            self.after(seconds, self.notify_readers)


class Visitor:
    """A process with a few visits to the locks, one after the other or at the same time."""

    def __init__(self, world: LockWorld, number: int) -> None:
        self.world, self.number = world, number
        self.loop = ProcessLoop(self, 1_000.0 * number)  # type: ignore[arg-type]
        self.port = LockPort(self, notices=False)  # type: ignore[arg-type]
        self.gone = False
        self.awake_since = world.now
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
        if not visits.cancelled() and visits.exception() is not None:
            self.failed(f"it raised {visits.exception()!r}")

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
        wanted = Wanted(
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

    def appends(self, drafts: Sequence[Draft]) -> None:
        """It appends; nothing to note."""

    def pause(self, seconds: float) -> None:
        """Stand still, as after SIGSTOP."""
        self.loop.stop_until(self.world.now + seconds)
        self.awake_since = self.loop.stopped_until

    def rouse(self) -> None:
        """Go on now, if it stands still."""
        if self.loop.stopped:
            self.awake_since = self.world.now
            self.loop.go_on()

    def crash(self) -> None:
        """End without a word; what is on its way to the log may still land."""
        if not self.gone:
            self.world.crashes += 1
        self.gone = self.loop.ended = True
        self.world.after(0.0, self.loop.end)

    def failed(self, what: str) -> None:
        """Something is wrong with it."""
        self.world.referee.note(f"process {self.number}: {what}")


class LockPort(LogPort):
    """The log as a program of locks has it: events go to the partition of their key, and a wait may time out."""

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log`."""
        for draft in drafts:
            draft.partition = self.partition_of(draft.key)
        return await super().append(drafts)

    async def tail(self, cursor: Mapping[int, int]) -> "SimulatedTail":
        """See `Log`."""
        tail = LockTail(self, cursor)
        self.tails.append(tail)
        return tail


class LockTail(SimulatedTail):
    """A reader that waits as long as it is told."""

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail`."""
        timer = None
        while True:
            page = await self._look(limit, sorted(self._next))
            if page is not None:
                self._next[page.partition] = page.next_offset
            if page is not None or timeout == 0 or (timer is not None and timer.when() <= self._loop.time()):
                if timer is not None:
                    timer.cancel()
                return page
            self._waiting = self._loop.create_future()
            if timeout is not None and timer is None:
                timer = self._loop.call_later(timeout, self._arrived)
            await self._waiting


@contextmanager
def _surroundings(world: LockWorld) -> Iterator[None]:
    """Let the product live in the time of that world."""
    clock: Any = Clock(world)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith(_TIMED) and getattr(module, "time", None) is time:
                patch.setattr(module, "time", clock)
        patch.setattr(logging.getLogger("journeyman"), "disabled", True)
        yield


def simulate(seed: int) -> LockStory:
    """The story of the world of that seed."""
    return LockWorld(seed).run()
