"""The ready tasks that differ in nothing but in whose turn they are, and since when. Pure."""

from collections import deque
from collections.abc import Iterable

from ...tasks.state.state import TaskState


class PriorityLevel:
    """The ready tasks of one priority and one place in the order of preference.

    Whose turn a task is, is asked when it is reached: until then it is among those that are `ahead`, in the order of
    the log. `mine` are those whose turn is ours. The others' are `fresh` until the next look, then `aging` until their
    own workers have had time enough (a heap by the moment at which that is over), and then `overdue`.
    """

    __slots__ = ("aging", "ahead", "fresh", "mine", "overdue")

    def __init__(self) -> None:
        self.ahead: deque[TaskState] = deque()
        self.mine: deque[TaskState] = deque()
        self.fresh: list[tuple[int, TaskState]] = []
        self.aging: list[tuple[float, int, TaskState]] = []
        self.overdue: deque[TaskState] = deque()

    def entries(self) -> Iterable[TaskState]:
        """All tasks that are filed here, some of them more than once or taken meanwhile."""
        yield from self.mine
        yield from self.ahead
        yield from (task for _, task in self.fresh)
        yield from (task for _, _, task in self.aging)
        yield from self.overdue

    @property
    def empty(self) -> bool:
        """Whether nothing is filed here."""
        return not (self.mine or self.ahead or self.fresh or self.aging or self.overdue)
