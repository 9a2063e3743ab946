"""Call the hooks of tasks after their outcomes, in a thread of the worker's own process.

A hook may block, so neither the loop nor a thread that runs tasks calls it. The thread calls one hook after the other,
in the order of the outcomes; where a hook takes too long, another thread goes on with the next.
"""

import asyncio
import datetime as dt
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from ...tasks.definition import Task
from ...tasks.errors import RevokedError, TaskError
from ...tasks.exception_details import ExceptionDetails, get_exception_name
from ...tasks.failure import ExceptionFacts
from ...tasks.hooks import AFTER_OUTCOME, call_hook
from ...tasks.message import Message
from ...tasks.retry_after import RetryAfter
from ...tasks.serializers import read_back
from ...tasks.state import names
from ..executors.pipeline import Job, Outcome, read_message
from ..limits import HOOK_SECONDS_MAX

logger = logging.getLogger("journeyman.worker")

_RETRY_AFTER: Final = get_exception_name(RetryAfter)
_HOOKS: Final = {names.SUCCEEDED: "on_success", names.RETRIED: "on_retry", names.FAILED: "on_failure"}


class _Said(msgspec.Struct):
    """The fields of an outcome's context that the hooks are given."""

    exception: ExceptionFacts | None = None
    result: Any = None
    serializer: str = ""
    encoded: Any = None


_said: Final = msgspec.json.Decoder(_Said)


class OutcomeHooks:
    """Calls `on_success`, `on_retry`, `on_failure` and `on_revocation` of those `tasks` whose class overrides them.

    `any` says whether there are such tasks, and never changes.
    """

    def __init__(self, tasks: Mapping[str, Task[Any, Any]]) -> None:
        self._tasks = {name: task for name, task in tasks.items() if not AFTER_OUTCOME.isdisjoint(task.hooks)}
        self.any = bool(self._tasks)
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._begun_at: float | None = None  # monotonic: when the present call began

    def ended(self, outcome: Outcome) -> None:
        """Call the hook for an outcome that the journal has accepted."""
        hook = "on_retry" if outcome.due else _HOOKS.get(outcome.name)
        task = self._tasks.get(outcome.job.state.name)
        if task is None or hook is None or hook not in task.hooks:
            return
        if outcome.name == names.SUCCEEDED:
            self._call(task, hook, outcome, lambda: (_result(task, outcome),))
        else:
            self._call(task, hook, outcome, lambda: (_exception(outcome),))

    def revoked(self, outcome: Outcome) -> None:
        """Call the hook for the outcome of a task that was revoked, which the journal has refused."""
        task = self._tasks.get(outcome.job.state.name)
        if task is not None and "on_revocation" in task.hooks:
            self._call(task, "on_revocation", outcome, lambda: (_revocation(outcome), _result(task, outcome)))

    def _call(
        self, task: Task[Any, Any], hook: str, outcome: Outcome, arguments: Callable[[], tuple[Any, ...]]
    ) -> None:
        """Queue one call; the arguments are decoded in the thread that makes it."""

        def call() -> None:
            message = _message(task, outcome.job)
            if message is None:
                logger.error(
                    "%s of task %s %s was not called: its submission cannot be read",
                    hook,
                    task.name,
                    outcome.job.state.id,
                )
            else:
                facts = _facts(outcome).exception
                if facts is not None:
                    message.exception_details = ExceptionDetails(facts.name, facts.text, facts.traceback)
                call_hook(task, hook, message, *arguments())

        self._calls.put(call)
        begun_at = self._begun_at
        if self._thread is None or (begun_at is not None and time.monotonic() - begun_at > HOOK_SECONDS_MAX):
            if self._thread is not None:
                logger.warning("a hook takes longer than %g s: another thread calls the next ones", HOOK_SECONDS_MAX)
            self._begun_at = None
            self._thread = threading.Thread(target=self._work, name="journeyman-hooks", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        this = threading.current_thread()
        while self._thread is this and (call := self._calls.get()) is not None:
            if self._thread is not this:  # replaced while it waited for this call
                self._calls.put(call)
                return
            self._begun_at = time.monotonic()
            try:
                call()
            except BaseException:  # SystemExit of a hook ends no worker, and no further hooks
                logger.exception("a hook has failed")
            if self._thread is this:
                self._begun_at = None

    async def aclose(self, seconds: float) -> None:
        """Wait until all hooks were called, at most so many seconds."""
        if self._thread is None:
            return
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(over.set)

        self._calls.put(end)
        self._calls.put(None)
        try:
            async with asyncio.timeout(seconds):
                await over.wait()
        except TimeoutError:
            left = max(0, self._calls.qsize() - 2)
            logger.warning("%d hooks were not called, since one has not returned within %g s", left, seconds)


def _message(task: Task[Any, Any], job: Job) -> Message | None:
    """Return the message of a job; None if its submission cannot be read."""
    try:
        return read_message(job.row, job.prior_attempts, task)
    except (msgspec.MsgspecError, ValueError, TaskError):
        return None


def _facts(outcome: Outcome) -> _Said:
    with suppress(msgspec.MsgspecError):
        return _said.decode(outcome.context())
    return _Said()


def _result(task: Task[Any, Any], outcome: Outcome) -> Any:
    """Return the result as it is read from the journal; None if the run has not succeeded."""
    facts = _facts(outcome)
    plain = msgspec.json.decode(outcome.large) if outcome.large else facts.result
    if not facts.serializer or task.serializer is None:
        return plain
    if not outcome.large and not task.serializer.is_json:
        plain = facts.encoded
    return read_back(task.serializer, plain, f"the result of {task.name}")


def _revocation(outcome: Outcome) -> RevokedError:
    """Return the error of a run that was revoked, caused by the exception with which it ended."""
    error = RevokedError(f"{outcome.job.state.name} {outcome.job.state.id} was revoked")
    error.__cause__ = _exception(outcome)
    return error


def _exception(outcome: Outcome) -> BaseException | None:
    """Return the exception with which a run ended, made again from its description if it was raised elsewhere."""
    if outcome.error is not None:
        assert isinstance(outcome.error, BaseException)
        return outcome.error
    facts = _facts(outcome).exception
    if facts is not None and outcome.due and facts.name == _RETRY_AFTER:
        moment = dt.datetime.fromtimestamp(outcome.due, dt.UTC)
        return RetryAfter(moment, uses_attempt=outcome.name == names.RETRIED)
    return made_again(facts) if facts is not None else None


def made_again(facts: ExceptionFacts) -> BaseException:
    """Return an exception of the described class, see `ExceptionDetails`; its traceback is its note."""
    error = ExceptionDetails(facts.name, facts.text).as_exception(strict=False)
    if facts.traceback:
        error.add_note(facts.traceback)
    return error
