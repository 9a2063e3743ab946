"""The acts on a task that the screen offers, each after a question."""

from typing import Final, NamedTuple

from ..tasks.broker import AsyncBroker
from ..tasks.inspection.wording import disposition_in_words, printable, short_id


class TaskAct(NamedTuple):
    """An act: its verb, and what the question says of its effect."""

    verb: str
    effect: str


REQUEUE: Final = TaskAct("Requeue", "It runs again, with its attempts reset.")
REVOKE: Final = TaskAct("Revoke", "It is taken out of the queue, or stopped where it runs. That cannot be undone.")


def question(act: TaskAct, task: str, name: str) -> str:
    """Return the question before an act on a task."""
    return f"{act.verb} {printable(name) or 'the task'} {printable(task)}?"


async def perform(broker: AsyncBroker, act: TaskAct, task: str, by: str, reason: str | None) -> str:
    """Act on a task, and return what became of it in words; `by` and `reason` stand in the event."""
    call = broker.requeue if act is REQUEUE else broker.revoke
    effect = await call(task, by=by, reason=reason)
    return f"{printable(short_id(task))} {disposition_in_words(effect.disposition)}"
