"""Run a task between its own hooks, and end the processes that it forks."""

import os
import sys
import traceback
from contextlib import suppress
from typing import Any, Final, NoReturn

from ...journal.runtime.forks import at_fork
from ...tasks.definition import Task
from ...tasks.hooks import await_hook, call_hook
from ...tasks.message import Message

# How often this process or an ancestor was forked. To compare this costs less than two calls of `getpid` for each task.
FORKS: Final = [0]


def _note_fork() -> None:
    FORKS[0] += 1


at_fork(after_in_child=_note_fork)


def run_with_hooks(task: Task[Any, Any], message: Message) -> Any:
    """Run a task between its own `pre_op` and `post_op`; in a process that it has forked, without `post_op`."""
    forks = FORKS[0]
    call_hook(task, "pre_op", message)
    result: Any = None
    try:
        result = task.execute(message)
        return result
    finally:
        if FORKS[0] == forks:
            call_hook(task, "post_op", message, result)


async def await_with_hooks(task: Task[Any, Any], message: Message) -> Any:
    """Run a coroutine function between its task's own `pre_op` and `post_op`, which may be coroutine functions too."""
    forks = FORKS[0]
    await await_hook(task, "pre_op", message)
    result: Any = None
    try:
        result = await task.execute(message)
        return result
    finally:
        if FORKS[0] == forks:
            await await_hook(task, "post_op", message, result)


def end_fork(error: BaseException | None) -> NoReturn:
    """Exit a process that a task has forked: only its parent may report the outcome.

    Its exit status is that of `SystemExit`, 1 after any other error, else 0.
    """
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)
