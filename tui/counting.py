"""Count the waiting tasks by queue as events are applied, so that a screen of a million tasks costs no scan. Pure."""

import heapq
import itertools
from collections import Counter
from typing import Any

from ..tasks.inspection.overview import TaskCounts
from ..tasks.state.selection import waiting_since
from ..tasks.state.state import TaskKind, TaskState
from ..tasks.state.transitions import State
from ..tasks.state.verdict import Verdict
from ..tasks.state.view import TaskView
from .limits import STALE_TASKS_MIN

_READY, _FAILED = State.READY, State.FAILED
# Since when a task waits, a number that makes entries differ, and the task.
_Entry = tuple[float, int, TaskState]


class CountingView(TaskView):
    """The state of the tasks, with counts of the waiting ones that `counts` returns without a scan of them.

    Its counts equal those of `overview`. Entries of tasks that have left are dropped when they are reached, and when
    they outnumber the waiting tasks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._forget()

    def _forget(self) -> None:
        self._kinds_waiting: Counter[TaskKind] = Counter()
        self._waiting: Counter[str] = Counter()
        self._delayed: dict[str, TaskState] = {}
        self._delayed_in: Counter[str] = Counter()
        self._due: list[_Entry] = []
        self._oldest: dict[str, list[_Entry]] = {}
        self._number = itertools.count()
        self.dead_changes = 0
        self._dead: tuple[int, Counter[str]] = (-1, Counter())

    def restore(self, state: bytes) -> None:
        """See `View.restore`."""
        super().restore(state)
        self._forget()
        for task in self.live.values():
            if task.run.state is _READY:
                self._enter(task)

    def counts(self, now: float) -> TaskCounts:
        """Return the counts of all tasks at `now`, in seconds since the epoch, which should not fall."""
        self._end_delays(now)
        counts = TaskCounts(now)
        counts.add(task for session in self.all_sessions() for task in session.claims.values())
        for name, dead in self._dead_in().items():
            counts.of(name).dead = dead
        counts.ready_kinds.update({kind: count for kind, count in self._kinds_waiting.items() if count})
        for name, waiting in self._waiting.items():
            if waiting:
                queue = counts.of(name)
                queue.delayed = self._delayed_in[name]
                queue.ready = waiting - queue.delayed
                if queue.ready:
                    queue.ready_since = self._since(name)
        return counts

    # -- what the fold does ------------------------------------------------------------------------------------------

    def _submit(self, context: Any, *where: Any) -> Verdict:
        verdict = super()._submit(context, *where)
        if verdict is Verdict.ACCEPTED:
            self._enter(self.live[context.task])
        return verdict

    def _hold(self, task: TaskState, *by: Any) -> None:
        self._leave(task)
        super()._hold(task, *by)

    def _settle(self, task: TaskState, *to: Any) -> None:
        before = task.run.state
        if before is _READY:
            self._leave(task)
        super()._settle(task, *to)
        after = task.run.state
        if after is _READY:
            self._enter(task)
        if _FAILED in (before, after):
            self.dead_changes += 1

    def _move_unknown(self, name: str, context: Any, *where: Any) -> Verdict:
        verdict = super()._move_unknown(name, context, *where)
        if verdict is Verdict.ACCEPTED and (task := self.live.get(context.task)) is not None:
            self._enter(task)
        return verdict

    # -- the counts --------------------------------------------------------------------------------------------------

    def _enter(self, task: TaskState) -> None:
        """Count a task that has begun to wait."""
        queue = task.kind.queue
        self._kinds_waiting[task.kind] += 1
        self._waiting[queue] += 1
        if task.due:
            self._delayed[task.id] = task
            self._delayed_in[queue] += 1
            heapq.heappush(self._due, (task.due, next(self._number), task))
            if len(self._due) > 2 * len(self._delayed) + STALE_TASKS_MIN:
                self._due = [entry for entry in self._due if self._delayed.get(entry[2].id) is entry[2]]
                heapq.heapify(self._due)
        else:
            self._file(task)

    def _leave(self, task: TaskState) -> None:
        """Uncount a task that waits no more; its entries in the orders become stale."""
        queue = task.kind.queue
        self._kinds_waiting[task.kind] -= 1
        if not self._kinds_waiting[task.kind]:
            del self._kinds_waiting[task.kind]
        self._waiting[queue] -= 1
        if self._delayed.pop(task.id, None) is not None:
            self._delayed_in[queue] -= 1

    def _end_delays(self, now: float) -> None:
        """Make the delayed tasks that are due by now ready ones."""
        while self._due and self._due[0][0] <= now:
            due, _, task = heapq.heappop(self._due)
            if self._delayed.get(task.id) is task and task.due == due:
                del self._delayed[task.id]
                self._delayed_in[task.kind.queue] -= 1
                self._file(task)

    def _file(self, task: TaskState) -> None:
        entries = self._oldest.setdefault(task.kind.queue, [])
        heapq.heappush(entries, (_since(task), next(self._number), task))
        if len(entries) > 2 * self._waiting[task.kind.queue] + STALE_TASKS_MIN:
            entries[:] = [entry for entry in entries if self._is_current(entry)]
            heapq.heapify(entries)

    def _dead_in(self) -> Counter[str]:
        """Return how many dead letters each queue has, counted anew only after a change."""
        if self._dead[0] != self.dead_changes:
            self._dead = self.dead_changes, Counter(task.kind.queue for task in self.dead.values())
        return self._dead[1]

    def _since(self, queue: str) -> float:
        """Return since when the oldest ready task of a queue has been ready."""
        entries = self._oldest[queue]
        while not self._is_current(entries[0]):
            heapq.heappop(entries)
        return entries[0][0]

    def _is_current(self, entry: _Entry) -> bool:
        since, _, task = entry
        is_ready = task.run.state is _READY and self.live.get(task.id) is task and task.id not in self._delayed
        return is_ready and _since(task) == since


def _since(task: TaskState) -> float:
    return waiting_since(task.submitted_at, task.due)
