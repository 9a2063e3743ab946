"""Decode the fields of an event that the fold needs, and no others.

Nearly all events are about tasks, so these have their own struct of few fields.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec

from ...journal.damage import DAMAGE, is_damaged
from ...journal.row_decoder import Due, Moment, Name, RowDecoder, Whole
from ..limits import MAX_RETRIES_DEFAULT
from . import names
from .identity import Accepts
from .selection import Selection


class Carried(msgspec.Struct, gc=False):
    """The submission's fields in `task.requeued` and `task.purged`, for a fold that has forgotten the task.

    `offset` is the submission's offset, in the partition of the event, `at` its time. `amended` is the offset of its
    last `task.amended`, -1 for none.
    """

    offset: Whole
    at: Moment
    task_name: str
    queue: str = names.QUEUE_DEFAULT
    priority: Whole = 0
    max_retries: Whole | None = MAX_RETRIES_DEFAULT
    function: str = ""
    named: bool = False
    amended: Whole = -1

    def kind_in(self, partition: int) -> tuple[str, str, int, int | None, int, str, bool]:
        """Return the key of the task's kind."""
        name, queue, priority, retries = self.task_name, self.queue, self.priority, self.max_retries
        return name, queue, priority, retries, partition, self.function, self.named


class EventContext(msgspec.Struct, gc=False):
    """The field that the fold needs of any context: an event of a worker is a sign of life of its session."""

    worker: str = ""


class TaskContext(EventContext, gc=False):
    """The fields that the fold needs of the context of an event about a task; the rest is not decoded.

    Fields that a submission omits have the defaults of `Message`. `next` of a success is the link whose submission
    follows, `after` of that submission the token of the success.
    """

    task: str = ""
    claim: Whole = -1
    due: Due = 0.0
    task_name: str = ""
    queue: str = names.QUEUE_DEFAULT
    priority: Whole = 0
    max_retries: Whole | None = MAX_RETRIES_DEFAULT
    submission: Carried | None = None
    function: str = ""
    named: bool = False
    expires: Due = 0.0
    next: str = ""
    after: Whole = -1


class FactContext(TaskContext, gc=False):
    """The fields that the fold needs of the context of an event about a task or a session."""

    by: str = ""
    last: Whole = -1
    lease_ms: Whole = 0
    host: str = ""
    pid: Whole = 0
    machine: str = ""
    tasks: tuple[str, ...] | None = None
    more_tasks: Whole = 0
    queues: tuple[str, ...] | None = None
    selection: Selection | None = None
    slots: Whole = 0
    accepts: dict[str, Accepts] = {}


class TaskFact(msgspec.Struct, gc=False):
    """The fields that the fold needs of an event about a task."""

    timestamp: Moment
    name: Name
    context: TaskContext = msgspec.field(default_factory=TaskContext)


class Fact(msgspec.Struct, gc=False):
    """The fields that the fold needs of an event about a task or a session, or of a foreign one."""

    timestamp: Moment
    name: Name
    context: FactContext = msgspec.field(default_factory=FactContext)


class _Named(msgspec.Struct, gc=False):
    timestamp: Moment
    name: Name


_task_facts: Final = RowDecoder(TaskFact)
_facts: Final = RowDecoder(Fact)
_named: Final = RowDecoder(_Named)
_task_contexts: Final = RowDecoder(TaskContext)
_contexts: Final = RowDecoder(FactContext)
_TASK_NAMES: Final = frozenset(names.TASK_EVENTS)
_OWN_NAMES: Final = frozenset((*names.TASK_EVENTS, *names.WORKER_EVENTS))


def read_context(name: str, encoded: bytes | msgspec.Raw) -> FactContext:
    """Decode the context of an event of that name for the fold; `msgspec.MsgspecError` if it is unreadable.

    Events of other programs are never unreadable, even if they use the same field names with other types.
    """
    if name in _TASK_NAMES:
        read = _task_contexts.decode(encoded)
        return FactContext(**msgspec.structs.asdict(read))
    if name in _OWN_NAMES:
        return _contexts.decode(encoded)
    return _contexts.read(encoded) or FactContext()


def task_facts(rows: Sequence[bytes]) -> Sequence[TaskFact | None]:
    """Decode the task fields of each record; None for a record that the fold cannot read."""
    read = _task_facts.decode_all(rows)
    return read if read is not None else [_task_facts.read(row) or _foreign(row, TaskFact) for row in rows]


def task_facts_in(lines: bytes) -> Sequence[TaskFact] | None:
    """Decode the task fields of short records, one per line; None if one of them is unreadable."""
    return _task_facts.decode_lines(lines)


def fact(row: bytes) -> Fact | None:
    """Decode all fields that the fold needs of a record; None if it is unreadable."""
    return _facts.read(row) or _foreign(row, Fact)


def unreadable(row: bytes) -> str | None:
    """Return why the fold cannot read a record; None if it can."""
    said = fact(row)
    if said is None:
        if is_damaged(row):
            return DAMAGE
        try:
            _facts.decode(row)
        except msgspec.MsgspecError as error:
            return str(error)
    elif said.name in _TASK_NAMES and not said.context.task:
        return f"its name is {said.name}, and its context names no task"
    elif said.name in _OWN_NAMES and said.name not in _TASK_NAMES and not said.context.worker:
        return f"its name is {said.name}, and its context names no worker"
    return None


_Kind = TypeVar("_Kind", TaskFact, Fact)


def _foreign(row: bytes, kind: type[_Kind]) -> _Kind | None:
    """Decode the name and time of another program's event, whatever its context holds; None if it is no such event."""
    said = _named.read(row)
    return None if said is None or said.name in _OWN_NAMES else kind(said.timestamp, said.name)


def dead_letter_context(row: bytes, offset: int, amended: int = -1) -> dict[str, Any]:
    """Return the context of an event about the dead letter whose submission is the record `row` at `offset`.

    With it a fold that has forgotten the dead letter can still requeue or purge it. `amended` is the offset of its last
    `task.amended`, -1 for none. `ValueError` if the record is no submission.
    """
    said = _task_facts.read(row)
    if said is None or said.name != names.SUBMITTED or not said.context.task:
        raise ValueError(f"the record at offset {offset} was expected to be a {names.SUBMITTED}, it is {row[:100]!r}")
    context = said.context
    carried = Carried(
        offset,
        said.timestamp,
        context.task_name,
        context.queue,
        context.priority,
        context.max_retries,
        context.function,
        context.named,
        amended,
    )
    fields = msgspec.structs.asdict(carried)
    if amended < 0:
        del fields["amended"]
    return {"task": context.task, "submission": fields}
