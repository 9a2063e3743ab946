"""Fold events into trends and into the state of the tasks, which alone decides which events count. Pure.

The view keeps a `TaskView` up to the same position and gives it every event. An event that the state refuses is no
start and no end. What a task did before, and since when, is read off the state before the event.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ...consumers.views.view import View
from ...journal.event import Event
from ...journal.log import Page
from ..state import names
from ..state.decoding import TaskContext
from ..state.part_facts import part_fact, read_context
from ..state.selection import waiting_since
from ..state.state import SessionState, TaskState
from ..state.transitions import State
from ..state.verdict import Verdict
from ..state.view import TaskView
from .bucket import Bucket, ExpiredWorker, Failure, Incidents, SlowRun
from .decoding import REASONS, contexts, error_of, ran_seconds, trend_facts
from .trends import Trends
from .window import Window

_READY, _CLAIMED, _SUCCEEDED, _FAILED, _REVOKED = (
    State.READY,
    State.CLAIMED,
    State.SUCCEEDED,
    State.FAILED,
    State.REVOKED,
)
_SUBMITTED, _CLAIM = names.SUBMITTED, names.CLAIMED
_ACCEPTED, _REFUSED = Verdict.ACCEPTED, Verdict.REFUSED
_TASK_EVENTS: Final = frozenset(names.TASK_EVENTS)
_ENDS: Final = frozenset({names.LEFT, names.EXPIRED})
# Events of these names belong to a part of the state; any other one is at most a sign of life.
_PARTS: Final = frozenset((*names.WORKER_EVENTS, *names.QUEUE_EVENTS, *names.LOCK_EVENTS, *names.SCHEDULE_EVENTS))


class TrendView(View):
    """The trends of a window, and `state`, the state of the tasks where the events that were applied end.

    `state` at the start is that where the window begins; a fresh one if nothing has happened before. It is applied on,
    and belongs to this view from then on. Events that are stamped before the window count in its first bucket, and
    those stamped later in its last one: a caller that follows the log lets the window `slide`.

    The memory is that of the state, which grows with the live tasks, and that of `Trends`.
    """

    def __init__(self, window: Window, state: TaskView | None = None) -> None:
        self.state = state if state is not None else TaskView()
        self.trends = Trends(window)
        self._count_standing(self.state.live.values())
        self._leave()

    def _leave(self) -> None:
        """Forget the bucket of the last event."""
        self._number, self._after, self._up_to = 0, math.inf, -math.inf
        self._here: dict[str, Bucket] = {}

    def _enter(self, timestamp: float) -> None:
        """Remember the bucket of an event: most events fall into that of the event before."""
        window = self.trends.window
        number = self._number = window.number_of(timestamp)
        self._after = -math.inf if number == window.first else window.begin_of(number)
        self._up_to = math.inf if number == window.last else window.begin_of(number + 1)
        self._here = {}

    def _count_standing(self, tasks: Iterable[TaskState]) -> None:
        for task in tasks:
            series = self.trends.series(task.kind.queue)
            if task.run.state is _CLAIMED:
                series.running += 1
            else:
                series.waiting += 1

    def slide(self, until: float) -> None:
        """Let the window end with the bucket of `until`, in seconds since the epoch; its first buckets are dropped."""
        self.trends.slide(until)
        self._leave()

    def apply(self, event: Event) -> Verdict:
        """Apply one event, and return the verdict of the state."""
        name = event.name
        try:
            is_task = name in _TASK_EVENTS
            context = contexts.decode(event.context_json) if is_task else read_context(name, event.context_json)
        except msgspec.MsgspecError:
            self.state.unreadable += 1
            return Verdict.FOREIGN
        return self._apply(name, context, event.partition, event.offset, event.timestamp)

    def apply_page(self, page: Page) -> None:
        """Apply a page of records."""
        partition, offsets, rows = page
        state, apply, submit, move = self.state, self._apply, self._apply_submission, self._apply_move
        for offset, row, said in zip(offsets, rows, trend_facts(rows), strict=True):
            if said is None:
                state.unreadable += 1
            elif said.name == _SUBMITTED:
                submit(said.context, partition, offset, said.timestamp)
            elif said.name in _TASK_EVENTS:
                move(said.name, said.context, partition, offset, said.timestamp)
            elif said.name in _PARTS or state.sessions.get(partition):
                other = part_fact(row)
                if other is None:
                    state.unreadable += 1
                else:
                    apply(other.name, other.context, partition, offset, other.timestamp)

    def _apply(self, name: str, context: Any, partition: int, offset: int, timestamp: float) -> Verdict:
        state = self.state
        if name == _SUBMITTED:
            return self._apply_submission(context, partition, offset, timestamp)
        if name in _TASK_EVENTS:
            return self._apply_move(name, context, partition, offset, timestamp)
        if name not in _ENDS:
            return state.apply_fact(name, context, partition, offset, timestamp)
        session = state.session(partition, context.worker)
        verdict = state.apply_fact(name, context, partition, offset, timestamp)
        if verdict is _ACCEPTED and session is not None:
            self._count_end(name, session, timestamp)
        return verdict

    def _apply_submission(self, context: TaskContext, partition: int, offset: int, timestamp: float) -> Verdict:
        verdict = self.state.apply_fact(_SUBMITTED, context, partition, offset, timestamp)
        if verdict is _ACCEPTED:
            bucket = self._bucket(context.queue, timestamp)
            bucket.counts.submitted += 1
            bucket.waiting += 1
        return verdict

    def _apply_move(self, name: str, context: TaskContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """Apply an event about a task that is no submission."""
        state = self.state
        task = state.find(context.task)
        before, since, due = (task.run.state, task.changed_at, task.due) if task is not None else _NO_TASK
        verdict = state.apply_fact(name, context, partition, offset, timestamp)
        if verdict is _REFUSED:
            self._count_refused(name, task, timestamp)
        elif verdict is not _ACCEPTED:
            return verdict
        elif name == _CLAIM:
            assert task is not None, "a claim is accepted of a ready task alone"
            bucket = self._bucket(task.kind.queue, timestamp)
            bucket.counts.started += 1
            bucket.waiting -= 1
            bucket.running += 1
            bucket.waited.add(timestamp - waiting_since(since, due))
        elif task is None:
            self._count_forgotten(name, context, timestamp)
        elif name not in _STILL:
            self._count_move(name, context, task, before, since, timestamp)
        return verdict

    def _bucket(self, queue: str, timestamp: float) -> Bucket:
        if not self._after < timestamp <= self._up_to:
            self._enter(timestamp)
        found = self._here.get(queue)
        if found is None:
            found = self._here[queue] = self.trends.series(queue).bucket(self._number)
        return found

    def _incidents(self, timestamp: float) -> Incidents:
        if not self._after < timestamp <= self._up_to:
            self._enter(timestamp)
        return self.trends.incidents_in(self._number)

    def _count_refused(self, name: str, task: TaskState | None, timestamp: float) -> None:
        if name != names.CLAIMED and name not in names.OUTCOMES:
            return
        elsewhere, window = self.trends.elsewhere, self.trends.window
        bucket = elsewhere.bucket(window.number_of(timestamp)) if task is None else self._bucket(task.queue, timestamp)
        counts = bucket.counts
        if name == names.CLAIMED:
            counts.lost_claims += 1
        else:
            counts.stale_outcomes += 1

    def _count_forgotten(self, name: str, context: TaskContext, timestamp: float) -> None:
        """Count what became of a dead letter that the state had forgotten."""
        carried = context.submission
        if carried is None or name in _STILL:
            return  # a note about a task that has ended
        bucket = self._bucket(carried.queue, timestamp)
        if name == names.PURGED:
            bucket.counts.purged += 1
        else:
            bucket.counts.requeued += 1
            bucket.waiting += 1

    def _count_move(
        self, name: str, context: TaskContext, task: TaskState, before: State, since: float, timestamp: float
    ) -> None:
        """Count an accepted event by what it has made of the task, which was in the state `before` from `since` on."""
        after = task.run.state
        bucket = self._bucket(task.kind.queue, timestamp)
        counts = bucket.counts
        if after is not before:
            bucket.waiting += (after is _READY) - (before is _READY)
            bucket.running += (after is _CLAIMED) - (before is _CLAIMED)
        if after is _SUCCEEDED:
            counts.succeeded += 1
            bucket.latency.add(timestamp - task.submitted_at)
        elif after is _FAILED:
            counts.failed += 1
            self._count_failure(name, context, task, timestamp).failed += 1
        elif after is _REVOKED:
            if before is _FAILED:
                counts.purged += 1
            else:
                counts.revoked += 1
        elif name == names.INTERRUPTED:
            counts.interrupted += 1
        elif name == names.REQUEUED:
            counts.requeued += 1
        else:
            counts.retried += 1
            self._count_failure(name, context, task, timestamp).retried += 1
        if before is _CLAIMED and name in _RUNS:
            self._count_run(name, context, task, timestamp - since, timestamp, bucket)

    def _count_run(
        self, name: str, context: TaskContext, task: TaskState, held: float, timestamp: float, bucket: Bucket
    ) -> None:
        """Count the run of an attempt: as long as its outcome says, otherwise as long as its claim was `held`."""
        said = ran_seconds(context)
        seconds = max(held if said is None else said, 0.0)
        bucket.ran.add(seconds)
        incidents = self._incidents(timestamp)
        if incidents.is_slow(seconds):
            kind, worker = task.kind, task.run.worker
            incidents.add_run(SlowRun(seconds, timestamp, task.id, kind.name, kind.queue, worker, name))

    def _count_failure(self, name: str, context: TaskContext, task: TaskState, timestamp: float) -> Failure:
        reason, text = error_of(name, context)
        return self._failure(task, reason, text, timestamp)

    def _failure(self, task: TaskState, reason: str, text: str, timestamp: float) -> Failure:
        """Return the failures of that kind, of which this is the newest."""
        incidents = self._incidents(timestamp)
        found = incidents.failure((task.kind.name, task.kind.queue, reason))
        if (timestamp, task.id) >= (found.at, found.task):
            found.at, found.task, found.text = timestamp, task.id, text
        return found

    def _count_end(self, name: str, session: SessionState, timestamp: float) -> None:
        """Count the end of a session, which has returned its claims."""
        returned = failed = 0
        for task in session.claims.values():
            bucket = self._bucket(task.kind.queue, timestamp)
            bucket.running -= 1
            if task.run.state is _FAILED:
                failed += 1
                bucket.counts.failed += 1
                self._failure(task, REASONS[names.EXPIRED], "", timestamp).failed += 1
                continue
            bucket.waiting += 1
            if name == names.LEFT:
                bucket.counts.interrupted += 1
            else:
                returned += 1
                bucket.counts.returned += 1
        if name == names.EXPIRED:
            expired = ExpiredWorker(session.worker, session.host, timestamp, returned, failed)
            self._incidents(timestamp).expire(expired)


_NO_TASK: Final = (State.UNKNOWN, 0.0, 0.0)
# Accepted events that neither end an attempt nor move a task.
_STILL: Final = frozenset({names.PROGRESSED, names.COLLECTED, names.NOTED, names.RESULT_STORED, names.AMENDED})
# The events that end an attempt which has run to its end.
_RUNS: Final = (names.OUTCOMES - {names.INTERRUPTED}) | names.BY_HAND
