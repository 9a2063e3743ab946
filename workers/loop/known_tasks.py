"""Look up a worker's tasks by all their names, and decide which waiting tasks they may run."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from ...tasks.state.identity import Accepts
from ...tasks.state.selection import Selection
from ...tasks.state.state import SessionState, TaskKind
from ...tasks.task import Task
from ..limits import FUNCTION_WARNINGS_MAX
from ..loading import by_every_name

logger = logging.getLogger("journeyman.worker")


class KnownTasks:
    """The worker's tasks by name and alias; `selection` is the worker's, with the aliases of the tasks it names.

    `TaskNameCollisionError` if two tasks share a name or alias.
    """

    def __init__(self, tasks: Mapping[str, Task[Any, Any]], selection: Selection) -> None:
        self.by_name = by_every_name(tasks)
        self.selection = _widened(selection, self.by_name)
        self._warned: set[tuple[str, str]] = set()

    @property
    def accepts(self) -> dict[str, Accepts]:
        """The functions whose tasks the worker runs, by name."""
        return {name: task.accepts[name] for name, task in self.by_name.items()}

    def task_for(self, kind: TaskKind) -> Task[Any, Any] | None:
        """Return the task that runs such messages; None if there is none. Log once if the function differs."""
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
        """Log live workers that have other functions under the names of these tasks."""
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
        if (name, function) in self._warned or len(self._warned) >= FUNCTION_WARNINGS_MAX:
            return False
        self._warned.add((name, function))
        return True


def _widened(selection: Selection, tasks: Mapping[str, Task[Any, Any]]) -> Selection:
    """Return the selection with the aliases of each task that it names behind that task."""
    if not selection.tasks:
        return selection
    names_of = {name: (name, *task.accepts) for name, task in tasks.items()}
    widened = {
        queue: tuple(dict.fromkeys(each for name in names for each in names_of.get(name, (name,))))
        for queue, names in selection.tasks.items()
    }
    return replace(selection, tasks=widened)
