"""The task view's state as bytes and back: what a snapshot of the queue holds.

Written in full: every field of every task, the sessions with what they hold in the order in which they took it, every
counter. What can be derived is: the order in which a room forgets is the order of the room itself.
"""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ...journal.limits import SNAPSHOT_ROWS_BYTES_MAX
from .transitions import TRANSITIONS
from .view import SessionState, TaskState, TaskView

# To be raised with every change of the fold that these do not show: the table, the structs' fields, the rooms' sizes.
_FOLD: Final = 3


class _State(msgspec.Struct, array_like=True):
    live: list[TaskState]
    finished: list[TaskState]
    dead: list[TaskState]
    sessions: list[dict[str, Any]]
    counters: dict[str, int]


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_State)


def schema_of(finished_kept: int, dead_kept: int) -> str:
    """The schema of a view with rooms of these sizes."""
    moves = [
        f"{state.name} {event} {move.to.name} {move.session:d} {move.token:d} {move.attempt.name}"
        for state, events in TRANSITIONS.items()
        for event, move in events.items()
    ]
    fields = [f"{struct.__name__}.{name}" for struct in (TaskState, SessionState) for name in struct.__struct_fields__]
    rules = "\n".join([str(_FOLD), str(finished_kept), str(dead_kept), *fields, *moves])
    return hashlib.blake2b(rules.encode(), digest_size=8).hexdigest()


def dump(view: TaskView) -> bytes:
    """The state of `view`. Submissions of waiting tasks are left out where together they are too large."""
    live = list(view.live.values())
    if sum(len(task.row) for task in live if task.row is not None) > SNAPSHOT_ROWS_BYTES_MAX:
        live = [msgspec.structs.replace(task, row=None) for task in live]
    sessions = [{**msgspec.structs.asdict(session), "claims": list(session.claims)} for session in view.all_sessions()]
    counters = {name: value for name, value in vars(view).items() if type(value) is int}
    return _encoder.encode(_State(live, list(view.finished.values()), list(view.dead.values()), sessions, counters))


def load(view: TaskView, state: bytes, *, keep_rows: bool) -> None:
    """Put `view` into that state; `msgspec.MsgspecError` or `KeyError`, and nothing changed, if it is none."""
    read = _decoder.decode(state)
    live = {task.id: task for task in read.live}
    sessions: dict[int, dict[str, SessionState]] = {}
    for said in read.sessions:
        session = msgspec.convert({**said, "claims": {}}, SessionState)
        session.claims = {id_: live[id_] for id_ in said["claims"]}
        sessions.setdefault(session.partition, {})[session.worker] = session
    if not keep_rows:
        for task in read.live:
            task.row = None
    for name, value in read.counters.items():
        setattr(view, name, value)
    view.live, view.sessions = live, sessions
    view.suspects = {task.id: task for task in read.live if task.suspect}
    view.finished = {task.id: task for task in read.finished}
    view.dead = {task.id: task for task in read.dead}


def finished_order(finished: Iterable[TaskState]) -> dict[int, deque[str]]:
    """For each partition its finished tasks, the oldest first, as they stand in the room."""
    order: dict[int, deque[str]] = {}
    for task in finished:
        order.setdefault(task.partition, deque()).append(task.id)
    return order


def dead_order(dead: Iterable[TaskState]) -> dict[int, OrderedDict[str, None]]:
    """For each partition its dead letters, the oldest first, as they stand in the room."""
    order: dict[int, OrderedDict[str, None]] = {}
    for task in dead:
        order.setdefault(task.partition, OrderedDict())[task.id] = None
    return order
