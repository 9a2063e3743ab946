"""A journal that is dropped and not closed, where its log lives on an event loop: it is closed there all the same.

Otherwise its connections stay open for as long as the loop runs, and asyncio complains of each of its tasks, "Task was
destroyed but it is pending!", when the loop is dropped in turn. Code that lets go of a loop without letting it run any
more is not helped by that, so of the tasks that are ours nothing is said then.
"""

import asyncio
import contextlib
from typing import Any, Final

from .log import Log

_OURS: Final = ("journeyman", "aiokafka")
_closing: Final[set["asyncio.Task[None]"]] = set()


def close_dropped(log: Log, loop: asyncio.AbstractEventLoop) -> None:
    """Close `log` in its loop, as soon as that runs. Called wherever the garbage collector runs."""
    with contextlib.suppress(RuntimeError):  # the loop is closed
        if not loop.is_running():
            _hush(loop)
        loop.call_soon_threadsafe(_begin, log, loop)


def _begin(log: Log, loop: asyncio.AbstractEventLoop) -> None:
    task = loop.create_task(log.aclose(), name="journeyman-close-dropped")
    _closing.add(task)
    task.add_done_callback(_ended)


def _ended(task: "asyncio.Task[None]") -> None:
    _closing.discard(task)
    if not task.cancelled():
        task.exception()  # there is no caller to be told


def _hush(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        frame: Any = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - as asyncio.gather does it
