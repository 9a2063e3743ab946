"""The answers about single tasks: their state, a line of a list, an update of a stream, and the result."""

from typing import Any

import msgspec

from ..accounts import TaskAccount
from ..labels import Labels
from ..results import StoredResult
from ..state.state import TaskState
from ..statuses import StatusUpdate, status_of


class TaskLineAnswer(msgspec.Struct, frozen=True):
    """A task in a list: its state in the queue, and its labels; times in seconds since the epoch.

    `state` is ready, claimed, succeeded, failed or revoked. `due`: no worker claims it before; 0 for at once.
    """

    task: str
    name: str
    queue: str
    priority: int
    state: str
    attempts: int
    submitted_at: float
    changed_at: float
    due: float
    worker: str | None
    summary: str | None
    tags: list[str]


class TaskAnswer(TaskLineAnswer, frozen=True):
    """A task, with its `status` as a `StatusTracker` names it, and what was reported of it.

    `progress` and `value` are what it has reported last, while it runs; `details` what a program has reported of its
    status. `reason` is "expired" if no worker began it within its time to live.
    """

    status: str
    max_retries: int | None
    reason: str | None
    progress: dict[str, Any] | None
    value: Any
    details: dict[str, Any] | None


class TaskUpdateAnswer(msgspec.Struct, frozen=True):
    """A status of a task in its stream, with its details; `position` is that of the event that led to it."""

    task: str
    status: str
    position: str
    details: dict[str, Any]


class ResultAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result of a task, and when it was stored, in seconds since the epoch.

    `serializer` is the name of the one that has written it, if it is more than JSON; if that writes no JSON, `result`
    is null and `encoded` is what it has written.
    """

    task: str
    result: Any
    timestamp: float
    serializer: str = ""
    encoded: str = ""


def task_line(task: TaskState, labels: Labels) -> TaskLineAnswer:
    """Return the line of a task."""
    return TaskLineAnswer(**_line_fields(task, labels))


def task_answer(task: TaskState, account: TaskAccount, labels: Labels) -> TaskAnswer:
    """Return the answer for a task with the account of its events."""
    return TaskAnswer(
        **_line_fields(task, labels),
        status=status_of(task).name,
        max_retries=task.max_retries,
        reason=account.reason or None,
        progress=account.progress.get("progress"),
        value=account.progress.get("value"),
        details=account.details,
    )


def update_answer(task_id: str, update: StatusUpdate, position: str) -> TaskUpdateAnswer:
    """Return the answer for an update of a task's status."""
    return TaskUpdateAnswer(task_id, update.status.name, position, update.details or {})


def result_answer(task_id: str, stored: StoredResult) -> ResultAnswer:
    """Return the answer for a result; what a serializer has written is not decoded."""
    if stored.is_encoded:
        return ResultAnswer(task_id, None, stored.timestamp, stored.serializer, str(stored.value))
    return ResultAnswer(task_id, stored.value, stored.timestamp, stored.serializer)


def _line_fields(task: TaskState, labels: Labels) -> dict[str, Any]:
    return {
        "task": task.id,
        "name": task.name,
        "queue": task.queue,
        "priority": task.priority,
        "state": task.state.name.lower(),
        "attempts": task.attempts,
        "submitted_at": task.submitted_at,
        "changed_at": task.changed_at,
        "due": task.due,
        "worker": task.worker or None,
        "summary": labels.summary or None,
        "tags": list(labels.tags),
    }
