"""One simulated world: producers, workers, faults and time, all from one seed. The same seed is the same story."""

import itertools
import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import orjson
from journeyman.journal.errors import EventConflict
from journeyman.journal.event import Draft, Event
from journeyman.tasks import Broker, Message, Task, TaskView
from journeyman.tasks.limits import DEAD_LETTERS_KEPT, ENDED_TASK_EVENTS
from journeyman.tasks.state import names
from journeyman.tasks.state.decoding import dead_letter_context
from journeyman.tasks.state.selection import Selection
from journeyman.tasks.submitting import submission
from journeyman.workers.executors.pipeline import Job, Outcome

from .log import SimulatedLog
from .referee import Referee
from .stage import EPOCH, Stage
from .surroundings import surroundings_of
from .worker import SimulatedWorker

LEASES: Final = (0.5, 2.0, 6.0, 15.0, 60.0, 600.0, 3_600.0)
FAULTY_LEASES: Final = 12.0
SETTLING_LEASES, SETTLING_SECONDS = 100.0, 3 * 3_600.0


class Script(NamedTuple):
    """How a task behaves: how long it runs, how likely an attempt fails, whether it kills its worker."""

    seconds: float
    failing: float
    kills: bool


class Story(NamedTuple):
    """What happened in a world."""

    seed: int
    seconds: float
    tasks: int
    records: int
    refused: int
    expiries: int
    suspects: int
    begun_anew: int
    taken_up: int


