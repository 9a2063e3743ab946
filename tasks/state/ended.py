"""The tasks of one partition that have ended, and since when: a second submission of their ids is refused for a while.

The rule goes by offsets alone: an id that comes again within `ENDED_TASK_EVENTS` offsets after its end is refused,
later it begins a new task. So every reader reaches the same verdict, one that folds the events of a single task too.
"""

from collections.abc import Iterable
from typing import Final

from ..limits import ENDED_TASK_EVENTS
from .transitions import State

# What the rule needs no more is forgotten every so many offsets.
_PRUNE_EVENTS: Final = 4_096
_SUCCEEDED: Final = State.SUCCEEDED


class EndedTasks:
    """Where the tasks have ended, by id, in that order; `ends` are offsets, those of revoked tasks as complements.

    `prune_at` is the offset from which on what the rule needs no more is forgotten as the next task ends.
    """

    __slots__ = ("ends", "prune_at")

    def __init__(self, ends: Iterable[tuple[str, int]] = (), prune_at: int = 0) -> None:
        self.ends = dict(ends)
        self.prune_at = prune_at

    def add(self, task_id: str, offset: int, state: State) -> None:
        """A task has ended in `state` at `offset`."""
        if offset >= self.prune_at:
            self._prune(offset)
        self.ends[task_id] = offset if state is _SUCCEEDED else ~offset

    def _prune(self, offset: int) -> None:
        """Forget what is refused no more at `offset`."""
        old: list[str] = []
        for task_id, end in self.ends.items():
            if offset - (end if end >= 0 else ~end) <= ENDED_TASK_EVENTS:
                break
            old.append(task_id)
        for task_id in old:
            del self.ends[task_id]
        self.prune_at = offset + min(_PRUNE_EVENTS, ENDED_TASK_EVENTS // 8)

    def refuse(self, task_id: str, offset: int) -> bool:
        """Whether that id is refused at `offset`. If its time is over, it is forgotten."""
        end = self.ends.get(task_id)
        if end is None:
            return False
        if offset - (end if end >= 0 else ~end) <= ENDED_TASK_EVENTS:
            return True
        del self.ends[task_id]
        return False

    def end(self, task_id: str) -> tuple[State, int] | None:
        """How and where a task has ended; None if that is not known any more."""
        end = self.ends.get(task_id)
        if end is None:
            return None
        return (_SUCCEEDED, end) if end >= 0 else (State.REVOKED, ~end)
