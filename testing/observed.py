"""Wraps tasks so that a test receives the exceptions that they raise, as objects."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ..tasks.definition import Task
from ..tasks.errors import Overdue
from ..tasks.message import Message

Note = Callable[[Message, BaseException], None]

# What ends a task, among the exceptions that are no `Exception`. Others, such as `KeyboardInterrupt` and `pytest.fail`,
# are meant for the test: they run in one thread with it.
_OF_TASKS: Final = (SystemExit, asyncio.CancelledError, GeneratorExit, Overdue)


def is_for_the_test(error: BaseException) -> bool:
    """Return whether an exception that a task has raised is to end the test as well."""
    return not isinstance(error, (Exception, *_OF_TASKS))


def observed(task: Task[Any, Any], note: Note) -> Task[Any, Any]:
    """Return the same task, with the same attributes, which calls `note` with each exception of its function."""
    kind = type(task)

    def op(self: Task[Any, Any], message: Message) -> Any:
        try:
            result = kind.op(self, message)
        except BaseException as error:
            note(message, error)
            raise
        return _awaited(result, message, note) if self.mechanism == "async" else result

    twin: Task[Any, Any] = object.__new__(type(kind.__name__, (kind,), {"op": op}))
    twin.__dict__ = task.__dict__  # one object: what the task keeps in itself is there for both
    return twin


async def _awaited(result: Awaitable[Any], message: Message, note: Note) -> Any:
    try:
        return await result
    except BaseException as error:
        note(message, error)
        raise
