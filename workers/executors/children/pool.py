"""The base of the executors with child processes: hands out jobs, takes reports, starts, stops and reaps children.

Children are resident: they import the tasks' modules once, by name, and nothing is pickled by value. If a child dies
by itself, the tasks that it ran have failed; its tasks that had not begun go to other children, and so do tasks that
wait behind a long one. Children end with their worker, even if the worker is killed; if a child ends otherwise, the
processes that its tasks have started are killed with it.
"""

import asyncio
import logging
import math
import signal
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from ....tasks.errors import ProcessDiedError
from ....tasks.state import names
from ...limits import (
    CHILD_CHUNK_TASKS_MAX,
    CHILD_END_SECONDS_MAX,
    CHILD_GROWTH_BYTES_MAX,
    CHILD_IDLE_SECONDS_MAX,
    CHILD_LOOK_SECONDS_MAX,
    CHILD_LOOK_SECONDS_MIN,
    CHILD_READY_SECONDS_MAX,
    CHILD_RESPAWN_SECONDS_MAX,
    CHILD_RESPAWN_SECONDS_MIN,
    CHILD_SHORT_SECONDS,
    CHILD_STALL_SECONDS_MAX,
    CHILD_TASKS_MAX,
)
from ..base import Executor, Run
from ..pipeline import Job, Outcome, Tasks, unstarted
from ..tracing import TRACING, trace_killed
from .process import ChildProcess, Journals, ending, homes_of
from .protocol import Reports
from .sizing import Member, PoolSize, growth, spare

logger = logging.getLogger("journeyman.worker")

_WENT_ON: Final = "closed its stream to the worker and went on, as after os.exec*, and was killed"
_UNREPORTED: Final = b',"reason":"its process died in another task, before it could report the outcome of this one"'
_KILLED_ALONG: Final = b',"reason":"its process was killed because of another task that could not be stopped"'


