"""How the tasks of a workbench are run: synchronous ones in the calling thread, one by one, coroutines in the loop."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..tasks.errors import Overdue
from ..workers.executors import CoroutineExecutor, Executor
from ..workers.executors.base import Run, begun
from ..workers.executors.pipeline import Job, Outcome, Tasks, failure, run, run_coroutine, timeout_of
from ..workers.executors.thread_errors import raise_in, take_back
from ..workers.limits import ABANDON_SECONDS
from .limits import WATCHED_TIMEOUT_MS_MAX


class Turns:
    """The executors of synchronous tasks that have a job, in the order in which their jobs came."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._waiting: deque[CallingThreadExecutor] = deque()
        self.running: Run | None = None

    def ask(self, executor: "CallingThreadExecutor") -> None:
        """Have a job of that executor run as soon as the loop has stopped."""
        if executor not in self._waiting:
            self._waiting.append(executor)
        self._stop()

    def take(self) -> bool:
        """Run the next job to its outcome; return whether there was one. Call while no loop runs."""
        if not self._waiting:
            return False
        self._waiting.popleft().run_one()
        return True


class CallingThreadExecutor(Executor):
    """Runs one job at a time, in the thread that has called the workbench, and outside of its loop."""

    def __init__(self, tasks: Tasks, wake: Callable[[], None], turns: Turns) -> None:
        super().__init__(1, tasks, wake)
        self._turns = turns

    @property
    def running(self) -> int:
        """See `Executor`: while the loop runs, none of them does."""
        return 0

    def long_running(self, begun_before: float) -> int:
        """See `Executor`."""
        return 0

    @property
    def job_seconds(self) -> float:
        """See `Executor`: as of long jobs, so that one is claimed at a time and the priority of each counts."""
        return 1.0

    def nudge(self) -> None:
        """Ask for a turn."""
        if self._waiting:
            self._turns.ask(self)

    def run_one(self) -> None:
        """Run a job that waits, if it was not taken back."""
        if self._waiting:
            running = self._turns.running = begun(self._waiting.popleft())
            try:
                outcome = self._run(running)
            finally:
                self._turns.running = None
            self._finished(outcome, 0.0)
        if self._waiting:
            self.nudge()

    def _run(self, running: Run) -> Outcome:
        outcome: Outcome | None = None
        while True:  # `Overdue` may come anywhere in here
            try:
                if outcome is None:
                    with _watched(running.deadline - running.started):
                        outcome = run(running.job, self._tasks, running.started)
            except Overdue:
                if outcome is None:
                    outcome = failure(running.job, self._tasks, running.ending_error(), running.seconds)
            else:
                return outcome

    def enforce(self, monotonic: float) -> None:
        """See `Executor`: what runs is stopped by its own watch."""

    def close(self) -> None:
        """See `Executor`."""
        self._waiting.clear()


@contextmanager
def _watched(seconds: float) -> Iterator[None]:
    """Raise `Overdue` in this thread when so many real seconds are over, as a worker does in a task's thread."""
    if seconds * 1_000 > WATCHED_TIMEOUT_MS_MAX:
        yield
        return
    thread, guard, over, raised = threading.get_ident(), threading.Lock(), False, False

    def interrupt() -> None:
        nonlocal raised
        with guard:
            if not over:
                raised = True
                raise_in(thread)

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with guard:
            over = True
            if raised:
                take_back()
        timer.cancel()
        timer.join()


class VirtualCoroutineExecutor(CoroutineExecutor):
    """Runs coroutines in the virtual loop, and compares each with its timeout at that very moment."""

    def __init__(self, size: int, tasks: Tasks, wake: Callable[[], None]) -> None:
        super().__init__(size, tasks, wake)
        self._run = self._watched

    def _ended(self, run: Run, error: BaseException, seconds: float, pace: float) -> None:
        """Deliver the outcome at once: the hooks of the task run here, and not in a thread beside the clock."""
        self._finished(failure(run.job, self._tasks, error, seconds), pace)

    async def _watched(self, job: Job, tasks: Tasks, started: float | None = None) -> Outcome:
        assert started is not None, "an executor passes it"
        loop, end = asyncio.get_running_loop(), started + timeout_of(job.row)
        timers = [loop.call_at(moment, self.enforce, moment) for moment in (end, end + ABANDON_SECONDS)]
        try:
            return await run_coroutine(job, tasks, started)
        finally:
            for timer in timers:
                timer.cancel()
