"""The answers about dead letters: a line of their list, and one in full."""

from typing import Any

import msgspec

from ..inspection.dead_letters import AttemptRun, DeadLetter, arguments, labels, runs
from ..inspection.history import TaskHistory


class DeadLetterAnswer(msgspec.Struct, frozen=True):
    """A dead letter in the list: `error` is that of its last attempt, in one line; times in seconds since the epoch."""

    id: str
    task: str
    queue: str
    attempts: int
    submitted_at: float
    failed_at: float
    error: str | None
    summary: str | None
    tags: list[str]


class DeadLetterInFullAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead letter with its arguments and its attempts, the first one first.

    `args` and `kwargs` are null if retention has removed the submission. `serializer` is the one that has written them,
    and `encoded` what it has written if that is no JSON; both are left out otherwise.
    """

    id: str
    task: str
    queue: str
    priority: int
    max_retries: int | None
    submitted_at: float
    failed_at: float
    summary: str | None
    tags: list[str]
    args: list[Any] | None
    kwargs: dict[str, Any] | None
    attempts: list[AttemptRun]
    serializer: str = ""
    encoded: str = ""


def dead_letter_answer(letter: DeadLetter) -> DeadLetterAnswer:
    """Return the answer for a dead letter of the list."""
    task = letter.task
    return DeadLetterAnswer(
        id=task.id,
        task=task.name,
        queue=task.queue,
        attempts=task.attempts,
        submitted_at=task.submitted_at,
        failed_at=task.changed_at,
        error=letter.error or None,
        summary=letter.labels.summary or None,
        tags=list(letter.labels.tags),
    )


def dead_letter_in_full(history: TaskHistory) -> DeadLetterInFullAnswer:
    """Return the answer for the history of a dead letter."""
    task, said, given = history.task, labels(history), arguments(history)
    return DeadLetterInFullAnswer(
        id=task.id,
        task=task.name,
        queue=task.queue,
        priority=task.priority,
        max_retries=task.max_retries,
        submitted_at=task.submitted_at,
        failed_at=task.changed_at,
        summary=said.summary or None,
        tags=list(said.tags),
        args=given.args if given is not None else None,
        kwargs=given.kwargs if given is not None else None,
        attempts=runs(history),
        serializer=given.serializer if given is not None else "",
        encoded=given.encoded if given is not None else "",
    )
