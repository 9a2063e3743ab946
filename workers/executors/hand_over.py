"""An executor that runs nothing: it hands claimed tasks to waiting callers, and holds each until its claim ends."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple

from ...tasks.message import Message
from ...tasks.message_encoding import decode_message
from .base import Executor
from .pipeline import Job, take_reports, undecodable, unstarted


class Held(NamedTuple):
    """A claimed task in the hands of a caller; the claim ends where `job.state` no longer has it."""

    job: Job
    message: Message


class HandOver(Executor):
    """Hands over one job for each `ask`, to the first that asked, in the order in which the jobs were claimed.

    A job is held until its claim has ended, by an event of the caller or of another process. The executor has an end
    of its own: after `end` nothing is handed over, and what is held stays held.
    """

    def __init__(self) -> None:
        super().__init__(0, {}, lambda: None)
        self._guard = threading.Lock()
        self._asked: deque[Future[Held | None]] = deque()
        self._held: dict[str, Job] = {}
        self._over = False
        self._error: BaseException | None = None

    def begin(self, wake: Callable[[], None]) -> None:
        """Have `wake()` called from any thread when a caller asks."""
        self._wake = wake
        wake()

    def ask(self) -> "Future[Held | None]":
        """Return a future of the next job, None after the end; call in any thread. Cancel it to ask no longer."""
        future: Future[Held | None] = Future()
        with self._guard:
            if not self._over:
                self._asked.append(future)
            else:
                self._answer_at_end(future)
        self._wake()
        return future

    def put_back(self, held: Held) -> None:
        """Take a job back that a caller has got and will not use; the next caller gets it."""
        with self._guard:
            if self._held.pop(held.job.state.id, None) is held.job:
                self._waiting.appendleft(held.job)
        self.nudge()
        self._wake()

    def end(self, error: BaseException | None = None) -> None:
        """Hand over nothing more: callers get None, or this error."""
        with self._guard:
            self._over = True
            self._error = self._error or error
            while self._asked:
                self._answer_at_end(self._asked.popleft())

    def _answer_at_end(self, future: "Future[Held | None]") -> None:
        if not future.set_running_or_notify_cancel():
            return
        if self._error is not None:
            future.set_exception(self._error)
        else:
            future.set_result(None)

    @property
    def wanted(self) -> int:
        """How many callers wait for a job."""
        with self._guard:
            while self._asked and self._asked[0].cancelled():
                self._asked.popleft()
            return max(0, len(self._asked) - len(self._waiting))

    @property
    def running(self) -> int:
        """How many jobs callers hold."""
        return len(self._held)

    def long_running(self, begun_before: float) -> int:
        """None: the time of a held job is its caller's."""
        return 0

    def nudge(self) -> None:
        """Hand waiting jobs to the callers that wait; end those that cannot be handed over."""
        with self._guard:
            while self._waiting and self._asked:
                job = self._waiting[0]
                if not job.may_start:
                    self._finished(unstarted(self._waiting.popleft()), 0.0)
                    continue
                try:
                    message = decode_message(job.row)
                except ValueError as error:  # one of another version, or damaged
                    self._finished(undecodable(self._waiting.popleft(), error), 0.0)
                    continue
                future = self._asked.popleft()
                if future.set_running_or_notify_cancel():
                    message.retries = job.prior_attempts
                    message.__dict__["claim"] = job.claim
                    take_reports(message, job.lease.reported, job)
                    self._held[job.state.id] = self._waiting.popleft()
                    future.set_result(Held(job, message))

    def drop_ended(self) -> int:
        """Forget the held jobs whose claim has ended; return how many there were."""
        with self._guard:
            ended = [task for task, job in self._held.items() if job.state.claim != job.claim]
            for task in ended:
                job = self._held.pop(task)
                job.lease.reported.end(job)
            return len(ended)

    def holds(self, task: str, claim: int) -> bool:
        """Return whether that claim is held, and its lease cannot have expired."""
        with self._guard:
            job = self._held.get(task)
            return job is not None and job.claim == claim and job.may_start

    def enforce(self, monotonic: float) -> None:
        """Nothing: a held job's time is its caller's to watch."""

    def close(self) -> None:
        """Hand over nothing more."""
        with suppress(RuntimeError):
            self.end()
