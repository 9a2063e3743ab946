"""Summarise the state: queues, workers, dead letters, refused events. Pure: the caller passes the time."""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ..limits import DEAD_LETTERS_SHOWN
from ..state.state import SessionState, TaskKind, TaskState
from ..state.transitions import State
from ..state.view import TaskView
from .schedule_lines import ScheduleLine, schedule_lines

_READY, _CLAIMED, _FAILED = State.READY, State.CLAIMED, State.FAILED
_NO_SIGNS: Final[Mapping[str, float]] = {}


class QueueLine(msgspec.Struct, frozen=True, order=True):
    """One queue: tasks ready now, delayed, claimed; `oldest_seconds` is how long its oldest ready task has been ready.

    `workers` is how many live workers serve it; `dead` how many dead letters it has. `paused_since` is when it was
    paused, in seconds since the epoch; None if it is not.
    """

    name: str
    ready: int
    delayed: int
    claimed: int
    dead: int
    oldest_seconds: float | None
    workers: int
    paused_since: float | None = None


class WorkerLine(msgspec.Struct, frozen=True):
    """One worker, all its sessions together.

    `last_sign` is its last sign of life, in seconds since the epoch, None if unknown. `overdue`: it holds claims and
    has been silent for longer than its lease. `tasks` is None if it did not list them. `selection` has its settings of
    narrowed queues, round-robin and ageing.
    """

    worker: str
    host: str
    pid: int
    joined_at: float
    claims: int
    slots: int
    lease_ms: int
    last_sign: float | None
    overdue: bool
    queues: tuple[str, ...] | None
    tasks: tuple[str, ...] | None
    more_tasks: int
    partitions: int
    selection: dict[str, Any]


class Orphans(msgspec.Struct, frozen=True):
    """Waiting tasks that no live worker can run: no worker knows them, or none serves their queue.

    `function` is the one for which they were made, if workers have `others` under that name; otherwise empty.
    """

    task: str
    queue: str
    waiting: int
    function: str = ""
    others: tuple[str, ...] = ()


class Letter(msgspec.Struct, frozen=True):
    """A dead letter: a task that has failed for good, at `failed_at` (seconds since the epoch)."""

    id: str
    task: str
    queue: str
    failed_at: float


class Totals(msgspec.Struct, frozen=True):
    """Counts over the whole history; `dead` counts the present dead letters.

    `counted_since` is None, or the time, in seconds since the epoch, from which on ended tasks are counted: retention
    has removed earlier ones, and an older version, which did not count them, has written the snapshot.
    """

    ready: int
    delayed: int
    claimed: int
    submitted: int
    succeeded: int
    revoked: int
    dead: int
    stale_outcomes: int
    lost_claims: int
    takeovers: int
    unreadable: int
    counted_since: float | None


class Overview(NamedTuple):
    """The summary as of `at`, in seconds since the epoch.

    `dead` counts the dead letters by task, `letters` are the newest of them. `clocks` says which clocks are or were
    wrong.
    """

    at: float
    queues: list[QueueLine]
    workers: list[WorkerLine]
    orphans: list[Orphans]
    dead: list[tuple[str, int]]
    totals: Totals
    clocks: tuple[str, ...] = ()
    schedules: tuple[ScheduleLine, ...] = ()
    letters: tuple[Letter, ...] = ()


def overview(
    view: TaskView, now: float, signs: Mapping[str, float] = _NO_SIGNS, counts: "TaskCounts | None" = None
) -> Overview:
    """Summarise the state at `now`; `signs` are the workers' last signs of life, in seconds since the epoch.

    `counts` of the tasks at `now`, if they were made before.
    """
    dead = Counter(task.name for task in view.dead.values())
    newest = heapq.nlargest(DEAD_LETTERS_SHOWN, view.dead.values(), key=lambda task: (task.changed_at, task.id))
    letters = tuple(Letter(task.id, task.name, task.queue, task.changed_at) for task in newest)
    schedules = schedule_lines(view.schedules, now)
    seen = counted_overview(view, _all_counts(view, now) if counts is None else counts, signs)
    return seen._replace(dead=dead.most_common(), letters=letters, schedules=schedules)


def counted_overview(view: TaskView, counts: "TaskCounts", signs: Mapping[str, float] = _NO_SIGNS) -> Overview:
    """As `overview`, by counts of the tasks that were made before, without dead letters and schedules."""
    workers = worker_lines(view, counts.now, signs)
    queues = queue_lines(view, counts, workers)
    totals = Totals(
        sum(queue.ready for queue in queues),
        sum(queue.delayed for queue in queues),
        sum(queue.claimed for queue in queues),
        view.submitted,
        view.succeeded,
        view.revoked,
        view.failed,
        view.stale_outcomes,
        view.lost_claims,
        view.takeovers,
        view.unreadable,
        view.counted_since,
    )
    return Overview(counts.now, queues, workers, _orphans(view, counts.ready_kinds), [], totals)


