"""The hooks of a task: methods that a subclass of `Task` overrides to be called when something happens to a message.

| hook | when | where |
|---|---|---|
| `on_submit` | a call of `generate` has submitted the message | the program that submits |
| `pre_op`, `post_op` | before and after each run, `post_op` also after a failure | where the task runs |
| `on_success`, `on_retry`, `on_failure` | the journal has accepted that outcome | the worker's own process |
| `on_revocation` | a task that a worker held was revoked, and its run has ended | the worker's own process |

Where the task runs is its thread, its coroutine or its child process; what `pre_op` sets there, the run finds. The
hooks after an outcome run in a thread of the worker's own process, one after the other, so that they are called for a
task whose process was killed, too. They are called for accepted outcomes only, at most once for each: a worker that
dies between the outcome and its hook calls none.

An error in a hook is logged with the task and its id. It changes nothing about the outcome.
"""

import asyncio
import inspect
import logging
from typing import Any, Final

from .message import Message

HOOKS: Final = (
    "on_submit",
    "pre_op",
    "post_op",
    "on_success",
    "on_retry",
    "on_failure",
    "on_revocation",
)
# The hooks for what becomes of a run.
AFTER_OUTCOME: Final = frozenset({"on_success", "on_retry", "on_failure", "on_revocation"})
# These surround the run; the method that runs the task counts among them.
AROUND_RUN: Final = frozenset({"pre_op", "post_op", "execute"})

logger = logging.getLogger("journeyman.hooks")


class TaskHooks:
    """The hooks, which do nothing unless a subclass overrides them."""

    def pre_op(self, message: Message) -> None:
        """Called before each run of the task."""

    def post_op(self, message: Message, result: Any) -> None:
        """Called after each run of the task; `result` is None if it has failed."""

    def on_submit(self, message: Message) -> None:
        """Called when `generate` has submitted the message."""

    def on_retry(self, message: Message, exception: BaseException) -> None:
        """Called when an attempt has failed and the message will run again; its `exception_details` are set."""

    def on_failure(self, message: Message, exception: BaseException) -> None:
        """Called when the message has failed for good and is a dead letter; its `exception_details` are set."""

    def on_success(self, message: Message, result: Any) -> None:
        """Called when the message has succeeded; `result` is as the journal holds it: a tuple has become a list."""

    def on_revocation(self, message: Message, exception: BaseException | None, result: Any) -> None:
        """Called when the message was revoked while a worker held it, and its run has ended.

        `exception` is a `RevokedError`, whose `__cause__` is the exception with which the run ended, if any; `result`
        is what it returned if it could not be stopped.
        """

    def do_callback(self, message: Message, result: Any) -> bool:
        """Return whether the callback of a message that has succeeded is submitted; subclasses may override this.

        It is called where the task runs, and only for a message that has a callback. If it raises, the attempt fails.
        """
        return True


def overridden(task: TaskHooks, base: type) -> frozenset[str]:
    """Return the names of the hooks, and of the run itself, that the class of `task` overrides."""
    kind = type(task)
    return frozenset(name for name in (*HOOKS, "execute") if getattr(kind, name) is not getattr(base, name))


def call_hook(task: Any, hook: str, message: Message, *arguments: Any) -> None:
    """Call a hook of a task; an error in it is logged. A coroutine function is run to its end."""
    try:
        answer = getattr(task, hook)(message, *arguments)
        if inspect.isawaitable(answer):
            asyncio.run(_awaited(answer))
    except Exception as error:
        log_error(hook, message, error)


async def await_hook(task: Any, hook: str, message: Message, *arguments: Any) -> None:
    """Call a hook of a task in a running loop, and await it if it is a coroutine function; an error is logged."""
    try:
        answer = getattr(task, hook)(message, *arguments)
        if inspect.isawaitable(answer):
            await answer
    except Exception as error:
        log_error(hook, message, error)


def log_error(hook: str, message: Message, error: BaseException) -> None:
    """Log the error in a hook, with the task and its id."""
    logger.error(
        "%s of task %s %s has failed, which changes nothing about the task: correct the hook",
        hook,
        message.task_name,
        message.uuid,
        exc_info=error,
    )


async def _awaited(answer: Any) -> None:
    await answer
