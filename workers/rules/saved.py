"""The task view's state as bytes and back: what a snapshot of the queue holds.

Written in full: every field of every task, the sessions with what they hold in the order in which they took it, every
counter. What can be derived is: the order in which a room forgets is the order of the room itself.
"""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from ...journal.limits import SNAPSHOT_ROWS_BYTES_MAX
from .state import SessionState, TaskState
from .transitions import TRANSITIONS

# To be raised with every change of the fold that these do not show: the table, the structs' fields, the rooms' sizes.
_FOLD: Final = 3


class Rooms(NamedTuple):
    """The state of a task view, by the rooms it keeps it in; sessions by partition and worker."""

    live: dict[str, TaskState]
    finished: dict[str, TaskState]
    dead: dict[str, TaskState]
    sessions: dict[int, dict[str, SessionState]]
    counters: dict[str, int]


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


def dump(rooms: Rooms) -> bytes:
    """The state as bytes. Submissions of waiting tasks are left out where together they are too large."""
    live = list(rooms.live.values())
    if sum(len(task.row) for task in live if task.row is not None) > SNAPSHOT_ROWS_BYTES_MAX:
        live = [msgspec.structs.replace(task, row=None) for task in live]
    sessions = [
        {**msgspec.structs.asdict(session), "claims": list(session.claims)}
        for sessions in rooms.sessions.values()
        for session in sessions.values()
    ]
    finished, dead = list(rooms.finished.values()), list(rooms.dead.values())
    return _encoder.encode(_State(live, finished, dead, sessions, rooms.counters))


def load(state: bytes, *, keep_rows: bool) -> Rooms:
    """The state in these bytes; `msgspec.MsgspecError` or `KeyError` if they hold none."""
    read = _decoder.decode(state)
    live = _by_id(read.live)
    sessions: dict[int, dict[str, SessionState]] = {}
    for said in read.sessions:
        session = msgspec.convert({**said, "claims": {}}, SessionState)
        session.claims = {id_: live[id_] for id_ in said["claims"]}
        sessions.setdefault(session.partition, {})[session.worker] = session
    if not keep_rows:
        for task in read.live:
            task.row = None
    return Rooms(live, _by_id(read.finished), _by_id(read.dead), sessions, read.counters)


def _by_id(tasks: Iterable[TaskState]) -> dict[str, TaskState]:
    return {task.id: task for task in tasks}


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
