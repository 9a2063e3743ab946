"""The tasks that a workbench can run: those that the test gave it, and those of the messages that it has seen."""

import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from ..tasks.definition import Task
from ..tasks.errors import ValidationError
from ..tasks.message import Message
from ..workers.loading import tasks_by_name

Given = Task[Any, Any] | ModuleType | str


class KnownTasks:
    """Collects tasks; `news` hands out those that have come since, in groups in which each name occurs once."""

    def __init__(self) -> None:
        self._known: dict[int, Task[Any, Any]] = {}
        self._news: list[Task[Any, Any]] = []

    def add(self, given: Iterable[Given]) -> None:
        """Add tasks, those of modules, or those of packages and their submodules, by name.

        `NoTasksFoundError` for a package that does not exist or has no tasks, `ValidationError` for anything else.
        """
        for each in given:
            if isinstance(each, Task):
                self._take(each)
            elif isinstance(each, str):
                self._take(*tasks_by_name(each).values())
            elif isinstance(each, ModuleType):
                self._take(*tasks_by_name(each.__name__).values())
            else:
                raise ValidationError(
                    f"a workbench takes tasks, and modules or names of packages that have tasks, got {each!r:.80}. "
                    "Pass the function that @task(broker) has made"
                )

    def find(self, message: Message) -> None:
        """Look for the task of a message where the message says that its function is, with all tasks beside it."""
        module, _, place = message.function.partition(":")
        for home in (sys.modules.get(module), sys.modules.get("__main__")):
            found: object = home
            for name in place.split("."):
                found = getattr(found, name, None)
            if home is not None and isinstance(found, Task) and found.function_name == message.function:
                self._take(found, *_beside(found, home))
                return

    def knows(self, message: Message) -> bool:
        """Return whether one of the tasks runs such a message."""
        return any(
            accepts.takes(message.function, named=message.named)
            for task in self._known.values()
            for name, accepts in task.accepts.items()
            if name == message.task_name
        )

    def news(self) -> Iterator[dict[str, Task[Any, Any]]]:
        """Yield the tasks that have come since the last call, by name."""
        news, self._news = self._news, []
        while news:
            group: dict[str, Task[Any, Any]] = {}
            answers: set[str] = set()
            rest: list[Task[Any, Any]] = []
            for task in news:
                if answers.isdisjoint(task.accepts):
                    group[task.name] = task
                    answers.update(task.accepts)
                else:
                    rest.append(task)
            yield group
            news = rest

    def _take(self, *tasks: Task[Any, Any]) -> None:
        for task in tasks:
            if id(task) not in self._known:
                self._known[id(task)] = task
                self._news.append(task)


def _beside(task: Task[Any, Any], home: ModuleType) -> list[Task[Any, Any]]:
    """Return the tasks of the same module."""
    tasks = [each for each in vars(home).values() if isinstance(each, Task)]
    return [each for each in tasks if each.function_name.partition(":")[0] == task.function_name.partition(":")[0]]
