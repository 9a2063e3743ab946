"""One simulated world of schedules: processes that fire them, operators, faults and wrong clocks, all from one seed.

The product's own scheduler, timetable, replica and fold run on the simulated log, in the time of the world. The referee
keeps books of its own, straight from the rules in words.
"""

import asyncio
import heapq
import itertools
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

import orjson
import pytest
from journeyman.journal import AsyncJournal
from journeyman.journal.conditions import conditions_of, conflicts
from journeyman.journal.errors import EventConflict, JournalError
from journeyman.journal.event import Draft, Event
from journeyman.tasks.scheduling import Plan, change_schedule, create_schedule, now_ms, pausing, resuming
from journeyman.tasks.state import names
from journeyman.tasks.state.schedules import Interval, Misfire, Policy, Schedule
from journeyman.tasks.state.ticks import tick_text
from journeyman.testing.clock import stand_in
from journeyman.workers.scheduler import Scheduler

from .lock_world import LockTail
from .log import Done, SimulatedLog
from .port import LogPort, SimulatedTail
from .process import ProcessLoop
from .referee import Violation
from .surroundings import Clock

EPOCH: Final = 1_800_000_000.0
EVERY_MS: Final = 10_000
FAULTY_TICKS: Final = 25
QUIET_TICKS: Final = 6
SKEW_SECONDS: Final = 3.0
HAPPENINGS_MAX: Final = 40_000
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


@dataclass
class Book:
    """What the referee knows of a schedule; the windows are of pauses, in ms: none of their ticks may be missing."""

    misfire: Misfire
    overlap: str
    first: int
    last: int
    fired: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    paused: bool = False
    left_out: list[tuple[int, int]] = field(default_factory=list)


class ScheduleReferee:
    """Checks each record in the moment in which it lands, and the end."""

    def __init__(self, world: "ScheduleWorld") -> None:
        self.world = world
        self.books: dict[str, Book] = {}
        self.tasks: set[str] = set()
        self.violation: Violation | None = None
        self._expected: list[tuple[int, str]] = []  # the partitions and ids of submissions that must come next

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
        said = orjson.loads(row)
        name, context = said["name"], said["context"]
        if name == names.SUBMITTED:
            self.check(self._expected == [(partition, context["task"])], f"{context['task']} comes without its tick")
            self._expected = []
            self.check(context["task"] not in self.tasks, f"{context['task']} is submitted twice")
            self.tasks.add(context["task"])
            return
        self.check(not self._expected, f"{self._expected} is missing behind its tick")
        book = self.books.get(context["schedule"])
        if name == names.SCHEDULE_CREATED:
            self.check(book is None, "a schedule is created twice")
            policy = context["policy"]
            first = context["first"]
            self.books[context["schedule"]] = Book(
                policy.get("misfire", "run_once"), policy.get("overlap", "queue"), first, first - EVERY_MS
            )
            return
        assert book is not None, "no event comes before the creation"
        if name in (names.SCHEDULE_FIRED, names.SCHEDULE_SKIPPED):
            self._settled(name, book, context, partition)
        elif name == names.SCHEDULE_PAUSED:
            self.check(not book.paused, "a paused schedule is paused")
            book.paused = True
        elif name == names.SCHEDULE_RESUMED:
            self.check(book.paused, "a schedule that is not paused is resumed")
            book.paused = False
            book.left_out.append((book.last, context["since"]))

    def _settled(self, name: str, book: Book, context: dict[str, Any], partition: int) -> None:
        tick, schedule = context["tick"], context["schedule"]
        self.check(tick > book.last, f"{schedule}: the tick {tick} comes behind {book.last}")
        self.check((tick - book.first) % EVERY_MS == 0, f"{schedule}: {tick} is none of its ticks")
        self.check(not book.paused, f"{schedule} ticks although it is paused")
        early = tick / 1_000 - EPOCH - self.world.now
        self.check(early <= SKEW_SECONDS, f"{schedule} ticks {early:.1f} s early")
        if book.left_out:
            self.check(tick >= book.left_out[-1][1], f"{schedule}: the tick {tick} of a pause comes after all")
        book.last = tick
        if name == names.SCHEDULE_SKIPPED:
            self.check(book.overlap == "skip" and book.fired, f"{schedule} skips a tick")
            book.skipped.append(tick)
            return
        self.check(context["task"] == f"{schedule}@{tick_text(tick)}", f"{context['task']} is no id of {tick}")
        self.check(book.overlap == "queue" or not book.fired, f"{schedule} ticks while its last run goes on")
        book.fired.append(tick)
        self._expected = [(partition, context["task"])]

    def missed(self, book: Book) -> list[int]:
        """The ticks between its first and its last that were not fired, those of pauses apart."""
        settled = {*book.fired, *book.skipped}
        ticks = range(book.first, book.last + 1, EVERY_MS)
        return [
            tick
            for tick in ticks
            if tick not in settled and not any(since < tick < until for since, until in book.left_out)
        ]

    def close(self) -> None:
        """A time without faults is over."""
        self.check(not self._expected, "the last tick has no task")
        now = int((EPOCH + self.world.now) * 1_000)
        for schedule, book in self.books.items():
            if book.paused:  # by an operator whose append was long under way
                continue
            behind = now - book.last
            self.check(behind < 2 * EVERY_MS, f"{schedule} has not ticked for {behind:,} ms, and nothing is wrong")
            missed = self.missed(book)
            if book.misfire == "run_all" and book.overlap == "queue":
                self.check(not missed, f"{schedule} has not run at {missed}")
            quiet = [tick for tick in missed if tick > int((EPOCH + self.world.peace_at) * 1_000) + EVERY_MS]
            self.check(book.overlap == "skip" or not quiet, f"{schedule} has missed {quiet} though nothing was wrong")


