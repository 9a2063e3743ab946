"""One simulated world of schedules: processes that fire them, operators, faults and wrong clocks, all from one seed.

The product's own scheduler, timetable, replica and fold run on the simulated log, in the time of the world.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from journeyman.journal import AsyncJournal
from journeyman.journal.errors import JournalError
from journeyman.tasks.scheduling import PlannedSchedule, change_schedule, create_schedule, now_ms, pausing, resuming
from journeyman.tasks.state.schedules import Interval, Misfire, Policy, Schedule
from journeyman.workers.scheduler import Scheduler

from .log import SimulatedLog
from .port import LogPort
from .process import ProcessLoop
from .schedule_referee import EVERY_MS, SKEW_SECONDS, ScheduleReferee
from .stage import EPOCH, Member, Stage
from .surroundings import time_of

FAULTY_TICKS: Final = 25
QUIET_TICKS: Final = 6
_TIMED: Final = (
    "journeyman.workers.scheduler",
    "journeyman.tasks.scheduling",
    "journeyman.consumers.views.",
    "journeyman.journal.tails.",
    "journeyman.journal.deadlines",
)


class ScheduleStory(NamedTuple):
    """What happened in a world."""

    seed: int
    fired: int
    skipped: int
    conflicts: int
    crashes: int
    pauses: int
    missed: int


class Process(Member):
    """A process that fires schedules; its clock may be wrong, and it may stop or end at any moment."""

    world: "ScheduleWorld"

    def __init__(self, world: "ScheduleWorld", number: int) -> None:
        super().__init__(world, number)
        self.loop = ProcessLoop(self, 1_000.0 * number)
        self.port = LogPort(self, notices=False)
        self.clock_offset = world.random.choice([0.0, 0.0, world.random.uniform(-SKEW_SECONDS, SKEW_SECONDS)])
        world.running = self
        self.journal = AsyncJournal(self.port)
        self.scheduler = Scheduler(self.journal)
        self.loop.create_task(self.scheduler.run()).add_done_callback(self._over)

    def _over(self, run: "asyncio.Task[None]") -> None:
        if not self.gone and not run.cancelled():
            self.failed(f"its run has ended: {run.exception()!r}")

    def crash(self) -> None:
        """End without a word, and have another one begin later."""
        super().crash()
        self.world.crashes += 1
        self.world.after(self.world.random.choice([1.0, 15.0, 60.0]), self.world.hire)

    def operate(self, work: Callable[[AsyncJournal], Any]) -> None:
        """Do something to a schedule, as a command would."""

        async def attempt() -> None:
            while True:
                try:
                    await work(self.journal)
                except JournalError:
                    await asyncio.sleep(0.5)
                else:
                    return

        self.loop.happen(lambda: self.loop.create_task(attempt()))


class ScheduleWorld(Stage):
    """The processes that fire schedules, and operators."""

    HAPPENINGS_MAX = 40_000
    referee: ScheduleReferee
    workers: list[Process]

    def __init__(self, seed: int) -> None:
        super().__init__(seed, random.Random(f"schedules of world {seed}"))
        self.lease = 5.0  # by which the log's latencies are measured
        self.peace_at = FAULTY_TICKS * EVERY_MS / 1_000
        self.crashes = self.pauses = 0
        self.log = SimulatedLog(self, self.random.choice([1, 2]))
        self.referee = ScheduleReferee(self)
        self.workers = []

    def hire(self) -> None:
        """One more process begins."""
        self.workers.append(Process(self, len(self.workers)))

    def run(self) -> ScheduleStory:
        """The whole story: a time of faults, then one without, at whose end no tick is missing."""
        with time_of(self, _TIMED):
            try:
                self._live()
            finally:
                for worker in self.workers:
                    worker.loop.end()
        books = self.referee.ticks.books.values()
        fired, skipped = sum(len(book.fired) for book in books), sum(len(book.skipped) for book in books)
        missed = sum(len(self.referee.ticks.missed(book)) for book in books)
        return ScheduleStory(self.seed, fired, skipped, self.log.conflicts, self.crashes, self.pauses, missed)

    def _live(self) -> None:
        for _ in range(self.random.randint(2, 3)):
            self.hire()
        for name in ("alpha", "beta"):
            plan = self._plan(name)
            for worker in self.workers[:2]:  # both create it, and one of them joins
                worker.operate(partial(create_schedule, plan=plan))
        self.after(self.random.uniform(5, 20), self._trouble)
        self._until(self.peace_at)
        self.end_faults()
        self.hire()  # in the end there is one
        self.workers[-1].clock_offset = 0.0
        for name in self.referee.ticks.books:
            self.workers[-1].operate(partial(self._resume, name=name))
        self._until(self.peace_at + QUIET_TICKS * EVERY_MS / 1_000)
        self.referee.close()

    def _plan(self, name: str) -> PlannedSchedule:
        chance = self.random
        misfire: Misfire = chance.choice(["run_all", "run_all", "run_once", "skip"])
        overlap: Any = chance.choice(["queue", "queue", "queue", "skip"])
        start = int(EPOCH * 1_000) + chance.randrange(EVERY_MS)
        policy = Policy(misfire, chance.choice([1_000, 15_000]), overlap)
        return PlannedSchedule(name, Interval(EVERY_MS, start), policy, {"task_name": name})

    def _trouble(self) -> None:
        """One misfortune, or the doing of an operator, and the next one later."""
        if not self.faults:
            return
        kind = self.random.choice(["stop", "crash", "crash", "away", "slow", "pause", "resume", "resume"])
        alive = [worker for worker in self.workers if not worker.gone]
        if kind == "away" and self.now > self.log.away_until:
            self.go_away(self.random.choice([1.0, 8.0, 30.0]))
        elif kind == "slow" and self.now > self.log.slow_until:
            self.slow_down(self.random.uniform(5, 20), 0.2, 2.0)
        elif alive:
            self._befall(self.random.choice(alive), kind)
        self.after(self.random.uniform(2, 20), self._trouble)

    def _befall(self, worker: Process, kind: str) -> None:
        name = self.random.choice(["alpha", "beta"])
        if kind == "stop":
            worker.pause(self.random.choice([3.0, 12.0, 35.0]))
        elif kind == "crash":
            worker.crash()
        elif kind == "pause":
            self.pauses += 1
            worker.operate(lambda journal: change_schedule(journal, name, lambda known: pausing(known, {})))
        elif kind == "resume":
            worker.operate(lambda journal: self._resume(journal, name))

    @staticmethod
    async def _resume(journal: AsyncJournal, name: str) -> None:
        def decide(known: Schedule | None) -> Any:
            return resuming(known, now_ms(), {})

        await change_schedule(journal, name, decide)


def simulate(seed: int) -> ScheduleStory:
    """The story of the world of that seed."""
    return ScheduleWorld(seed).run()
