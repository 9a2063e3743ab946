"""Run a group of threads in a child process: a `ThreadExecutor` that a worker controls over a socket."""

import math
import socket
import time
from collections.abc import Callable, Sequence
from queue import Empty
from typing import Final

import msgspec

from .....tasks.state.transitions import State
from ....timed_queue import TimedQueue
from ...pipeline import Job, Outcome, SessionLease, Tasks
from ...reported import Reported
from ...threads import ThreadExecutor
from ..permits import Permitted
from ..protocol import Assignment, Orders, Report, Reports, peak_bytes, report
from .reports import Reporter

# A child does not check the lease: the worker hands a job over only if it may start.
_LEASE: Final = SessionLease("", 0)
_LEASE.start_until = math.inf


class Group:
    """Runs jobs in threads: `sock` leads to the worker. The reading thread calls `take`, the main thread the rest."""

    def __init__(
        self, sock: socket.socket, permits: int, tasks: Tasks, places: int, *, abandon: bool, enforce_ms: int
    ) -> None:
        self._sock = sock
        self._orders: TimedQueue[Orders | None] = TimedQueue()
        self._reporter = Reporter(sock, self._collect)
        _LEASE.reported = self._reported = Reported(lambda: self._orders.put(None))
        self._executor = _Threads(
            self._reporter, permits, places, tasks, lambda: self._orders.put(None), abandon=abandon
        )
        self._enforce_seconds = enforce_ms / 1_000

    def take(self, orders: Orders) -> None:
        """Take orders of the worker."""
        self._orders.put(orders)

    def work(self) -> None:
        """Carry out orders and report for ever; the reading thread exits the process."""
        report(self._sock, Reports([], peak_bytes(), ready=True))
        enforced_at = 0.0
        while True:
            self._await()
            now = time.monotonic()
            if now - enforced_at >= self._enforce_seconds:
                enforced_at = now
                self._executor.enforce(now)
            self._reporter.tell(self._reported)
            self._reporter.flush()

    def _collect(self) -> list[Report]:
        return [_report(outcome) for outcome in self._executor.collect()]

    def _await(self) -> None:
        """Wait for orders, an outcome, or the time to check timeouts; carry out the orders."""
        executor = self._executor
        busy = executor.running or executor.waiting
        try:
            orders = self._orders.get(timeout=self._enforce_seconds if busy else None)
            while True:
                if orders is not None:
                    executor.start(_job(assignment) for assignment in orders.assignments)
                    executor.stop(orders.revoked)
                orders = self._orders.get_nowait()
        except Empty:
            executor.nudge()


class _Threads(ThreadExecutor):
    """Runs jobs for which there is a permit, and keeps the duration of each with its outcome, for the report."""

    def __init__(
        self, reporter: Reporter, permits: int, size: int, tasks: Tasks, wake: Callable[[], None], *, abandon: bool
    ) -> None:
        super().__init__(size, tasks, wake, abandon=abandon)
        self._reporter = reporter
        self._waiting = _Announced(reporter, permits)

    def stop(self, numbers: Sequence[int]) -> None:
        """Mark the jobs of these numbers as revoked; the next `enforce` ends them."""
        for running in list(self._running.values()) if numbers else ():
            if running.job.claim in numbers:
                task = running.job.state
                assert isinstance(task, _Assigned), "jobs of a child process are made by `_job`"
                task.state = State.REVOKED

    def _finished(self, outcome: Outcome, seconds: float) -> None:
        outcome.seconds = seconds
        self._reporter.worn = self.abandoned > 0
        super()._finished(outcome, seconds)
        self._reporter.end(outcome.job.claim, outcome.job.state.name, seconds)


class _Announced(Permitted[Job]):
    """A queue that announces each job to the reporter as a thread takes it, while no timeout can interrupt that yet."""

    def __init__(self, reporter: Reporter, permits: int) -> None:
        super().__init__(permits, lambda job: job.claim)
        self._reporter = reporter

    def popleft(self) -> Job:
        """See `Permitted`."""
        job = super().popleft()
        self._reporter.begin(job.claim, job.state.name)
        return job


class _Assigned(msgspec.Struct, eq=False):
    """A task as this process knows it; its number stands for its id and its claim."""

    id: str
    name: str
    claim: int
    state: State = State.CLAIMED


def _job(assignment: Assignment) -> Job:
    """Wrap an assignment in a `Job`, with its number in place of the claim."""
    number = assignment.number
    task = _Assigned(str(number), assignment.name, number)
    return Job(task, _LEASE, number, assignment.row, assignment.prior_attempts)


def _report(outcome: Outcome) -> Report:
    job, said = outcome.job, (outcome.name, outcome.detail, outcome.due)
    told = job.lease.reported.end(job)
    return Report(job.claim, *said, outcome.seconds, outcome.large, outcome.link, told, outcome.plain)
