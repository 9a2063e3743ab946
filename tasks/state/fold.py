"""Fold events into the state of the queue: the rules by which tasks move, and the parts beside them. Pure.

The order of one partition alone decides. A session lives in one partition, and so does a task, so two replicas that
read the same log cannot disagree about the owner of a task.

The rules of the tasks stand here, since nearly all events are about them. Every other event is applied by the part that
names it; another feature is another part in `_parts`.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from ..limits import ROW_OVERHEAD_BYTES, TASK_ID_CHARS_MAX, TASK_KINDS_REMEMBERED
from . import names
from .amendments import Amendments
from .chains import ExpectedLinks
from .dead_letters import DeadLetters
from .decoding import Carried, EventContext, TaskContext
from .ended import EndedTasks
from .expiries import Expiries
from .jobs import Jobs, is_job_queue
from .locks import Locks
from .part import Part, Parts
from .pauses import PausedQueues
from .rows import KeptRows
from .schedules import Schedules
from .services import Services
from .sessions import Sessions
from .state import UNTOUCHED, KindKey, RunState, SessionState, TaskKind, TaskState
from .transitions import EXHAUSTED, HANDED_BACK, PLAIN_MOVES, RETURNED, Attempt, State
from .verdict import Verdict

_SUBMITTED: Final = names.SUBMITTED
_UNUSUAL: Final = names.BY_HAND | {
    names.RETRIED,
    names.INTERRUPTED,
    names.LAPSED,
    names.AMENDED,
    names.REQUEUED,
    names.NOTED,
}
_MOVING: Final = frozenset(names.TASK_EVENTS) - {names.SUBMITTED}
_READY, _CLAIMED, _SUCCEEDED, _FAILED = State.READY, State.CLAIMED, State.SUCCEEDED, State.FAILED
_COUNTED, _TAKEN_OFF = Attempt.COUNTED, Attempt.TAKEN_OFF
_FORGOTTEN, _ADDED = Attempt.FORGOTTEN, Attempt.ADDED
_ACCEPTED, _REFUSED, _FOREIGN = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.FOREIGN


class TaskFold:
    """The live tasks, the dead letters, the live sessions, the other parts, and where tasks have ended recently.

    - `keeps(task_name, queue)` says whether the submissions of such waiting tasks are kept, within the limits of
      `KeptRows`; None for none. The view of a worker keeps those of the tasks that it runs.
    - `on_ready(task)` is called whenever a task becomes ready, for the queue of ready tasks.
    - `on_ended(task)` is called whenever a task has succeeded or was revoked: the view itself keeps only its end.
    """

    def __init__(
        self,
        *,
        keeps: Callable[[str, str], bool] | None = None,
        on_ready: Callable[[TaskState], None] | None = None,
        on_ended: Callable[[TaskState], None] | None = None,
    ) -> None:
        self.live: dict[str, TaskState] = {}
        self.dead = DeadLetters()
        self.sessions = Sessions(self._return_claims)
        self.paused = PausedQueues()
        self.locks = Locks()
        self.schedules = Schedules()
        self.services = Services()
        self.jobs = Jobs()
        self.expiries = Expiries()
        self.amendments = Amendments()
        self.links = ExpectedLinks()
        queues = (self.sessions, self.paused, self.locks, self.schedules, self.services)
        self._parts: Parts = (*queues, self.expiries, self.amendments, self.links, self.jobs)
        self._part_of: dict[str, Part[Any, Any, Any]] = {name: part for part in self._parts for name in part.events}
        self.suspects: dict[str, TaskState] = {}  # of the live ones
        # Of all tasks that there ever were, or that have ended since `counted_since`.
        self.submitted = 0
        self.succeeded = 0
        self.revoked = 0
        self.counted_since: float | None = None
        self.stale_outcomes = 0
        self.lost_claims = 0
        self.takeovers = 0
        self.unreadable = 0
        # By partition, since the oldest task is defined within one only: readers interleave partitions differently.
        self._ended: dict[int, EndedTasks] = {}
        self._kinds: dict[KindKey, TaskKind] = {}
        self._keeps = keeps
        self.rows = KeptRows()
        self.on_ready = on_ready
        self.on_ended = on_ended

    @property
    def failed(self) -> int:
        """How many tasks are dead letters now, those included that the view has forgotten."""
        return self.dead.total

    def find(self, task_id: str) -> TaskState | None:
        """The task of that id, if it is alive or a known dead letter."""
        return self.live.get(task_id) or self.dead.get(task_id)

    def session(self, partition: int, worker: str) -> SessionState | None:
        """The live session of a worker in a partition."""
        return self.sessions.of(partition, worker)

    def all_sessions(self) -> Iterable[SessionState]:
        """All live sessions, partition by partition."""
        return self.sessions.all()

    def apply_fact(
        self, name: str, context: Any, partition: int, offset: int, timestamp: float, row: bytes | None = None
    ) -> Verdict:
        """Apply one event, its context decoded as `read_context` does; `row` is its record, kept if a submission."""
        if name == _SUBMITTED:
            return self._submit(context, partition, offset, timestamp, row)
        if name in _MOVING:
            return self._move_task(name, context, partition, offset, timestamp)
        return self._apply_to_part(name, context, partition, offset, timestamp)

    def _apply_to_part(
        self, name: str, context: EventContext, partition: int, offset: int, timestamp: float
    ) -> Verdict:
        """Apply an event that is not about a task to its part; any event of a worker is a sign of life."""
        if name != names.EXPIRED:
            self.sessions.sign(partition, context.worker, offset)
        part = self._part_of.get(name)
        if part is None:
            return _FOREIGN
        verdict = part.apply(name, context, partition, offset, timestamp)
        return self._unreadable() if verdict is _FOREIGN and part is self.sessions else verdict

    def _submit(
        self, context: TaskContext, partition: int, offset: int, timestamp: float, row: bytes | None
    ) -> Verdict:
        task_id = context.task
        if context.after >= 0 and not self.links.take(partition, task_id, context.after):
            return _REFUSED
        if task_id in self.live or task_id in self.dead:
            return _REFUSED
        ended = self._ended.get(partition)
        if ended is not None and task_id in ended.ends and ended.refuse(task_id, offset):
            return _REFUSED
        if not task_id or len(task_id) > TASK_ID_CHARS_MAX:  # no event about it could be appended: the id is their key
            return _REFUSED if task_id else self._unreadable()
        key = (
            context.task_name,
            context.queue,
            context.priority,
            context.max_retries,
            partition,
            context.function,
            context.named,
        )
        kind = self._kinds.get(key) or self._kind_of(key)
        self.live[task_id] = task = TaskState(task_id, kind, offset, timestamp, context.due or 0.0, UNTOUCHED)
        self.submitted += 1
        if context.expires:
            self.expiries[task_id] = context.expires
        if kind.kept and row is not None:
            kept = self.rows
            if kept.room > 0:
                kept.rows[task_id] = row
                kept.room -= len(row) + ROW_OVERHEAD_BYTES
            else:
                kept.keep(task_id, row)
        if kind.job:
            self.jobs.began(task)
        if self.on_ready is not None:
            self.on_ready(task)
        return _ACCEPTED

    def _kind_of(self, key: KindKey) -> TaskKind:
        """The kind of that key, one object for all its tasks."""
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= TASK_KINDS_REMEMBERED:
                self._kinds.clear()
            kept = self._keeps is not None and self._keeps(key[0], key[1])
            kind = self._kinds[key] = TaskKind(*key, kept, is_job_queue(key[1]))
        return kind

    def _move_task(self, name: str, context: TaskContext, partition: int, offset: int, timestamp: float) -> Verdict:
        worker = context.worker
        session: SessionState | None
        try:
            session = self.sessions[partition][worker]
        except KeyError:
            session = None
        else:
            session.last = offset  # any event of a session is a sign of life, even a refused one
        task = self.live.get(context.task) or self.dead.get(context.task)
        if task is None:
            return self._move_unknown(name, context, partition, offset, timestamp)
        run = task.run
        move = PLAIN_MOVES[run.state].get(name)
        if move is None or partition != task.kind.partition:
            return self._refuse(name, task)
        to, needs_session, needs_token, attempt = move
        if (needs_token and context.claim != run.claim) or (needs_session and session is None):
            return self._refuse(name, task)
        if attempt is _COUNTED:
            assert session is not None, "a move that counts an attempt requires a session"
            self._hold(task, session, offset, timestamp)
            return _ACCEPTED
        if name in _UNUSUAL and not self._prepare(name, context, task, offset):
            return self._refuse(name, task)
        if run.state is _CLAIMED and to is not _CLAIMED:
            self._release(task, session if worker == run.worker else self.session(partition, run.worker))
        self._settle(task, to, attempt, offset, timestamp)
        if context.next and to is _SUCCEEDED and needs_token:
            self.links.expect(partition, context.next, context.claim)
        return _ACCEPTED

    def _prepare(self, name: str, context: TaskContext, task: TaskState, offset: int) -> bool:
        """Return whether the task fulfils what only this event requires; then its due time or amendment is set."""
        if name == names.LAPSED:
            return task.id in self.expiries
        if name == names.NOTED:
            self.jobs.noted(task)
            return True
        if name == names.REQUEUED:
            self.amendments.carry(task.id, context.submission)
            return True
        if context.claim not in (-1, task.run.claim):
            return False
        if name == names.AMENDED:
            self.amendments[task.id] = offset
        elif name in (names.RETRIED, names.RESCHEDULED) or (name == names.INTERRUPTED and context.due):
            task.due = context.due
            if name != names.RESCHEDULED:
                self._clear(task)
        return True

    def _move_unknown(self, name: str, context: TaskContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """Apply an event about a task that is neither live nor a known dead letter."""
        task_id = context.task
        if not task_id:
            return self._unreadable()
        ended = self._ended.get(partition)
        end = ended.ends.get(task_id) if ended is not None else None
        if end is not None and (name == names.NOTED or (name == names.COLLECTED and end >= 0)):
            return _ACCEPTED
        carried = context.submission
        if carried is None or name not in (names.REQUEUED, names.PURGED):
            return self._refuse(name)
        if len(task_id) > TASK_ID_CHARS_MAX or not 0 <= carried.offset < offset:
            return _REFUSED
        if ended is not None and ended.refuse(task_id, offset):  # last, since it forgets what it no longer refuses
            return self._refuse(name)
        task = self._forgotten(task_id, carried, partition, offset, timestamp)
        if name == names.PURGED:
            task.run.state = State.REVOKED
            self._finish(task)
        else:
            self.live[task.id] = task
            self.amendments.carry(task.id, carried)
            if task.kind.job:
                self.jobs.began(task)
            if self.on_ready is not None:
                self.on_ready(task)
        return _ACCEPTED

    def _forgotten(self, task_id: str, carried: Carried, partition: int, offset: int, timestamp: float) -> TaskState:
        """Rebuild a dead letter that the view has forgotten or never knew, as it is when it leaves the dead letters."""
        run = RunState(_READY, offset, timestamp)
        if not self.dead.remove_forgotten():
            self.submitted += 1  # it was not counted when it was submitted and failed
        return TaskState(task_id, self._kind_of(carried.kind_in(partition)), carried.offset, carried.at, 0.0, run)

    def _unreadable(self) -> Verdict:
        """Count an event of a known name that names no task or worker."""
        self.unreadable += 1
        return _FOREIGN

    def _refuse(self, name: str, task: TaskState | None = None) -> Verdict:
        if task is not None:
            task.touched().refused += 1
        if name == names.CLAIMED:
            self.lost_claims += 1
        elif name in names.OUTCOMES:
            self.stale_outcomes += 1
        return _REFUSED

    def _release(self, task: TaskState, holder: SessionState | None) -> None:
        if holder is not None:
            holder.claims.pop(task.id, None)

    def _hold(self, task: TaskState, session: SessionState, offset: int, timestamp: float) -> None:
        """Give the task to a session: the position of the claim is its fencing token."""
        worker = session.worker  # this string, not the event's, so that many tasks share one object
        run = task.run
        if run is UNTOUCHED:
            task.run = RunState(_CLAIMED, offset, timestamp, 1, offset, worker)
        else:
            if run.expired:
                run.expired = False
                self.takeovers += 1
            run.state = _CLAIMED
            run.worker = worker
            run.attempts += 1
            run.claim = run.changed = offset
            run.changed_at = timestamp
        session.claims[task.id] = task

    def _settle(self, task: TaskState, to: State, attempt: Attempt, offset: int, timestamp: float) -> None:
        """Carry out any other accepted move: update attempts and state, and move the task between the dictionaries."""
        run = task.touched() if task.run is UNTOUCHED else task.run
        if attempt is _TAKEN_OFF:
            run.attempts -= 1
        elif attempt is _FORGOTTEN:
            run.attempts = 0
            task.due = 0.0
            self._clear(task)
        elif attempt is _ADDED:
            run.attempts += 1
        if to is run.state and attempt is not _ADDED:
            return
        if run.state is _FAILED:
            self.dead.remove(task)
        run.state, run.changed, run.changed_at = to, offset, timestamp
        if to is _READY:
            run.claim = -1
            self.live[task.id] = task
            if task.kind.job:
                self.jobs.began(task)
            if self.on_ready is not None:
                self.on_ready(task)
        else:  # no other move leads to a claim: `_hold` carries that out
            self._finish(task)

    def _finish(self, task: TaskState) -> None:
        """Remove a task from the live ones, to the dead letters or the ended ones."""
        task_id, partition, run = task.id, task.kind.partition, task.run
        self.live.pop(task_id, None)
        if run.suspect:
            self.suspects.pop(task_id, None)
        run.claim = -1
        if task.kind.job:
            self.jobs.ended(task)
        if self.expiries or self.amendments:
            self.expiries.pop(task_id, None)
            self.amendments.pop(task_id, None)
        if task.kind.kept and (row := self.rows.rows.pop(task_id, None)) is not None:
            self.rows.release(task_id, len(row) + ROW_OVERHEAD_BYTES)
        if run.state is _FAILED:
            self.dead.add(task)
            return
        if run.state is _SUCCEEDED:
            self.succeeded += 1
        else:
            self.revoked += 1
        ended = self._ended.get(partition)
        if ended is None:
            ended = self._ended[partition] = EndedTasks()
        changed = run.changed
        if changed >= ended.prune_at:
            ended.add(task_id, changed, run.state)
        else:
            ended.ends[task_id] = changed if run.state is _SUCCEEDED else ~changed  # as `add` does
        if self.on_ended is not None:
            self.on_ended(task)

    def _return_claims(self, session: SessionState, name: str, offset: int, timestamp: float) -> None:
        """Return the claims of a session that has ended: unharmed if it left, the attempts counted if it expired."""
        moves = PLAIN_MOVES[_CLAIMED]
        left = name == names.LEFT
        for task in session.claims.values():
            to, _, _, attempt = moves[HANDED_BACK] if left else moves[EXHAUSTED if task.exhausted else RETURNED]
            if not left:
                self._suspect(task)
            self._settle(task, to, attempt, offset, timestamp)

    def _suspect(self, task: TaskState) -> None:
        """Count an expiry of a session that held the task: any of the tasks it held may have killed its worker."""
        run = task.touched()
        run.expiries += 1
        run.expired = True
        last = task.max_retries is not None and run.attempts >= task.max_retries
        run.suspect = last or run.expiries > 1
        if run.suspect:
            self.suspects[task.id] = task

    def _clear(self, task: TaskState) -> None:
        """Clear the suspicion: the attempt has ended and its worker survived, or the task was requeued."""
        run = task.touched()
        run.expiries, run.suspect = 0, False
        self.suspects.pop(task.id, None)
