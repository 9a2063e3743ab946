"""Closes the log of a journal that was garbage-collected without being closed, on the log's event loop.

Otherwise its connections stay open as long as the loop runs, and asyncio logs "Task was destroyed but it is pending!"
for each of its tasks when the loop is garbage-collected. If the loop never runs again, the log cannot be closed, so
these messages are suppressed for our tasks.
"""

import asyncio
import contextlib
import inspect
from typing import Any, Final

from .log import Log
from .runtime.exits import at_exit

_OURS: Final = ("journeyman", "aiokafka")
_closing: Final[set["asyncio.Task[None]"]] = set()


def close_dropped(log: Log, loop: asyncio.AbstractEventLoop) -> None:
    """Close `log` in its loop, as soon as that runs. Called in any thread, by the garbage collector."""
    with contextlib.suppress(RuntimeError):  # the loop is closed
        if not loop.is_running():
            _silence_tasks(loop)
        loop.call_soon_threadsafe(_begin, log, loop)


def _begin(log: Log, loop: asyncio.AbstractEventLoop) -> None:
    """Close the log in a task; this may be the last thing that the loop does, so the tasks may never end."""
    task = loop.create_task(log.aclose(), name="journeyman-close-dropped")
    _closing.add(task)
    task.add_done_callback(_ended)
    _silence_tasks(loop)


def _ended(task: "asyncio.Task[None]") -> None:
    _closing.discard(task)
    if not task.cancelled():
        task.exception()  # retrieved, as there is no caller: asyncio would log it


def _leave() -> None:
    """Close the coroutines that no loop has begun: Python would warn of each that was never awaited."""
    for task in list(_closing):
        coroutine = task.get_coro()
        if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            coroutine.close()


at_exit(_leave)


def _silence_tasks(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        frame: Any = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - as asyncio.gather does it
