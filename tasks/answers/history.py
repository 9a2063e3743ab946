"""The answer with every event of a task, and with the chain that it belongs to."""

from collections.abc import Iterator
from typing import Any

import msgspec

from ...consumers.files.lines import in_one_line
from ..inspection.chain import Chain
from ..inspection.history import TaskHistory


class StepAnswer(msgspec.Struct, frozen=True):
    """One event of a task: `verdict` is accepted or refused, `reason` says why, `state` is the task's state afterwards.

    `timestamp` is in seconds since the epoch; `position` is the partition and the offset, as `0:17`.
    """

    timestamp: float
    name: str
    context: Any
    key: str | None
    position: str
    verdict: str
    reason: str | None
    state: str
    attempts: int
    worker: str | None
    host: str | None
    since_previous_ms: float | None


class ChainTaskAnswer(msgspec.Struct, frozen=True):
    """One task of a chain; its state is "waits" before it is submitted, "blocked" if the chain ended before it."""

    id: str
    name: str | None
    queue: str | None
    state: str
    attempts: int
    follows: str | None


class ChainAnswer(msgspec.Struct, frozen=True):
    """A chain: the id of its root, and its tasks in order."""

    root: str
    tasks: list[ChainTaskAnswer]


class HistoryAnswer(msgspec.Struct, frozen=True):
    """The events of a task in log order, none of a link that is not submitted yet; `chain` is null without one.

    With `is_truncated` retention has removed the first events. `unreadable` counts damaged records, which are left out.
    """

    task: str
    steps: list[StepAnswer]
    chain: ChainAnswer | None = None
    is_truncated: bool = False
    unreadable: int = 0


def history_answer(task_id: str, found: TaskHistory | None, chain: Chain | None) -> HistoryAnswer:
    """Return the answer for a history and a chain, of which one may be missing."""
    whole = chain_answer(chain) if chain is not None else None
    if found is None:
        return HistoryAnswer(task_id, [], whole)
    return HistoryAnswer(task_id, list(step_answers(found)), whole, found.is_truncated, len(found.unreadable))


def step_answers(found: TaskHistory) -> Iterator[StepAnswer]:
    """Yield the events of a task; a context stays as it is encoded in the log."""
    previous: float | None = None
    for step in found.steps:
        event = step.event
        yield StepAnswer(
            timestamp=event.timestamp,
            name=event.name,
            context=msgspec.Raw(in_one_line(event.context_json)),
            key=event.key,
            position=f"{event.partition}:{event.offset}",
            verdict=step.verdict.name.lower(),
            reason=step.reason or None,
            state=step.state.name.lower(),
            attempts=step.attempts,
            worker=step.worker or None,
            host=found.hosts.get(step.worker),
            since_previous_ms=None if previous is None else round((event.timestamp - previous) * 1_000, 3),
        )
        previous = event.timestamp


def chain_answer(chain: Chain) -> ChainAnswer:
    """Return the tasks of a chain, each with its state and the one it follows."""
    previous: str | None = None
    tasks: list[ChainTaskAnswer] = []
    for link in chain.links:
        attempts = link.task.attempts if link.task is not None else 0
        state = chain.state_of(link)
        tasks.append(ChainTaskAnswer(link.id, link.name or None, link.queue or None, state, attempts, previous))
        previous = link.id
    return ChainAnswer(chain.links[0].id, tasks)
