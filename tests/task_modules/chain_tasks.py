"""Tasks of chains, for each mechanism: each adds to the result of the one before."""

import os
import signal
from pathlib import Path
from typing import Any

import journeyman as jm

broker = jm.Broker()


class Stops(jm.Task[Any, Any]):
    """A task that submits its callback only after an even result; an odd one over 100 breaks the question."""

    def do_callback(self, message: jm.Message, result: Any) -> bool:
        if result > 100:
            raise RuntimeError("do_callback is broken")
        return bool(result % 2 == 0)


def _add(number: int, message: jm.Message) -> int:
    return (message.previous_result or 0) + number


async def _add_async(number: int, message: jm.Message) -> int:
    return _add(number, message)


def _fail() -> None:
    raise ValueError("no")


def _dies_once(number: int, message: jm.Message) -> int:
    """Kill the worker at the first attempt, as the kernel does when memory is short."""
    begun = Path(os.environ["YARD"]) / f"begun_{message.uuid}"
    if not begun.exists():
        begun.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return _add(number, message)


def _large(size: int) -> str:
    return "x" * size


add_thread = jm.Task(_add, broker, "add_thread", mechanism="thread")
add_process = jm.Task(_add, broker, "add_process", mechanism="process")
add_async = jm.Task(_add_async, broker, "add_async", mechanism="async")
stops_thread = Stops(_add, broker, "stops_thread", mechanism="thread", max_retries=0)
stops_process = Stops(_add, broker, "stops_process", mechanism="process", max_retries=0)
dies_once_thread = jm.Task(_dies_once, broker, "dies_once_thread", mechanism="thread", backoff=None)
fails_thread = jm.Task(_fail, broker, "fails_thread", max_retries=0)
large_thread = jm.Task(_large, broker, "large_thread", max_retries=0)
