"""The tasks that are ready, in the order in which this worker should claim them. Pure: the caller says what time it is.

Order: the queues as the worker lists them, then priority (lower first), then the log's own order. Within one such
level every task has a worker whose turn it is, by rendezvous hashing of task and worker; the others leave it alone
for a moment and then steal it from the far end, so that workers rarely race and nothing stays behind.

Entries are not removed when a task is claimed elsewhere: they are skipped when reached, and swept when they outnumber
the living, so that a reader that never picks does not leak.
"""

import heapq
import itertools
import zlib
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..journal.limits import STEAL_DELAY_SECONDS, STEAL_TASKS_MAX
from .transitions import State
from .view import TaskState

LevelKey = tuple[int, int]
_SWEEP_SLACK = 1_024


class _Level:
    """The ready tasks of one queue and priority: those whose turn is ours, and the others'."""

    __slots__ = ("mine", "others", "starved_since")

    def __init__(self) -> None:
        self.mine: deque[TaskState] = deque()
        self.others: deque[TaskState] = deque()
        self.starved_since: float | None = None  # monotonic: since when there was only others' work here


class ReadyTasks:
    """What a worker may claim next.

    `knows(task_name)` says whether the worker can run a task of that name; `queues` lists the queues it serves, in
    order of preference (None: all, alike). Tasks it does not know wait for a worker that does.
    """

    def __init__(self, knows: Callable[[str], bool] = lambda _: True, queues: Sequence[str] | None = None) -> None:
        self._own: dict[int, str] = {}
        self._workers: dict[int, tuple[str, ...]] = {}
        self._knows = knows
        self._ranks = {queue: rank for rank, queue in enumerate(queues)} if queues is not None else None
        self._levels: dict[LevelKey, _Level] = {}
        self._order: list[LevelKey] = []
        self._delayed: list[tuple[float, int, TaskState]] = []
        self._count = itertools.count()
        self._entries = 0

    def add(self, task: TaskState) -> None:
        """Take in a task that has become ready."""
        if not self._knows(task.name) or (self._ranks is not None and task.queue not in self._ranks):
            return
        if task.due:
            heapq.heappush(self._delayed, (task.due, next(self._count), task))
        else:
            self._place(task)

    def _place(self, task: TaskState) -> None:
        key = (self._ranks[task.queue] if self._ranks is not None else 0, task.priority)
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = _Level()
            insort(self._order, key)
        workers = self._workers.get(task.partition, ())
        if len(workers) <= 1 or rendezvous(task.id, workers) == self._own[task.partition]:
            level.mine.append(task)
        else:
            level.others.append(task)
        self._entries += 1

    def set_workers(self, own: Mapping[int, str], others: Mapping[int, Iterable[str]]) -> None:
        """Take note of who shares the work of each partition; whose turn it is, is decided anew for each task."""
        workers = {place: tuple(sorted({worker, *others.get(place, ())})) for place, worker in own.items()}
        if (self._own, self._workers) != (own, workers):
            self._own, self._workers = dict(own), workers
            self._place_anew()

    def _place_anew(self) -> None:
        waiting = list(self._all_entries())
        for level in self._levels.values():
            level.mine.clear()
            level.others.clear()
        self._entries = 0
        for task in sorted(waiting, key=lambda task: task.submitted):
            if task.state is State.READY:
                self._place(task)

    def _all_entries(self) -> Iterable[TaskState]:
        for level in self._levels.values():
            yield from level.mine
            yield from level.others

    def next_due(self) -> float | None:
        """When the next delayed task is due, in seconds since the epoch."""
        while self._delayed and self._delayed[0][2].state is not State.READY:
            heapq.heappop(self._delayed)
        return self._delayed[0][0] if self._delayed else None

    def sweep(self, living: int) -> None:
        """Drop the entries of tasks that are no longer ready, if they outnumber the `living` ones."""
        if self._entries > 2 * living + _SWEEP_SLACK:
            self._place_anew()
        if len(self._delayed) > 2 * living + _SWEEP_SLACK:
            waiting = (entry for entry in self._delayed if entry[2].state is State.READY and entry[2].due == entry[0])
            self._delayed = list({id(entry[2]): entry for entry in waiting}.values())
            heapq.heapify(self._delayed)

    def take(self, limit: int, now: float, monotonic: float) -> list[TaskState]:
        """Up to `limit` tasks to claim at `now` (seconds since the epoch), best first.

        Another worker's share is stolen only after `STEAL_DELAY_SECONDS` (by `monotonic`, in seconds) without own work.
        """
        self._release_delayed(now)
        taken: list[TaskState] = []
        for key in self._order:
            level = self._levels[key]
            if level.mine or not level.others:
                level.starved_since = None
            while level.mine and len(taken) < limit:
                self._pop(level.mine.popleft(), now, taken)
            if len(taken) >= limit:
                break
            if level.others and self._may_steal(level, monotonic):
                room = min(limit, len(taken) + STEAL_TASKS_MAX)
                while level.others and len(taken) < room:
                    self._pop(level.others.pop(), now, taken)
        return taken

    def _pop(self, task: TaskState, now: float, taken: list[TaskState]) -> None:
        self._entries -= 1
        if task.state is not State.READY or task.due > now:
            return
        # A task that was claimed and came back has several entries.
        if task.changed == task.submitted or not any(task is each for each in taken):
            taken.append(task)

    def _may_steal(self, level: _Level, monotonic: float) -> bool:
        while level.others and level.others[-1].state is not State.READY:
            level.others.pop()
            self._entries -= 1
        if not level.others:
            level.starved_since = None
            return False
        if level.starved_since is None:
            level.starved_since = monotonic
        return monotonic >= level.starved_since + STEAL_DELAY_SECONDS

    def steal_at(self) -> float | None:
        """When (monotonic seconds) the next of the other workers' tasks may be stolen."""
        starved = [level.starved_since for level in self._levels.values() if level.starved_since is not None]
        return min(starved) + STEAL_DELAY_SECONDS if starved else None

    def _release_delayed(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            task = heapq.heappop(self._delayed)[2]
            if task.state is State.READY:
                self._place(task)


def rendezvous(task_id: str, workers: Sequence[str]) -> str:
    """The worker whose turn a task is: the same answer everywhere, and only a leaver's tasks move when one leaves."""
    return max(workers, key=lambda worker: _score(task_id, worker))


def _score(task_id: str, worker: str) -> int:
    # Between two ids of equal length CRC-32 differs by a constant, whatever the task, which would give three workers
    # shares of 1/2, 1/4 and 1/4; the multiplication ends that.
    return zlib.crc32(f"{worker} {task_id}".encode()) * 0x9E37_79B1 & 0xFFFF_FFFF
