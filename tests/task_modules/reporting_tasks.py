"""Tasks that report their progress, until a file appears or at once; for each mechanism."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import journeyman as jm

broker = jm.Broker()


def _may_end() -> bool:
    return (Path(os.environ["YARD"]) / "end").exists()


def _count(steps: int, message: jm.Message) -> int:
    for step in range(1, steps + 1):
        message.progress(step, steps, "counting")
    message.emit({"last": steps})
    return steps


def _hold(steps: int, message: jm.Message) -> int:
    _count(steps, message)
    while not _may_end():
        time.sleep(0.01)
    return steps


async def _count_async(steps: int, message: jm.Message) -> int:
    return _count(steps, message)


async def _hold_async(steps: int, message: jm.Message) -> int:
    return await asyncio.to_thread(_hold, steps, message)


def _task(function: Any, name: str, mechanism: str) -> jm.Task[Any, Any]:
    return jm.Task(function, broker, name, mechanism=mechanism)


count_thread = _task(_count, "count_thread", "thread")
count_process = _task(_count, "count_process", "process")
count_async = _task(_count_async, "count_async", "async")
hold_thread = _task(_hold, "hold_thread", "thread")
hold_process = _task(_hold, "hold_process", "process")
hold_async = _task(_hold_async, "hold_async", "async")
