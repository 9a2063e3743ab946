"""One simulated world in which the tasks of workers have linked locks, and come by schedules that the workers fire.

A `World` of the product's whole worker loop. Its referee knows the rules of locks and ticks beside those of tasks.
"""

import random
import zlib
from typing import Any, Final, NamedTuple

import orjson
from journeyman.journal.event import Draft, encode_context
from journeyman.journal.event_decoding import decode
from journeyman.tasks import Message, Verdict
from journeyman.tasks.limits import DEAD_LETTERS_KEPT, ENDED_TASK_EVENTS
from journeyman.tasks.state import names
from journeyman.tasks.state.routing import routing_key

from .referee import Book, Referee
from .schedule_referee import ScheduleBooks
from .stage import EPOCH
from .world import Script, World

LOCKS: Final = ("stock", "shelf", "cash", "till", "van", "yard")
SCHEDULES: Final = ("hourly", "daily")
SKEW_LEASES, SKEW_SECONDS_MAX = 60.0, 3_600.0  # of the clocks of workers


class MixedStory(NamedTuple):
    """What happened in a world."""

    seed: int
    holds: int
    releases: int
    together: int  # releases in one append with the end of the task
    fired: int
    skipped: int
    conflicts: int
    expiries: int


class Hold(NamedTuple):
    """A request of a lock for a task."""

    lock: str
    token: int
    task: str


class MixedReferee(Referee):
    """Knows beside the other rules: a linked lock is held until its task has ended, and a tick has one run."""

    world: "MixedWorld"

    def __init__(self, world: "MixedWorld") -> None:
        super().__init__(world)
        self.lines: dict[str, list[Hold]] = {lock: [] for lock in LOCKS}  # the first of each line holds the lock
        self.linked: dict[str, Hold] = {}  # by task
        self.over: set[str] = set()  # the tasks that have ended once
        self.enders: dict[str, str] = {}  # of each task: the session whose outcome has ended it
        self.holds = self.releases = self.together = 0
        skew = min(SKEW_SECONDS_MAX, SKEW_LEASES * world.lease)
        self.ticks = ScheduleBooks(self, skew, lambda task: self.books[task].state in ("ready", "claimed"))
        self._last_end = (-1, -1, "")  # the partition, offset and task of the last outcome that has ended one

    def landed(self, partition: int, offset: int, row: bytes) -> None:
        """See `Referee`."""
        said = orjson.loads(row)
        name, context = said["name"], said["context"]
        if name == names.SUBMITTED:
            self.ticks.submitted(context["task"], partition)
        else:
            self.ticks.complete(partition)
        if name not in names.LOCK_EVENTS and name not in names.SCHEDULE_EVENTS:
            super().landed(partition, offset, row)
            self.over |= {context["task"]} if self._has_ended(context.get("task", "")) else set()
            self.over |= {task for task in self.books if self._has_ended(task)} if name == names.EXPIRED else set()
            return
        expected = True
        if name in names.SCHEDULE_EVENTS:
            self.ticks.landed(name, context, partition)
        else:
            expected = self._lock_moves(name, context, partition, offset)
        verdict = self.view.apply(decode(row, partition, offset))
        self.check((verdict is Verdict.ACCEPTED) == expected, f"{name} {context} was {verdict.name}")

    def _has_ended(self, task: str) -> bool:
        book = self.books.get(task)
        return book is not None and book.state in ("succeeded", "failed", "revoked")

    def _lock_moves(self, name: str, context: dict[str, Any], partition: int, offset: int) -> bool:
        """Whether the event is to be accepted, and what follows from it."""
        line = self.lines[context["lock"]]
        if name == names.LOCK_REQUESTED:
            line.append(Hold(context["lock"], offset, context["owner"]))
            self.holds += len(line) == 1
            return True
        hold = next((each for each in line if each.token == context["token"]), None)
        if hold is None or (name == names.LOCK_RELEASED and hold is not line[0]):
            return False
        if name == names.LOCK_RELEASED:
            task = context["task"]
            self.check(task == hold.task, f"the lock of {hold.task} is released for {task}")
            self.check(task in self.over, f"{hold.lock} is released, and {task}, to which it is linked, has not ended")
            self.releases += 1
            self.together += self._last_end == (partition, offset - 1, task)
        was_held = hold is line[0]
        line.remove(hold)
        self.holds += was_held and bool(line)
        return True

    def _ended(self, name: str, book: Book, task: str, worker: str, context: dict[str, Any], offset: int) -> bool:
        accepted = super()._ended(name, book, task, worker, context, offset)
        if accepted and book.state in ("succeeded", "failed"):
            self.enders[task] = worker
            self._last_end = (book.partition, offset, task)
        return accepted

    def granted(self, lock: str, task: str) -> Hold | None:
        """The hold of a task, if its request was granted."""
        line = self.lines[lock]
        return line[0] if line and line[0].task == task else None

    def request(self, lock: str, task: str) -> Hold:
        """The request of a task."""
        return next(each for each in self.lines[lock] if each.task == task)

    def _left_over(self) -> list[Hold]:
        """The holds of tasks that have ended by an outcome, but not those that a worker that is gone had to release."""
        holds = [hold for line in self.lines.values() for hold in line if hold.task in self.over]
        return [hold for hold in holds if hold.task in self.enders and not self.owners[self.enders[hold.task]].gone]

    @property
    def settled(self) -> bool:
        """See `Referee`: no schedule makes more tasks, and locks have ended with theirs."""
        cleared = all(book.cleared for book in self.ticks.books.values())
        return super().settled and cleared and not self._left_over()

    def close(self) -> None:
        """See `Referee`: a lock is left held only where its release was up to a worker that is gone or an operator."""
        super().close()
        self.ticks.close()
        self.check(not self._left_over(), f"these are still held: {self._left_over()}")


