"""Read snapshots of the task view in older forms, which are needed if retention has removed the history before them.

- The form before this one has the sessions in a field of their own, and no other part.
- The first form holds each task in full, but only the newest 50,000 ended tasks of each partition. If a partition had
  more, its ended tasks are counted only from the end of the oldest task of these 50,000 on.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from .ended import EndedTasks
from .sessions import Sessions
from .state import UNTOUCHED, KindKey, RunState, TaskKind, TaskState
from .transitions import State
from .view_snapshot import Kind, SavedState, Tasks, ended_of, kinds_of, tasks_of

SCHEMAS: Final = ("d532b3c040914987", "195b528e62ca7f36")
# How many of the ended tasks, and of the dead letters, a snapshot of the first form holds of a partition.
_FINISHED_KEPT: Final = 50_000
_DEAD_KEPT: Final = 100_000


class _Columns(msgspec.Struct, array_like=True):
    """The form before this one."""

    fold: int
    kinds: list[Kind]
    live: Tasks
    dead: Tasks
    ended: list[tuple[int, int, list[str], list[int]]]
    sessions: msgspec.Raw
    counters: dict[str, int]
    counted_since: float | None


class _Task(msgspec.Struct, array_like=True):
    id: str
    name: str
    queue: str
    priority: int
    max_retries: int | None
    partition: int
    submitted: int
    submitted_at: float
    due: float
    state: State
    attempts: int
    claim: int
    worker: str
    changed: int
    changed_at: float
    refused: int
    collected: bool
    row: bytes | None
    expiries: int
    suspect: bool


class _Full(msgspec.Struct, array_like=True):
    """The first form."""

    live: list[_Task]
    finished: list[_Task]
    dead: list[_Task]
    sessions: msgspec.Raw
    counters: dict[str, int]


_columns: Final = msgspec.msgpack.Decoder(_Columns)
_full: Final = msgspec.msgpack.Decoder(_Full)


def load(state: bytes, kind_of: Callable[[KindKey], TaskKind]) -> SavedState:
    """Decode a state; `msgspec.MsgspecError`, `ValueError` or `KeyError` if it is not valid."""
    try:
        read = _columns.decode(state)
    except msgspec.ValidationError:
        return _load_full(state, kind_of)
    kinds = kinds_of(read.kinds, kind_of)
    live, dead = (tasks_of(columns, kinds) for columns in (read.live, read.dead))
    parts = {Sessions.name: read.sessions}
    return SavedState(live, dead, ended_of(read.ended), parts, read.counters, read.counted_since)


def _load_full(state: bytes, kind_of: Callable[[KindKey], TaskKind]) -> SavedState:
    read = _full.decode(state)
    live, dead = ({task.id: _task(task, kind_of) for task in tasks} for tasks in (read.live, read.dead))
    ended = Counter(task.state for task in read.finished)
    totals = {
        "submitted": len(live) + len(read.finished) + len(dead),
        "succeeded": ended[State.SUCCEEDED],
        "revoked": ended[State.REVOKED],
        "failed": len(dead),
    }
    since = max(_known_since(read.finished, _FINISHED_KEPT), _known_since(read.dead, _DEAD_KEPT))
    parts = {Sessions.name: read.sessions}
    return SavedState(live, dead, _ended(read), parts, {**read.counters, **totals}, since or None)


def _ended(read: _Full) -> dict[int, EndedTasks]:
    """Return the ended tasks by partition, the oldest first."""
    ended: dict[int, EndedTasks] = {}
    for task in read.finished:
        ended.setdefault(task.partition, EndedTasks()).add(task.id, task.changed, task.state)
    return ended


def _task(read: _Task, kind_of: Callable[[KindKey], TaskKind]) -> TaskState:
    kind = kind_of((read.name, read.queue, read.priority, read.max_retries, read.partition, "", False))
    if read.changed == read.submitted and not read.refused:
        return TaskState(read.id, kind, read.submitted, read.submitted_at, read.due, UNTOUCHED)
    run = RunState(
        read.state,
        read.changed,
        read.changed_at,
        read.attempts,
        read.claim,
        read.worker,
        read.refused,
        read.collected,
        read.expiries,
        read.suspect,
    )
    return TaskState(read.id, kind, read.submitted, read.submitted_at, read.due, run)


def _known_since(tasks: Iterable[_Task], kept: int) -> float:
    """Return since when the ended tasks are complete, in seconds since the epoch; 0.0 if none was left out."""
    by_partition: dict[int, list[float]] = {}
    for task in tasks:
        by_partition.setdefault(task.partition, []).append(task.changed_at)
    return max((times[0] for times in by_partition.values() if len(times) >= kept), default=0.0)
