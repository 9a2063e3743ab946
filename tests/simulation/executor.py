"""The executor of a simulated worker: each task takes the time, and has the end, that its script says."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from journeyman.tasks.definition import Task
from journeyman.tasks.state import names
from journeyman.tasks.state.routing import LINKED_MARK
from journeyman.tasks.state.state import TaskState
from journeyman.workers.executors import Executor
from journeyman.workers.executors.pipeline import Job, Outcome, unstarted
from journeyman.workers.loop.drafts import Written, outcome_entries

if TYPE_CHECKING:
    from .worker import SimulatedWorker


class SimulatedExecutor(Executor):
    """So many places in virtual time. Jobs that end are told to the referee."""

    def __init__(
        self, size: int, tasks: Mapping[str, Task[Any, Any]], wake: Callable[[], None], worker: "SimulatedWorker"
    ) -> None:
        super().__init__(size, tasks, wake)
        self.worker, self.world = worker, worker.world
        self.runs: dict[int, tuple[Job, float, float]] = {}  # by claim: the job, when it began, when it ends
        self.closed = False

    @property
    def running(self) -> int:
        """See `Executor`."""
        return len(self.runs)

    def long_running(self, begun_before: float) -> int:
        """See `Executor`."""
        return sum(begun < begun_before for _, begun, _ in self.runs.values())

    def nudge(self) -> None:
        """Begin as many as there are places for."""
        while self._waiting and self.running < self.size and not self.closed and not self.worker.gone:
            job = self._waiting.popleft()
            if not job.may_start:
                self._finished(unstarted(job), 0.0)
                continue
            self.world.referee.started(job)
            script = self.world.scripts[job.state.id]
            if script.kills and self.world.faults:
                self.worker.crash()
                return
            now = self.worker.loop.time()
            alone = not self.runs and not self._waiting
            self.runs[id(job)] = (job, now, now + script.seconds)
            self.worker.loop.call_later(script.seconds, self._end, job, now, alone)

    def _end(self, job: Job, begun: float, alone: bool) -> None:
        if self.closed:
            return
        outcome = self._outcome(job)
        # As threads do: the loop writes that of a task with a lock, under a condition.
        if alone and len(self.runs) == 1 and self.world.alone_at_once and LINKED_MARK not in job.row:
            self._write(outcome, begun)
        else:
            self._over(outcome, begun)

    def _over(self, outcome: Outcome, begun: float) -> None:
        if self.runs.pop(id(outcome.job), None) is not None and not self.closed:
            self._finished(outcome, self.worker.loop.time() - begun)
            self.nudge()
            if not self._waiting:
                self._ran_dry()

    def _write(self, outcome: Outcome, begun: float) -> None:
        """Write a lone outcome here, as threads do; one attempt, and if it fails the loop makes the next."""
        entries, since = outcome_entries(outcome, self.worker.port.partition_of), self.worker.loop.time()

        def answered(events: Any) -> None:
            outcome.written = Written(entries, events if events is not None else (), since)
            self._over(outcome, begun)

        self.worker.port.send([entry.draft for entry in entries], answered)

    def _outcome(self, job: Job) -> Outcome:
        world = self.world
        if world.random.random() >= world.scripts[job.state.id].failing:
            return world.success(job)
        assert isinstance(job.state, TaskState)
        if job.state.max_retries is None or job.prior_attempts < job.state.max_retries:
            due = self.worker.wall + world.random.choice([0.0, 0.1, 3.0]) * world.lease
            return Outcome(job, names.RETRIED, b',"due":%.6f' % due, round(due, 6))
        return Outcome(job, names.FAILED)

    def enforce(self, monotonic: float) -> None:
        """None of them has a timeout, and what was revoked runs on."""

    def close(self) -> None:
        """See `Executor`."""
        self.closed = True
