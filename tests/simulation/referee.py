"""The referee: sees every record as it lands, and computes its verdict by other code than the product's.

It keeps books of its own, written straight from the rules and without the product's table, and compares after each
record what the product's fold made of it.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from journeyman.tasks import State, TaskState, TaskView, Verdict
from journeyman.tasks.state.decoding import Fact
from journeyman.workers.executors.pipeline import Job

from .stage import Judge

if TYPE_CHECKING:
    from .worker import SimulatedWorker
    from .world import World

FINAL = ("task.succeeded", "task.failed", "task.retried", "task.interrupted")


@dataclass
class Book:
    """The referee's state of a task."""

    partition: int
    max_retries: int | None
    state: str = "ready"
    token: int = -1
    owner: str = ""
    attempts: int = 0
    successes: int = 0
    due: float = 0.0
    expiries: int = 0
    suspect: bool = False
    ended: int = -1
    known: bool = True  # of a dead letter: whether so few have come since that the views remember it
    revoked: frozenset[int] = frozenset()  # tokens of claims that ran when it was revoked, in this life or before


@dataclass
class Session:
    """The referee's state of a session."""

    last: int
    shown_at: float
    holds: dict[str, None] = field(default_factory=dict)


def _place(book: Book, letters: list[Book]) -> int:
    return next(place for place, each in enumerate(letters) if each is book)


