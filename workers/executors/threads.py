"""An executor of threads in the worker's own process.

A timeout raises `Overdue` in the thread, at its next step of Python code. Like `asyncio.CancelledError` that is no
`Exception`: a task's `finally` and `with` see it; an `except Exception` or `except TimeoutError`, of the task or
of a library it calls, does not. So a task that is tolerant of errors ends all the same, and a library does not mistake
`Overdue` for a timeout of its own. `do_retry` and the outcome see it as `TaskTimeoutError`.

A timeout cannot stop a call that stays in C (a long computation of a library, a blocking system call without Python in
between), nor a task that catches `BaseException` and goes on. Such a thread is abandoned after `ABANDON_SECONDS`: the
task's outcome is written, another thread replaces it, and what it eventually returns is discarded.
"""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from ...tasks.errors import Overdue
from ..limits import ABANDON_SECONDS, STAND_ASIDE_SECONDS, THREAD_SHORT_JOBS, THREAD_SHORT_SECONDS
from .base import Executor, Run, count_begun
from .pipeline import Job, Outcome, Tasks, failure, run
from .thread_errors import raise_in, take_back


class ThreadExecutor(Executor):
    """Up to `size` threads, started as needed.

    `write(outcome)`, if given, is called in the thread that has run a lone job, before the outcome is handed over: that
    saves the reader of the result a thread switch.

    `abandon`: whether a thread that does not react to its timeout is abandoned; otherwise its task ends when the thread
    does. `abandoned` counts them.
    """

    def __init__(
        self,
        size: int,
        tasks: Tasks,
        wake: Callable[[], None],
        write: Callable[[Outcome], None] | None = None,
        *,
        abandon: bool = True,
    ) -> None:
        super().__init__(size, tasks, wake)
        self.abandoned = 0
        self._abandons = abandon
        self._write = write
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._threads: dict[int, threading.Thread] = {}
        self._running: dict[int, Run] = {}
        self._guard = threading.Lock()
        self._count = 0

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    def long_running(self, begun_before: float) -> int:
        """See `Executor.long_running`: a thread that takes its next job moves to the end."""
        return count_begun(list(self._running.values()), begun_before)

    def stand_aside(self, lone: Job) -> None:
        """See `Executor.stand_aside`: block until the job's outcome is written, at most `STAND_ASIDE_SECONDS`.

        Other work of this thread is not urgent, and would compete with the job's thread for the GIL. It waits for a
        lock: before CPython 3.13 `SimpleQueue.get` waits for ever if a signal's handler outlasts its timeout.
        """
        if lone.over is not None:
            lone.over.acquire(timeout=STAND_ASIDE_SECONDS)

    def nudge(self) -> None:
        """Wake as many threads as the waiting jobs are worth."""
        waiting = len(self._waiting)
        if not waiting:
            return
        if self.job_seconds < THREAD_SHORT_SECONDS and not self._running:
            waiting = -(-waiting // THREAD_SHORT_JOBS)
        running = len(self._running)
        wanted = min(waiting, self.size - running)
        # A thread that has taken its token and not yet its job shows as idle, so threads and tokens are counted apart.
        while len(self._threads) < running + wanted:
            self._add_thread()
        for _ in range(wanted - self._tokens.qsize()):
            self._tokens.put(True)

    def enforce(self, monotonic: float) -> None:
        """Interrupt the threads whose job is past its deadline, and abandon those that do not react."""
        for ident, running in list(self._running.items()):
            if not running.is_over(monotonic):
                continue
            with self._guard:
                if self._running.get(ident) is not running:
                    continue
                if not running.timed_out:
                    running.timed_out = True
                    raise_in(ident)
                elif self._abandons and monotonic >= running.deadline + ABANDON_SECONDS:
                    self._abandon(ident, running, monotonic)

    def _abandon(self, ident: int, running: Run, monotonic: float) -> None:
        del self._running[ident]
        del self._threads[ident]
        self.abandoned += 1
        error = running.ending_error(", and its thread cannot be stopped")
        self._ended(running, error, monotonic - running.started, 0.0)
        self.nudge()

    def close(self) -> None:
        """Let each thread end after its present job; waiting jobs are not started."""
        self._write = None  # the loop that would apply the outcome has ended
        self._waiting.clear()
        for _ in self._threads:
            self._tokens.put(False)

    def _add_thread(self) -> None:
        # Daemons: a task that never returns must not keep a worker from leaving; its claim is given back.
        self._count += 1
        thread = threading.Thread(target=self._work, name=f"journeyman-thread-{self._count}", daemon=True)
        thread.start()
        assert thread.ident is not None
        self._threads[thread.ident] = thread

    def _work(self) -> None:
        ident = threading.get_ident()
        while self._tokens.get():
            while True:
                try:
                    job = self._waiting.popleft()
                except IndexError:
                    break
                running = self._running[ident] = Run(job, time.monotonic())
                if not self._run(ident, running):
                    return  # abandoned meanwhile, and replaced
            self._ran_dry()

    def _run(self, ident: int, running: Run) -> bool:
        """Run a job and hand its outcome over; return False if the thread was abandoned meanwhile."""
        outcome: Outcome | None = None
        while True:  # an interrupt may strike anywhere in here, also after the job has ended
            try:
                if outcome is None:
                    outcome = run(running.job, self._tasks, running.started)
                with self._guard:
                    if self._running.get(ident) is not running:
                        return False
                    if running.timed_out:
                        take_back()
                    del self._running[ident]
                break
            except Overdue:  # raised outside of the code in which the pipeline catches it
                if outcome is None:
                    outcome = failure(running.job, self._tasks, running.ending_error(), running.seconds)
        seconds = running.seconds
        write = self._write
        over = running.job.over
        if over is not None and write is not None:
            write(outcome)
        self._finished(outcome, seconds)
        if over is not None:
            over.release()
        return True
