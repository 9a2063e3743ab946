"""Fold the journal of a workbench by the product's own rules, and describe a task's state in assertions."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final, NoReturn

import msgspec

from ..journal.journal import Journal
from ..tasks.failure import NO_EXCEPTION, ExceptionFacts
from ..tasks.inspection.history import Step, TaskHistory, task_history
from ..tasks.lookup import in_words
from ..tasks.message import Message, id_of
from ..tasks.state import names
from ..tasks.state.state import TaskState
from ..tasks.state.transitions import State
from ..tasks.state.view import TaskView, Verdict
from .limits import SHOWN_STEPS_MAX

_ENDS_WITH_EXCEPTION: Final = (names.FAILED, names.RETRIED)


class Account:
    """Follows `journal`. `now()` is the time of the workbench, `begin` the one at which it began, in seconds."""

    def __init__(self, journal: Journal, now: Callable[[], float]) -> None:
        self._journal = journal
        self._now = now
        self._begin = now()
        self._view = TaskView(keeps=lambda _name, _queue: False)
        self._cursor = journal.bounds().first
        self._messages: dict[str, Message] = {}
        self.raised: dict[str, BaseException] = {}  # the last exception of each task, as the object that it was

    def read(self) -> list[Message]:
        """Apply what has come to the journal; return the messages that were submitted by it, or scheduled."""
        came: list[Message] = []
        while True:
            events, self._cursor = self._journal.read(self._cursor)
            if not events:
                return came
            for event in events:
                verdict = self._view.apply(event)
                if event.name == names.SUBMITTED and verdict is Verdict.ACCEPTED:
                    message = msgspec.convert(event.context, Message)
                    self._messages[message.uuid] = message
                    came.append(message)
                elif event.name == names.SCHEDULE_CREATED and verdict is Verdict.ACCEPTED:
                    came.append(msgspec.convert(event.context["message"], Message))

    def messages(self, where: Callable[[Message], bool] = lambda _: True) -> list[Message]:
        """Return the accepted submissions, in log order."""
        self.read()
        return [message for message in self._messages.values() if where(message)]

    def dead_letters(self) -> list[Message]:
        """Return the messages of the dead letters, in the order of their submission."""
        return self.messages(lambda message: message.uuid in self._view.dead)

    def unfinished(self) -> list[Message]:
        """Return the messages that wait or run, in the order of their submission."""
        return self.messages(lambda message: message.uuid in self._view.live)

    def other_than(self, state: State) -> list[Message]:
        """Return the messages whose tasks are in another state, in the order of their submission."""
        partition_of = self._journal.asynchronous.log.partition_of
        return self.messages(lambda message: self._view.state_of(partition_of(message.uuid), message.uuid) is not state)

    def history(self, message: Message | str) -> TaskHistory:
        """Return the history of a task; `UnknownTaskError` if the journal holds no such task."""
        return self._journal.run(task_history(self._journal.asynchronous, id_of(message)))

    def result(self, history: TaskHistory) -> Any:
        """Return the result of a task that has succeeded."""
        final = history.final()
        assert final is not None, "a task that has succeeded has an outcome"
        return final.event.context.get("result")

    def exception(self, history: TaskHistory) -> ExceptionFacts:
        """Return the exception of the last attempt that ended with one; `NO_EXCEPTION` if there is none."""
        ended = [step for step in _accepted(history.steps) if step.event.name in _ENDS_WITH_EXCEPTION]
        said = ended[-1].event.context.get("exception") if ended else None
        return msgspec.convert(said, ExceptionFacts) if said else NO_EXCEPTION

    def disappoint(self, history: TaskHistory, expected: str, hint: str = "") -> NoReturn:
        """Raise an `AssertionError` with the state of the task, its exception with traceback, and its history."""
        __tracebackhide__ = True  # so that pytest shows the line of the test
        task, exception = history.task, self.exception(history)
        lines = [f"the task {task.name} {task.id} was expected {expected}; it {self._state(task)}", hint]
        lines += [exception.traceback.rstrip() or exception.in_short]
        lines += ["its history:", *self._steps(history.steps)]
        cause = self.raised.get(task.id)
        raise AssertionError("\n".join(line for line in lines if line)) from cause

    def describe(self, messages: Iterable[Message]) -> str:
        """Return one line for each of these messages, with its arguments and its state."""
        lines = [f"  {_call(message)}: {self._state(self.history(message).task)}" for message in messages]
        return "\n".join(lines) or "  nothing"

    def _state(self, task: TaskState) -> str:
        attempts = f"{task.attempts} attempt{'' if task.attempts == 1 else 's'}"
        if task.state is State.READY:
            wait = task.due - self._now()
            due = f", and is due in {timedelta(seconds=round(wait, 3))}" if wait > 0 else ", and is due"
            tried = f" after {attempts}" if task.attempts else ""
            return f"{in_words(task.state)}{tried}{due}"
        if task.state is State.FAILED:
            return f"{in_words(task.state)} after {attempts}"
        return in_words(task.state)

    def _steps(self, steps: list[Step]) -> Iterable[str]:
        left_out = len(steps) - SHOWN_STEPS_MAX
        if left_out > 0:
            yield f"  ({left_out} earlier events)"
        for step in steps[-SHOWN_STEPS_MAX:]:
            after = timedelta(seconds=round(step.event.timestamp - self._begin, 3))
            exception = step.event.context.get("exception") or {}
            said = ": ".join(part for part in (exception.get("name"), exception.get("text")) if part)
            refused = f"refused, {step.reason}" if step.verdict is Verdict.REFUSED else step.reason
            yield "  ".join(part for part in (f"  +{after}", step.event.name, said, refused) if part)


def _accepted(steps: Iterable[Step]) -> list[Step]:
    return [step for step in steps if step.verdict is Verdict.ACCEPTED]


def _call(message: Message) -> str:
    arguments = [*map(repr, message.args), *(f"{name}={value!r}" for name, value in message.kwargs.items())]
    return f"{message.task_name}({', '.join(arguments):.200})"
