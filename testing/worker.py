"""The worker loop of a workbench: the product's own, in virtual time, with executors in the calling thread."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from ..journal.async_journal import AsyncJournal
from ..tasks.definition import Task
from ..tasks.limits import LEASE_MS_MAX
from ..workers.executors import CoroutineExecutor, Executor
from ..workers.loop.indexing import IndexKeeper
from ..workers.loop.lane import Lane
from ..workers.loop.loop import WorkerLoop
from ..workers.loop.session_watch import SessionWatch
from ..workers.loop.stream_rest import Rested
from ..workers.loop.timeouts import TimeoutTimer
from ..workers.settings import Settings
from .executors import CallingThreadExecutor, Turns, VirtualCoroutineExecutor


class NoIndex(IndexKeeper):
    """In place of what keeps the task index of other processes, for which no task waits."""

    def start(self) -> None:
        """Nothing to keep."""

    async def aclose(self) -> None:
        """Nothing was kept."""


class NoTimer(TimeoutTimer):
    """In place of the timer for timeouts, since each run of a task has one of its own."""

    def start(self) -> None:
        """Nothing to begin."""


class NoWatch(SessionWatch):
    """In place of the watch over the sessions of others: no worker of a workbench falls silent."""

    is_needed = False


class VirtualWorkerLoop(WorkerLoop):
    """Runs `tasks` until it is stopped; jobs of synchronous ones wait in `turns`."""

    def __init__(
        self, journal: AsyncJournal, tasks: Mapping[str, Task[Any, Any]], settings: Settings, turns: Turns
    ) -> None:
        fitting = {"lease_ms": LEASE_MS_MAX, "drain_seconds": 0.0}
        super().__init__(journal, tasks, msgspec.structs.replace(settings, **fitting))
        self._turns = turns
        self._index = NoIndex(journal, dict)
        self._timeouts = NoTimer(self._lanes, math.inf, self._wake)
        self._watch = NoWatch(self.view, self._detector)
        self._firing.wait_seconds_max = math.inf  # a virtual clock is never set

    @property
    def awaits(self) -> bool:
        """Whether coroutines of tasks run."""
        executors = (lane.executor for lane in self._lanes)
        return any(isinstance(each, CoroutineExecutor) and each.running for each in executors)

    @property
    def lanes(self) -> list[Lane]:
        """Its lanes."""
        return list(self._lanes)

    def _executor(self, mechanism: str, tasks: Mapping[str, Task[Any, Any]]) -> Executor:
        if mechanism == "async":
            return VirtualCoroutineExecutor(self.settings.coroutines, tasks, self._wake)
        return CallingThreadExecutor(tasks, self._wake, self._turns)

    async def _keep_pace(self) -> Rested:
        return Rested.NO  # a rest would only move the clock

    def _look_around(self, monotonic: float) -> None:
        super()._look_around(monotonic)
        for lane in self._lanes:
            if lane.busy:
                lane.executor.enforce(monotonic)  # so that what was revoked ends at once
