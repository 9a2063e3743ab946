"""Waiting for something that happens elsewhere: a condition, described in words, and a limit of time."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LOOK_EVERY_SECONDS = 0.01


def wait_until(condition: Callable[[], object], describe: str, timeout: float = 60.0) -> None:
    """Return as soon as `condition()` is true; `AssertionError` with `describe` when `timeout` seconds are over."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain for this: {describe}"
        time.sleep(_LOOK_EVERY_SECONDS)


async def reached(condition: Callable[[], object], describe: str, timeout: float = 60.0) -> None:
    """As `wait_until`, for coroutines: the loop goes on meanwhile."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain for this: {describe}"
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


def insist(process: "subprocess.Popen[Any]", number: int) -> None:
    """Signal a process until it has ended: what comes too soon after a first signal counts as its echo."""

    def ended() -> bool:
        process.send_signal(number)
        return process.poll() is not None

    wait_until(ended, "the process to end at a second signal")


def alive(pid: int) -> bool:
    """Whether a process of that number runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphan's zombie stays where process 1 does not collect it, as in some containers; it runs no more.
    status = Path(f"/proc/{pid}/stat")
    try:
        return not (Path("/proc/self").exists() and status.read_text().rpartition(")")[2].split()[0] in "ZX")
    except FileNotFoundError:
        return False
