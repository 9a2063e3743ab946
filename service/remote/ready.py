"""The ready tasks of a view, in the order in which remote workers claim them. Pure.

Within one kind of task the order is that in which they became ready; between kinds the preferred queue comes first,
then the lower priority, then the task that has waited longer.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ...tasks.state.selection import Ranks, rank_in, waiting_since
from ...tasks.state.state import SessionState, TaskKind, TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ..limits import READY_ENTRIES_SPARE


class Taken(NamedTuple):
    """The tasks to claim; `held_back` if others are ready and must wait: of a paused queue, or suspects."""

    tasks: list[TaskState]
    held_back: bool


class ReadyTasks:
    """The ready tasks of `view`; `add` keeps them current, and `take` drops those that are no longer ready."""

    def __init__(self, view: TaskView) -> None:
        self.view = view
        self._waiting: dict[TaskKind, deque[TaskState]] = {}
        self._delayed: list[tuple[float, int, TaskState]] = []
        self._count = itertools.count()
        self._entries = 0
        self._fill()

    def _fill(self) -> None:
        self._waiting.clear()
        self._delayed.clear()
        self._entries = 0
        for task in self.view.live.values():
            if task.run.state is State.READY:
                self.add(task)

    def add(self, task: TaskState) -> None:
        """Add a task that has become ready."""
        if self._entries > 2 * len(self.view.live) + READY_ENTRIES_SPARE:
            self._fill()  # it adds this task too, which is live
            return
        self._entries += 1
        if task.due > 0.0:
            heapq.heappush(self._delayed, (task.due, next(self._count), task))
            return
        self._queue_of(task.kind).append(task)

    def _queue_of(self, kind: TaskKind) -> deque[TaskState]:
        queue = self._waiting.get(kind)
        if queue is None:
            queue = self._waiting[kind] = deque()
        return queue

    def put_back(self, tasks: Iterable[TaskState]) -> None:
        """Put tasks that were not claimed back to the front, in their order."""
        for task in reversed(list(tasks)):
            self._entries += 1
            self._queue_of(task.kind).appendleft(task)

    def take(self, sessions: Mapping[int, SessionState], limit: int, now: float) -> Taken:
        """Remove and return up to `limit` tasks that a worker with these sessions, by partition, may claim at `now`.

        `now` is in seconds since the epoch. A worker holds one suspect at a time: a task that may have killed others.
        """
        self._release(now)
        suspect = any(task.run.suspect for session in sessions.values() for task in session.claims.values())
        heads, held_back = self._heads(sessions)
        taken: list[TaskState] = []
        aside: list[TaskState] = []
        while heads and len(taken) < limit:
            *_, kind, ranks = heapq.heappop(heads)
            queue = self._waiting[kind]
            task = queue.popleft()
            self._entries -= 1
            self._push(heads, kind, ranks)
            if task.due > now:
                self.add(task)
            elif task.run.suspect and suspect:
                aside.append(task)
            elif not any(task is each for each in taken):  # a task that was claimed and came back has two entries
                suspect = suspect or task.run.suspect
                taken.append(task)
        self.put_back(aside)
        return Taken(taken, held_back or bool(aside))

    def _heads(
        self, sessions: Mapping[int, SessionState]
    ) -> tuple[list[tuple[int, int, float, int, TaskKind, Ranks | None]], bool]:
        heads: list[tuple[int, int, float, int, TaskKind, Ranks | None]] = []
        held_back = False
        for kind in list(self._waiting):
            session = sessions.get(kind.partition)
            if session is None or not session.may_claim(kind):
                continue
            if self.view.is_paused(kind.partition, kind.queue):
                held_back = True
                continue
            self._push(heads, kind, session.claims_from.ranks())
        return heads, held_back

    def _push(
        self, heads: list[tuple[int, int, float, int, TaskKind, Ranks | None]], kind: TaskKind, ranks: Ranks | None
    ) -> None:
        queue = self._waiting[kind]
        while queue and queue[0].run.state is not State.READY:
            queue.popleft()
            self._entries -= 1
        if not queue:
            del self._waiting[kind]
            return
        since = waiting_since(queue[0].submitted_at, queue[0].due)
        rank = rank_in(ranks, kind.queue, kind.name)
        heapq.heappush(heads, (rank, kind.priority, since, next(self._count), kind, ranks))

    def _release(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            task = heapq.heappop(self._delayed)[2]
            if task.run.state is State.READY:
                self._queue_of(task.kind).append(task)
            else:
                self._entries -= 1

    def next_due(self) -> float | None:
        """Return when the next delayed task is due, in seconds since the epoch; None if none is delayed."""
        return self._delayed[0][0] if self._delayed else None
