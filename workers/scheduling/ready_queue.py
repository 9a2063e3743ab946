"""The queue of ready tasks, in the order in which this worker should claim them. Pure: the caller passes the time.

Order: the queues as the worker lists them, then priority (lower first), then the order of the log; a `Selection` may
narrow queues to tasks, serve queues round-robin, and let priority age. Within one level (of one priority and one place
in the order of preference) every task has a worker whose turn it is, by rendezvous hashing of the task and of the
workers that may claim it; the others leave it alone for a moment and then steal it from the far end, so that workers
rarely race and no task stays behind.
A worker that lets a turn pass without a sign of life gets no turns until it shows one: a dead idle worker cannot be
distinguished from a waiting one.

A suspect, a task that may have killed its workers, is claimed alone: while the worker has one, others are set aside
when they are reached, and come back one by one to the front of their level.

No task of a paused queue is taken: its tasks are put on hold as they are reached, and filed anew when it is resumed.

Entries are not removed when a task is claimed elsewhere: they are skipped when reached, and swept when they outnumber
the live tasks, so that a queue from which nothing is taken does not leak.
"""

import heapq
import itertools
from bisect import insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from ...tasks.state.selection import EVERYTHING, Ranks, Selection, aged, waiting_since
from ...tasks.state.state import UNTOUCHED, SessionState, TaskKind, TaskState
from ...tasks.state.transitions import State
from ..limits import READY_KINDS_REMEMBERED, READY_SWEEP_ENTRIES, STEAL_DELAY_SECONDS, STEAL_TASKS_MAX
from .delayed import Delayed
from .priority_level import PriorityLevel
from .rendezvous import Rendezvous
from .round_robin import RoundRobin

LevelKey = tuple[int, int]
_READY = State.READY


