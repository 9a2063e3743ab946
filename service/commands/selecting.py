"""Chooses the tasks of a command: those of the state that match its filter, in portions."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, NamedTuple

import anyio.lowlevel

from ...tasks.inspection.as_of import ViewAsOf
from ...tasks.inspection.dead_letters import DeadLetterFilter, dead_letters, place_of
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ..backend import Backend
from ..limits import COUNTED_TASKS, LIST_STEP_EVENTS
from ..tasks.filtering import TaskFilter
from ..tasks.scanning import submissions_of
from .state import Action

# The states of the tasks that each action can change.
STATES: Final[dict[Action, frozenset[State]]] = {
    "requeue": frozenset({State.FAILED}),
    "purge": frozenset({State.FAILED}),
    "revoke": frozenset({State.READY, State.CLAIMED}),
}


class Choice(NamedTuple):
    """The tasks of a command: those with these ids, or those that match.

    Dead letters also by a text in their `error`, and by the time of their failure, in seconds since the epoch.
    """

    action: Action
    wanted: TaskFilter
    error: str | None = None
    ids: Sequence[str] = ()
    failed_since: float | None = None
    failed_until: float | None = None

    @property
    def is_of_dead_letters(self) -> bool:
        """Whether it has a part that only dead letters can match."""
        return (self.error, self.failed_since, self.failed_until) != (None, None, None)

    def holds(self, task: TaskState) -> bool:
        """Return whether a task matches as far as its state answers."""
        state, failed_at = task.state, task.changed_at
        if self.failed_since is not None and failed_at < self.failed_since:
            return False
        if self.failed_until is not None and failed_at > self.failed_until:
            return False
        return state in STATES[self.action] and self.wanted.state in (None, state) and self.wanted.holds_task(task)


async def chosen(backend: Backend, choice: Choice) -> AsyncIterator[tuple[list[TaskState], int]]:
    """Yield the tasks of a command in portions, each with the number of tasks that were looked at for it.

    The order is that of the submissions, of dead letters that of the failures. Other requests run between two portions.
    """
    await backend.caught_up()
    async for portion in _candidates(backend, choice):
        tasks = [task for task in portion if choice.holds(task)]
        if choice.wanted.reads_submissions:
            said = await submissions_of(await backend.journal.open(), tasks)
            tasks = [each for each in tasks if each.id in said and choice.wanted.holds_submission(said[each.id])]
        yield tasks, len(portion)
        await anyio.lowlevel.checkpoint()


async def _candidates(backend: Backend, choice: Choice) -> AsyncIterator[list[TaskState]]:
    view = backend.view
    if choice.ids:
        yield [task for task_id in dict.fromkeys(choice.ids) if (task := view.find(task_id)) is not None]
        return
    if choice.error is not None:
        wanted = DeadLetterFilter(choice.wanted.name, choice.wanted.queue, choice.error, tag=choice.wanted.tag)
        found = await dead_letters(backend.journal, ViewAsOf(view, backend.cursor), wanted)
        for step in _steps(sorted((letter.task for letter in found), key=place_of)):
            yield step
        return
    held: Iterable[TaskState] = view.live.values() if choice.action == "revoke" else view.dead.values()
    size = LIST_STEP_EVENTS if choice.wanted.reads_submissions else COUNTED_TASKS
    for step in _steps(list(held), size):
        yield step


def _steps(tasks: list[TaskState], size: int = LIST_STEP_EVENTS) -> Iterable[list[TaskState]]:
    for begin in range(0, len(tasks), size):
        yield tasks[begin : begin + size]
