"""The base of all executors: jobs go in, outcomes come out, and neither side waits for the other."""

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty

import msgspec

from ...tasks.definition import Task
from ...tasks.errors import RevokedError, TaskTimeoutError
from ...tasks.state.transitions import State
from ..limits import HOOK_SECONDS_MAX, NEWEST_WEIGHT
from ..timed_queue import TimedQueue
from .pipeline import Job, Outcome, Tasks, failure, timeout_of, unanswered

logger = logging.getLogger("journeyman.worker")


class Executor(ABC):
    """Runs up to `size` jobs at a time.

    `wake()` is called, from any thread, at the first outcome since the last `collect`. Jobs are started one by one from
    one queue, so a long job never holds up a short one behind it.
    """

    def __init__(self, size: int, tasks: Tasks, wake: Callable[[], None]) -> None:
        self.size = size
        self.lingering = False  # set by the lane while it lets outcomes wait for more
        self.draining = False  # set by the lane when no more jobs are to be started
        self._tasks = tasks
        self._wake = wake
        self._waiting: deque[Job] = deque()
        self._done: deque[Outcome] = deque()
        self._signalled = False
        self._when_dry: Callable[[], None] | None = None
        self._job_seconds = 0.0  # of the latest jobs, on average; 0 until something has run

    @property
    def waiting(self) -> int:
        """How many jobs were not started yet and can be taken back."""
        return len(self._waiting)

    @property
    @abstractmethod
    def running(self) -> int:
        """How many jobs run now."""

    @abstractmethod
    def long_running(self, begun_before: float) -> int:
        """Return how many places run a job that began before that monotonic time."""

    @property
    def start_failure(self) -> str:
        """Why it can run nothing at present, in a few words; empty while it can, or is about to."""
        return ""

    @property
    def ready(self) -> bool:
        """Whether there is a thread or process to run jobs; False while the first is still starting."""
        return True

    @property
    def job_seconds(self) -> float:
        """The recent average duration of a job, in seconds; pessimistic until something has run."""
        return self._job_seconds or 1.0

    @property
    def outcomes(self) -> int:
        """How many outcomes wait to be collected."""
        return len(self._done)

    def start(self, jobs: Iterable[Job]) -> None:
        """Hand jobs over, in the order in which they should be run."""
        self._waiting.extend(jobs)
        self.nudge()

    def stand_aside(self, lone: Job) -> None:  # noqa: B027 - nothing to do where jobs do not need this interpreter
        """Yield the interpreter for a moment to a lone job that was just started, when there is nothing else to do."""

    @abstractmethod
    def nudge(self) -> None:
        """Wake or start as many threads, runners or processes as the waiting jobs are worth."""

    def collect(self) -> list[Outcome]:
        """Remove and return all outcomes that are available."""
        self._signalled = self.lingering = False
        collected: list[Outcome] = []
        done = self._done
        while done:
            collected.append(done.popleft())
        return collected

    def when_dry(self, call: Callable[[], None] | None) -> None:
        """Have `call()` called once, from any thread, when a job has ended and none waits; None: no more."""
        self._when_dry = call

    def take_back(self) -> list[Job]:
        """Take back all jobs that were not started."""
        taken: list[Job] = []
        try:
            while True:
                taken.append(self._waiting.pop())
        except IndexError:
            return taken

    @abstractmethod
    def enforce(self, monotonic: float) -> None:
        """End the jobs whose time is over or whose task was revoked; called now and then while something runs."""

    @abstractmethod
    def close(self) -> None:
        """Shut down: waiting jobs are not started, and running ones are not waited for."""

    def _finished(self, outcome: Outcome, seconds: float) -> None:
        self._done.append(outcome)
        self._job_seconds += (seconds - self._job_seconds) * (NEWEST_WEIGHT if self._job_seconds else 1.0)
        if not self._signalled:
            self._signalled = True
            self._wake()

    def _ended(self, run: "Run", error: BaseException, seconds: float, pace: float) -> None:
        """Deliver the outcome of a job that was ended from outside, after so many seconds.

        The task's own hooks run in another thread, for `HOOK_SECONDS_MAX` at most: they may block, and the caller may
        be the event loop.
        """
        job, tasks = run.job, self._tasks
        kind = type(tasks[job.state.name])
        if kind.do_retry is Task.do_retry and kind.retry_at is Task.retry_at:
            self._finished(failure(job, tasks, error, seconds), pace)
            return
        loop: asyncio.AbstractEventLoop | None = None
        with suppress(RuntimeError):  # in a group's process there is none, and this may be called in any thread
            loop = asyncio.get_running_loop()

        def ask() -> None:
            answers: TimedQueue[Outcome] = TimedQueue()
            _in_thread(lambda: answers.put(failure(job, tasks, error, seconds)))
            try:
                outcome = answers.get(timeout=HOOK_SECONDS_MAX)
            except Empty:
                outcome = unanswered(job, error, seconds)
            if loop is None:
                self._finished(outcome, pace)
                return
            with suppress(RuntimeError):  # the loop has ended: the claim was given back
                loop.call_soon_threadsafe(self._finished, outcome, pace)

        _in_thread(ask)

    def _ran_dry(self) -> None:
        """End the lingering of outcomes, since there is nothing more to run, and tell the caller of `when_dry`."""
        call = self._when_dry
        if call is not None and self._done:
            self._when_dry = None
            call()
        if self.lingering and self._done:
            self.lingering = False
            self._wake()


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="journeyman-hooks", daemon=True).start()


def count_begun(runs: Iterable["Run"], before: float) -> int:
    """Count the runs, which are sorted by age, that began before that monotonic time."""
    count = 0
    for run in runs:
        if run.started >= before:
            break
        count += 1
    return count


def begun(job: Job, number: int = 0) -> "Run":
    """Return the run of a job that begins now."""
    return Run(job, time.monotonic(), number)


class Run(msgspec.Struct, eq=False, gc=False):
    """A job that is being run since `started` (monotonic), and its deadline.

    `begun`: a child process has begun it; it may have to wait for a place there.
    """

    job: Job
    started: float
    number: int = 0
    begun: bool = False
    timed_out: bool = False
    revoked: bool = False
    known_deadline: float | None = None  # worked out only for runs that last long enough to be looked at

    def restart(self) -> None:
        """Count its time from now on, since it has only now begun to run."""
        self.begun, self.started, self.known_deadline = True, time.monotonic(), None

    @property
    def deadline(self) -> float:
        """The monotonic time at which it has to end."""
        if self.known_deadline is None:
            self.known_deadline = self.started + timeout_of(self.job.row)
        return self.known_deadline

    def is_over(self, monotonic: float) -> bool:
        """Return whether it has to end: its deadline has passed, or its task was revoked, which is noticed here."""
        state = self.job.state
        if state.state is State.REVOKED and not self.revoked:
            self.revoked = True
            self.known_deadline = min(self.deadline, monotonic)
            logger.info("task %s %s was revoked: stopping its run", state.name, state.id)
        return monotonic >= self.deadline

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started

    def ending_error(self, more: str = "") -> TaskTimeoutError | RevokedError:
        """Return the exception with which a job that has to end fails."""
        if self.revoked:
            return RevokedError(f"{self.job.state.name} was revoked while it ran{more}")
        seconds = self.deadline - self.started
        return TaskTimeoutError(f"{self.job.state.name} ran for longer than its {seconds:g} s{more}")
