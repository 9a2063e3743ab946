"""A queue of delayed tasks, by when they are due. Pure: the caller passes the time.

The tasks of the present minute are in a heap, ordered by when they are due; those of later minutes are only grouped by
minute, so that each costs one entry in a list.
"""

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Final

from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ..limits import DELAY_SPAN_SECONDS

_READY: Final = State.READY


class Delayed:
    """Tasks by when they are due, in seconds since the epoch; `entries` counts those filed, ready or not.

    A task is filed under the time at which it was due when added. One that is no longer ready is dropped when reached.
    """

    def __init__(self) -> None:
        self.entries = 0
        self._soon: list[tuple[float, int, TaskState]] = []
        self._later: dict[int, list[TaskState]] = {}
        self._first: dict[int, TaskState] = {}  # the one of these that is due first
        self._spans: list[int] = []  # a heap of the keys of both
        self._reached = -math.inf  # the last span whose tasks stand in `_soon`
        self._count = itertools.count()

    def add(self, task: TaskState) -> None:
        """Add a task that is due later."""
        self.entries += 1
        due = task.due
        span = math.floor(due / DELAY_SPAN_SECONDS)
        if span <= self._reached:
            heapq.heappush(self._soon, (due, next(self._count), task))
            return
        tasks = self._later.get(span)
        if tasks is None:
            self._later[span] = [task]
            self._first[span] = task
            heapq.heappush(self._spans, span)
            return
        tasks.append(task)
        if due < self._first[span].due:
            self._first[span] = task

    def release(self, now: float) -> Iterator[TaskState]:
        """Remove and yield the ready tasks that are due by `now`, the earliest first."""
        self._reach(now)
        while self._soon and self._soon[0][0] <= now:
            self.entries -= 1
            task = heapq.heappop(self._soon)[2]
            if task.run.state is _READY:
                yield task

    def next_due(self) -> float | None:
        """Return when the next task is due; None if there is none."""
        while self._soon and self._soon[0][2].run.state is not _READY:
            self.entries -= 1
            heapq.heappop(self._soon)
        if self._soon:
            return self._soon[0][0]
        while self._spans:
            span = self._spans[0]
            first = self._first[span]
            if not _is_filed(first, span) and not self._clean(span):
                continue
            return self._first[span].due
        return None

    def _clean(self, span: int) -> bool:
        """Drop the tasks that no longer wait for that span; return whether any are left."""
        left = [task for task in self._later[span] if _is_filed(task, span)]
        self.entries -= len(self._later[span]) - len(left)
        self._later[span] = left
        if left:
            self._first[span] = min(left, key=lambda task: task.due)
            return True
        del self._later[span], self._first[span]
        self._spans.remove(span)
        heapq.heapify(self._spans)
        return False

    def sweep(self) -> None:
        """Drop tasks that are not ready, and duplicate entries."""
        ready = {id(task): task for task in self._tasks() if task.run.state is _READY}
        self.entries = 0
        self._soon, self._later, self._first, self._spans = [], {}, {}, []
        for task in ready.values():
            self.add(task)

    def _reach(self, now: float) -> None:
        """Move the tasks of the spans that have begun by `now` into the heap."""
        while self._spans and self._spans[0] * DELAY_SPAN_SECONDS <= now:
            span = heapq.heappop(self._spans)
            del self._first[span]
            self._reached = max(self._reached, span)
            for task in self._later.pop(span):
                self.entries -= 1
                if _is_filed(task, span):
                    self.add(task)

    def _tasks(self) -> Iterable[TaskState]:
        yield from (task for _, _, task in self._soon)
        for tasks in self._later.values():
            yield from tasks


def _is_filed(task: TaskState, span: int) -> bool:
    """Return whether a task waits for that span: one that came back after a claim is filed again under its new time."""
    return task.run.state is _READY and math.floor(task.due / DELAY_SPAN_SECONDS) == span
