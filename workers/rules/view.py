"""The state of the queue, as a fold of the log: which tasks there are, who holds them, which sessions live.

Everything is decided by the order of one partition alone. A session lives in one partition, and so does a task, so two
replicas that read the same log cannot disagree about who owns what.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Final

import msgspec

from ...consumers.views.view import View
from ...journal.event import Event
from ...journal.limits import (
    DEAD_LETTERS_KEPT,
    FINISHED_TASKS_KEPT,
    KEY_CHARS_MAX,
    MAX_RETRIES_DEFAULT,
    TASK_ID_CHARS_MAX,
)
from ...journal.log import Page
from . import names
from .selection import Selection
from .transitions import EXHAUSTED, HANDED_BACK, RETURNED, TRANSITIONS, Attempt, Move, State


class Verdict(IntEnum):
    """What became of an event."""

    ACCEPTED = 0
    REFUSED = 1  # breaks a rule now: a claim that came second, an outcome of a former owner
    FOREIGN = 2  # not about tasks or workers, or not readable as such


class FactContext(msgspec.Struct, gc=False):
    """What the fold needs of a context, whatever the event; the rest is not decoded.

    What a submission leaves out has the value that `Message` gives it.
    """

    task: str = ""
    worker: str = ""
    by: str = ""
    claim: int = -1
    last: int = -1
    task_name: str = ""
    queue: str = names.QUEUE_DEFAULT
    priority: int = 0
    max_retries: int | None = MAX_RETRIES_DEFAULT
    due: float = 0.0
    lease_ms: int = 0
    host: str = ""
    pid: int = 0
    # What a worker says when it joins; no other event brings these, so they cost the fold nothing.
    tasks: tuple[str, ...] | None = None
    more_tasks: int = 0
    queues: tuple[str, ...] | None = None
    slots: int = 0
    selection: Selection | None = None


class Fact(msgspec.Struct, gc=False):
    """What the fold needs of an event."""

    name: str
    timestamp: float
    context: FactContext = msgspec.field(default_factory=FactContext)


class TaskState(msgspec.Struct, gc=False, array_like=True):
    """One task: `claim` is the position of its current claim, `changed` of the last accepted event about it.

    `due` is the time, in seconds since the epoch, before which nobody should claim it. `attempts` counts claims not
    taken back. `row` is the submission as it stands in the log, where the view keeps rows and the task may still run.
    """

    id: str
    name: str
    queue: str
    priority: int
    max_retries: int | None
    partition: int
    submitted: int
    submitted_at: float
    due: float = 0.0
    state: State = State.READY
    attempts: int = 0
    claim: int = -1
    worker: str = ""
    changed: int = -1
    changed_at: float = 0.0
    refused: int = 0
    collected: bool = False
    row: bytes | None = None

    @property
    def exhausted(self) -> bool:
        """Whether no further attempt is allowed."""
        return self.max_retries is not None and self.attempts > self.max_retries


class SessionState(msgspec.Struct):
    """One worker's session in one partition: `last` is the position of its last event there.

    What the worker said when it joined: `tasks` are the names it knows (None: it did not say) and `more_tasks` how many
    it left out, `queues` those it serves in order of preference (None: all), `slots` how many tasks it runs at once,
    `selection` what else it said of which tasks it claims and in which order.
    """

    worker: str
    partition: int
    lease_ms: int
    host: str
    pid: int
    joined_at: float
    last: int
    tasks: tuple[str, ...] | None = None
    more_tasks: int = 0
    queues: tuple[str, ...] | None = None
    slots: int = 0
    selection: Selection | None = None
    claims: dict[str, TaskState] = msgspec.field(default_factory=dict)


_decoder: Final = msgspec.json.Decoder(Fact)
# The table by the state's number, and the members by name: a look-up through the enumeration costs as much as the rest.
_MOVES: Final = [TRANSITIONS[state] for state in sorted(TRANSITIONS)]
_SUBMISSION: Final = TRANSITIONS[State.UNKNOWN][names.SUBMITTED]
_READY, _CLAIMED, _FAILED = State.READY, State.CLAIMED, State.FAILED
_KEPT, _COUNTED, _TAKEN_OFF = Attempt.KEPT, Attempt.COUNTED, Attempt.TAKEN_OFF
_ACCEPTED, _REFUSED, _FOREIGN = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.FOREIGN


class TaskView(View):
    """All tasks that are not finished, the newest finished ones, the dead letters and the live sessions.

    - `keep_rows`: whether waiting tasks keep their submission, for those who run them.
    - `on_ready(task)` is called whenever a task becomes ready, for those who pick from them.
    - `on_sessions()` is called whenever the set of sessions changes.
    """

    def __init__(
        self,
        *,
        keep_rows: bool = False,
        on_ready: Callable[[TaskState], None] | None = None,
        on_sessions: Callable[[], None] | None = None,
    ) -> None:
        self.live: dict[str, TaskState] = {}
        self.finished: dict[str, TaskState] = {}
        self.dead: dict[str, TaskState] = {}
        self.sessions: dict[int, dict[str, SessionState]] = {}
        self.stale_outcomes = 0
        self.lost_claims = 0
        self.takeovers = 0
        self.unreadable = 0
        # Which is the oldest is a question for one partition: readers see the partitions interleaved in different ways.
        self._finished_order: dict[int, deque[str]] = {}
        self._dead_order: dict[int, OrderedDict[str, None]] = {}
        self._keep_rows = keep_rows
        self.on_ready = on_ready
        self.on_sessions = on_sessions

    snapshot_name = "tasks"

    @property
    def snapshot_schema(self) -> str:
        """See `View.snapshot_schema`: the same as long as the same events lead to the same state."""
        return view_state.schema_of(FINISHED_TASKS_KEPT, DEAD_LETTERS_KEPT)

    def snapshot(self) -> bytes:
        """See `View.snapshot`. With the waiting tasks' submissions, where the view keeps them."""
        return view_state.dump(self)

    def restore(self, state: bytes) -> None:
        """See `View.restore`; nobody is called. A view that keeps rows may get tasks without: they are in the log."""
        view_state.load(self, state, keep_rows=self._keep_rows)
        self._finished_order = view_state.finished_order(self.finished.values())
        self._dead_order = view_state.dead_order(self.dead.values())

    def find(self, task_id: str) -> TaskState | None:
        """The task of that id, if the view still remembers it."""
        return self.live.get(task_id) or self.finished.get(task_id) or self.dead.get(task_id)

    def session(self, partition: int, worker: str) -> SessionState | None:
        """The live session of a worker in a partition."""
        return self.sessions.get(partition, {}).get(worker)

    def all_sessions(self) -> Iterable[SessionState]:
        """All live sessions, partition by partition."""
        for sessions in self.sessions.values():
            yield from sessions.values()

    def apply(self, event: Event) -> Verdict:
        """Take one event into the state, and say what became of it."""
        try:
            context = msgspec.json.decode(event.context_json, type=FactContext)
        except msgspec.MsgspecError:
            self.unreadable += 1
            return _FOREIGN
        return self.apply_fact(event.name, context, event.partition, event.offset, event.timestamp)

    def apply_page(self, page: Page) -> None:
        """Take a page of records into the state."""
        partition, decode, apply_fact = page.partition, _decoder.decode, self.apply_fact
        keep_rows = self._keep_rows
        for offset, row in zip(page.offsets, page.rows, strict=True):
            try:
                fact = decode(row)
            except msgspec.MsgspecError:
                self.unreadable += 1
                continue
            apply_fact(fact.name, fact.context, partition, offset, fact.timestamp, row if keep_rows else None)

    def apply_fact(
        self,
        name: str,
        context: FactContext,
        partition: int,
        offset: int,
        timestamp: float,
        row: bytes | None = None,
    ) -> Verdict:
        """Take one event, already decoded, into the state; `row` is its record, kept if it is a submission."""
        if name == names.SUBMITTED:
            return self._submit(context, partition, offset, timestamp, row)
        sessions = self.sessions.get(partition)
        session = sessions.get(context.worker) if sessions is not None else None
        if session is not None and name != names.EXPIRED:
            session.last = offset  # any event of a session is a sign of life, a refused one too
        if name in _TASK_NAMES:
            return self._move_task(name, context, session, partition, offset, timestamp)
        if name in _WORKER_NAMES:
            return self._move_session(name, context, session, partition, offset, timestamp)
        return _FOREIGN

    def _submit(
        self, context: FactContext, partition: int, offset: int, timestamp: float, row: bytes | None
    ) -> Verdict:
        task_id = context.task
        if task_id in self.live or task_id in self.finished or task_id in self.dead:
            return _REFUSED
        if not 0 < len(task_id) <= TASK_ID_CHARS_MAX:
            return _REFUSED  # no event about it could be appended: the id is its events' key
        task = TaskState(
            task_id,
            context.task_name,
            context.queue,
            context.priority,
            context.max_retries,
            partition,
            offset,
            timestamp,
            context.due,
            _SUBMISSION.to,
            changed=offset,
            changed_at=timestamp,
            row=row,
        )
        self.live[task_id] = task
        if self.on_ready is not None:
            self.on_ready(task)
        return _ACCEPTED

    def _move_task(
        self,
        name: str,
        context: FactContext,
        session: SessionState | None,
        partition: int,
        offset: int,
        timestamp: float,
    ) -> Verdict:
        task = self.live.get(context.task) or self.find(context.task)
        if task is None:
            return self._refuse(name)
        move = _MOVES[task.state].get(name)
        if (
            move is None
            or (move.token and context.claim != task.claim)
            or (move.session and session is None)
            or partition != task.partition
        ):
            task.refused += 1
            return self._refuse(name)
        if name == names.CLAIMED:
            self._hold(task, session, context.worker, offset)
        elif name == names.RETRIED:
            task.due = context.due
        elif name == names.COLLECTED:
            task.collected = True
        if task.state is _CLAIMED and move.to is not _CLAIMED:
            self._release(task)
        self._settle(task, move, offset, timestamp)
        return _ACCEPTED

    def _refuse(self, name: str) -> Verdict:
        if name == names.CLAIMED:
            self.lost_claims += 1
        elif name in OUTCOMES:
            self.stale_outcomes += 1
        return _REFUSED

    def _hold(self, task: TaskState, session: SessionState | None, worker: str, offset: int) -> None:
        assert session is not None, "the table asks for a session"
        if task.worker and task.worker != worker:
            self.takeovers += 1
        task.claim, task.worker = offset, worker
        session.claims[task.id] = task

    def _release(self, task: TaskState) -> None:
        session = self.session(task.partition, task.worker)
        if session is not None:
            session.claims.pop(task.id, None)

    def _settle(self, task: TaskState, move: Move, offset: int, timestamp: float) -> None:
        """Carry out an accepted move: attempts, state, and the room the task is kept in."""
        to, _, _, attempt = move
        if attempt is _COUNTED:
            task.attempts += 1
        elif attempt is _TAKEN_OFF:
            task.attempts -= 1
        elif attempt is not _KEPT:
            task.attempts = 0
            task.due = 0.0
        if to is task.state:
            return
        task.state, task.changed, task.changed_at = to, offset, timestamp
        if to is _READY:
            task.claim = -1
            if self.dead.pop(task.id, None) is not None:
                del self._dead_order[task.partition][task.id]
            self.live[task.id] = task
            if self.on_ready is not None:
                self.on_ready(task)
        elif to is not _CLAIMED:
            self._finish(task)

    def _finish(self, task: TaskState) -> None:
        """Move a task out of the live ones; the oldest of a full room is forgotten, the same one on every replica."""
        task_id, partition = task.id, task.partition
        self.live.pop(task_id, None)
        task.row, task.claim = None, -1
        if task.state is _FAILED:
            self.dead[task_id] = task
            letters = self._dead_order.setdefault(partition, OrderedDict())
            letters[task_id] = None
            if len(letters) > DEAD_LETTERS_KEPT:
                del self.dead[letters.popitem(last=False)[0]]
            return
        self.finished[task_id] = task
        order = self._finished_order.get(partition)
        if order is None:
            order = self._finished_order[partition] = deque()
        order.append(task_id)
        if len(order) > FINISHED_TASKS_KEPT:
            del self.finished[order.popleft()]

    def _move_session(
        self,
        name: str,
        context: FactContext,
        session: SessionState | None,
        partition: int,
        offset: int,
        timestamp: float,
    ) -> Verdict:
        if name == names.JOINED:
            return self._join(context, session, partition, offset, timestamp)
        if name == names.EXPIRED:
            watcher = self.session(partition, context.by)
            if watcher is not None:
                watcher.last = offset
            if session is not None and session.last != context.last:
                return _REFUSED  # the session has shown a sign of life that the watcher had not seen
        if session is None:
            return _REFUSED
        if name != names.BEAT:
            self._end_session(session, name, offset, timestamp)
        return _ACCEPTED

    def _join(
        self, context: FactContext, session: SessionState | None, partition: int, offset: int, timestamp: float
    ) -> Verdict:
        if session is not None or not 0 < len(context.worker) <= KEY_CHARS_MAX:
            return _REFUSED
        self.sessions.setdefault(partition, {})[context.worker] = SessionState(
            context.worker,
            partition,
            context.lease_ms,
            context.host,
            context.pid,
            timestamp,
            offset,
            context.tasks,
            context.more_tasks,
            context.queues,
            context.slots,
            context.selection,
        )
        self._sessions_changed()
        return _ACCEPTED

    def _end_session(self, session: SessionState, name: str, offset: int, timestamp: float) -> None:
        """Return the claims of a session: unharmed if it left, the attempts counted if it expired."""
        del self.sessions[session.partition][session.worker]
        self._sessions_changed()
        moves = _MOVES[_CLAIMED]
        left = name == names.LEFT
        for task in session.claims.values():
            move = moves[HANDED_BACK] if left else moves[EXHAUSTED if task.exhausted else RETURNED]
            self._settle(task, move, offset, timestamp)

    def _sessions_changed(self) -> None:
        if self.on_sessions is not None:
            self.on_sessions()


# The state's form is told in a module of its own, which needs the names above.
from . import view_state  # noqa: E402

_TASK_NAMES: Final = frozenset(names.TASK_EVENTS)
_WORKER_NAMES: Final = frozenset(names.WORKER_EVENTS)
OUTCOMES: Final = frozenset({names.SUCCEEDED, names.FAILED, names.RETRIED, names.INTERRUPTED})