class ConditionalLog(SimulatedLog):
    """A log that refuses a conditional append if an event of its key stands behind the expected position."""

    conflicts = 0

    def _land(self, drafts: Sequence[Draft], wait: float, done: Done) -> None:
        (partition,) = {draft.partition for draft in drafts}
        assert partition is not None

        def land() -> None:
            conflict = self._conflict(partition, drafts)
            if conflict is not None:
                self.conflicts += 1
                done(conflict)  # type: ignore[arg-type]
                return
            for draft in drafts:
                self._record(draft)
            self.world.notify_readers()
            done([self.events[draft.writer, draft.seq] for draft in drafts])

        away = self.away_until - self.world.now if self.away(partition) else 0.0
        self.world.after(away + wait + self.world.random.uniform(0, 0.002), land)

    def _conflict(self, partition: int, drafts: Sequence[Draft]) -> EventConflict | None:
        if all((draft.writer, draft.seq) in self.events for draft in drafts):
            return None  # a repeat
        conditions = conditions_of(drafts)
        if conditions is None:
            return None
        rows = [(offset, landed.row) for offset, landed in enumerate(self.partitions[partition])]
        found = next(conflicts(conditions, rows), None)
        return None if found is None else conditions.conflict(partition, *found)


class SchedulePort(LogPort):
    """The log as a process of schedules has it: an append may be refused, and a wait may time out."""

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log`."""
        events: Any = await super().append(drafts)
        if isinstance(events, EventConflict):
            raise events
        return list(events)

    async def tail(self, cursor: Mapping[int, int]) -> SimulatedTail:
        """See `Log`."""
        tail = LockTail(self, cursor)
        self.tails.append(tail)
        return tail


class Process:
    """A process that fires schedules; its clock may be wrong, and it may stop or end at any moment."""

    def __init__(self, world: "ScheduleWorld", number: int) -> None:
        self.world, self.number = world, number
        self.loop = ProcessLoop(self, 1_000.0 * number)  # type: ignore[arg-type]
        self.port = SchedulePort(self, notices=False)  # type: ignore[arg-type]
        self.skew = world.random.choice([0.0, 0.0, world.random.uniform(-SKEW_SECONDS, SKEW_SECONDS)])
        self.gone = False
        world.running = self
        self.journal = AsyncJournal(self.port)
        self.scheduler = Scheduler(self.journal)
        self.loop.create_task(self.scheduler.run()).add_done_callback(self._over)

    @property
    def wall(self) -> float:
        """What its clock on the wall shows."""
        return EPOCH + self.world.now + self.skew

    def _over(self, run: "asyncio.Task[None]") -> None:
        if not self.gone and not run.cancelled():
            self.failed(f"its run has ended: {run.exception()!r}")

    def appends(self, drafts: Sequence[Draft]) -> None:
        """It appends; nothing to note."""

    def rouse(self) -> None:
        """Go on now, if it stands still."""
        if self.loop.stopped:
            self.loop.go_on()

    def crash(self) -> None:
        """End without a word; what is on its way to the log may still land."""
        self.gone = self.loop.ended = True
        self.world.crashes += 1
        self.world.after(0.0, self.loop.end)
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

    def failed(self, what: str) -> None:
        """Something is wrong with it."""
        self.world.referee.note(f"process {self.number}: {what}")


class ScheduleWorld:
    """Virtual time in seconds, and the processes that fire schedules."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(f"schedules of world {seed}")
        self.now = 0.0
        self.lease = 5.0  # by which the log's latencies are measured
        self.faults = True
        self.peace_at = FAULTY_TICKS * EVERY_MS / 1_000
        self.crashes = self.pauses = 0
        self.log = ConditionalLog(self, self.random.choice([1, 2]))  # type: ignore[arg-type]
        self.referee = ScheduleReferee(self)
        self.workers: list[Process] = []
        self.running: Process
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

    def hire(self) -> None:
        """One more process begins."""
        self.workers.append(Process(self, len(self.workers)))

    def run(self) -> ScheduleStory:
        """The whole story: a time of faults, then one without, at whose end no tick is missing."""
        with _surroundings(self):
            try:
                self._live()
            finally:
                for worker in self.workers:
                    worker.loop.end()
        books = self.referee.books.values()
        fired, skipped = sum(len(book.fired) for book in books), sum(len(book.skipped) for book in books)
        missed = sum(len(self.referee.missed(book)) for book in books)
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
        self.faults = False
        self.log.away_until = min(self.log.away_until, self.now)
        self.log.slow_until = min(self.log.slow_until, self.now)
        self.notify_readers()
        for worker in self.workers:
            worker.rouse()
        self.hire()  # in the end there is one
        self.workers[-1].skew = 0.0
        for name in self.referee.books:
            self.workers[-1].operate(partial(self._resume, name=name))
        self._until(self.peace_at + QUIET_TICKS * EVERY_MS / 1_000)
        self.referee.close()

    def _plan(self, name: str) -> Plan:
        chance = self.random
        misfire: Misfire = chance.choice(["run_all", "run_all", "run_once", "skip"])
        overlap: Any = chance.choice(["queue", "queue", "queue", "skip"])
        start = int(EPOCH * 1_000) + chance.randrange(EVERY_MS)
        policy = Policy(misfire, chance.choice([1_000, 15_000]), overlap)
        return Plan(name, Interval(EVERY_MS, start), policy, {"task_name": name})

    def _until(self, end: float) -> None:
        while self._heap and self._heap[0][0] <= end:
            self.now, order, call = heapq.heappop(self._heap)
            call()
            if self.referee.violation is not None:
                raise self.referee.violation
            self.referee.check(order < HAPPENINGS_MAX, "they are busy without end")
        self.now = end

    def _trouble(self) -> None:
        """One misfortune, or the doing of an operator, and the next one later."""
        if not self.faults:
            return
        kind = self.random.choice(["stop", "crash", "crash", "away", "slow", "pause", "resume", "resume"])
        alive = [worker for worker in self.workers if not worker.gone]
        if kind == "away" and self.now > self.log.away_until:
            self._go_away()
        elif kind == "slow" and self.now > self.log.slow_until:
            self.log.slow_until = self.now + self.random.uniform(5, 20)
            self.log.slow_seconds = (0.2, 2.0)
        elif alive:
            self._befall(self.random.choice(alive), kind)
        self.after(self.random.uniform(2, 20), self._trouble)

    def _befall(self, worker: Process, kind: str) -> None:
        name = self.random.choice(["alpha", "beta"])
        if kind == "stop":
            worker.loop.stop_until(self.now + self.random.choice([3.0, 12.0, 35.0]))
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

    def _go_away(self) -> None:
        seconds = self.random.choice([1.0, 8.0, 30.0])
        self.log.away_until = self.now + seconds
        self.log.away_places = frozenset(range(len(self.log.partitions)))
        self.log.refuses = self.random.random() < 0.5
        self.after(seconds, self.notify_readers)


@contextmanager
def _surroundings(world: ScheduleWorld) -> Iterator[None]:
    """Let the product live in the time of that world."""
    clock: Any = Clock(world)  # type: ignore[arg-type]
    with stand_in(time, clock, _TIMED), pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("journeyman.worker"), "disabled", True)
        yield


def simulate(seed: int) -> ScheduleStory:
    """The story of the world of that seed."""
    return ScheduleWorld(seed).run()
