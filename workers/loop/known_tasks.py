"""Look up a worker's tasks by all their names, and decide which waiting tasks they may run."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from ...tasks.definition import Task
from ...tasks.state.identity import Accepts
from ...tasks.state.selection import Selection
from ...tasks.state.state import SessionState, TaskKind
from ..limits import FUNCTION_WARNINGS_MAX
from ..loading import by_every_name

logger = logging.getLogger("journeyman.worker")

# The lane of tasks that are held for a caller, in the place of a mechanism.
HELD: Final = "held"


class KnownTasks:
    """The worker's tasks by name and alias; `selection` is the worker's, with the aliases of the tasks it names.

    `TaskNameCollisionError` if two tasks share a name or alias.
    """

    def __init__(self, tasks: Mapping[str, Task[Any, Any]], selection: Selection) -> None:
        self.by_name = by_every_name(tasks)
        self.selection = _widened(selection, self.by_name)
        self._warned: set[tuple[str, str]] = set()

    @property
    def accepts(self) -> dict[str, Accepts] | None:
        """The functions whose tasks the worker runs, by name; None if it takes any."""
        return {name: task.accepts[name] for name, task in self.by_name.items()}

    def knows(self, name: str) -> bool:
        """Return whether it runs tasks of that name, if their function is the same."""
        return name in self.by_name

    def may_run(self, name: str, queue: str) -> bool:
        """Return whether it claims tasks of that name in that queue, if their function is the same."""
        return self.knows(name) and self.selection.serves(queue, name)

    def lane_of(self, name: str) -> str:
        """Return the lane for tasks of a known name: their mechanism."""
        return self.by_name[name].mechanism

    def runs(self, kind: TaskKind) -> bool:
        """Return whether it runs such tasks; log once if it has another function under their name."""
        return self.task_for(kind) is not None

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


class AnyTask(KnownTasks):
    """All tasks of a selection, whatever their functions: for a session whose holder runs them by itself."""

    def __init__(self, selection: Selection) -> None:
        super().__init__({}, selection)

    @property
    def accepts(self) -> None:
        """Any."""
        return

    def knows(self, name: str) -> bool:
        """True for every name."""
        return True

    def lane_of(self, name: str) -> str:
        """The only lane."""
        return HELD

    def runs(self, kind: TaskKind) -> bool:
        """True for every kind."""
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
