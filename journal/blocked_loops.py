"""Warns once that a synchronous call blocks the event loop of its thread."""

import asyncio
import inspect
import warnings
from typing import Final

_PACKAGE: Final = __name__.partition(".")[0]
_warned: Final[set[str]] = set()


def warn_of_blocked_loop(instead: str) -> None:
    """Warn, once for each `instead`, if an event loop runs in this thread, which is blocked while the call waits.

    `instead` is the call that asynchronous code should await. The warning names the line of the program that called
    this package.
    """
    if instead in _warned or not _loop_runs_here():
        return
    _warned.add(instead)
    warnings.warn(
        f"a synchronous call waits in the thread of a running event loop, which is blocked meanwhile: "
        f"use {instead} there",
        RuntimeWarning,
        stacklevel=_depth_of_caller(),
    )


def _loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _depth_of_caller() -> int:
    """The number of frames from `warn_of_blocked_loop` up to the first one outside this package, counted from 1."""
    depth, frame = 0, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE:
        depth, frame = depth + 1, frame.f_back
    return depth
