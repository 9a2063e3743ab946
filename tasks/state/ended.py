"""The ended tasks of one partition, whose ids are refused for a while if they are submitted again.

The rule depends on offsets alone: an id that is submitted again within `ENDED_TASK_EVENTS` offsets after its task's end
is refused, later it begins a new task. So every reader reaches the same verdict, even one that folds the events of a
single task.
"""

from collections.abc import Iterable
from typing import Final

from ..limits import ENDED_PRUNE_EVENTS, ENDED_TASK_EVENTS
from .transitions import State

# Expired entries are pruned every so many offsets.
_SUCCEEDED: Final = State.SUCCEEDED


class EndedTasks:
    """The offsets at which tasks have ended, by id, in that order; those of revoked tasks are stored as complements.

    `prune_at` is the offset from which on the next task that ends causes the expired entries to be pruned.
    """

    __slots__ = ("ends", "prune_at")

    def __init__(self, ends: Iterable[tuple[str, int]] = (), prune_at: int = 0) -> None:
        self.ends = dict(ends)
        self.prune_at = prune_at

    def add(self, task_id: str, offset: int, state: State) -> None:
        """Record that a task has ended in `state` at `offset`."""
        if offset >= self.prune_at:
            self._prune(offset)
        self.ends[task_id] = offset if state is _SUCCEEDED else ~offset

    def _prune(self, offset: int) -> None:
        """Drop the entries of ids that are no longer refused at `offset`."""
        old: list[str] = []
        for task_id, end in self.ends.items():
            if offset - (end if end >= 0 else ~end) <= ENDED_TASK_EVENTS:
                break
            old.append(task_id)
        for task_id in old:
            del self.ends[task_id]
        self.prune_at = offset + min(ENDED_PRUNE_EVENTS, ENDED_TASK_EVENTS // 8)

    def refuse(self, task_id: str, offset: int) -> bool:
        """Return whether the id is refused at `offset`; drop its entry if not."""
        end = self.ends.get(task_id)
        if end is None:
            return False
        if offset - (end if end >= 0 else ~end) <= ENDED_TASK_EVENTS:
            return True
        del self.ends[task_id]
        return False

    def end(self, task_id: str) -> tuple[State, int] | None:
        """Return the state and offset in which a task has ended; None if its entry was dropped or never existed."""
        end = self.ends.get(task_id)
        if end is None:
            return None
        return (_SUCCEEDED, end) if end >= 0 else (State.REVOKED, ~end)