class MixedWorld(World):
    """A world whose tasks have locks, and whose workers fire schedules; the choices of both are drawn apart."""

    referee: MixedReferee

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.mixing = random.Random(f"locks and schedules of world {seed}")
        self.forgetful = False  # ids that come again are told elsewhere
        self.forgets_after, self.letters_kept = ENDED_TASK_EVENTS, DEAD_LETTERS_KEPT
        self.referee = MixedReferee(self)
        self.scripts = Scripts(self)
        self._asked: set[str] = set()
        for name in SCHEDULES:
            self.after(self.mixing.uniform(0, 1) * self.lease, lambda name=name: self._create(name))  # type: ignore[misc]

    def tell(self) -> MixedStory:
        """Run the whole story."""
        story = self.run()
        referee, books = self.referee, self.referee.ticks.books.values()
        fired, skipped = sum(len(book.fired) for book in books), sum(len(book.skipped) for book in books)
        counts = (referee.holds, referee.releases, referee.together, fired, skipped)
        return MixedStory(self.seed, *counts, self.log.conflicts, story.expiries)

    def _trouble(self) -> None:
        super()._trouble()
        if self.mixing.random() < 0.5:  # appends that are under way as a session is expired
            self._slow_down()

    # -- schedules ---------------------------------------------------------------------------------------------------

    def _create(self, name: str) -> None:
        every = int(self.mixing.choice([2, 4]) * 1_000 * self.lease)
        first = int((EPOCH + self.now) * 1_000) + self.mixing.randrange(every)
        misfire = self.mixing.choice(["run_all", "run_all", "run_once", "skip"])
        policy = {"misfire": misfire, "grace_ms": every, "overlap": self.mixing.choice(["queue", "skip"])}
        context = {
            "schedule": name,
            "trigger": {"type": "interval", "every_ms": every, "start_ms": first},
            "policy": policy,
            "message": {"task_name": self.mixing.choice(sorted(self.tasks)), "queue": "a"},
            "first": first,
        }
        self._tell(names.SCHEDULE_CREATED, context, name, self._place(name))

    def _make_peace(self) -> None:
        super()._make_peace()
        for name in SCHEDULES:
            self._tell(names.SCHEDULE_CLEARED, {"schedule": name}, name, self._place(name))

    def _tell(self, name: str, context: dict[str, Any], key: str, partition: int, done: Any = lambda: None) -> None:
        self._say(Draft(name, encode_context(name, context), key, partition), done)

    def tick_script(self, task: str) -> Script:
        """How the task of a tick behaves."""
        chance = random.Random(f"{task} of world {self.seed}")
        seconds = chance.choice([0.000_1, 0.3, 1.5, 6.0]) * self.lease
        return Script(seconds, chance.choice([0.0, 0.3]), chance.random() < self.deadly)

    # -- locks -------------------------------------------------------------------------------------------------------

    def _submit(self, message: Message) -> None:
        """Submit it; some with a lock, which is requested before and linked if it is free."""
        task = message.uuid
        if task in self._asked:
            return  # its first submission may be under way
        self._asked.add(task)
        if self.mixing.random() < 0.2:
            super()._submit(message)
            return
        lock = self.mixing.choice(LOCKS)
        place = zlib.crc32(lock.encode()) % len(self.log.partitions)
        context = {"lock": lock, "owner": task, "lease_ms": 3_600_000, "host": "shop", "pid": 1}

        def answered() -> None:
            if self.referee.granted(lock, task) is None:
                withdrawn = {"lock": lock, "token": self.referee.request(lock, task).token}
                self._tell(names.LOCK_WITHDRAWN, withdrawn, lock, place)
            else:
                token = self.referee.request(lock, task).token
                message.linked_lock = {"name": lock, "owner_id": task, "token": token}
            World._submit(self, message)

        self._tell(names.LOCK_REQUESTED, context, lock, place, answered)

    def _place(self, task: str) -> int:
        return super()._place(routing_key(task))


class Scripts(dict[str, Script]):
    """The scripts of tasks; that of a tick is made when it is asked for."""

    def __init__(self, world: MixedWorld) -> None:
        super().__init__()
        self._world = world

    def __missing__(self, task: str) -> Script:
        self[task] = self._world.tick_script(task)
        return self[task]


def simulate(seed: int) -> MixedStory:
    """Run the world of that seed."""
    return MixedWorld(seed).tell()
