"""The tasks of one partition that have ended, and since when: a second submission of their ids is refused for a while.

The rule goes by offsets alone: an id that comes again within `ENDED_TASK_EVENTS` offsets after its end is refused,
later it begins a new task. So every reader reaches the same verdict, one that folds the events of a single task too.
"""

from collections import deque
from collections.abc import Iterable

from ...journal.limits import ENDED_TASK_EVENTS
from .transitions import State


class EndedTasks:
    """Where the tasks have ended, by id; `ends` are offsets, those of revoked tasks as their complements.

    What the rule needs no more is forgotten as the next task ends.
    """

    __slots__ = ("_order", "ends")

    def __init__(self, ends: Iterable[tuple[str, int]] = ()) -> None:
        self.ends = dict(ends)
        self._order = deque(self.ends)

    def add(self, task_id: str, offset: int, state: State) -> None:
        """A task has ended in `state` at `offset`."""
        ends, order = self.ends, self._order
        while order:
            end = ends.get(order[0])
            if end is not None:
                if offset - (end if end >= 0 else ~end) <= ENDED_TASK_EVENTS:
                    break
                del ends[order[0]]
            order.popleft()
        ends[task_id] = offset if state is State.SUCCEEDED else ~offset
        order.append(task_id)

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
        return (State.SUCCEEDED, end) if end >= 0 else (State.REVOKED, ~end)
