"""Configure logging in the processes of a worker: records that a task logs name the task, whatever executor runs it.

A program's own configuration is left alone: if it has set up handlers, on import of its modules for example, no other
is added. Its records get the fields `task` and `task_id` all the same; those of a traced run also `trace_id` and
`span_id`.
"""

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from ..tasks.message import Message
from ..tasks.plain_call import PlainCall

# The message, or its plain call, that runs in this context; in threads, coroutines and child processes alike.
CURRENT: Final[ContextVar[Message | PlainCall | None]] = ContextVar("journeyman_current_message", default=None)
# The place in a running message's `__dict__` of the context of its attempt's span, as a `traceparent`.
TRACEPARENT: Final = "traceparent"
_PACKAGE: Final = "journeyman"


class _OwnHandler(logging.StreamHandler[Any]):
    """The handler that `configure` installs; its class tells it apart from those of the program."""


class _Formatter(logging.Formatter):
    """Names the task in a record that a task has logged."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(of_task)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        own = record.name.startswith(_PACKAGE)  # our own lines name the task in their words
        task_id = getattr(record, "task_id", None)
        trace = f" trace {record.trace_id}" if hasattr(record, "trace_id") else ""
        record.of_task = f"[{getattr(record, 'task', '')} {task_id}{trace}] " if task_id and not own else ""
        return super().format(record)


def configure(level: str) -> None:
    """Log this package's records from `level` on to stderr, those of others from INFO or, if it is higher, `level` on.

    Where the program has configured logging itself, only the level of this package is set.
    """
    root = logging.getLogger()
    if not root.handlers:
        handler = _OwnHandler(sys.stderr)
        handler.setFormatter(_Formatter())
        root.addHandler(handler)
        root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    set_level(level)


def set_level(level: str) -> None:
    """Log this package's records from `level` on, by whatever handlers there are."""
    logging.getLogger(_PACKAGE).setLevel(level)


def configured_level() -> str | None:
    """The level given to `configure` in this process, for its child processes; None if logging is the program's own."""
    if not any(isinstance(handler, _OwnHandler) for handler in logging.getLogger().handlers):
        return None
    return logging.getLevelName(logging.getLogger(_PACKAGE).level)


def name_tasks_in_records() -> None:
    """Give each record that is made while a task runs the fields `task` and `task_id`, and those of its trace."""
    make: Callable[..., logging.LogRecord] = logging.getLogRecordFactory()

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        message = CURRENT.get()
        if message is not None:
            record.task, record.task_id = message.task_name, message.uuid
            if isinstance(message, Message) and (said := message.__dict__.get(TRACEPARENT)) is not None:
                _, record.trace_id, record.span_id, _ = said.split("-")
        return record

    logging.setLogRecordFactory(made)
