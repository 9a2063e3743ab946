"""What every crew has in common: jobs go in, outcomes come out, and neither side waits for the other."""

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from ...tasks.errors import RevokedError, TaskTimeoutError
from ...tasks.state.transitions import State
from ...tasks.task import Task
from ..limits import HOOK_SECONDS_MAX
from .pipeline import Job, Outcome, Tasks, failure, timeout_of, unanswered

# How much the newest job counts in the average duration.
_NEWEST_WEIGHT: Final = 0.1

logger = logging.getLogger("journeyman.worker")


class Executor(ABC):
    """Runs up to `size` jobs at a time.

    `wake()` is called, from whatever thread, when outcomes have become available and the last ones were collected. Jobs
    are started one by one from one queue, so a long job never holds a short one behind it.
    """

    def __init__(self, size: int, tasks: Tasks, wake: Callable[[], None]) -> None:
        self.size = size
        self.lingering = False  # set by who knows of outcomes and lets them wait for more
        self.draining = False  # set by who wants nothing more to be started
        self._tasks = tasks
        self._wake = wake
        self._waiting: deque[Job] = deque()
        self._done: deque[Outcome] = deque()
        self._signalled = False
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
        """How many places are at a job that began before that monotonic time."""

    @property
    def start_failure(self) -> str:
        """Why it can run nothing at present, in a few words; empty while it can, or is about to."""
        return ""

    @property
    def ready(self) -> bool:
        """Whether anybody is there to run jobs; False while the first is still starting."""
        return True

    @property
    def job_seconds(self) -> float:
        """How long a job took of late, on average, in seconds; pessimistic until something has run."""
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
        """Having started a lone job, with nothing else to do, let it have the interpreter for a moment."""

    @abstractmethod
    def nudge(self) -> None:
        """See to it that as many are at work as the waiting jobs are worth."""

    def collect(self) -> list[Outcome]:
        """All outcomes there are now."""
        self._signalled = self.lingering = False
        collected: list[Outcome] = []
        done = self._done
        while done:
            collected.append(done.popleft())
        return collected

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
        """Let go; waiting jobs are not started, and what runs is not waited for."""

    def _finished(self, outcome: Outcome, seconds: float) -> None:
        self._done.append(outcome)
        self._job_seconds += (seconds - self._job_seconds) * (_NEWEST_WEIGHT if self._job_seconds else 1.0)
        if not self._signalled:
            self._signalled = True
            self._wake()

    def _ended(self, run: "Run", error: BaseException, seconds: float, pace: float) -> None:
        """Hand over the outcome of a job that was ended from outside, after so many seconds.

        Hooks of the task's own are asked in another thread, and not for ever: they may block, and this may be the loop.
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
            answers: SimpleQueue[Outcome] = SimpleQueue()
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
        """Nothing more to run: outcomes need not wait for company any longer."""
        if self.lingering and self._done:
            self.lingering = False
            self._wake()


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="journeyman-hooks", daemon=True).start()


def count_begun(runs: Iterable["Run"], before: float) -> int:
    """How many of the runs, the oldest first, began before that monotonic time."""
    count = 0
    for run in runs:
        if run.started >= before:
            break
        count += 1
    return count


class Run:
    """A job that is being run, and until when it may."""

    __slots__ = ("_deadline", "begun", "job", "number", "revoked", "started", "timed_out")

    def __init__(self, job: Job, number: int = 0) -> None:
        self.job = job
        self.number = number
        self.started = time.monotonic()
        self.begun = False  # where it may have to wait for its place
        self.timed_out = False
        self.revoked = False
        self._deadline: float | None = None  # worked out only for runs that last long enough to be looked at

    def restart(self) -> None:
        """It is only now that it is run."""
        self.begun, self.started, self._deadline = True, time.monotonic(), None

    @property
    def deadline(self) -> float:
        """The monotonic time at which it has to be over."""
        if self._deadline is None:
            self._deadline = self.started + timeout_of(self.job.row)
        return self._deadline

    def is_over(self, monotonic: float) -> bool:
        """Whether it has to end: its time is over, or its task was revoked, which is noticed here."""
        state = self.job.state
        if state.state is State.REVOKED and not self.revoked:
            self.revoked = True
            self._deadline = min(self.deadline, monotonic)
            logger.info("task %s %s was revoked: what runs of it is stopped", state.name, state.id)
        return monotonic >= self.deadline

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started

    def ending_error(self, more: str = "") -> TaskTimeoutError | RevokedError:
        """What a job that has to end fails with."""
        if self.revoked:
            return RevokedError(f"{self.job.state.name} was revoked while it ran{more}")
        seconds = self.deadline - self.started
        return TaskTimeoutError(f"{self.job.state.name} ran for longer than its {seconds:g} s{more}")
