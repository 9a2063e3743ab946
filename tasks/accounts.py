"""Read from the events of one task what its state leaves out: reported details, results, and the reason of its end."""

from typing import Any, Final

import msgspec

from ..journal.row_decoder import Moment, RowDecoder
from .index.trace import Trace
from .progress import reported_in
from .state import names
from .state.decoding import Fact


class Note(msgspec.Struct):
    """The context of a `task.noted`: what a program reports of a task, without moving it.

    `details` belong to the `status` that the task had; `deleted` hides the status until it changes. `result` was stored
    by hand; `collected` hides the one stored before.
    """

    status: str = ""
    details: dict[str, Any] | None = None
    deleted: bool = False
    result: Any = msgspec.UNSET
    collected: bool = False


class _NotedEvent(msgspec.Struct):
    context: Note
    timestamp: Moment


_notes: Final = RowDecoder(_NotedEvent)


_STAYING: Final = {names.NOTED, names.COLLECTED, names.PROGRESSED, names.RESULT_STORED, names.AMENDED}
# The events that change what a task is doing.
_MOVES: Final = frozenset(names.TASK_EVENTS) - _STAYING


class TaskAccount:
    """The facts in the accepted events of one task so far.

    - `details` were reported of its present status, and `is_deleted` says whether that status was deleted.
    - `progress` has what the running task has reported last, `progress` and `value`; it is empty if it does not run.
    - `reason` is "expired" if the task has lapsed, else empty.
    - `result_row` is the record that holds its result, whether the task has ended or not; None if there is none, or if
      it was collected.
    """

    def __init__(self) -> None:
        self.details: dict[str, Any] | None = None
        self.is_deleted = False
        self.progress: dict[str, Any] = {}
        self.reason = ""
        self.result_row: bytes | None = None
        self._holder = ""

    def add(self, said: Fact, row: bytes) -> None:
        """Add the task's next accepted event, or the end of a session that has held it."""
        name, worker = said.name, said.context.worker
        if name == names.NOTED:
            self._add_note(row)
            return
        if name == names.PROGRESSED:
            self.progress = reported_in(row)
        if name in _MOVES or (name in (names.LEFT, names.EXPIRED) and worker == self._holder):
            self.details, self.is_deleted, self.progress = None, False, {}
            self.reason = names.EXPIRED_REASON if name == names.LAPSED else ""
            self._holder = worker if name == names.CLAIMED else ""
        if name == names.SUCCEEDED:
            self.result_row = row
        elif name in (names.COLLECTED, names.SUBMITTED):
            self.result_row = None

    def _add_note(self, row: bytes) -> None:
        note = noted(row)
        if note is None:
            return
        if note.result is not msgspec.UNSET:
            self.result_row = row
        elif note.collected:
            self.result_row = None
        else:
            self.details, self.is_deleted = note.details, note.deleted


def noted(row: bytes) -> Note | None:
    """Return the context of a `task.noted`; None if it has another form."""
    read = _notes.read(row)
    return None if read is None else read.context


def account_of(trace: Trace) -> TaskAccount:
    """Return the account of a task that was looked up."""
    account = TaskAccount()
    for said, row in trace.accepted:
        account.add(said, row)
    return account
