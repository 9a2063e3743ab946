"""The dead letters: the tasks that have failed for good, and may be requeued or purged. Pure."""

from collections import OrderedDict
from collections.abc import Iterable

from ..limits import DEAD_LETTERS_KEPT
from .state import TaskState


class DeadLetters(dict[str, TaskState]):
    """The dead letters by id, at most `DEAD_LETTERS_KEPT` of each partition.

    Beyond the limit the oldest of the partition is forgotten, the same one on every replica: readers interleave
    partitions differently. An event that carries the submission can still requeue or purge it. `total` counts the
    forgotten ones too.
    """

    __slots__ = ("_order", "total")

    def __init__(self, tasks: Iterable[TaskState] = (), total: int = 0) -> None:
        super().__init__()
        self.total = total
        self._order: dict[int, OrderedDict[str, None]] = {}
        for task in tasks:
            self.keep(task)

    def add(self, task: TaskState) -> None:
        """Add a task that has just failed."""
        self.total += 1
        order = self.keep(task)
        if len(order) > DEAD_LETTERS_KEPT:
            del self[order.popitem(last=False)[0]]

    def keep(self, task: TaskState) -> OrderedDict[str, None]:
        """Keep a dead letter that is counted already; return the order of its partition."""
        self[task.id] = task
        order = self._order.setdefault(task.kind.partition, OrderedDict())
        order[task.id] = None
        return order

    def remove(self, task: TaskState) -> None:
        """Remove a known dead letter: it was requeued or purged."""
        del self[task.id], self._order[task.kind.partition][task.id]
        self.total -= 1

    def remove_forgotten(self) -> bool:
        """Count one of the forgotten dead letters as removed; False if none is known to have been forgotten."""
        if self.total <= len(self):
            return False
        self.total -= 1
        return True

    def orders(self) -> dict[int, list[str]]:
        """Return the ids of each partition, the oldest first."""
        return {partition: list(order) for partition, order in self._order.items() if order}
