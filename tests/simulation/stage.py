"""What all simulated worlds share: virtual time, chance, a log, processes, and a referee that ends a broken world."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from journeyman.journal.event import Draft

if TYPE_CHECKING:
    from .log import SimulatedLog
    from .port import LogPort
    from .process import ProcessLoop

EPOCH: Final = 1_800_000_000.0


class Violation(AssertionError):
    """An invariant is broken."""


class Judge:
    """A referee: it sees each record as it lands, and the first violation ends its world."""

    def __init__(self, world: "Stage") -> None:
        self.world = world
        self.violation: Violation | None = None

    def check(self, holds: object, what: str) -> None:
        """Raise unless it holds."""
        if not holds:
            self.note(what)
            assert self.violation is not None
            raise self.violation

    def note(self, what: str) -> None:
        """Keep the first violation: where an error would be caught by others, the world ends by it all the same."""
        if self.violation is None:
            self.violation = Violation(f"seed {self.world.seed}, at {self.world.now:.3f} s: {what}")

    def landed(self, partition: int, offset: int, row: bytes) -> None:
        """A record has become part of the log."""
        raise NotImplementedError


class Stage:
    """Virtual time in seconds; whatever happens is an entry of one heap. Misfortunes last as long as leases do.

    `log` and `referee` are given by each kind of world, after it has drawn what they depend on.
    """

    HAPPENINGS_MAX: ClassVar[int]
    log: "SimulatedLog"
    referee: Judge
    running: "Member"  # the process whose code runs at this moment
    lease: float

    def __init__(self, seed: int, chance: random.Random) -> None:
        self.seed = seed
        self.random = chance
        self.now = 0.0
        self.faults = True
        self.workers: Sequence[Member] = []
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

    def _until(self, end: float, done: Callable[[], bool] = lambda: False) -> None:
        while self._heap and self._heap[0][0] <= end and not done():
            self.now, order, call = heapq.heappop(self._heap)
            call()
            if self.referee.violation is not None:
                raise self.referee.violation
            self.referee.check(order < self.HAPPENINGS_MAX, "they are busy without end")
        if not done():
            self.now = end

    def end_faults(self) -> None:
        """From here on nothing goes wrong: the log is there, and no process stands still."""
        self.faults = False
        self.log.away_until = min(self.log.away_until, self.now)
        self.log.slow_until = min(self.log.slow_until, self.now)
        self.notify_readers()
        for worker in self.workers:
            worker.rouse()

    def go_away(self, seconds: float) -> None:
        """Let the whole log be away for so long."""
        self.log.away_until = self.now + seconds
        self.log.away_places = frozenset(range(len(self.log.partitions)))
        self.log.refuses = self.random.random() < 0.5
        self.after(seconds, self.notify_readers)

    def slow_down(self, seconds: float, least: float, most: float) -> None:
        """For so long every append takes between `least` and `most` seconds."""
        self.log.slow_until = self.now + seconds
        self.log.slow_seconds = (least, most)


class Member:
    """A process of a world: it may stand still or end at any moment, and its clock on the wall may be wrong."""

    KIND: ClassVar[str] = "process"
    world: Stage
    loop: "ProcessLoop"
    port: "LogPort"

    def __init__(self, world: Stage, number: int) -> None:
        self.world, self.number = world, number
        self.gone = False
        self.clock_offset = 0.0
        self.awake_since = world.now

    @property
    def wall(self) -> float:
        """The time of its wall clock."""
        return EPOCH + self.world.now + self.clock_offset

    @property
    def asleep(self) -> bool:
        """Whether it stands still."""
        return self.loop.stopped

    def appends(self, drafts: Sequence[Draft]) -> None:
        """It is about to append these, perhaps once more."""

    def pause(self, seconds: float) -> None:
        """Stand still, as after SIGSTOP; what the world has for it happens when it goes on."""
        self.loop.stop_until(self.world.now + seconds)
        self.awake_since = self.loop.stopped_until

    def rouse(self) -> None:
        """Go on now, if it stands still."""
        if self.asleep:
            self.awake_since = self.world.now
            self.loop.go_on()

    def crash(self) -> None:
        """End without a word; what is on its way to the log may still land."""
        self.gone = self.loop.ended = True
        self.world.after(0.0, self.loop.end)

    def failed(self, what: str) -> None:
        """Something is wrong with it."""
        self.world.referee.note(f"{self.KIND} {self.number}: {what}")

    def raised(self, work: "asyncio.Task[Any]") -> None:
        """Report the error of a coroutine that was not to have any."""
        if not work.cancelled() and work.exception() is not None:
            self.failed(f"it raised {work.exception()!r}")
