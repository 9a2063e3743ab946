"""What became of a message, read off the journal. Names follow the reference task queue (`alsek.core.status`)."""

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final, NamedTuple

from ..journal.synchronous import Journal
from .errors import ValidationError
from .lookup import lookup_of
from .message import Message
from .rules.state import TaskState
from .rules.transitions import State


class TaskStatus(Enum):
    """The status of a message, by the reference's names."""

    UNKNOWN = 0
    SUBMITTED = 1
    RUNNING = 2
    RETRYING = 3
    FAILED = 4
    SUCCEEDED = 5


TERMINAL_STATUSES: Final = frozenset({TaskStatus.FAILED, TaskStatus.SUCCEEDED})


class StatusUpdate(NamedTuple):
    """A status, and what more is known: attempts, worker, the time of the last change (seconds since the epoch)."""

    status: TaskStatus
    details: dict[str, Any] | None = None


class StatusTracker:
    """Reads the status of messages off `journal`; nobody has to write it, so it cannot be wrong or late."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lookup = lookup_of(journal, "StatusTracker")

    def exists(self, message: Message | str) -> bool:
        """Whether the journal knows the message."""
        return self._current(message) is not None

    def get(self, message: Message | str) -> StatusUpdate:
        """The status now; `KeyError` if the journal knows no such message."""
        task = self._current(message)
        if task is None:
            raise KeyError(f"the journal {self._journal.url} knows no task {_id(message)!r}")
        return StatusUpdate(
            status_of(task),
            {
                "attempts": task.attempts,
                "worker": task.worker or None,
                "changed_at": task.changed_at,
                "revoked": task.state is State.REVOKED,
            },
        )

    def wait_for(
        self,
        message: Message | str,
        status: TaskStatus | Iterable[TaskStatus],
        timeout: float | None = 5.0,
        *,
        raise_on_timeout: bool = True,
    ) -> TaskStatus:
        """Wait until the message has (one of) the given status, at most `timeout` seconds; None waits for ever.

        Returns the status; after the time is over raises `TimeoutError` or, without `raise_on_timeout`, returns the
        status as it is then. A message that ends otherwise ends the waiting too: a status that cannot come is not
        waited for, the call then times out at once.
        """
        wanted = _statuses(status)
        task_id = _id(message)

        def is_over(task: TaskState | None) -> bool:
            now = status_of(task)
            return now in wanted or now in TERMINAL_STATUSES

        now = status_of(self._journal.run(self._lookup.wait(task_id, is_over, timeout)).task)
        if now not in wanted and raise_on_timeout:
            raise TimeoutError(
                f"the task {task_id} is {now.name} after {timeout} s, "
                f"not {' or '.join(sorted(each.name for each in wanted))}"
            )
        return now

    def _current(self, message: Message | str) -> TaskState | None:
        return self._journal.run(self._lookup.find(_id(message))).task


def status_of(task: TaskState | None) -> TaskStatus:
    """The reference's status of a task; a revoked one counts as failed, as there."""
    if task is None:
        return TaskStatus.UNKNOWN
    if task.state is State.READY:
        return TaskStatus.RETRYING if task.attempts else TaskStatus.SUBMITTED
    return _STATUSES[task.state]


_STATUSES: Final = {
    State.CLAIMED: TaskStatus.RUNNING,
    State.SUCCEEDED: TaskStatus.SUCCEEDED,
    State.FAILED: TaskStatus.FAILED,
    State.REVOKED: TaskStatus.FAILED,
}


def _id(message: Message | str) -> str:
    return message if isinstance(message, str) else message.uuid


def _statuses(status: TaskStatus | Iterable[TaskStatus]) -> frozenset[TaskStatus]:
    wanted = frozenset({status}) if isinstance(status, TaskStatus) else frozenset(status)
    if not wanted or not all(isinstance(each, TaskStatus) for each in wanted):
        raise ValidationError(f"expected a TaskStatus or several, got {status!r}")
    return wanted
