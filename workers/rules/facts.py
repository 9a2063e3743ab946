"""What the fold needs of an event: the fields it decodes, and no others.

Nearly all events are about tasks, so these have a struct of few fields to themselves.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from ...journal.limits import MAX_RETRIES_DEFAULT
from . import names
from .selection import Selection


class TaskContext(msgspec.Struct, gc=False):
    """What the fold needs of the context of an event about a task; the rest is not decoded.

    What a submission leaves out has the value that `Message` gives it.
    """

    task: str = ""
    worker: str = ""
    claim: int = -1
    due: float = 0.0
    task_name: str = ""
    queue: str = names.QUEUE_DEFAULT
    priority: int = 0
    max_retries: int | None = MAX_RETRIES_DEFAULT


class FactContext(TaskContext, gc=False):
    """What the fold needs of any context: besides tasks, what workers say when they join and when they judge."""

    by: str = ""
    last: int = -1
    lease_ms: int = 0
    host: str = ""
    pid: int = 0
    tasks: tuple[str, ...] | None = None
    more_tasks: int = 0
    queues: tuple[str, ...] | None = None
    selection: Selection | None = None
    slots: int = 0


class TaskFact(msgspec.Struct, gc=False):
    """What the fold needs of an event, if it is about a task."""

    timestamp: float
    name: str
    context: TaskContext = msgspec.field(default_factory=TaskContext)


class Fact(msgspec.Struct, gc=False):
    """What the fold needs of any event."""

    timestamp: float
    name: str
    context: FactContext = msgspec.field(default_factory=FactContext)


_decode: Final = msgspec.json.Decoder(TaskFact).decode
_decode_in_full: Final = msgspec.json.Decoder(Fact).decode
_TASK_NAMES: Final = frozenset(names.TASK_EVENTS)


def read_context(name: str, encoded: bytes | msgspec.Raw) -> FactContext:
    """What the fold needs of the context of an event of that name; `msgspec.MsgspecError` if it cannot read it."""
    if name in _TASK_NAMES:
        read = msgspec.json.decode(encoded, type=TaskContext)
        return FactContext(**msgspec.structs.asdict(read))
    return msgspec.json.decode(encoded, type=FactContext)


def task_facts(rows: Sequence[bytes]) -> Sequence[TaskFact | None]:
    """What the fold needs of each record, as far as tasks go; None for those it cannot read."""
    try:
        return list(map(_decode, rows))
    except msgspec.MsgspecError:
        return [_task_fact(row) for row in rows]


def _task_fact(row: bytes) -> TaskFact | None:
    try:
        return _decode(row)
    except msgspec.MsgspecError:
        return None


def fact(row: bytes) -> Fact | None:
    """All that the fold needs of a record; None if it cannot read it."""
    try:
        return _decode_in_full(row)
    except msgspec.MsgspecError:
        return None