class _Queue:
    """The running counts of a queue; `ready_since` is infinite without a ready task."""

    __slots__ = ("claimed", "dead", "delayed", "ready", "ready_since")

    def __init__(self) -> None:
        self.ready = self.delayed = self.claimed = self.dead = 0
        self.ready_since = math.inf


class TaskCounts:
    """Counts the tasks at `now` by queue, and the ready ones by kind; tasks may be added in portions."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.queues: dict[str, _Queue] = {}
        self.ready_kinds: Counter[TaskKind] = Counter()

    def add(self, tasks: Iterable[TaskState]) -> None:
        """Count tasks; those that have ended since they were listed are left out."""
        kind: TaskKind | None = None
        queue, now, ready_kinds = _Queue(), self.now, self.ready_kinds
        for task in tasks:
            if task.kind is not kind:  # usually once for many tasks
                kind = task.kind
                queue = self.of(kind.queue)
            state = task.run.state
            if state is _CLAIMED:
                queue.claimed += 1
            elif state is _READY:
                ready_kinds[kind] += 1
                since = max(task.submitted_at, task.due) if task.due else task.submitted_at
                if task.due > now:
                    queue.delayed += 1
                    continue
                queue.ready += 1
                queue.ready_since = min(queue.ready_since, since)
            elif state is _FAILED:
                queue.dead += 1

    def of(self, name: str) -> _Queue:
        """Return the counts of a queue."""
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = _Queue()
        return queue


def _all_counts(view: TaskView, now: float) -> TaskCounts:
    counts = TaskCounts(now)
    counts.add(view.live.values())
    counts.add(view.dead.values())
    return counts


def queue_lines(view: TaskView, counts: TaskCounts, workers: Iterable[WorkerLine]) -> list[QueueLine]:
    """Return one line for each queue that a task, a worker or a pause names, in the order of their names."""
    for worker in workers:
        for name in worker.queues or ():
            counts.of(name)
    paused: dict[str, float] = {}
    for queues in view.paused.values():
        for name, pause in queues.items():
            counts.of(name)
            paused[name] = min(pause.at, paused.get(name, pause.at))
    lines: list[QueueLine] = []
    for name, queue in sorted(counts.queues.items()):
        oldest = None if queue.ready_since == math.inf else max(0.0, counts.now - queue.ready_since)
        serving = sum(worker.queues is None or name in worker.queues for worker in workers)
        depths = queue.ready, queue.delayed, queue.claimed, queue.dead
        lines.append(QueueLine(name, *depths, oldest, serving, paused.get(name)))
    return lines


def worker_lines(view: TaskView, now: float, signs: Mapping[str, float] = _NO_SIGNS) -> list[WorkerLine]:
    """Return one line for each worker, the longest running first."""
    sessions: dict[str, list[SessionState]] = {}
    for session in view.all_sessions():
        sessions.setdefault(session.worker, []).append(session)
    lines = [worker_line(own, now, signs.get(worker)) for worker, own in sessions.items()]
    return sorted(lines, key=lambda line: (line.joined_at, line.worker))


def worker_line(sessions: Sequence[SessionState], now: float, sign: float | None) -> WorkerLine:
    """Return the line of a worker by its sessions; `sign` is its last sign of life, in seconds since the epoch."""
    first = sessions[0]
    claims = sum(len(session.claims) for session in sessions)
    return WorkerLine(
        first.worker,
        first.host,
        first.pid,
        min(session.joined_at for session in sessions),
        claims,
        first.slots,
        first.lease_ms,
        sign,
        bool(claims) and sign is not None and now - sign > first.lease_ms / 1_000,
        first.queues,
        first.tasks,
        first.more_tasks,
        len(sessions),
        first.selection.said() if first.selection is not None else {},
    )


def _orphans(view: TaskView, kinds: Mapping[TaskKind, int]) -> list[Orphans]:
    sessions = list(view.all_sessions())
    waiting: Counter[tuple[str, str, str, tuple[str, ...]]] = Counter()
    for kind, count in kinds.items():
        if not any(session.may_claim(kind) for session in sessions):
            others = _other_functions(kind, sessions)
            waiting[kind.name, kind.queue, kind.function if others else "", others] += count
    return [
        Orphans(name, queue, count, function, others)
        for (name, queue, function, others), count in sorted(waiting.items())
    ]


def _other_functions(kind: TaskKind, sessions: Iterable[SessionState]) -> tuple[str, ...]:
    """Return the functions that live workers have under the name, if only these differ; else nothing."""
    named = [session for session in sessions if session.knows_name(kind.name)]
    if any(session.knows(kind) for session in named):
        return ()
    return tuple(sorted({function for session in named for function in session.accepts[kind.name].functions}))
