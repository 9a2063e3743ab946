"""The tasks of a worker by all their names, and which of what waits under these names is meant for them."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from ...tasks.state.identity import Accepts
from ...tasks.state.selection import Selection
from ...tasks.state.state import SessionState, TaskKind
from ...tasks.task import Task
from ..loading import by_every_name

logger = logging.getLogger("journeyman.worker")

# A worker tells of so many functions of other programs under its tasks' names; of more it is silent.
_TOLD_MAX: Final = 1_000


class KnownTasks:
    """The worker's tasks by name, aliases included; `selection` is the worker's, with the aliases of what it names.

    `TaskNameCollisionError` if two tasks answer to one name.
    """

    def __init__(self, tasks: Mapping[str, Task[Any, Any]], selection: Selection) -> None:
        self.by_name = by_every_name(tasks)
        self.selection = _widened(selection, self.by_name)
        self._told: set[tuple[str, str]] = set()

    @property
    def accepts(self) -> dict[str, Accepts]:
        """For which functions a task was made that is run, by each name."""
        return {name: task.accepts[name] for name, task in self.by_name.items()}

    def task_for(self, kind: TaskKind) -> Task[Any, Any] | None:
        """The task that runs such messages; None if there is none. One made for another function is told of once."""
        task = self.by_name.get(kind.name)
        if task is None or task.accepts[kind.name].takes(kind.function, named=kind.named):
            return task
        if self._is_news(kind.name, kind.function):
            logger.warning(
                "messages of the task %s that were made for %s are left to other workers: this one has %s under that "
                "name. Give each of the two a name of its own, @task(broker, name=…); if the function was renamed or "
                "moved, give the new one aliases=[%r]",
                kind.name,
                kind.function,
                task.function_name,
                kind.function,
            )
        return None

    def compare(self, sessions: Iterable[SessionState]) -> None:
        """Tell of live workers that have other functions under the names of these tasks."""
        for session in sessions:
            for name, theirs in session.accepts.items():
                task = self.by_name.get(name)
                own = task.accepts[name] if task is not None else None
                if own is None or not theirs.functions or not own.functions or (own.named and theirs.named):
                    continue
                if not any(own.takes(each, named=theirs.named) for each in theirs.functions) and self._is_news(
                    name, theirs.functions[0]
                ):
                    logger.warning(
                        "the worker %s on %s (pid %d) has %s under the name %s, and this one has %s: each runs the "
                        "messages made for its own. Give the two tasks names of their own, @task(broker, name=…)",
                        session.worker,
                        session.host,
                        session.pid,
                        theirs.functions[0],
                        name,
                        own.functions[0],
                    )

    def _is_news(self, name: str, function: str) -> bool:
        if (name, function) in self._told or len(self._told) >= _TOLD_MAX:
            return False
        self._told.add((name, function))
        return True


def _widened(selection: Selection, tasks: Mapping[str, Task[Any, Any]]) -> Selection:
    """The selection in which each task to which a queue is narrowed is followed by its aliases."""
    if not selection.tasks:
        return selection
    names_of = {name: (name, *task.accepts) for name, task in tasks.items()}
    widened = {
        queue: tuple(dict.fromkeys(each for name in names for each in names_of.get(name, (name,))))
        for queue, names in selection.tasks.items()
    }
    return replace(selection, tasks=widened)
