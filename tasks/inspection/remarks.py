"""Describe a step of a task's history beside the name of its event: the attempt, how long it ran, who acted and why."""

from collections.abc import Mapping
from typing import Any, Final

from ..progress import progress_in_words
from ..state import names
from ..state.view import Verdict
from .history import Step
from .wording import error_in, printable, signature, span

_RUNS_ENDED: Final = (names.SUCCEEDED, names.FAILED, names.RETRIED, names.RESCHEDULED)


def remark(step: Step) -> str:
    """Return what there is to say of a step, in one line; empty if the name of its event says enough."""
    if step.verdict is Verdict.REFUSED:
        return f"refused: {step.reason}"
    if step.reason:
        return step.reason
    context = step.event.context
    if step.event.name == names.CLAIMED:
        return f"attempt {step.attempts}"
    if step.event.name in _RUNS_ENDED or (step.event.name == names.INTERRUPTED and "due" in context):
        ran = context.get("ran_ms")
        took = f"ran {span(ran / 1_000)}" if isinstance(ran, int | float) else ""
        return ", ".join(part for part in (took, _again(step, context)) if part)
    lock = context.get("linked_lock") if step.event.name == names.SUBMITTED else None
    said = f"with the lock {lock.get('name')}" if isinstance(lock, dict) else str(context.get("reason", ""))
    if step.event.name == names.PROGRESSED:
        said = progress_in_words(context)
    return printable(signature(context).strip() if context.get("by") else said)


def _again(step: Step, context: Mapping[str, Any]) -> str:
    due = context.get("due")
    if step.event.name not in (names.RETRIED, names.RESCHEDULED, names.INTERRUPTED) or not isinstance(due, int | float):
        return ""
    return f"runs again {span(max(0.0, due - step.event.timestamp))} later: {printable(error_in(context))}"