class ReadyTasks:
    """The tasks that a worker may claim next.

    `knows(task_name)` says whether the worker can run a task of that name; `selection` which of them it claims, and in
    which order. Tasks it does not know wait for a worker that does.
    """

    def __init__(self, knows: Callable[[str], bool] = lambda _: True, selection: Selection = EVERYTHING) -> None:
        self._own: dict[int, str] = {}
        self._all: dict[int, tuple[str, ...]] = {}
        self._workers: dict[int, tuple[str, ...]] = {}  # of `_all`, those that have turns
        self._sessions: Mapping[int, Mapping[str, SessionState]] = {}
        self._sharing: dict[TaskKind, tuple[str, ...]] = {}  # of these, those that may claim such a task
        self._passed: dict[tuple[int, str], int] = {}  # workers that let a turn pass, since which offset
        self._absent: dict[tuple[int, str], int] = {}  # workers without turns, and their last event then
        self.steal_delay = STEAL_DELAY_SECONDS  # set by the worker loop, by the recent duration of appends
        self.lets_suspect_in = True  # set before each `take`: whether the worker holds no suspect
        self._aside: list[tuple[int, int, int, int, TaskState]] = []
        self._paused: dict[int, frozenset[str]] = {}
        self._on_hold: list[TaskState] = []
        self._knows = knows
        self._serves = selection.serves if selection.queues is not None else None
        self._ranks: Ranks | None = selection.ranks()
        self._period = selection.ageing_ms / 1_000
        self._new_rank = itertools.count()
        self._turns: RoundRobin | None = None
        if selection.order == "fair":
            self._turns = RoundRobin(selection.weights)
            self._ranks = self._ranks or {}
        self._levels: dict[LevelKey, PriorityLevel] = {}
        self._order: list[LevelKey] = []
        self._orders: dict[str, list[LevelKey]] = {}  # where queues take turns, for each of them
        self._stolen: dict[LevelKey, int] = {}  # in this take
        self._delayed = Delayed()
        self._count = itertools.count()
        self._entries = 0

    def add(self, task: TaskState) -> None:
        """Add a task that has become ready, if this worker may claim it."""
        kind = task.kind
        if not self._knows(kind.name) or (self._serves is not None and not self._serves(kind.queue, kind.name)):
            return
        if task.due:
            self._delayed.add(task)
        else:
            self._place(task)

    def _level_of(self, task: TaskState) -> PriorityLevel:
        key = (self._rank(task), task.kind.priority)
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = PriorityLevel()
            insort(self._order if self._turns is None else self._order_of(task.queue), key)
        return level

    def _place(self, task: TaskState) -> None:
        self._level_of(task).ahead.append(task)
        self._entries += 1

    def _reach(self, level: PriorityLevel, wanted: int) -> bool:
        """Compute the turns of tasks in `ahead` until `wanted` are ours or none is left; return whether any is ours."""
        ahead, mine, fresh = level.ahead, level.mine, level.fresh
        place_of, kind = None, None
        while ahead and len(mine) < wanted:
            task = ahead.popleft()
            if task.run.state is not _READY:
                self._entries -= 1
                continue
            if task.kind is not kind:
                kind, place_of = task.kind, self._place_of(task)
            place = place_of(task.id) if place_of is not None else 0
            if place == 0:
                mine.append(task)
            else:
                fresh.append((place, task))
        return bool(mine)

    def _place_of(self, task: TaskState) -> Callable[[str], int] | None:
        """Return the function that ranks this worker for tasks of this kind; None if all are ours."""
        if len(self._workers.get(task.partition, ())) < 2:
            return None
        return Rendezvous(self._own[task.partition], self._sharers(task)).place

    def _rank(self, task: TaskState) -> int:
        """Return its place in the order of preference: 0 if there is none; each queue has its own under round-robin."""
        if self._ranks is None:
            return 0
        place = self._ranks.get(task.queue)
        if place is None:
            place = self._ranks[task.queue] = next(self._new_rank)
        return place if isinstance(place, int) else place[task.name]

    def _order_of(self, queue: str) -> list[LevelKey]:
        order = self._orders.get(queue)
        if order is None:
            order = self._orders[queue] = []
        if self._turns is not None and queue not in self._turns:
            self._turns.add(queue)
        return order

    def _sharers(self, task: TaskState) -> tuple[str, ...]:
        """Return the workers eligible for this kind of task; rendezvous hashing runs over these only."""
        kind = task.kind
        sharers = self._sharing.get(kind)
        if sharers is None:
            own, sessions = self._own[task.partition], self._sessions.get(task.partition, {})
            sharers = tuple(
                worker
                for worker in self._workers.get(task.partition, ())
                if worker == own or sessions[worker].may_claim(kind)
            )
            if len(self._sharing) >= READY_KINDS_REMEMBERED:
                self._sharing.clear()
            self._sharing[kind] = sharers
        return sharers

    def set_workers(self, own: Mapping[int, str], sessions: Mapping[int, Mapping[str, SessionState]]) -> None:
        """Set the workers that share each partition; the turns of all tasks are computed anew."""
        self._sessions = {place: dict(sessions.get(place, {})) for place in own}
        workers = {place: tuple(sorted({worker, *self._sessions[place]})) for place, worker in own.items()}
        if (self._own, self._all) != (own, workers):
            self._own, self._all = dict(own), workers
            self._share()
            self._place_anew()

    def set_paused(self, paused: Mapping[int, Collection[str]]) -> None:
        """Set the paused queues, by partition; if any was resumed, all tasks are filed anew."""
        before = self._paused
        self._paused = {place: frozenset(queues) for place, queues in paused.items() if queues}
        if any(queues - self._paused.get(place, frozenset()) for place, queues in before.items()):
            self._place_anew()

    def look_for_absent(self, sessions: Mapping[int, Mapping[str, SessionState]]) -> None:
        """Take the turns from workers that let one pass and were silent since; give them back after a sign of life.

        This affects tasks that are reached from now on: to file all others anew could cost more than it gains.
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
        self._sharing.clear()
        self._workers = {
            place: tuple(worker for worker in workers if (place, worker) not in self._absent)
            for place, workers in self._all.items()
        }

    def _place_anew(self) -> None:
        waiting = list(self._all_entries())
        self._levels.clear()
        self._order.clear()
        self._orders.clear()
        self._on_hold.clear()
        self._entries = 0
        for task in sorted(waiting, key=lambda task: task.submitted):
            if task.run.state is _READY:
                self._place(task)

    def _all_entries(self) -> Iterable[TaskState]:
        for level in self._levels.values():
            yield from level.entries()
        yield from self._on_hold

    def next_due(self) -> float | None:
        """When the next delayed task is due, in seconds since the epoch."""
        return self._delayed.next_due()

    def sweep(self, living: int) -> None:
        """Drop the entries of tasks that are no longer ready, if they outnumber the `living` tasks."""
        entries_max = 2 * living + READY_SWEEP_ENTRIES
        if self._entries > entries_max:
            self._place_anew()
        if len(self._aside) > entries_max:
            waiting_aside = {entry[-1].id: entry for entry in self._aside if entry[-1].run.state is State.READY}
            self._aside = list(waiting_aside.values())
            heapq.heapify(self._aside)
        if len(self._on_hold) > entries_max:
            self._on_hold = list({task.id: task for task in self._on_hold if task.run.state is _READY}.values())
        if self._delayed.entries > entries_max:
            self._delayed.sweep()

    def take(self, limit: int, now: float, monotonic: float) -> list[TaskState]:
        """Remove and return up to `limit` tasks to claim at `now` (seconds since the epoch), best first.

        If this worker has none of its own, it steals tasks of others that were reached here (by `monotonic`, in
        seconds) at least `steal_delay` ago, times the rank of this worker for the task.
        """
        self._release_delayed(now)
        if self._aside:
            self._bring_back()
        taken: list[TaskState] = []
        self._stolen.clear()
        take = self._take_aged if self._period else self._take_strictly
        if self._turns is None:
            take(self._order, limit, now, monotonic, taken)
            return taken
        in_vain = 0
        while len(taken) < limit and in_vain < len(self._turns):
            before = len(taken)
            queue, share = self._turns.current()
            wanted = min(limit, before + share)
            take(self._orders.get(queue, ()), wanted, now, monotonic, taken)
            had = len(taken) - before
            self._turns.used(had, empty=len(taken) < wanted)
            in_vain = 0 if had else in_vain + 1
            if not had and self._forget(queue):
                in_vain -= 1
        return taken

    def _forget(self, queue: str) -> bool:
        """Drop a queue if it is empty; return whether it was."""
        keys = self._orders.get(queue, ())
        if self._turns is None or not all(self._levels[key].empty for key in keys):
            return False
        for key in keys:
            del self._levels[key]
        self._orders.pop(queue, None)
        self._turns.remove(queue)
        return True

    def _take_strictly(
        self, order: Sequence[LevelKey], limit: int, now: float, monotonic: float, taken: list[TaskState]
    ) -> None:
        for key in order:
            level = self._levels[key]
            while len(taken) < limit and (level.mine or self._reach(level, limit - len(taken))):
                self._pop(level.mine.popleft(), now, taken)
            self._age(level, monotonic)
            if len(taken) >= limit:
                break
            while level.overdue and len(taken) < limit and self._steal(key, level, now, taken):
                pass

    def _take_aged(
        self, order: Sequence[LevelKey], limit: int, now: float, monotonic: float, taken: list[TaskState]
    ) -> None:
        """Take tasks one by one, each from the level whose next task is first: O(log levels) for each."""
        fronts: list[tuple[int, float, int]] = []
        for key in order:
            self._age(self._levels[key], monotonic)
            self._push_front(key, now, fronts)
        while fronts and len(taken) < limit:
            rank_, _, priority = heapq.heappop(fronts)
            key = (rank_, priority)
            level = self._levels[key]
            if level.mine:
                self._pop(level.mine.popleft(), now, taken)
            elif not self._steal(key, level, now, taken):
                continue
            self._push_front(key, now, fronts)
        for key in order:
            self._age(self._levels[key], monotonic)  # tasks of others that were reached on the way

    def _push_front(self, key: LevelKey, now: float, fronts: list[tuple[int, float, int]]) -> None:
        """Push a level on the heap by its next task, if it has one; drop the entries before it."""
        level = self._levels[key]
        while self._reach(level, 1):
            if self._leads(key, level.mine[0], now, fronts):
                return
            self._pop(level.mine.popleft(), now, [])
        while level.overdue:
            if self._leads(key, level.overdue[0], now, fronts):
                return
            self._pop(level.overdue.popleft(), now, [])

    def _leads(self, key: LevelKey, task: TaskState, now: float, fronts: list[tuple[int, float, int]]) -> bool:
        if task.run.state is not _READY or task.due > now or self._is_paused(task):
            return False
        since = waiting_since(task.submitted_at, task.due)
        heapq.heappush(fronts, (key[0], aged(key[1], since, self._period), key[1]))
        return True

    def _steal(self, key: LevelKey, level: PriorityLevel, now: float, taken: list[TaskState]) -> bool:
        """Take an overdue task, from the far end; return False if this `take` has stolen enough in the level."""
        stolen = self._stolen.get(key, 0)
        if stolen == STEAL_TASKS_MAX:
            return False
        before = len(taken)
        self._pop(level.overdue.pop(), now, taken)
        for task in taken[before:]:
            self._stolen[key] = stolen + 1
            self._note_passed(task)
        return True

    def _note_passed(self, task: TaskState) -> None:
        place, own = task.partition, self._own[task.partition]
        for worker in self._sharers(task):
            if worker != own and Rendezvous(worker, (own,)).place(task.id) == 0:
                self._passed[place, worker] = task.changed

    def _age(self, level: PriorityLevel, monotonic: float) -> None:
        """Move tasks on to `overdue` once others had enough time to claim them; drop those that were claimed."""
        for place, task in level.fresh:
            heapq.heappush(level.aging, (monotonic + place * self.steal_delay, next(self._count), task))
        level.fresh.clear()
        aging = level.aging
        while aging and (aging[0][0] <= monotonic or aging[0][2].run.state is not _READY):
            task = heapq.heappop(aging)[2]
            if task.run.state is _READY:
                level.overdue.append(task)
            else:
                self._entries -= 1

    def _pop(self, task: TaskState, now: float, taken: list[TaskState]) -> None:
        self._entries -= 1
        if task.run is UNTOUCHED and task.due <= now and not self._paused:  # as nearly always
            taken.append(task)
            return
        if task.run.state is not _READY:
            return
        if task.due > now:  # it failed meanwhile, or the clock was set back
            self._delayed.add(task)
            return
        if self._is_paused(task):
            self._on_hold.append(task)
            return
        if task.run.suspect:
            if not self.lets_suspect_in:
                entry = (self._rank(task), task.priority, task.submitted, next(self._count), task)
                heapq.heappush(self._aside, entry)
                return
            self.lets_suspect_in = False
        # A task that was claimed and came back has several entries.
        if task.run is UNTOUCHED or not any(task is each for each in taken):
            taken.append(task)

    def _is_paused(self, task: TaskState) -> bool:
        return bool(self._paused) and task.kind.queue in self._paused.get(task.kind.partition, ())

    def _bring_back(self) -> None:
        """Move the first suspect that was set aside to the front of its level, if one may be claimed."""
        while self._aside and self._aside[0][-1].run.state is not _READY:
            heapq.heappop(self._aside)
        if self._aside and self.lets_suspect_in:
            self._level_of(self._aside[0][-1]).mine.appendleft(heapq.heappop(self._aside)[-1])
            self._entries += 1

    def upcoming(self) -> Iterable[TaskState]:
        """Yield the tasks that are likely to be claimed next, best first, without computing turns."""
        orders = self._orders.values() if self._turns is not None else (self._order,)
        for level in [self._levels[key] for order in orders for key in order]:
            waiting = itertools.chain(level.mine, level.ahead)
            yield from (task for task in waiting if task.run.state is _READY and not self._is_paused(task))

    def steal_at(self) -> float | None:
        """Return when (monotonic seconds) the next task of another worker may be stolen."""
        moments = [level.aging[0][0] for level in self._levels.values() if level.aging]
        return min(moments) if moments else None

    def _release_delayed(self, now: float) -> None:
        for task in self._delayed.release(now):
            self._place(task)
