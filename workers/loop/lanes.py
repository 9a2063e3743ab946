"""The lanes of a worker: find the one for each ready task, and know what all of them hold."""

from collections.abc import Callable, Iterator
from typing import Any

from ...tasks.definition import Task
from ...tasks.state.state import TaskKind, TaskState
from ...tasks.state.view import TaskView
from ..executors import CoroutineExecutor
from ..limits import READY_KINDS_REMEMBERED, TASK_NAMES_SHOWN
from ..scheduling.ready_queue import ReadyTasks
from .known_tasks import KnownTasks
from .lane import Lane
from .sessions import OwnSessions


class Lanes:
    """The lanes of one worker by mechanism, for the tasks of `known`; empty until they are opened by `open`."""

    def __init__(self, known: KnownTasks, view: TaskView) -> None:
        self._known = known
        self._view = view
        self._lanes: dict[str, Lane] = {}
        self._ready_of: dict[TaskKind, ReadyTasks | None] = {}
        self._arrived = 0

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def __getitem__(self, mechanism: str) -> Lane:
        return self._lanes[mechanism]

    def open(self, mechanism: str, lane: Lane) -> None:
        """Open a lane for the tasks of that mechanism."""
        self._lanes[mechanism] = lane

    def tasks_by_mechanism(self) -> dict[str, dict[str, Task[Any, Any]]]:
        """Return the known tasks by mechanism, then by name."""
        tasks: dict[str, dict[str, Task[Any, Any]]] = {}
        for name, task in sorted(self._known.by_name.items(), key=lambda each: each[1].mechanism):
            tasks.setdefault(task.mechanism, {})[name] = task
        return tasks

    # -- what they hold --------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether anything is in hand: waiting, running, or ended and not yet written."""
        return any(lane.busy for lane in self._lanes.values())

    @property
    def have_news(self) -> bool:
        """Whether there is work that no record announces: waiting jobs or outcomes."""
        return any(lane.has_news for lane in self._lanes.values())

    @property
    def in_hand(self) -> int:
        """How many claimed tasks have no collected outcome yet."""
        return sum(lane.in_hand for lane in self._lanes.values())

    @property
    def running(self) -> int:
        """How many tasks run now. May be called in any thread."""
        return sum(lane.executor.running for lane in list(self._lanes.values()))

    @property
    def outcomes(self) -> int:
        """How many outcomes wait to be collected."""
        return sum(lane.executor.outcomes for lane in self._lanes.values())

    @property
    def ended(self) -> bool:
        """Whether all that is in hand has ended."""
        return all(lane.ended for lane in self._lanes.values())

    def when_dry(self, call: Callable[[], None] | None) -> None:
        """See `Executor.when_dry`, for each lane."""
        for lane in self:
            lane.executor.when_dry(call)

    @property
    def slots(self) -> int:
        """How many tasks can run at a time."""
        return sum(lane.executor.size for lane in self._lanes.values())

    def in_loop(self) -> str:
        """Return the tasks that run in the event loop, by name and id; empty if none does."""
        executors = [lane.executor for lane in self if isinstance(lane.executor, CoroutineExecutor)]
        tasks = [f"{job.state.name} {job.state.id}" for executor in executors for job in executor.in_hand()]
        named = ", ".join(tasks[:TASK_NAMES_SHOWN])
        more = f" and {len(tasks) - TASK_NAMES_SHOWN:,} more" if len(tasks) > TASK_NAMES_SHOWN else ""
        return f"{named}{more}"

    def start_failures(self) -> tuple[str, ...]:
        """Return, for each mechanism whose tasks cannot run at present, a sentence that says why."""
        return tuple(
            f"no task with mechanism {mechanism} can be run: {lane.executor.start_failure}"
            for mechanism, lane in self._lanes.items()
            if lane.executor.start_failure
        )

    def offers(self, monotonic: float) -> list[tuple[ReadyTasks, int]]:
        """Return, for each lane, its ready tasks and how many of them to claim now."""
        return [(lane.ready, lane.free(monotonic)) for lane in self._lanes.values()]

    def close(self) -> None:
        """Close the executors: waiting jobs are not started, and running ones are not waited for."""
        for lane in self:
            lane.executor.close()

    # -- what is ready ---------------------------------------------------------------------------------------------

    def add_ready(self, task: TaskState) -> None:
        """File a ready task in its lane, if this worker runs tasks of its kind."""
        self._arrived += 1
        try:
            ready = self._ready_of[task.kind]
        except KeyError:
            ready = self._ready_for(task.kind)
        if ready is not None:
            ready.add(task)

    def take_arrived(self) -> int:
        """Return how many tasks have become ready since the last call."""
        arrived, self._arrived = self._arrived, 0
        return arrived

    def _ready_for(self, kind: TaskKind) -> ReadyTasks | None:
        """Return the queue of ready tasks for a kind; None if this worker does not run it."""
        if len(self._ready_of) >= READY_KINDS_REMEMBERED:
            self._ready_of.clear()
        ready = self._lanes[self._known.lane_of(kind.name)].ready if self._known.runs(kind) else None
        self._ready_of[kind] = ready
        return ready

    def share_anew(self, sessions: OwnSessions) -> None:
        """Divide the ready tasks among the workers again, after workers or paused queues have changed."""
        sessions.changed = False
        for lane in self:
            lane.ready.set_workers(sessions.workers, self._view.sessions)
            lane.ready.set_paused(self._view.paused)

    def sweep(self, steal_delay: float) -> None:
        """Drop what is ready no more; from now on leave the share of others alone for `steal_delay` seconds."""
        for lane in self:
            lane.ready.steal_delay = steal_delay
            lane.ready.sweep(len(self._view.live))
            lane.ready.look_for_absent(self._view.sessions)
