"""The answer to the question why a task is in its state."""

from collections.abc import Sequence

import msgspec

from ..inspection.findings import Evidence, Finding


class WhyAnswer(msgspec.Struct, frozen=True):
    """The task's state as of a moment, in seconds since the epoch, and the findings, the most important one first.

    For a task that the journal does not know, `state` is "unknown" and fields without a value are null.
    """

    task: str
    name: str | None
    queue: str | None
    priority: int | None
    state: str
    attempts: int | None
    as_of: float
    findings: list[Finding]


def why_answer(task_id: str, evidence: Evidence, findings: Sequence[Finding], at: float) -> WhyAnswer:
    """Return the answer for the findings about a task as of `at`."""
    task, named = evidence.task, evidence.named()
    return WhyAnswer(
        task=task_id,
        name=named.name if named is not None else None,
        queue=named.queue if named is not None else None,
        priority=task.priority if task is not None else None,
        state=task.state.name.lower() if task is not None else "unknown",
        attempts=task.attempts if task is not None else None,
        as_of=at,
        findings=list(findings),
    )
