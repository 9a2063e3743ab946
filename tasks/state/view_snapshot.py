"""Encode and decode the state of the task view: the content of a snapshot of the queue.

It holds everything except the submissions of waiting tasks, which are in the log: every field of every task, the
sessions with their claims in the order of claiming, every counter. Derived state is left out: the order in which tasks
are forgotten is the order of their dictionary.

Tasks are written in columns, so that each of a million waiting tasks costs a few bytes, and no object beside its own
when it is read.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NamedTuple

import msgspec

from .ended import EndedTasks
from .state import UNTOUCHED, KindKey, RunState, SessionState, TaskKind, TaskState
from .transitions import TRANSITIONS

# To be raised with every change of the fold that the schema's inputs do not show: the table, the fields, the limits.
_FOLD: Final = 8


class SavedState(NamedTuple):
    """The state of a task view, by its dictionaries; `parts` are the dumps of its parts, by name.

    `counted_since` is the time, in seconds since the epoch, from which on ended tasks are counted; None for all.
    """

    live: dict[str, TaskState]
    dead: dict[str, TaskState]
    ended: dict[int, EndedTasks]
    parts: dict[str, Any]
    counters: dict[str, int]
    counted_since: float | None


class Tasks(msgspec.Struct, array_like=True):
    """Tasks in columns; `delayed` and `dues` are of those that are due at a time, `runs` of those not untouched."""

    ids: list[str]
    kinds: list[int]
    submitted: list[int]
    submitted_at: list[float]
    delayed: list[int]
    dues: list[float]
    runs: list[tuple[int, RunState]]


class Kind(msgspec.Struct, array_like=True):
    """A kind; older forms end with the partition."""

    name: str
    queue: str
    priority: int
    max_retries: int | None
    partition: int
    function: str = ""
    named: bool = False


class _State(msgspec.Struct, array_like=True):
    fold: int
    kinds: list[Kind]
    live: Tasks
    dead: Tasks
    ended: list[tuple[int, int, list[str], list[int]]]
    parts: dict[str, msgspec.Raw]
    counters: dict[str, int]
    counted_since: float | None


class _Shares(msgspec.Struct, array_like=True):
    """A state of which only the shares of the parts are decoded."""

    fold: int
    kinds: msgspec.Raw
    live: msgspec.Raw
    dead: msgspec.Raw
    ended: msgspec.Raw
    parts: dict[str, msgspec.Raw]


_encoder: Final = msgspec.msgpack.Encoder()
_shares: Final = msgspec.msgpack.Decoder(_Shares)
_decoder: Final = msgspec.msgpack.Decoder(_State)


def schema_of(*sizes: int) -> str:
    """Return the schema of a view with these limits."""
    moves = [
        f"{state.name} {event} {move.to.name} {move.session:d} {move.token:d} {move.attempt.name} {move.carries:d}"
        for state, events in TRANSITIONS.items()
        for event, move in events.items()
    ]
    structs = (TaskKind, RunState, TaskState, SessionState)
    fields = [f"{struct.__name__}.{name}" for struct in structs for name in struct.__struct_fields__]
    rules = "\n".join([str(_FOLD), *map(str, sizes), *fields, *moves])
    return hashlib.blake2b(rules.encode(), digest_size=8).hexdigest()


def dump(saved: SavedState) -> bytes:
    """Encode the state."""
    places: dict[TaskKind, int] = {}
    live, dead = (_columns(each.values(), places) for each in (saved.live, saved.dead))
    kinds = [
        Kind(kind.name, kind.queue, kind.priority, kind.max_retries, kind.partition, kind.function, kind.named)
        for kind in places
    ]
    ended = [(place, each.prune_at, list(each.ends), list(each.ends.values())) for place, each in saved.ended.items()]
    parts = {name: msgspec.Raw(_encoder.encode(part)) for name, part in saved.parts.items()}
    return _encoder.encode(_State(_FOLD, kinds, live, dead, ended, parts, saved.counters, saved.counted_since))


def _columns(tasks: Collection[TaskState], places: dict[TaskKind, int]) -> Tasks:
    delayed = [(index, task.due) for index, task in enumerate(tasks) if task.due]
    return Tasks(
        [task.id for task in tasks],
        [places.setdefault(task.kind, len(places)) for task in tasks],
        [task.submitted for task in tasks],
        [task.submitted_at for task in tasks],
        [index for index, _ in delayed],
        [due for _, due in delayed],
        [(index, task.run) for index, task in enumerate(tasks) if task.run is not UNTOUCHED],
    )


def load(state: bytes, kind_of: Callable[[KindKey], TaskKind]) -> SavedState:
    """Decode a state; `msgspec.MsgspecError`, `ValueError` or `KeyError` if it is not valid.

    `kind_of` makes the kinds.
    """
    read = _decoder.decode(state)
    if read.fold != _FOLD:
        raise ValueError(f"a snapshot of the tasks in form {_FOLD} was expected, this one has form {read.fold}")
    kinds = kinds_of(read.kinds, kind_of)
    live, dead = (tasks_of(columns, kinds) for columns in (read.live, read.dead))
    return SavedState(live, dead, ended_of(read.ended), read.parts, read.counters, read.counted_since)


def share_of(state: bytes, part: str) -> msgspec.Raw | None:
    """Return the share of one part, without decoding the rest; None if the state, perhaps an older one, has none."""
    try:
        return _shares.decode(state).parts.get(part)
    except msgspec.ValidationError:
        return None


def kinds_of(read: Iterable[Kind], kind_of: Callable[[KindKey], TaskKind]) -> list[TaskKind]:
    """Return the kinds of a snapshot, each made by `kind_of`."""
    return [kind_of(msgspec.structs.astuple(kind)) for kind in read]


def ended_of(read: Iterable[tuple[int, int, list[str], list[int]]]) -> dict[int, EndedTasks]:
    """Return the ended tasks by partition."""
    return {partition: EndedTasks(zip(ids, ends, strict=True), at) for partition, at, ids, ends in read}


def tasks_of(read: Tasks, kinds: list[TaskKind]) -> dict[str, TaskState]:
    """Return the tasks of a snapshot by id, in its order."""
    columns = zip(read.ids, read.kinds, read.submitted, read.submitted_at, strict=True)
    tasks = [TaskState(id_, kinds[kind], submitted, at, 0.0, UNTOUCHED) for id_, kind, submitted, at in columns]
    for index, due in zip(read.delayed, read.dues, strict=True):
        tasks[index].due = due
    workers: dict[str, str] = {}
    for index, run in read.runs:
        run.worker = workers.setdefault(run.worker, run.worker)
        tasks[index].run = run
    return dict(zip(read.ids, tasks, strict=True))