class Referee(Judge):
    """Checks each record, each start of a task, and the end."""

    world: "World"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.view = TaskView()
        self.books: dict[str, Book] = {}
        self.sessions: dict[tuple[int, str], Session] = {}
        self.owners: dict[str, SimulatedWorker] = {}
        self.tokens = [-1] * len(world.log.partitions)
        self.letters: list[list[Book]] = [[] for _ in world.log.partitions]
        self.acknowledged: set[str] = set()
        self.accepted = self.refused = self.expiries = self.suspects = self.begun_anew = self.taken_up = 0

    # -- each record -------------------------------------------------------------------------------------------------

    def landed(self, partition: int, offset: int, row: bytes) -> None:
        """A record has become part of the log."""
        said = orjson.loads(row)
        name, context = said["name"], said["context"]
        expected = self._keep_books(name, context, partition, offset)
        fact = msgspec.json.decode(row, type=Fact)
        verdict = self.view.apply_fact(fact.name, fact.context, partition, offset, fact.timestamp)
        self.check(
            (verdict is Verdict.ACCEPTED) == expected,
            f"{name} {context} at {partition}:{offset} was {verdict.name}, which it should not be",
        )
        self.accepted += expected
        self.refused += not expected
        touched = {context.get("task", "")}
        if name in ("worker.expired", "worker.left"):
            touched |= self.books.keys()
        for task in touched & self.books.keys():
            self._compare(task)

    def _compare(self, task: str) -> None:
        book = self.books[task]
        state = self.view.live.get(task) or self.view.dead.get(task)
        seen_as = self.view.state_of(book.partition, task).name.lower()
        if seen_as == "unknown":
            gone = len(self.world.log.partitions[book.partition]) - book.ended > self.world.forgets_after
            forgotten = gone if book.state in ("succeeded", "revoked") else book.state == "failed" and not book.known
            self.check(forgotten, f"the {book.state} task {task} is forgotten")
        if state is None:
            self.check(
                seen_as in (book.state, "unknown"), f"the fold has {task} as {seen_as}, the books as {book.state}"
            )
            return
        owner = state.worker if state.state is State.CLAIMED else ""
        token = state.claim if state.state is State.CLAIMED else -1
        seen = (state.state.name.lower(), owner, token, state.attempts)
        known = (book.state, book.owner, book.token, book.attempts)
        self.check(seen == known, f"the fold has {task} as {seen}, the books as {known}")
        self.check(state.suspect == book.suspect, f"{task} is {'no' if book.suspect else 'a'} suspect in the fold")
        self.check(book.attempts >= 0, f"{task} has {book.attempts} attempts")
        limit = book.max_retries
        self.check(limit is None or book.attempts <= limit + 1, f"{task} has had {book.attempts} attempts of {limit}+1")
        self.check(book.successes <= 1, f"{task} has succeeded {book.successes} times")

    def _keep_books(self, name: str, context: dict[str, Any], partition: int, offset: int) -> bool:
        """Whether the record is to be accepted, and what follows from it."""
        task, worker = context.get("task", ""), context.get("worker", "")
        if name == "task.submitted":
            return self._submitted(task, context, partition, offset)
        session = self.sessions.get((partition, worker))
        if name == "worker.expired":
            watcher = self.sessions.get((partition, context["by"]))
            if watcher is not None:
                self._show(watcher, offset)
            return self._expired(worker, partition, context["last"], offset)
        if session is not None:
            self._show(session, offset)
        if name == "worker.joined":
            if session is None:
                self.sessions[partition, worker] = Session(offset, self.world.now)
            return session is None
        if session is None and name in ("worker.beat", "worker.left", "task.claimed"):
            return False
        if name == "worker.left":
            for held in self._close(partition, worker):
                self.books[held].attempts -= 1
            return True
        return name == "worker.beat" or self._about_task(name, task, worker, context, offset)

    def _show(self, session: Session, offset: int) -> None:
        session.last, session.shown_at = offset, self.world.now

    def _submitted(self, task: str, context: dict[str, Any], partition: int, offset: int) -> bool:
        before = self.books.get(task)
        if before is not None and self._is_known(before, offset):
            return False
        self.books[task] = Book(partition, context.get("max_retries", 3), due=context.get("due", 0.0))
        if before is not None:
            self.books[task].revoked = before.revoked
            self.begun_anew += 1
        return True

    def _is_known(self, book: Book, offset: int) -> bool:
        """Whether what would begin a task anew is to be refused."""
        if book.state in ("succeeded", "revoked"):
            return offset - book.ended <= self.world.forgets_after
        return book.state != "failed" or book.known

    def _die(self, book: Book) -> None:
        book.state, book.known = "failed", True
        letters = self.letters[book.partition]
        letters.append(book)
        if len(letters) > self.world.letters_kept:
            letters.pop(0).known = False

    def _expired(self, worker: str, partition: int, last: int, offset: int) -> bool:
        session = self.sessions.get((partition, worker))
        if session is None or session.last != last:
            return False
        who = self.owners[worker]
        alive = not who.gone and who.awake_since <= session.shown_at
        self.check(not alive, f"{worker} was expired although it lives and has not paused since it last showed itself")
        self.expiries += 1
        self.world.disturb(worker)
        for held in self._close(partition, worker):
            book = self.books[held]
            book.expiries += 1
            allowed = math.inf if book.max_retries is None else book.max_retries + 1
            book.suspect = book.expiries >= 2 or book.attempts + 1 >= allowed
            if book.attempts >= allowed:
                self._die(book)
        return True

    def _close(self, partition: int, worker: str) -> list[str]:
        held = list(self.sessions.pop((partition, worker)).holds)
        for task in held:
            book = self.books[task]
            book.state, book.token, book.owner = "ready", -1, ""
        return held

    def _about_task(self, name: str, task: str, worker: str, context: dict[str, Any], offset: int) -> bool:
        book = self.books[task]
        if name == "task.claimed":
            return self._claimed(book, task, worker, offset)
        if name == "task.revoked":
            return self._revoked(book, task, offset)
        if name == "task.requeued":
            return self._requeued(book, context, offset)
        return name in FINAL and self._ended(name, book, task, worker, context, offset)

    def _revoked(self, book: Book, task: str, offset: int) -> bool:
        if book.state not in ("ready", "claimed"):
            return False
        book.revoked |= {book.token}
        self._let_go(book, task)
        book.state, book.ended = "revoked", offset
        return True

    def _requeued(self, book: Book, context: dict[str, Any], offset: int) -> bool:
        if book.state == "failed" and book.known:
            self.letters[book.partition].pop(_place(book, self.letters[book.partition]))
        elif "submission" not in context or self._is_known(book, offset):
            return False
        else:
            self.taken_up += 1
            book.successes = 0
        book.state, book.attempts, book.due = "ready", 0, 0.0
        book.expiries, book.suspect = 0, False
        return True

    def _ended(self, name: str, book: Book, task: str, worker: str, context: dict[str, Any], offset: int) -> bool:
        if book.state != "claimed" or book.token != context["claim"]:
            return False
        self.check(book.owner == worker, f"{worker} ends {task} with the token of {book.owner}")
        self._let_go(book, task)
        book.state, book.ended = ("succeeded", offset) if name == "task.succeeded" else ("ready", -1)
        if name == "task.failed":
            self._die(book)
        book.successes += name == "task.succeeded"
        book.attempts -= name == "task.interrupted"
        book.due = context.get("due", book.due)
        if name == "task.retried":
            book.expiries, book.suspect = 0, False
        return True

    def _claimed(self, book: Book, task: str, worker: str, offset: int) -> bool:
        if book.state != "ready":
            return False
        self.check(offset > self.tokens[book.partition], f"the token {offset} does not rise")
        self.tokens[book.partition] = offset
        book.state, book.token, book.owner = "claimed", offset, worker
        book.attempts += 1
        self.sessions[book.partition, worker].holds[task] = None
        return True

    def _let_go(self, book: Book, task: str) -> None:
        if book.state == "claimed":
            self.sessions[book.partition, book.owner].holds.pop(task, None)
        book.token, book.owner = -1, ""

    # -- what workers do ---------------------------------------------------------------------------------------------

    def claims(self, task: TaskState, wall: float) -> None:
        """A worker decides to claim a task; if it knows all about it, its time must have come."""
        book, known = self.books[task.id], self.view.find(task.id)
        if known is not None and (known.changed, known.state) == (task.changed, State.READY):
            self.check(book.due <= wall, f"{task.id} is to be claimed {book.due - wall:.1f} s before it is due")

    def claims_suspects(self, claims: list[TaskState], view: TaskView, sessions: set[str]) -> None:
        """A worker that claims a suspect holds no other one, by all that it has read."""
        taken = sum(task.suspect for task in claims)
        held = [task for task in view.live.values() if task.state is State.CLAIMED and task.worker in sessions]
        had = sum(task.suspect for task in held)
        self.check(not taken or taken + had == 1, f"{taken} suspects are to be claimed, {had} are held already")
        self.suspects += taken

    def started(self, job: Job) -> None:
        """A task is begun: no other worker may begin it, unless it was revoked a moment ago."""
        book = self.books[job.state.id]
        self.check(
            book.token == job.claim or job.claim in book.revoked,
            f"{job.lease.worker} begins {job.state.id} though its claim is over: it is {book.state}",
        )

    def accepted_submission(self, task: str) -> None:
        """A producer was told that its task is durable."""
        self.check(task in self.books, f"{task} was acknowledged and is not in the log")
        self.acknowledged.add(task)

    # -- the end -----------------------------------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether every task has come to its end."""
        return all(book.state in ("succeeded", "failed", "revoked") for book in self.books.values())

    def close(self) -> None:
        """Faults have stopped, and time enough has passed."""
        self.check(self.acknowledged <= self.books.keys(), "an acknowledged task is missing")
        waiting = {task: book.state for task, book in self.books.items() if book.state in ("ready", "claimed")}
        self.check(not waiting, f"these are not done though all is well: {waiting}")
