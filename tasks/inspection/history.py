"""Read the history of one task from the journal: its events, with their times, workers and verdicts.

The task index gives the positions of the task's events and of the ends of its sessions. `TaskView` folds these by the
same rules as the workers; see `tasks.index.trace`. So the verdicts are those that every worker reached, and only the
task's own history is read.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Position
from ...journal.event import Event, place
from ...journal.event_decoding import readable
from ...journal.log import Log
from ..errors import UnknownTaskError
from ..index.entries import NOWHERE
from ..index.index import IndexSnapshot, Progress, task_index
from ..index.records import rows_at
from ..index.search import find_joining
from ..index.trace import Trace, read_trace, task_where_log_begins
from ..state import names
from ..state.decoding import Fact, FactContext, fact
from ..state.routing import routing_key
from ..state.state import SessionState, TaskState
from ..state.transitions import State
from ..state.view import TaskView, Verdict
from .wording import SUBMISSIONS_SHOWN


class Step(NamedTuple):
    """One event of a task: the verdict on it, the reason, and the state of the task afterwards.

    `worker` is the session it came from, or that ended; `reason` is empty if the name of the event says enough.
    """

    event: Event
    verdict: Verdict
    reason: str
    state: State
    attempts: int
    worker: str


class TaskHistory(NamedTuple):
    """A task and its steps, in log order; `hosts` are the hosts of its workers, where known.

    With `is_truncated` retention has removed the first steps, the submission included. `unreadable` are the positions
    of damaged records of the task, which are not among the steps.
    """

    task: TaskState
    steps: list[Step]
    hosts: dict[str, str]
    is_truncated: bool = False
    unreadable: Sequence[Position] = ()

    def final(self) -> Step | None:
        """Return the last accepted step with a result or an error; None if there is none yet."""
        ends = (names.SUCCEEDED, names.FAILED, names.RETRIED)
        by_hand = (names.REJECTED, names.RESCHEDULED)  # with an exception or without
        for step in reversed(self.steps):
            name = step.event.name
            said = name in ends or (name in by_hand and "exception" in step.event.context)
            if said and step.verdict is Verdict.ACCEPTED:
                return step
        return None


async def task_history(
    journal: AsyncJournal,
    task_id: str,
    progress: Progress | None = None,
    *,
    until: Mapping[int, int] | None = None,
    successes: dict[str, int] | None = None,
) -> TaskHistory:
    """Read the history of the task `task_id`, before the cursor `until` if one is given.

    `progress(done, all)` is called with the number of events read that the index did not cover yet, and their total.
    `successes`: see `read_trace`.
    `UnknownTaskError` if the journal holds no such task.
    """
    log = await journal.open()
    partition = log.partition_of(routing_key(task_id))
    snapshot = await task_index(journal).snapshot(partition, progress, task_id=task_id)
    steps = _Steps(task_id, partition)
    end = None if until is None else until.get(partition)
    successes = {} if successes is None else successes
    observe = steps.observe
    trace = await read_trace(log, snapshot, task_id, end=end, observer=observe, journal=journal, successes=successes)
    if trace.is_truncated:
        before = await task_where_log_begins(journal, task_id)
        steps = _Steps(task_id, partition)
        observe = steps.observe
        trace = await read_trace(
            log, snapshot, task_id, end=end, observer=observe, before=before, journal=journal, successes=successes
        )
    if trace.task is None:
        raise UnknownTaskError(_unknown(journal.location, task_id, trace, steps.kept, snapshot.first))
    unreadable = [Position(partition, offset) for offset in trace.unreadable]
    hosts = await hosts_of(log, snapshot, steps.workers)
    return TaskHistory(trace.task, steps.kept, hosts, trace.task.submitted < snapshot.first, unreadable)


def _unknown(location: str, task_id: str, trace: Trace, steps: list[Step], first: int) -> str:
    if trace.unreadable:
        bad = f"{trace.partition}:{trace.unreadable[0]}"
        return (
            f"the journal {location} holds a task {task_id}, but its record at {bad} can not be read: "
            "`journeyman verify` says what can be done"
        )
    if steps:
        return f"the journal {location} holds {len(steps)} events of a task {task_id}, but not its submission" + (
            ": retention has removed it."
            if first
            else f": is it the right journal, and the whole id? {SUBMISSIONS_SHOWN}"
        )
    return (
        f"the journal {location} knows no task {task_id}. Ids are case-sensitive; is it the right journal? "
        f"{SUBMISSIONS_SHOWN}"
    )


class _Steps:
    """Keeps the steps of one task while a trace folds its events."""

    def __init__(self, task_id: str, partition: int) -> None:
        self.kept: list[Step] = []
        self.workers: dict[str, None] = {}
        self._task_id = task_id
        self._partition = partition
        self._before = _Before(State.UNKNOWN, -1, False)

    def observe(self, view: TaskView, offset: int, row: bytes, said: Fact, verdict: Verdict | None) -> None:
        """See `Observer`."""
        name, context = said.name, said.context
        task = view.find(self._task_id)
        if verdict is None:
            self._before = _Before.of(task, view.session(self._partition, context.worker))
            return
        moved = name in (names.LEFT, names.EXPIRED)
        if moved and (task is None or task.state is self._before.state):
            return  # the end of a session that had given the task back
        event = self._event(said, row, offset)
        if name not in names.TASK_EVENTS and not moved and event.key != self._task_id:
            return  # another program's event, of an id that shares the key of the index
        refused = verdict is Verdict.REFUSED
        reason = _fate(name, task) if moved else self._before.refusal(name, context) if refused else ""
        if context.worker:
            self.workers[context.worker] = None
        state, attempts = (task.state, task.attempts) if task is not None else (State.UNKNOWN, 0)
        self.kept.append(Step(event, verdict, reason, state, attempts, context.worker))

    def _event(self, said: Fact, row: bytes, offset: int) -> Event:
        """Return the event of a record; if only the fold can read it, an event without a context."""
        events, _ = readable([row], self._partition, [offset], contexts=True)
        return events[0] if events else place(Event(said.timestamp, said.name), self._partition, offset)


class _Before(NamedTuple):
    """The state of the task before an event, to explain why the event was refused."""

    state: State
    claim: int
    has_session: bool

    @classmethod
    def of(cls, task: TaskState | None, session: SessionState | None) -> "_Before":
        if task is None:
            return cls(State.UNKNOWN, -1, session is not None)
        return cls(task.state, task.claim, session is not None)

    def refusal(self, name: str, context: FactContext) -> str:
        """Return why an event of that name was refused."""
        if name == names.SUBMITTED:
            early = f"no success of the claim at {context.after} came before it, so its chain had not come to it"
            return early if self.state is State.UNKNOWN and context.after >= 0 else "the id was in use already"
        if self.state is State.UNKNOWN:
            return "nothing was submitted under this id before"
        if name == names.CLAIMED:
            return self._claim_refusal()
        if name == names.LAPSED and self.state is State.READY:
            return "the task has no time to live"
        if name in _TOO_LATE or (name in names.BY_HAND and context.claim == -1):
            return f"{_TOO_LATE.get(name, _LATE)}: the task {_WORDS[self.state]}"
        owned = f"was owned by the one at {self.claim}" if self.state is State.CLAIMED else _WORDS[self.state]
        return f"stale outcome: of the claim at {context.claim}, when the task {owned}"

    def _claim_refusal(self) -> str:
        if self.state is State.CLAIMED:
            return "second claim: another one came first"
        if self.state is State.READY and not self.has_session:
            return "the worker's session had ended"
        return f"came too late: the task {_WORDS[self.state]}"


_LATE: Final = "came too late"
_TOO_LATE: Final = {
    names.REVOKED: _LATE,
    names.LAPSED: _LATE,
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
    """Describe the effect of a session's end on the task it held."""
    if name == names.LEFT:
        return "its worker left: the task returned to the queue, the attempt is not counted"
    if task is not None and task.state is State.FAILED:
        return "its worker was silent for the whole lease, and no attempt was left: the task failed"
    return "its worker was silent for the whole lease: the task returned to the queue"


async def hosts_of(log: Log, snapshot: IndexSnapshot, workers: Iterable[str]) -> dict[str, str]:
    """Return the hosts of these workers, by worker, as far as the log still holds their `joined` events."""
    joined: dict[int, str] = {}
    for worker in workers:
        rows = snapshot.sessions_of(worker)
        found = [row.joined for row in rows if row.joined != NOWHERE]
        if not found and snapshot.infers:  # the worker has joined before the events that the snapshot is made of
            begun = await find_joining(log, worker, snapshot.first, snapshot.end[snapshot.partition])
            found = [] if begun is None else [begun]
        joined.update(dict.fromkeys(found, worker))
    hosts: dict[str, str] = {}
    for offset, row in (await rows_at(log, snapshot.partition, joined)).items():
        said = fact(row)
        if said is not None and said.name == names.JOINED and said.context.host:
            hosts[joined[offset]] = said.context.host
    return hosts
