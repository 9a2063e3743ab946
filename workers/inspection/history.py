"""Everything that happened to one task, read off the journal: what came, when, from whom, and what became of it.

Nothing is indexed by task. An id that is a UUIDv7 tells when it was made, so reading begins there, in the task's own
partition. To tell what was accepted, the events are folded by `TaskView`, the same rules by which the workers decided.
But a session may have been opened before the place where reading begins, perhaps weeks before. It is inferred instead
of searched for:

- A worker reads its partition in order and claims only what it has read. Had its session ended before the task was
  submitted, it would have known, and would not have claimed the task. So a worker that shows itself after the place
  where reading begins, and of whose session's beginning and end nothing was seen, has an older one that still lives.
- An expiry of a worker of which nothing was seen before concerns a session without a claim on this task, whatever
  became of it: a claim would have been seen.

So the verdicts about this task are those that every worker reached, and the reading is as long as the task's own time.
"""

import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from ...journal.asynchronous import AsyncJournal
from ...journal.event import Event, place, readable
from ...journal.limits import CLOCK_SKEW_SECONDS_MAX, PAGE_EVENTS, WORKER_LOOKUP_EVENTS_MAX
from ...journal.log import Log, Page
from ...journal.reading import Moment, Name, RowDecoder
from ..errors import UnknownTaskError
from ..rules import names
from ..rules.facts import FactContext, read_context
from ..rules.state import SessionState, TaskState
from ..rules.transitions import State
from ..rules.view import TaskView, Verdict

Progress = Callable[[int, int], None]

# How far before the time in a worker's id its join is looked for, in seconds: clocks that agree, then ones that differ.
_JOIN_SLACK_SECONDS: Final = (1.0, CLOCK_SKEW_SECONDS_MAX)
_UUID_VERSION: Final = 7
_UUID_TIME_SHIFT_BITS: Final = 80


class Step(NamedTuple):
    """One event of a task: what became of it, why, and how the task stood afterwards.

    `worker` is the session it came from, or that ended; `reason` is empty where the name says it all.
    """

    event: Event
    verdict: Verdict
    reason: str
    state: State
    attempts: int
    worker: str


class TaskHistory(NamedTuple):
    """A task and its steps, in log order; `hosts` are the hosts of its workers, where known."""

    task: TaskState
    steps: list[Step]
    hosts: dict[str, str]

    def final(self) -> Step | None:
        """The accepted step that brought a result or an error, the last of them; None if there is none yet."""
        wanted = (names.SUCCEEDED, names.FAILED, names.RETRIED)
        accepted = (step for step in reversed(self.steps) if step.verdict is Verdict.ACCEPTED)
        return next((step for step in accepted if step.event.name in wanted), None)


async def task_history(
    journal: AsyncJournal,
    task_id: str,
    progress: Progress = lambda _done, _all: None,
    *,
    until: Mapping[int, int] | None = None,
) -> TaskHistory:
    """All that happened to the task `task_id`, before the cursor `until` if one is given.

    `progress(done, all)` is told how many events were looked at. `UnknownTaskError` if there is no such task in it.
    """
    log = await journal.open()
    partition = log.partition_of(task_id)
    bounds = await log.bounds()
    first, end = bounds.first[partition], bounds.end[partition]
    if until is not None:
        end = min(end, until.get(partition, end))
    born = id_time(task_id)
    start = first if born is None else max(first, (await log.position_at(born - CLOCK_SKEW_SECONDS_MAX))[partition])
    fold = _Fold(task_id, partition, from_the_beginning=start == 0)
    async for page in _pages(log, partition, start, end):
        fold.apply_page(page)
        progress(page.next_offset - start, end - start)
    task = fold.view.find(task_id)
    if task is None:
        raise UnknownTaskError(_unknown(journal.url, task_id, fold.steps, first))
    hosts = {worker: fold.hosts.get(worker) or await host_of(log, partition, worker, end) for worker in fold.workers}
    return TaskHistory(task, fold.steps, {worker: host for worker, host in hosts.items() if host})


def id_time(identifier: str) -> float | None:
    """When an id was made, in seconds since the epoch, if it is a UUIDv7 and so tells."""
    try:
        parsed = uuid.UUID(identifier)
    except ValueError:
        return None
    return (parsed.int >> _UUID_TIME_SHIFT_BITS) / 1_000 if parsed.version == _UUID_VERSION else None


def _unknown(url: str, task_id: str, steps: list[Step], first: int) -> str:
    if steps:
        return f"the journal {url} holds {len(steps)} events of a task {task_id}, but not its submission" + (
            ": retention has removed it." if first else "."
        )
    return f"the journal {url} knows no task {task_id}. Ids are case-sensitive; is it the right journal?"


async def _pages(log: Log, partition: int, start: int, end: int) -> AsyncIterator[Page]:
    """The pages of a stretch of one partition, `end` not included as far as the log can say."""
    offset = start
    while offset < end:
        pages = await log.read({partition: offset}, min(PAGE_EVENTS, end - offset))
        if not pages:
            return
        for page in pages:
            yield page
            offset = page.next_offset


class _Record(msgspec.Struct, gc=False):
    """What is decoded of every record on the way."""

    timestamp: Moment
    name: Name
    context: msgspec.Raw = msgspec.Raw(b"{}")
    key: str | None = None


_decoder: Final = RowDecoder(_Record)


