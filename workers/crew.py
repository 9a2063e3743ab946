"""The crew: threads that run jobs. The foreman hands jobs over and collects outcomes; neither waits for the other."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from queue import SimpleQueue
from typing import Any, Final

from .pipeline import Job, Outcome, run
from .task import Task

# Jobs shorter than this, in seconds, are taken by few threads: waking a thread costs more than running them.
_SHORT_SECONDS: Final = 0.000_5
_SHORT_JOBS_PER_THREAD: Final = 64


class ThreadCrew:
    """Up to `size` threads, started as needed.

    Every thread takes one job at a time from one queue, so a long job never holds a short one behind it. `wake()` is called
    from a crew thread when outcomes have become available and the last ones were collected.
    """

    def __init__(self, size: int, tasks: Mapping[str, Task[Any, Any]], wake: Callable[[], None]) -> None:
        self.size = size
        self._tasks = tasks
        self._wake = wake
        self._waiting: deque[Job] = deque()
        self._done: deque[Outcome] = deque()
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._running: dict[int, Job] = {}
        self._pending_tokens = 0
        self._signalled = False
        self.lingering = False  # set by who knows of outcomes and lets them wait for more
        self._job_seconds = 0.0  # of the latest jobs, on average; 0 until something has run

    @property
    def waiting(self) -> int:
        """How many jobs no thread has come to yet."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    @property
    def job_seconds(self) -> float:
        """How long a job took of late, on average, in seconds; pessimistic until something has run."""
        return self._job_seconds or 1.0

    @property
    def has_outcomes(self) -> bool:
        """Whether there is anything to collect."""
        return bool(self._done)

    @property
    def outcomes(self) -> int:
        """How many outcomes wait to be collected."""
        return len(self._done)

    def start(self, jobs: Iterable[Job]) -> None:
        """Hand jobs over, in the order in which they should be run."""
        self._waiting.extend(jobs)
        self.nudge()

    def nudge(self) -> None:
        """Wake as many threads as the waiting jobs are worth."""
        waiting = len(self._waiting)
        if not waiting:
            return
        if self.job_seconds < _SHORT_SECONDS and not self._running:
            waiting = -(-waiting // _SHORT_JOBS_PER_THREAD)
        idle = self.size - len(self._running) - self._tokens.qsize()
        for _ in range(min(waiting, idle)):
            if len(self._threads) < self.size and len(self._threads) <= len(self._running) + self._tokens.qsize():
                self._add_thread()
            self._tokens.put(True)

    def collect(self) -> list[Outcome]:
        """All outcomes there are now."""
        self._signalled = self.lingering = False
        collected: list[Outcome] = []
        done = self._done
        while done:
            collected.append(done.popleft())
        return collected

    def take_back(self) -> list[Job]:
        """Take back all jobs that no thread has come to."""
        taken: list[Job] = []
        try:
            while True:
                taken.append(self._waiting.pop())
        except IndexError:
            return taken

    def close(self) -> None:
        """Let the threads end when they have run what they run now; waiting jobs are not started."""
        self._waiting.clear()
        for _ in self._threads:
            self._tokens.put(False)

    def _add_thread(self) -> None:
        # Daemons: a task that never returns must not keep a worker from leaving; its claim is given back.
        thread = threading.Thread(target=self._work, name=f"journeyman-crew-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        me = threading.get_ident()
        while self._tokens.get():
            while True:
                try:
                    job = self._waiting.popleft()
                except IndexError:
                    break
                self._running[me] = job
                started = time.perf_counter()
                outcome = run(job, self._tasks)
                seconds = time.perf_counter() - started
                self._done.append(outcome)
                del self._running[me]
                self._job_seconds += (seconds - self._job_seconds) * (0.1 if self._job_seconds else 1.0)
                if not self._signalled:
                    self._signalled = True
                    self._wake()
            if self.lingering and self._done:  # nothing more to run: the outcomes need not wait for company longer
                self.lingering = False
                self._wake()
