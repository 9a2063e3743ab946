"""Read why a task has no result: the exception of its last attempt, from the event that ended it."""

from typing import Final

import msgspec

from ..journal.row_decoder import RowDecoder
from .errors import TaskFailedError
from .limits import FAILURE_TEXT_CHARS_MAX
from .lookup import in_words
from .state import names
from .state.state import TaskState
from .state.transitions import State


class ExceptionFacts(msgspec.Struct, frozen=True):
    """The exception that an attempt ended with: its class with the module, its message, its lines."""

    name: str = ""
    text: str = ""
    traceback: str = ""

    @property
    def in_short(self) -> str:
        """Name and message, shortened; empty if there was none."""
        said = ": ".join(part for part in (self.name, self.text) if part)
        return said if len(said) <= FAILURE_TEXT_CHARS_MAX else f"{said[:FAILURE_TEXT_CHARS_MAX]}…"


NO_EXCEPTION: Final = ExceptionFacts()


class _Ending(msgspec.Struct):
    exception: ExceptionFacts = NO_EXCEPTION
    worker: str = ""


class _EndingEvent(msgspec.Struct):
    name: str
    context: _Ending = msgspec.field(default_factory=_Ending)


_decoder: Final = RowDecoder(_EndingEvent)


def exception_in(row: bytes | None) -> ExceptionFacts:
    """Return the exception in the record of an outcome; `NO_EXCEPTION` if it holds none or is missing."""
    read = _decoder.read(row) if row is not None else None
    return read.context.exception if read is not None else NO_EXCEPTION


def failed(task: TaskState, row: bytes | None) -> TaskFailedError:
    """Return the error for a reader of the result of a task that has failed or was revoked.

    `row` is the record of the event that ended it; None if retention has removed it.
    """
    read = _decoder.read(row) if row is not None else None
    lapsed = read is not None and read.name == names.LAPSED
    facts, revoked = exception_in(row), task.state is State.REVOKED and not lapsed
    if lapsed:
        why = ": no worker began it within its time to live"
    elif facts.in_short:
        why = f" with {facts.in_short}"
    elif read is not None and read.name == names.EXPIRED:
        why = f": the worker {read.context.worker} fell silent while it ran its last attempt"
    elif row is None and not revoked:
        why = "; why is not known any more, retention has removed its last event"
    else:
        why = ""
    return TaskFailedError(
        f"the task {task.id} has no result: it {'has lapsed' if lapsed else in_words(task.state)}{why}",
        task=task.id,
        name=facts.name,
        text=facts.text,
        traceback=facts.traceback,
        revoked=revoked,
        reason=names.EXPIRED_REASON if lapsed else "",
    )