class _Fold:
    """Folds the records of a stretch and keeps the steps of one task."""

    def __init__(self, task_id: str, partition: int, *, from_the_beginning: bool) -> None:
        self.view = TaskView()
        self.steps: list[Step] = []
        self.workers: dict[str, None] = {}
        self.hosts: dict[str, str] = {}
        self._task_id = task_id
        self._partition = partition
        self._infers = not from_the_beginning
        self._ended: set[str] = set()

    def apply_page(self, page: Page) -> None:
        """Take a page into the state."""
        for offset, row in zip(page.offsets, page.rows, strict=True):
            try:
                record = _decoder.decode(row)
                context = read_context(record.name, record.context)
            except msgspec.MsgspecError:
                continue  # not about tasks or workers, or not readable as such: the workers passed over it as well
            self._apply(record, context, row, offset)

    def _apply(self, record: _Record, context: FactContext, row: bytes, offset: int) -> None:
        name = record.name
        about_it = self._task_id in (context.task, record.key)
        if name == names.SUBMITTED and not about_it:
            return
        if context.worker:
            self._note_worker(name, context.worker, offset)
        task = self.view.find(self._task_id)
        before = _Before.of(task, self.view.session(self._partition, context.worker))
        verdict = self.view.apply_fact(name, context, self._partition, offset, record.timestamp)
        if name == names.JOINED:
            self.hosts[context.worker] = context.host
        moved = task is not None and name in (names.LEFT, names.EXPIRED) and task.state is not before.state
        if not about_it and not moved:
            return
        task = self.view.find(self._task_id)
        reason = _fate(name, task) if moved else before.refusal(name, context) if verdict is Verdict.REFUSED else ""
        self._keep(self._event(record, row, offset), verdict, reason, task, context.worker)

    def _event(self, record: _Record, row: bytes, offset: int) -> Event:
        """The event of a record; of one that only the fold can read, what it has read, without a context."""
        events, _ = readable([row], self._partition, [offset], contexts=True)
        return events[0] if events else place(Event(record.timestamp, record.name), self._partition, offset)

    def _keep(self, event: Event, verdict: Verdict, reason: str, task: TaskState | None, worker: str) -> None:
        if worker:
            self.workers[worker] = None
        state, attempts = (task.state, task.attempts) if task is not None else (State.UNKNOWN, 0)
        self.steps.append(Step(event, verdict, reason, state, attempts, worker))

    def _note_worker(self, name: str, worker: str, offset: int) -> None:
        """Open the session of a worker that must have had one before the stretch began."""
        if name in (names.LEFT, names.EXPIRED):
            self._ended.add(worker)
        elif self._infers and name != names.JOINED and worker not in self._ended:
            sessions = self.view.sessions.setdefault(self._partition, {})
            if worker not in sessions:
                sessions[worker] = SessionState(worker, self._partition, 0, "", 0, 0.0, offset)


class _Before(NamedTuple):
    """How the task stood before an event, for saying why the event was refused."""

    state: State
    claim: int
    owner: str
    has_session: bool

    @classmethod
    def of(cls, task: TaskState | None, session: SessionState | None) -> "_Before":
        if task is None:
            return cls(State.UNKNOWN, -1, "", session is not None)
        return cls(task.state, task.claim, task.worker, session is not None)

    def refusal(self, name: str, context: FactContext) -> str:
        """Why an event of that name was refused."""
        if name == names.SUBMITTED:
            return "the id was in use already"
        if self.state is State.UNKNOWN:
            return "nothing was submitted under this id before"
        if name == names.CLAIMED:
            return self._claim_refusal()
        if name in _TOO_LATE:
            return f"{_TOO_LATE[name]}: the task {_WORDS[self.state]}"
        owned = f"was owned by the one at {self.claim}" if self.state is State.CLAIMED else _WORDS[self.state]
        return f"stale outcome: of the claim at {context.claim}, when the task {owned}"

    def _claim_refusal(self) -> str:
        if self.state is State.CLAIMED:
            return "second claim: another one came first"
        if self.state is State.READY and not self.has_session:
            return "the worker's session had ended"
        return f"came too late: the task {_WORDS[self.state]}"


_TOO_LATE: Final = {
    names.REVOKED: "came too late",
    names.REQUEUED: "only a failed task can be requeued",
    names.COLLECTED: "no result to collect",
}
_WORDS: Final = {
    State.READY: "had returned to the queue",
    State.CLAIMED: "was being run",
    State.SUCCEEDED: "had succeeded already",
    State.FAILED: "had failed already",
    State.REVOKED: "had been revoked",
}


def _fate(name: str, task: TaskState | None) -> str:
    """What the end of a session did to the task it held."""
    if name == names.LEFT:
        return "its worker left: the task returned to the queue, the attempt is not counted"
    if task is not None and task.state is State.FAILED:
        return "its worker was silent for the whole lease, and no attempt was left: the task failed"
    return "its worker was silent for the whole lease: the task returned to the queue"


async def host_of(log: Log, partition: int, worker: str, end: int) -> str:
    """The host a worker's session was opened on; empty if its beginning was not found near the time in its id."""
    born = id_time(worker)
    for slack in _JOIN_SLACK_SECONDS if born is not None else ():
        assert born is not None
        start = (await log.position_at(born - slack))[partition]
        async for page in _pages(log, partition, start, min(end, start + WORKER_LOOKUP_EVENTS_MAX)):
            host = _joined_host(page.rows, worker)
            if host is not None:
                return host
    return ""


def _joined_host(rows: Iterable[bytes], worker: str) -> str | None:
    wanted = worker.encode()
    for row in rows:
        if wanted in row:
            try:
                record = _decoder.decode(row)
                context = read_context(record.name, record.context)
            except msgspec.MsgspecError:
                continue
            if record.name == names.JOINED and context.worker == worker:
                return context.host
    return None


def short_id(identifier: str) -> str:
    """An id for people: its last characters, in which ids made at one time differ."""
    return f"…{identifier[-8:]}" if len(identifier) > 12 else identifier
