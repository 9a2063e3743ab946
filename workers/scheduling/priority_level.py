"""The ready tasks of one level, grouped by whether it is this worker's turn to claim them. Pure."""

from collections import deque
from collections.abc import Iterable

from ...tasks.state.state import TaskState


class PriorityLevel:
    """The ready tasks of one priority and one place in the order of preference.

    The turn of a task is computed when it is reached: until then it is in `ahead`, in the order of the log. `mine` are
    the tasks of this worker. Those of others are `fresh` until the next look, then `aging` until their own workers have
    had enough time (a heap by when that is over), and then `overdue`.
    """

    __slots__ = ("aging", "ahead", "fresh", "mine", "overdue")

    def __init__(self) -> None:
        self.ahead: deque[TaskState] = deque()
        self.mine: deque[TaskState] = deque()
        self.fresh: list[tuple[int, TaskState]] = []
        self.aging: list[tuple[float, int, TaskState]] = []
        self.overdue: deque[TaskState] = deque()

    def entries(self) -> Iterable[TaskState]:
        """Yield all tasks that are filed here; some more than once, some claimed meanwhile."""
        yield from self.mine
        yield from self.ahead
        yield from (task for _, task in self.fresh)
        yield from (task for _, _, task in self.aging)
        yield from self.overdue

    @property
    def empty(self) -> bool:
        """Whether nothing is filed here."""
        return not (self.mine or self.ahead or self.fresh or self.aging or self.overdue)
