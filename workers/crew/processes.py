"""A crew of processes, one job at a time in each.

Children are resident: they import the tasks' modules once, by name, and nothing is pickled by value. A timeout kills
the child, so it stops anything, C code included; another takes its place. A child that dies by itself has failed the
task that it ran, and no other. Children end with their foreman, even if that is killed.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from ...journal.limits import (
    CHILD_CHUNK_TASKS_MAX,
    CHILD_GROWTH_BYTES_MAX,
    CHILD_IDLE_SECONDS_MAX,
    CHILD_STALL_SECONDS_MAX,
    CHILD_TASKS_MAX,
)
from ..errors import ProcessDiedError, ValidationError
from .base import Crew, Run
from .pipeline import Job, Outcome, Tasks, failure, unstarted
from .wire import Assignment, Frames, Orders, Reports, frame

logger = logging.getLogger("journeyman.worker")

_SHORT_SECONDS: Final = 0.001
_RESPAWN_SECONDS_MIN: Final = 0.1
_RESPAWN_SECONDS_MAX: Final = 10.0
_SOCKET_BYTES: Final = 1 << 20


class _Child:
    """A child process as its foreman sees it: `runs` are the jobs it was handed, in order; the first one runs."""

    def __init__(self, modules: list[str]) -> None:
        self.sock, theirs = socket.socketpair()
        for end in (self.sock, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        path = os.pathsep.join(part for part in sys.path if part)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.child", str(theirs.fileno()), *modules],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )
        self.runs: deque[Run] = deque()
        self.frames = Frames(Reports)
        self.ready = False
        self.retiring = False
        self.asked_back = False
        self.taken = 0
        self.first_peak_bytes = 0
        self.idle_since = time.monotonic()

    def send(self, orders: Orders) -> None:
        """Hand orders over; a child that is gone is noticed by reading, not here."""
        with contextlib.suppress(OSError):
            self.sock.sendall(frame(orders))


class ProcessCrew(Crew):
    """From `floor` up to `size` child processes; made and used within the loop.

    The tasks' functions must live in modules that a child can import: `ValidationError` otherwise.
    """

    def __init__(self, size: int, tasks: Tasks, wake: Callable[[], None], *, floor: int = 1) -> None:
        super().__init__(size, tasks, wake)
        self._floor = min(floor, size)
        self._modules = _modules_of(tasks)
        self._children: list[_Child] = []
        self._number = 0
        self._numbers: dict[int, Run] = {}
        self._respawn_seconds = 0.0
        self._respawn_at = 0.0
        self._closed = False
        for _ in range(self._floor):
            self._spawn()

    @property
    def running(self) -> int:
        """How many jobs the children hold."""
        return sum(len(child.runs) for child in self._children)

    def long_running(self, begun_before: float) -> int:
        """See `Crew.long_running`."""
        return sum(1 for child in self._children if child.runs and child.runs[0].started < begun_before)

    def nudge(self) -> None:
        """Hand waiting jobs to the children that have room, and add a child where all are busy."""
        if self.draining:
            self._wake()  # what a child has given back is to be returned
            return
        chunk = CHILD_CHUNK_TASKS_MAX if self.job_seconds < _SHORT_SECONDS else 1
        for child in self._children:
            if self._waiting and child.ready and not child.retiring and len(child.runs) <= chunk // 2:
                self._assign(child, chunk)
        starting = sum(not child.ready for child in self._children)
        while len(self._waiting) > starting and len(self._children) < self.size and not self._closed:
            if time.monotonic() < self._respawn_at:
                asyncio.get_running_loop().call_later(self._respawn_seconds, self.nudge)
                break
            self._spawn()
            starting += 1

    def _assign(self, child: _Child, limit: int) -> None:
        assignments: list[Assignment] = []
        while self._waiting and len(assignments) < limit:
            job = self._waiting.popleft()
            if not job.may_start:
                self._finished(unstarted(job), self.job_seconds)
                continue
            self._number += 1
            run = self._numbers[self._number] = Run(job, self._number)
            child.runs.append(run)
            assignments.append(Assignment(self._number, job.state.name, job.row, job.prior_attempts))
        if assignments:
            child.taken += len(assignments)
            child.send(Orders(assignments))

    def _spawn(self) -> None:
        child = _Child(self._modules)
        self._children.append(child)
        asyncio.get_running_loop().add_reader(child.sock, self._read, child)

    def _read(self, child: _Child) -> None:
        try:
            messages = child.frames.receive(child.sock)
        except OSError:
            messages = None
        if messages is None:
            self._bury(child)
            return
        for message in messages:
            self._take(child, message)
        if not child.runs:
            child.idle_since = time.monotonic()
            if child.retiring:
                self._dismiss(child)
        self.nudge()
        if not self._waiting and not self.running:
            self._ran_dry()

    def _take(self, child: _Child, message: Reports) -> None:
        if message.ready:
            child.ready, child.first_peak_bytes, self._respawn_seconds = True, message.peak_bytes, 0.0
        for report in message.reports:
            run = self._numbers.pop(report.number)
            child.runs.remove(run)
            self._finished(Outcome(run.job, report.name, report.detail, report.due), report.seconds)
        for number in message.given_back:
            run = self._numbers.pop(number)
            child.runs.remove(run)
            self._waiting.appendleft(run.job)
        if message.given_back or message.reports:
            child.asked_back = False
        if child.runs and message.reports:
            child.runs[0].restart()
        grown = message.peak_bytes - child.first_peak_bytes
        child.retiring = child.retiring or child.taken >= CHILD_TASKS_MAX or grown > CHILD_GROWTH_BYTES_MAX

    def _bury(self, child: _Child) -> None:
        """A child has died: the job it ran has failed, the others go to other children."""
        self._forget(child)
        code = child.process.wait()
        if not child.ready and not self._closed:
            self._respawn_seconds = min(max(2 * self._respawn_seconds, _RESPAWN_SECONDS_MIN), _RESPAWN_SECONDS_MAX)
            self._respawn_at = time.monotonic() + self._respawn_seconds
            logger.error("a child process ended with %s before it was ready; see its own message above", _named(code))
        if child.runs:
            run = child.runs.popleft()
            del self._numbers[run.number]
            error = run.timeout_error() if run.timed_out else ProcessDiedError(f"the process died with {_named(code)}")
            self._finished(failure(run.job, self._tasks, error, run.seconds), run.seconds)
        for run in reversed(child.runs):
            del self._numbers[run.number]
            self._waiting.appendleft(run.job)
        self.nudge()

    def _dismiss(self, child: _Child) -> None:
        """Let an idle child go: it ends when its socket does."""
        self._forget(child)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(_RESPAWN_SECONDS_MAX)

    def _forget(self, child: _Child) -> None:
        self._children.remove(child)
        asyncio.get_running_loop().remove_reader(child.sock)
        child.sock.close()

    def enforce(self, monotonic: float) -> None:
        """Kill the children whose job is over its time; let none hold others up; let the idle ones go."""
        for child in list(self._children):
            if child.runs:
                run = child.runs[0]
                if child.ready and monotonic >= run.deadline and not run.timed_out:
                    run.timed_out = True
                    child.process.kill()
                elif len(child.runs) > 1 and run.seconds > CHILD_STALL_SECONDS_MAX and not child.asked_back:
                    child.asked_back = True
                    child.send(Orders([], give_back=True))
            elif monotonic - child.idle_since > CHILD_IDLE_SECONDS_MAX and len(self._children) > self._floor:
                self._dismiss(child)

    def take_back(self) -> list[Job]:
        """Take back all jobs that were not started; what lies in a child's hands is asked back and follows later."""
        for child in self._children:
            if len(child.runs) > 1 and not child.asked_back:
                child.asked_back = True
                child.send(Orders([], give_back=True))
        return super().take_back()

    def close(self) -> None:
        """End all children, in the middle of a job if need be."""
        self._closed = True
        self._waiting.clear()
        for child in list(self._children):
            if child.runs:
                child.process.kill()
            self._dismiss(child)


def _modules_of(tasks: Tasks) -> list[str]:
    modules: set[str] = set()
    for task in tasks.values():
        module = task.function.__module__
        if module == "__main__":
            raise ValidationError(
                f"{task.name} runs in processes of its own, which import its module by name; it is defined in the "
                "script that was started. Move it into a module."
            )
        modules.add(module)
    return sorted(modules)


def _named(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
