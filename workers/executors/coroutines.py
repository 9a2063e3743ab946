"""An executor of coroutines, run in the worker's own event loop.

A few resident runners take jobs one by one; a job that never awaits costs no `asyncio.Task` of its own. A timeout
cancels the runner, so it takes effect where the coroutine awaits. Code that never awaits cannot be stopped and blocks
the whole loop as long as it runs: such work belongs in threads or processes.

A coroutine that goes on when it is cancelled, or awaits something in its `finally`, is abandoned after
`ABANDON_SECONDS`, as a thread is: the task's outcome is written, another runner replaces it, and what it eventually
returns is discarded.
"""

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable
from typing import Final

from ..limits import ABANDON_SECONDS, COROUTINE_ROW_JOBS_MAX
from .base import Executor, Run, count_begun
from .pipeline import Job, Outcome, Tasks, run_coroutine

logger = logging.getLogger("journeyman.worker")

# Runners of closed executors that have not ended: the loop holds weak references only, and logs destroyed ones.
_ending: Final[set["asyncio.Task[None]"]] = set()


class CoroutineExecutor(Executor):
    """Up to `size` coroutines at a time; made and used within the loop."""

    def __init__(self, size: int, tasks: Tasks, wake: Callable[[], None]) -> None:
        super().__init__(size, tasks, wake)
        self._runners: set[asyncio.Task[None]] = set()
        self._given_up: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[None]] = []
        self._running: dict[asyncio.Task[None], Run] = {}
        self._nudging = False
        self._closed = False
        self._run = run_coroutine

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    def in_hand(self) -> list[Job]:
        """The jobs that run, and those that have ended and were not collected yet."""
        return [run.job for run in self._running.values()] + [outcome.job for outcome in self._done]

    def long_running(self, begun_before: float) -> int:
        """See `Executor.long_running`: a runner that takes its next job moves to the end."""
        return count_begun(self._running.values(), begun_before)

    def nudge(self) -> None:
        """Wake or add a runner; runners wake the next one themselves when their job waits."""
        if not self._waiting:
            return
        while self._idle:
            idle = self._idle.pop()
            if not idle.done():  # done already if a task has kept a reference to the runner and cancelled it
                idle.set_result(None)
                return
        if len(self._runners) < self.size:
            # A clean context: what one job sets in its context variables is not there for the next runner's.
            runner = asyncio.get_running_loop().create_task(self._work(), context=contextvars.Context())
            self._runners.add(runner)
            runner.add_done_callback(self._replace)

    def _replace(self, runner: "asyncio.Task[None]") -> None:
        """Free the place of a runner that has ended, and start another if jobs wait."""
        self._runners.discard(runner)
        self._given_up.discard(runner)
        self.nudge()

    def _nudge_soon(self) -> None:
        """Wake the next runner at the next pass of the loop, which comes when the present job awaits something."""
        self._nudging = True
        asyncio.get_running_loop().call_soon(self._nudged)

    def _nudged(self) -> None:
        self._nudging = False
        self.nudge()

    def enforce(self, monotonic: float) -> None:
        """Cancel the runners whose job is past its deadline, and abandon those that do not react."""
        for runner, running in list(self._running.items()):
            if not running.timed_out and running.is_over(monotonic):
                running.timed_out = True
                runner.cancel()
            elif running.timed_out and monotonic >= running.deadline + ABANDON_SECONDS:
                self._give_up(runner, running)

    def _give_up(self, runner: "asyncio.Task[None]", running: Run) -> None:
        del self._running[runner]
        self._runners.discard(runner)
        self._given_up.add(runner)
        error = running.ending_error(", and its coroutine cannot be stopped")
        logger.warning(
            "%s: it goes on, and its result is discarded. Have the coroutine end when it is cancelled (task %s)",
            error,
            running.job.state.id,
        )
        self._ended(running, error, running.seconds, running.seconds)
        self.nudge()

    def close(self) -> None:
        """Cancel the runners; waiting jobs are not started."""
        self._closed = True
        self._waiting.clear()
        for runner in [*self._runners, *self._given_up]:
            runner.cancel()
            _ending.add(runner)
            runner.add_done_callback(_ending.discard)

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        clean = len(contextvars.copy_context())
        in_a_row = 0
        # A runner whose job has left a context variable or a cancellation behind is replaced by a new one.
        while len(contextvars.copy_context()) == clean and not me.cancelling():
            if not self._waiting:
                self._ran_dry()
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
                continue
            running = self._running[me] = Run(self._waiting.popleft(), time.monotonic())
            if self._waiting and not self._nudging:
                self._nudge_soon()
            try:
                ended: Outcome | asyncio.CancelledError = await self._run(running.job, self._tasks, running.started)
            except asyncio.CancelledError as error:
                if self._closed:
                    raise
                ended = error
            finally:
                is_held = self._running.pop(me, None) is not None
            if not is_held:
                return  # abandoned meanwhile, and replaced
            if isinstance(ended, Outcome):
                self._finished(ended, time.monotonic() - running.started)
            else:
                self._cancelled(me, running, ended)
            in_a_row += 1
            if in_a_row >= COROUTINE_ROW_JOBS_MAX:
                in_a_row = 0
                await asyncio.sleep(0)

    def _cancelled(self, me: "asyncio.Task[None]", running: Run, error: asyncio.CancelledError) -> None:
        """Hand over the outcome of a job that was cancelled, by its deadline or by itself."""
        if running.timed_out:
            me.uncancel()
        # Neither `close` nor a deadline has cancelled it: the coroutine awaited something that was cancelled.
        ended_by = running.ending_error() if running.timed_out else error
        self._ended(running, ended_by, running.seconds, running.seconds)