class ChildPool(Executor):
    """From `pool_size.floor` up to `pool_size.ceiling` children; made and used within the loop.

    The tasks' functions must live in modules that a child can import: `ValidationError` otherwise. `journals` names the
    journals to which the children submit.
    """

    def __init__(
        self, pool_size: PoolSize, tasks: Tasks, wake: Callable[[], None], arguments: Sequence[str], journals: Journals
    ) -> None:
        super().__init__(pool_size.places * pool_size.ceiling, tasks, wake)
        self._pool_size = pool_size._replace(floor=min(pool_size.floor, pool_size.ceiling))
        self._arguments = arguments
        self._homes = homes_of(tasks)
        self._journals = journals
        self._children: list[ChildProcess] = []
        self._number = 0
        self._numbers: dict[int, Run] = {}
        self._respawn_seconds = 0.0
        self._respawn_at = 0.0
        self._respawning: asyncio.TimerHandle | None = None
        self._start_failure = ""
        self._shrinking: asyncio.TimerHandle | None = None
        self._closed = False
        self._grow()

    @property
    def running(self) -> int:
        """How many jobs the children hold."""
        return sum(len(child.runs) for child in self._children)

    def long_running(self, begun_before: float) -> int:
        """See `Executor.long_running`."""
        return sum(run.started < begun_before for child in self._children for run in child.running())

    @property
    def start_failure(self) -> str:
        """See `Executor.start_failure`: the last children failed to start, and none is ready."""
        return self._start_failure if self._respawn_seconds and not self.ready else ""

    @property
    def ready(self) -> bool:
        """See `Executor.ready`."""
        return any(child.ready for child in self._children)

    # -- handing out -------------------------------------------------------------------------------------------------

    def nudge(self) -> None:
        """Hand waiting jobs to the children that have room, and add children if all are full."""
        if self.draining:
            return
        short = self.job_seconds < CHILD_SHORT_SECONDS
        places = self._pool_size.places
        # A child gets some short jobs ahead, so that it need not wait for the next, but only as many others as it runs.
        most = places - 1 + CHILD_CHUNK_TASKS_MAX if short else places
        refill = max(most // 2, places - 1)
        for child in self._children:
            held = len(child.runs)
            if self._waiting and child.ready and not child.retiring and held <= refill:
                # No job waits behind a long one, however short the others were.
                ahead = short and not child.is_at_long_work(CHILD_STALL_SECONDS_MAX)
                self._assign(child, CHILD_CHUNK_TASKS_MAX if ahead else places - held)
        self._grow()

    def _assign(self, child: ChildProcess, limit: int) -> None:
        runs: list[Run] = []
        now = time.monotonic()
        while self._waiting and len(runs) < limit:
            job = self._waiting.popleft()
            if not job.may_start_at(now):
                self._finished(unstarted(job), self.job_seconds)
                continue
            self._number += 1
            run = self._numbers[self._number] = Run(job, now, self._number)
            runs.append(run)
        if runs:
            child.hand(runs)

    def take_back(self) -> list[Job]:
        """Take back all jobs that were not started, also those handed to children."""
        for child in self._children:
            self._return(child.withdraw())
        return super().take_back()

    def _return(self, runs: Sequence[Run]) -> None:
        """Put jobs that were not begun back at the front of the queue."""
        for run in reversed(runs):
            del self._numbers[run.number]
            self._waiting.appendleft(run.job)

    # -- growing and shrinking ---------------------------------------------------------------------------------------

    def _members(self) -> list[Member]:
        now = time.monotonic()
        return [
            Member(len(child.runs), child.ready, 0.0 if child.runs else now - child.idle_since, child.retiring)
            for child in self._children
        ]

    def _grow(self) -> None:
        count, (_, floor, ceiling) = len(self._children), self._pool_size
        if self._closed or count >= ceiling:
            return
        failing = bool(self.start_failure)
        if count >= floor and not self._waiting and not failing:
            return  # the usual case
        # A pool whose children do not start gets no jobs, and one probe child is enough to detect recovery.
        wanted = growth(len(self._waiting), self._members(), self._pool_size) if not failing else int(count == 0)
        if not wanted:
            return
        pause = self._respawn_at - time.monotonic()
        if pause > 0:
            if self._respawning is None:
                self._respawning = asyncio.get_running_loop().call_later(pause, self._respawn)
            return
        for _ in range(wanted):
            self._spawn()

    def _respawn(self) -> None:
        self._respawning = None
        self._grow()

    def _spawn(self) -> None:
        child = ChildProcess(self._arguments, self._pool_size.places, self._homes, self._journals)
        self._children.append(child)
        loop = asyncio.get_running_loop()
        loop.add_reader(child.sock, self._read, child)
        child.readiness = loop.call_later(CHILD_READY_SECONDS_MAX, self._look_if_ready, child)

    def _shrink_later(self) -> None:
        """Schedule `_shrink` for when the children that are idle now have been idle for `CHILD_IDLE_SECONDS_MAX`."""
        if self._shrinking is None and len(self._children) > self._pool_size.floor and not self._closed:
            self._shrinking = asyncio.get_running_loop().call_later(CHILD_IDLE_SECONDS_MAX, self._shrink)

    def _shrink(self) -> None:
        self._shrinking = None
        for child in [
            self._children[index] for index in spare(self._members(), self._pool_size, CHILD_IDLE_SECONDS_MAX)
        ]:
            self._dismiss(child)
        if any(not child.runs for child in self._children):
            self._shrink_later()

    # -- reports of the children -------------------------------------------------------------------------------------

    def _read(self, child: ChildProcess) -> None:
        try:
            messages = child.frames.receive(child.sock)
        except BlockingIOError:
            return
        except OSError:
            messages = None
        if messages is None:
            self._silent(child)
            return
        for message in messages:
            self._take(child, message)
        if not child.runs:
            child.idle_since = time.monotonic()
            if child.retiring:
                self._dismiss(child)
            self._shrink_later()
        self.nudge()
        if not self._waiting and not self.running:
            self._ran_dry()

    def _take(self, child: ChildProcess, message: Reports) -> None:
        if message.ready:
            child.ready, child.first_peak_bytes = True, message.peak_bytes
            if self._respawn_seconds:
                self._respawn_seconds = 0.0
                self._wake()  # tasks may be claimed again
        for number, told in message.told:
            if (running := self._numbers.get(number)) is not None:
                running.job.lease.reported.put_all(running.job, told)
        for report in message.reports:
            run = self._numbers.pop(report.number)
            if report.told:
                run.job.lease.reported.put_all(run.job, report.told)
            child.runs.remove(run)
            said = report.name, report.detail, report.due, None, report.large, None, report.link, report.plain
            self._finished(Outcome(run.job, *said), report.seconds)
        if message.reports:
            child.stalled = False
            child.note_begun()
        grown = message.peak_bytes - child.first_peak_bytes
        worn = message.worn or child.taken >= CHILD_TASKS_MAX or grown > CHILD_GROWTH_BYTES_MAX
        child.retiring = child.retiring or worn

    # -- ends --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _over(self, run: Run, monotonic: float) -> bool:
        """Return whether it is time to kill the child, since nothing else will stop this job."""

    def enforce(self, monotonic: float) -> None:
        """Kill the children whose overdue job nothing else can end; take jobs back from children that stall."""
        for child in list(self._children):
            if child.is_gone:
                self._bury(child)
                continue
            child.note_begun()
            over = [run for run in child.running() if self._over(run, monotonic)] if child.ready else []
            child.tell_revoked()
            for run in over:
                run.timed_out = True
            if over:
                child.kill()
            elif relieved := child.relieve(CHILD_STALL_SECONDS_MAX):
                self._return(relieved)
                self.nudge()

    def _look_if_ready(self, child: ChildProcess) -> None:
        """Kill a child that hangs while it imports the tasks; log that before it has ended, as a kill may take long."""
        if child.ready:
            return
        child.late = True
        child.kill()
        self._let_end(child, math.inf)
        reason = f"did not become ready within {CHILD_READY_SECONDS_MAX:g} s"
        self._not_started(reason, "look for what the tasks' modules wait for when they are imported")

    def _silent(self, child: ChildProcess) -> None:
        """Handle the end of a child's stream: it is about to exit, unless a task has replaced it by `os.exec*`."""
        self._return(child.withdraw())
        self._let_end(child, time.monotonic() + CHILD_END_SECONDS_MAX)
        self.nudge()

    def _let_end(self, child: ChildProcess, kill_at: float) -> None:
        """Stop reading from a child and retire it; reap it when it has ended, kill it at `kill_at` (monotonic)."""
        asyncio.get_running_loop().remove_reader(child.sock)
        child.retiring = True
        self._bury_later(child, kill_at, CHILD_LOOK_SECONDS_MIN)

    def _bury_later(self, child: ChildProcess, kill_at: float, pause: float) -> None:
        """Poll for the end of the process: to wait for it would block the loop, for an unknown time."""
        if child not in self._children:
            return
        if child.has_ended:
            self._bury(child)
            return
        if time.monotonic() >= kill_at:
            child.kill(_WENT_ON)
        longer = min(2 * pause, CHILD_LOOK_SECONDS_MAX)
        asyncio.get_running_loop().call_later(pause, self._bury_later, child, kill_at, longer)

    def _bury(self, child: ChildProcess) -> None:
        """Reap a dead child: the jobs it ran have failed, those that it had not begun go to other children."""
        self._return(child.withdraw())
        runs, running = list(child.runs), child.running()
        self._forget(child)
        code = child.collect()
        since = child.killed_since if code == -signal.SIGKILL else ""
        if not child.ready and not child.late:
            self._not_started(since or f"ended with {ending(code)}", "see its own message above")
        killed = any(run.timed_out for run in running)
        for run in runs:
            del self._numbers[run.number]
            if run not in running:
                self._finished(Outcome(run.job, names.INTERRUPTED, _UNREPORTED), run.seconds)
            elif killed and not run.timed_out:  # killed because of another task's timeout: this one loses no attempt
                self._finished(Outcome(run.job, names.INTERRUPTED, _KILLED_ALONG), run.seconds)
            else:
                died = ProcessDiedError(f"the process {since or f'died with {ending(code)}'}")
                error = run.ending_error() if run.timed_out else died
                if TRACING.tracer is not None:
                    trace_killed(run.job.row, run.job.prior_attempts, error, run.seconds)
                self._ended(run, error, run.seconds, run.seconds)
        self.nudge()

    def _not_started(self, reason: str, advice: str) -> None:
        """Handle a child that failed to start: log it and back off. Failures detected together are logged once."""
        if time.monotonic() < self._respawn_at:
            return
        self._respawn_seconds = min(
            max(2 * self._respawn_seconds, CHILD_RESPAWN_SECONDS_MIN), CHILD_RESPAWN_SECONDS_MAX
        )
        self._respawn_at = time.monotonic() + self._respawn_seconds
        self._start_failure = f"its child processes do not start: the last one {reason}"
        logger.error(
            "a child process did not start: it %s; %s. Trying again in %g s",
            reason,
            advice,
            self._respawn_seconds,
        )
        self._wake()  # what waits is to be given back

    def _dismiss(self, child: ChildProcess) -> None:
        """Kill a child that is to go: even an idle one may be stopped, or kept alive by a thread that cannot be."""
        child.kill()
        self._let_end(child, math.inf)

    def _forget(self, child: ChildProcess) -> None:
        self._children.remove(child)
        child.runs.clear()
        if child.readiness is not None:
            child.readiness.cancel()  # the timer would keep the child, and the rows of its jobs, alive until it fires
        asyncio.get_running_loop().remove_reader(child.sock)
        child.let_go()

    def close(self) -> None:
        """Kill all children, in the middle of a job if need be."""
        self._closed = True
        self._waiting.clear()
        for timer in (self._shrinking, self._respawning):
            if timer is not None:
                timer.cancel()
        for child in self._children:
            child.kill()
        until = time.monotonic() + CHILD_END_SECONDS_MAX
        for child in list(self._children):
            self._forget(child)
            child.await_end(until)
