"""`Workbench`: tests of tasks without a worker process, in virtual time."""

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import orjson

from ..journal.async_journal import AsyncJournal
from ..journal.journal import Journal
from ..journal.memory.log import MemoryLog, MemoryStore
from ..tasks.broker import all_lent
from ..tasks.definition import Task
from ..tasks.errors import Overdue, ValidationError
from ..tasks.failure import ExceptionFacts
from ..tasks.message import Message
from ..tasks.state.transitions import State
from ..workers.settings import Settings
from .account import Account
from .clock import VirtualClock, counting
from .known import Given, KnownTasks
from .machinery import Machinery

_open: Final[list["Workbench"]] = []


class Workbench:
    """Runs tasks in the calling thread, on a journal in memory and by a clock that stands still until it is moved.

    - `tasks`: tasks, modules, or names of packages. The tasks of other messages are found in the modules of their
      functions; a task that was made inside a function has to be given.
    - `settings`: those of the worker, such as `queues`.
    - `begin`: the time at which the clock begins, with its time zone; None for the present.

    Within its `with` block all brokers of the process submit to its journal, `journal`; afterwards to their own again.
    """

    def __init__(self, *tasks: Given, settings: Settings | None = None, begin: datetime | None = None) -> None:
        self._known = KnownTasks()
        self._known.add(tasks)
        self._settings = settings or Settings()
        self._clock = VirtualClock(_seconds(begin))
        self._store = MemoryStore()
        self.journal = Journal(self._log())
        self._entered: ExitStack | None = None
        self._account: Account
        self._machinery: Machinery

    def __enter__(self) -> Self:
        if self._entered is not None:
            raise RuntimeError("a workbench is opened once; make another one")
        with ExitStack() as entering:
            entering.enter_context(counting(self._clock))
            entering.enter_context(self.journal)
            entering.enter_context(all_lent(self.journal))
            self._account = Account(self.journal, self._clock.time)
            journal = AsyncJournal(self._log())
            self._machinery = Machinery(journal, self._clock, self._settings, self._note)
            entering.callback(self._machinery.close)
            _open.append(self)
            entering.callback(_open.remove, self)
            self._entered = entering.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        if _open[-1:] != [self]:
            raise RuntimeError(
                "leave the workbench that was opened last first: it has borrowed the brokers of this one"
            )
        assert self._entered is not None, "it is among the open ones"
        self._entered.close()

    def add(self, *tasks: Given) -> None:
        """Have further tasks run; see the parameter `tasks`."""
        self._known.add(tasks)

    # -- time ----------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time by the workbench's clock, in UTC."""
        return datetime.fromtimestamp(self._clock.time(), UTC)

    def run_until_idle(self) -> None:
        """Run all tasks that are due, and those that they submit, until none is due and none runs.

        The clock moves only while coroutines of tasks run: to their next timer, when none of them has anything to do.
        """
        self._run(None)

    def advance(self, **span: float) -> None:
        """Let time pass, as `timedelta(**span)` says, such as `hours=1`; what becomes due runs at its moment."""
        seconds = timedelta(**span).total_seconds()
        if seconds < 0:
            raise ValidationError(f"a workbench's time goes on, and never back; got {timedelta(**span)}")
        self._run(self._clock.monotonic() + seconds)

    def elapse(self, **span: float) -> None:
        """Let time pass in the synchronous task that runs, as a slow call in it would: what it calls is replaced by it.

        When the timeout of the task is over it is ended there, as in a worker. Coroutines call `asyncio.sleep`.
        """
        running = self._opened.turns.running
        if running is None:
            raise RuntimeError(
                "no synchronous task runs: `elapse` is called by what such a task calls. In a test call `advance`, in "
                "a coroutine await asyncio.sleep"
            )
        now = self._clock.monotonic() + timedelta(**span).total_seconds()
        self._clock.move_to(min(now, running.deadline))
        if now >= running.deadline:
            raise Overdue

    # -- questions -----------------------------------------------------------------------------------------------------

    def result(self, message: Message | str) -> Any:
        """Return the result of a task; `AssertionError` if it has not succeeded."""
        __tracebackhide__ = True
        return self.assert_succeeded(message)

    def attempts(self, message: Message | str) -> int:
        """Return how many attempts a task has used, the present one included."""
        return self._asked.history(message).task.attempts

    def submitted(self, task: Task[Any, Any] | str | None = None) -> list[Message]:
        """Return what was submitted, in order: all of it, or the messages of one task, given or by its name."""
        name = task.name if isinstance(task, Task) else task
        return self._asked.messages(lambda message: name is None or message.task_name == name)

    @property
    def dead_letters(self) -> list[Message]:
        """The messages whose attempts are used up, in the order of their submission."""
        return self._asked.dead_letters()

    @property
    def unfinished(self) -> list[Message]:
        """The messages that wait or run, in the order of their submission."""
        return self._asked.unfinished()

    # -- assertions ----------------------------------------------------------------------------------------------------

    def assert_succeeded(self, message: Message | str) -> Any:
        """Return the result of a task that has succeeded; otherwise the error tells its exception and its history."""
        __tracebackhide__ = True
        history = self._asked.history(message)
        if history.task.state is not State.SUCCEEDED:
            self._asked.disappoint(history, "to have succeeded", self._hint(history.task.state, message))
        return self._asked.result(history)

    def assert_failed(self, message: Message | str, match: str | None = None) -> ExceptionFacts:
        """Return the exception of a task that has failed for good.

        `match` is a regular expression that is searched in the exception as Python prints it: "ValueError: too late".
        """
        __tracebackhide__ = True
        history = self._asked.history(message)
        exception = self._asked.exception(history)
        if history.task.state is not State.FAILED:
            self._asked.disappoint(history, "to have failed", self._hint(history.task.state, message))
        if match is not None and re.search(match, exception.in_short) is None:
            self._asked.disappoint(history, f"to have failed with {match!r}, not with {exception.in_short!r}")
        return exception

    def assert_waiting(self, message: Message | str) -> None:
        """Check that a task waits to be run: for its delay, its backoff, or a worker."""
        __tracebackhide__ = True
        self._assert_state(message, State.READY, "to wait to be run")

    def assert_running(self, message: Message | str) -> None:
        """Check that a coroutine of a task is suspended at this moment."""
        __tracebackhide__ = True
        self._assert_state(message, State.CLAIMED, "to be running")

    def assert_revoked(self, message: Message | str) -> None:
        """Check that a task was revoked before it could end."""
        __tracebackhide__ = True
        self._assert_state(message, State.REVOKED, "to have been revoked")

    def assert_all_succeeded(self) -> None:
        """Check that whatever was submitted has succeeded."""
        __tracebackhide__ = True
        for message in self._asked.other_than(State.SUCCEEDED):
            self.assert_succeeded(message)

    def assert_submitted(
        self, task: Task[Any, Any] | str, args: Sequence[Any] | None = None, kwargs: dict[str, Any] | None = None
    ) -> Message:
        """Return the last message of a task with these arguments; None for any."""
        __tracebackhide__ = True
        for message in reversed(self.submitted(task)):
            if (args is None or _is_same(message.args, args)) and (kwargs is None or _is_same(message.kwargs, kwargs)):
                return message
        wanted = ", ".join(
            f"{name}={value!r}" for name, value in (("args", args), ("kwargs", kwargs)) if value is not None
        )
        name = task.name if isinstance(task, Task) else task
        raise AssertionError(
            f"no message of the task {name}{f' with {wanted}' if wanted else ''} was submitted. Submitted was:\n"
            f"{self._asked.describe(self.submitted())}"
        )

    # -- inside --------------------------------------------------------------------------------------------------------

    @property
    def _opened(self) -> Machinery:
        if self not in _open:
            raise RuntimeError("the workbench is not open: use it within its `with` block")
        return self._machinery

    @property
    def _asked(self) -> Account:
        self._opened  # noqa: B018 - raises if it is not open
        return self._account

    def _log(self) -> MemoryLog:
        return MemoryLog(self._store, clock=self._clock.time)

    def _run(self, horizon: float | None) -> None:
        machinery = self._opened
        if machinery.runs:
            raise RuntimeError("the workbench runs already: a task cannot run others or move its clock; see `elapse`")
        while True:
            self._meet()
            for group in self._known.news():
                machinery.hire(group)
            machinery.run_to(horizon)
            if not self._meet():
                return

    def _meet(self) -> bool:
        """Look for the tasks of the messages that have come; return whether some were found."""
        unknown = [message for message in self._asked.read() if not self._known.knows(message)]
        for message in unknown:
            self._known.find(message)
        return any(self._known.knows(message) for message in unknown)

    def _note(self, message: Message, error: BaseException) -> None:
        self._account.raised[message.uuid] = error

    def _assert_state(self, message: Message | str, state: State, expected: str) -> None:
        __tracebackhide__ = True
        history = self._asked.history(message)
        if history.task.state is not state:
            self._asked.disappoint(history, expected, self._hint(history.task.state, message))

    def _hint(self, state: State, message: Message | str) -> str:
        """Return what a test may have left out, if its task still waits."""
        if state is State.CLAIMED:
            return "run_until_idle() lets it run to its end, advance(…) for so long"
        if state is not State.READY:
            return ""
        uuid = message if isinstance(message, str) else message.uuid
        (submission,) = self._asked.messages(lambda each: each.uuid == uuid)
        if not self._known.knows(submission):
            self._known.find(submission)
        if not self._known.knows(submission):
            return (
                f"the workbench has no task {submission.task_name!r} for {submission.function or 'any function'}: give "
                "it to Workbench(…), or to its method `add`"
            )
        return "run_until_idle() runs what is due, advance(…) what is due later"


def _is_same(one: object, other: object) -> bool:
    """Return whether two values are the same in JSON, in which a tuple is a list."""
    return bool(orjson.loads(orjson.dumps(one)) == orjson.loads(orjson.dumps(other)))


def _seconds(begin: datetime | None) -> float:
    if begin is None:
        return int(time.time() * 1_000) / 1_000
    if begin.tzinfo is None:
        raise ValidationError(f"begin needs a time zone, such as datetime(2030, 1, 1, tzinfo=UTC), got {begin!r}")
    return begin.timestamp()
