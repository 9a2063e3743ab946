"""The tasks that are ready, in the order in which this worker should claim them. Pure: the caller says what time it is.

Order: the queues as the worker lists them, then priority (lower first), then the log's own order. Within one such
level every task has a worker whose turn it is, by rendezvous hashing of task and worker; the others leave it alone
for a moment and then steal it from the far end, so that workers rarely race and nothing stays behind. Who lets a turn
pass without a sign of life has no turns until it shows one: a dead idle worker cannot be told from one that waits.

Entries are not removed when a task is claimed elsewhere: they are skipped when reached, and swept when they outnumber
the living, so that a reader that never picks does not leak.
"""

import heapq
import itertools
import zlib
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from ...journal.limits import STEAL_DELAY_SECONDS, STEAL_TASKS_MAX
from .transitions import State
from .view import SessionState, TaskState

LevelKey = tuple[int, int]
_READY = State.READY
_SWEEP_SLACK = 1_024


class _Level:
    """The ready tasks of one queue and priority.

    `mine` are those whose turn is ours. The others' are `fresh` until the next look, then `aging` until their own
    workers have had time enough (a heap by the moment at which that is over), and then `overdue`.
    """

    __slots__ = ("aging", "fresh", "mine", "overdue")

    def __init__(self) -> None:
        self.mine: deque[TaskState] = deque()
        self.fresh: list[tuple[int, TaskState]] = []
        self.aging: list[tuple[float, int, TaskState]] = []
        self.overdue: deque[TaskState] = deque()

    def entries(self) -> Iterable[TaskState]:
        """All tasks that are filed here, some of them more than once or taken meanwhile."""
        yield from self.mine
        yield from (task for _, task in self.fresh)
        yield from (task for _, _, task in self.aging)
        yield from self.overdue


class ReadyTasks:
    """What a worker may claim next.

    `knows(task_name)` says whether the worker can run a task of that name; `queues` lists the queues it serves, in
    order of preference (None: all, alike). Tasks it does not know wait for a worker that does.
    """

    def __init__(self, knows: Callable[[str], bool] = lambda _: True, queues: Sequence[str] | None = None) -> None:
        self._own: dict[int, str] = {}
        self._all: dict[int, tuple[str, ...]] = {}
        self._workers: dict[int, tuple[str, ...]] = {}  # of all, those who take their turns
        self._passed: dict[tuple[int, str], int] = {}  # who let a turn pass, and since which position
        self._absent: dict[tuple[int, str], int] = {}  # who has no turns, and its last event then
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
        place = rank(task.id, self._own[task.partition], workers) if len(workers) > 1 else 0
        if place == 0:
            level.mine.append(task)
        else:
            level.fresh.append((place, task))
        self._entries += 1

    def set_workers(self, own: Mapping[int, str], others: Mapping[int, Iterable[str]]) -> None:
        """Take note of who shares the work of each partition; whose turn it is, is decided anew for each task."""
        workers = {place: tuple(sorted({worker, *others.get(place, ())})) for place, worker in own.items()}
        if (self._own, self._all) != (own, workers):
            self._own, self._all = dict(own), workers
            self._share()
            self._place_anew()

    def look_for_absent(self, sessions: Mapping[int, Mapping[str, SessionState]]) -> None:
        """Take the turns from those who let one pass and were silent since, and give them back to who shows up again.

        It holds for tasks that come from now on: to file all those that wait anew could cost more than it gains.
        """
        if not self._passed and not self._absent:
            return
        for (place, worker), ready_at in self._passed.items():
            session = sessions.get(place, {}).get(worker)
            if session is not None and session.last < ready_at:
                self._absent[place, worker] = session.last
        self._passed.clear()
        for (place, worker), last in list(self._absent.items()):
            session = sessions.get(place, {}).get(worker)
            if session is None or session.last != last:
                del self._absent[place, worker]
        self._share()

    def _share(self) -> None:
        self._workers = {
            place: tuple(worker for worker in workers if (place, worker) not in self._absent)
            for place, workers in self._all.items()
        }

    def _place_anew(self) -> None:
        waiting = list(self._all_entries())
        self._levels.clear()
        self._order.clear()
        self._entries = 0
        for task in sorted(waiting, key=lambda task: task.submitted):
            if task.state is _READY:
                self._place(task)

    def _all_entries(self) -> Iterable[TaskState]:
        for level in self._levels.values():
            yield from level.entries()

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

        Where there is no own work, others' is stolen: a task that was seen here (by `monotonic`, in seconds) at least
        `STEAL_DELAY_SECONDS` ago, times the place of this worker in the order of those whose turn it would be.
        """
        self._release_delayed(now)
        taken: list[TaskState] = []
        for key in self._order:
            level = self._levels[key]
            while level.mine and len(taken) < limit:
                self._pop(level.mine.popleft(), now, taken)
            self._age(level, monotonic)
            if len(taken) >= limit:
                break
            room = min(limit, len(taken) + STEAL_TASKS_MAX)
            before = len(taken)
            while level.overdue and len(taken) < room:
                self._pop(level.overdue.pop(), now, taken)
            for task in taken[before:]:
                self._note_passed(task)
        return taken

    def _note_passed(self, task: TaskState) -> None:
        place, own = task.partition, self._own[task.partition]
        for worker in self._workers.get(place, ()):
            if worker != own and rank(task.id, worker, (own,)) == 0:
                self._passed[place, worker] = task.changed

    def _age(self, level: _Level, monotonic: float) -> None:
        """Move on what others had time enough to take, and let go of what they took."""
        for place, task in level.fresh:
            heapq.heappush(level.aging, (monotonic + place * STEAL_DELAY_SECONDS, next(self._count), task))
        level.fresh.clear()
        aging = level.aging
        while aging and (aging[0][0] <= monotonic or aging[0][2].state is not _READY):
            task = heapq.heappop(aging)[2]
            if task.state is _READY:
                level.overdue.append(task)
            else:
                self._entries -= 1

    def _pop(self, task: TaskState, now: float, taken: list[TaskState]) -> None:
        self._entries -= 1
        if task.state is not _READY or task.due > now:
            return
        # A task that was claimed and came back has several entries.
        if task.changed == task.submitted or not any(task is each for each in taken):
            taken.append(task)

    def steal_at(self) -> float | None:
        """When (monotonic seconds) the next of the other workers' tasks may be stolen."""
        moments = [level.aging[0][0] for level in self._levels.values() if level.aging]
        return min(moments) if moments else None

    def _release_delayed(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            task = heapq.heappop(self._delayed)[2]
            if task.state is _READY:
                self._place(task)


def rank(task_id: str, worker: str, workers: Sequence[str]) -> int:
    """How many workers' turn comes before this one's: by rendezvous hashing, so that everybody agrees without a word.

    0 for the worker whose turn it is. When a worker leaves only its own tasks move.
    """
    own = _score(task_id, worker)
    return sum((_score(task_id, other), other) > (own, worker) for other in workers)


def _score(task_id: str, worker: str) -> int:
    # Between two ids of equal length CRC-32 differs by a constant, whatever the task, which would give three workers
    # shares of 1/2, 1/4 and 1/4; the multiplication ends that.
    return zlib.crc32(f"{worker} {task_id}".encode()) * 0x9E37_79B1 & 0xFFFF_FFFF