class World(Stage):
    """The workers, their tasks, and what happens to them."""

    HAPPENINGS_MAX = 80_000
    referee: Referee
    workers: list[SimulatedWorker]
    running: SimulatedWorker

    def __init__(self, seed: int) -> None:
        super().__init__(seed, random.Random(seed))
        # Apart, so that which tasks workers choose changes nothing else of the story.
        self.taste = random.Random(f"what the workers of world {seed} choose")
        # Likewise: in some worlds the views forget soon what has ended, and a producer comes back to it.
        self.memory = random.Random(f"what the views of world {seed} remember")
        self.forgetful = self.memory.random() < 0.35
        self.forgets_after = self.memory.choice([15, 40, 100]) if self.forgetful else ENDED_TASK_EVENTS
        self.letters_kept = self.memory.choice([1, 2]) if self.forgetful else DEAD_LETTERS_KEPT
        # And what came later: which logs send notices, which outcomes are written alone, how the end of a drain falls.
        self.listeners = random.Random(f"what the workers of world {seed} hear")
        self.ringing = self.listeners.choice([0.0, 0.0, 0.5, 1.0])
        self.alone_at_once = self.listeners.random() < 0.5
        # In some worlds many tasks end their workers: then several suspects wait at the same time.
        self.deadly = random.Random(f"what the tasks of world {seed} do").choice([0.04, 0.04, 0.04, 0.3])
        self.tasks = _tasks(self.listeners.random() < 0.5)
        self.lease = self.random.choice(LEASES)
        self.selections = self._selections()
        self.peace_at = FAULTY_LEASES * self.lease
        self.log = SimulatedLog(self, self.random.choice([1, 1, 2]))
        self.referee = Referee(self)
        self.scripts: dict[str, Script] = {}
        self.workers = []
        self.closing = False  # all is done, and no worker begins any more
        self.everyone: list[SimulatedWorker] = []
        self._seq = itertools.count(1)

    def run(self) -> Story:
        """The whole story: a time of faults, then one without, at whose end everything must be done."""
        with surroundings_of(self):
            try:
                self._live()
            finally:
                for worker in self.everyone:
                    worker.loop.end()
        records = sum(map(len, self.log.partitions))
        referee = self.referee
        counts = (referee.refused, referee.expiries, referee.suspects, referee.begun_anew, referee.taken_up)
        return Story(self.seed, self.now, len(referee.books), records, *counts)

    def _live(self) -> None:
        for _ in range(self.random.randint(2, 4)):
            self.hire()
        for _ in range(self.random.randint(1, 3)):
            self.after(self.random.uniform(0, 0.5) * self.lease, self._produce)
        self.after(self.random.uniform(0.3, 3) * self.lease, self._trouble)
        self._until(self.peace_at)
        self._make_peace()
        self._until(self.now + SETTLING_LEASES * self.lease + SETTLING_SECONDS, lambda: self.referee.settled)
        self.referee.close()
        self._close()
        self._compare_views()

    def _close(self) -> None:
        """Let the workers read all records; then stop them, and check that they end."""
        self.closing = True
        staying = [worker for worker in self.workers if not (worker.gone or worker.draining)]
        self._until(self.now + 5 * self.lease, lambda: all(worker.knows_all for worker in staying if not worker.gone))
        for worker in staying:
            self.referee.check(worker.gone or worker.knows_all, f"worker {worker.number} does not read what there is")
            worker.drain()
        self._until(self.now + 10 * self.lease, lambda: all(worker.gone for worker in self.workers))
        for worker in self.workers:
            self.referee.check(worker.gone, f"worker {worker.number} does not end")

    # -- what they choose --------------------------------------------------------------------------------------------

    def _selections(self) -> list[Selection]:
        """What workers choose; the first of these is for who chooses nothing."""
        ageing = self.taste.choice([0, 0, 1, int(self.lease * 500), int(self.lease * 50_000)])
        kinds = [Selection(ageing_ms=ageing)]
        if self.taste.random() < 0.3:
            kinds = [Selection(order="fair", weights={"a": 3}, ageing_ms=ageing)]
        if self.taste.random() < 0.3:
            narrow = msgspec.structs.replace(kinds[0], queues=("ab", "a"), tasks={"a": ("work",)})
            kinds += [narrow, msgspec.structs.replace(kinds[0], queues=("b", "a"), weights={})]
        return kinds

    def selection(self, number: int) -> Selection:
        """The selection of the worker of that number; without faults all workers together select everything."""
        return self.selections[number % len(self.selections) if self.faults else 0]

    # -- who there is ------------------------------------------------------------------------------------------------

    def hire(self) -> None:
        """One more worker, unless there are many."""
        self.workers = [worker for worker in self.workers if not worker.gone]
        if len(self.workers) < 5 and not self.closing:
            self._begin_another()

    def _begin_another(self) -> None:
        worker = SimulatedWorker(self, next(self._seq))
        self.workers.append(worker)
        self.everyone.append(worker)

    def _produce(self) -> None:
        """Submit a few tasks, some of them a second time, and come back later."""
        for _ in range(self.random.randint(1, 6)):
            task = f"t{next(self._seq)}"
            self.scripts[task] = Script(
                self.random.choice([0.000_1, 0.01, 0.07, 0.3, 1.5]) * self.lease,
                self.random.choice([0.0, 0.0, 0.3, 1.0]),
                self.random.random() < self.deadly,
            )
            message = Message(
                task_name=self.listeners.choice(sorted(self.tasks)),
                queue=self.taste.choice(["a", "ab", "b"]),
                uuid=task,
                priority=self.random.choice([0, 0, 1, 2]),
                max_retries=self.random.choice([0, 1, 2] if self.scripts[task].failing == 1.0 else [0, 1, 3, None]),
                created_at=int((EPOCH + self.now) * 1_000),
                delay=self.random.choice([0, 0, 0, 700, int(5_000 * self.lease)]),
            )
            self._submit(message)
            if self.random.random() < 0.1:
                self._submit(message)  # by another producer, or by the same one that forgot
            if self.forgetful:
                self._come_back(message)
            if self.random.random() < 0.05:
                self._say_later(names.REVOKED, task, 1)
            elif self.random.random() < (0.6 if self.scripts[task].failing == 1.0 else 0.1):
                self._say_later(names.REQUEUED, task, 4)
                self._say_later(names.REQUEUED, task, 8)
        if self.now < 0.6 * self.peace_at:
            self.after(self.random.expovariate(1) * 1.3 * self.lease, self._produce)

    def _come_back(self, message: Message) -> None:
        """A producer submits a task again, or requeues it, when the views may have forgotten it."""
        for _ in range(self.memory.choice([0, 0, 1, 2])):
            again = self.memory.random() < 0.4
            call = self._resubmit if again else self._requeue
            self.after(self.memory.uniform(0, 16) * self.lease, lambda call=call: call(message))  # type: ignore[misc]

    def _resubmit(self, message: Message) -> None:
        if self.faults:
            self._submit(message)

    def _requeue(self, message: Message) -> None:
        """As a broker does that has found a dead letter: it says where the submission stands."""
        task, place = message.uuid, self._place(message.uuid)
        book = self.referee.books.get(task)
        if self.faults and book is not None and book.state == "failed":
            rows = [landed.row for landed in self.log.partitions[place]]
            at = max(at for at, row in enumerate(rows) if b'"task.submitted"' in row and b'"%b"' % task.encode() in row)
            context = orjson.dumps(dead_letter_context(rows[at], at))
            self._say(Draft(names.REQUEUED, context, task, place), lambda: None)

    def _place(self, task: str) -> int:
        return sum(task.encode()) % len(self.log.partitions)

    def _submit(self, message: Message) -> None:
        draft = submission(message)
        draft.partition = self._place(message.uuid)
        self._say(draft, lambda: self.referee.accepted_submission(message.uuid))

    def _say_later(self, name: str, task: str, leases: float) -> None:
        """An operator revokes or requeues a task, whether or not that makes sense."""

        def say() -> None:
            if task in self.referee.books:
                self._say(Draft(name, b'{"task":"%b"}' % task.encode(), task, self._place(task)), lambda: None)

        self.after(self.random.uniform(0, leases) * self.lease, say)

    def _say(self, draft: Draft, done: Callable[[], Any]) -> None:
        """Append as a patient producer does: the same draft again until it is acknowledged."""
        draft.writer, draft.seq = "producer", next(self._seq)

        def attempt() -> None:
            self.log.append([draft], answered)

        def answered(events: list[Event] | EventConflict | None) -> None:
            if events is None:
                self.after(self.random.uniform(0.05, 0.5), attempt)
            else:
                done()

        attempt()

    # -- what happens to them ----------------------------------------------------------------------------------------

    def _trouble(self) -> None:
        """One misfortune, and the next one later."""
        kind = self.random.choice(["pause", "pause", "crash", "drain", "clock", "away", "hire", "ghost", "slow"])
        worker = self.random.choice(self.workers)
        if kind == "pause":
            worker.pause(self.random.choice([0.2, 0.5, self.random.uniform(1.0, 1.3), 1.5, 3.0]) * self.lease)
        elif kind == "crash" and not worker.gone:
            worker.crash()
        elif kind == "drain" and not worker.gone:
            worker.drain()
            self.after(self.random.uniform(0, 2) * self.lease, self.hire)
        elif kind == "clock":
            worker.clock_offset = self.random.choice([-1, 1, 0]) * min(3_600.0, 60 * self.lease)
        elif kind == "away":
            self._go_away()
        elif kind == "ghost":
            self._haunt()
        elif kind == "slow":
            self._slow_down()
        else:
            self.hire()
        if self.now < self.peace_at:
            self.after(self.random.uniform(0.1, 2) * self.lease, self._trouble)

    def _go_away(self) -> None:
        """The journal, or one partition of it, is away, perhaps for longer than a lease, and perhaps soon again."""
        if self.now > self.log.away_until + 0.5 * self.lease:
            seconds = self.random.choice([0.3, 0.5, 0.9, self.random.uniform(0.9, 1.4), 2.5, 3.0]) * self.lease
            self.log.away_until = self.now + seconds
            places = range(len(self.log.partitions))
            self.log.away_places = frozenset(self.taste.choice([places, places, [self.taste.choice(places)]]))
            # Longer than this, and trying again would be all there is to tell.
            self.log.refuses = seconds < 20 and self.random.random() < 0.5
            self.after(seconds, self.notify_readers)

    def _slow_down(self) -> None:
        """For a while every append takes longer than a third of a lease, and some as long as most of one."""
        if self.now > self.log.slow_until:
            seconds = self.listeners.uniform(0.5, 3.0) * self.lease
            self.slow_down(seconds, 0.34 * self.lease, self.listeners.choice([0.4, 0.6, 0.9]) * self.lease)

    def _haunt(self) -> None:
        """Outcomes of claims that are long over come from somewhere."""
        for task, book in self.referee.books.items():
            if book.state == "claimed" and self.random.random() < 0.5:
                name = self.random.choice([names.SUCCEEDED, names.FAILED, names.RETRIED, names.INTERRUPTED])
                context = {"task": task, "worker": book.owner, "claim": self.random.randrange(-1, book.token)}
                self._say(Draft(name, orjson.dumps(context), task, book.partition), lambda: None)

    def success(self, job: Job) -> Outcome:
        """The outcome of a job that succeeds."""
        return Outcome(job, names.SUCCEEDED)

    def disturb(self, worker: str) -> None:
        """A session was expired: if its worker stands still, it may go on just now, and not know."""
        who = self.referee.owners[worker]
        if self.faults and who.asleep and self.random.random() < 0.4:
            who.port.blind_until = self.now + self.random.uniform(0, self.lease / 20)
            who.rouse()

    def _make_peace(self) -> None:
        """From here on nothing goes wrong. There are workers, and if they suffice, those that saw the faults."""
        self.faults = False
        if sum(not (worker.gone or worker.draining) for worker in self.workers) < 2:
            self.hire()
            self.hire()
        if len(self.selections) > 1:
            self._begin_another()

    def _compare_views(self) -> None:
        """A reader that has read everything knows what the referee knows."""
        expected = self._states(self.referee.view)
        for worker in self.workers:
            if worker.knows_tasks:
                seen = self._states(worker.worker_loop.view)
                self.referee.check(seen == expected, f"worker {worker.number} sees another state than the referee")

    def _states(self, seen: TaskView) -> dict[str, str]:
        return {task: seen.state_of(self._place(task), task).name.lower() for task in self.referee.books}


def _tasks(two_mechanisms: bool) -> dict[str, Task[Any, Any]]:
    """The tasks of the workers: for threads, and in some worlds for processes too."""
    broker = Broker("memory://")
    tasks: list[Task[Any, Any]] = [Task(_work, broker, "work", backoff=None)]
    if two_mechanisms:
        tasks.append(Task(_work, broker, "grind", backoff=None, mechanism="process"))
    return {task.name: task for task in tasks}


def _work() -> None:
    """Nothing: how long it takes and how it ends is in the script."""


def simulate(seed: int) -> Story:
    """Run the world of a seed to its end; `Violation` names the seed and the moment."""
    return World(seed).run()
