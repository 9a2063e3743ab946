"""Tasks whose hooks note in a file what they were called with, and in which process; for each mechanism."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import journeyman as jm

broker = jm.Broker()


def note(hook: str, message: jm.Message, *arguments: Any) -> None:
    """Add a line to the file named in the environment: one write, so that processes do not mix theirs."""
    said = [f"{type(each).__name__}: {each}" if isinstance(each, BaseException) else each for each in arguments]
    call = {"hook": hook, "task": message.uuid, "retries": message.retries, "pid": os.getpid(), "said": said}
    if message.exception_details is not None:
        call["details"] = message.exception_details[:2]
    with (Path(os.environ["YARD"]) / "hooks").open("a") as file:
        file.write(json.dumps(call) + "\n")


class Hooked(jm.Task[Any, Any]):
    """All hooks, each of which notes its call."""

    def pre_op(self, message: jm.Message) -> None:
        note("pre_op", message)

    def post_op(self, message: jm.Message, result: Any) -> None:
        note("post_op", message, result)

    def on_submit(self, message: jm.Message) -> None:
        note("on_submit", message)

    def on_retry(self, message: jm.Message, exception: BaseException) -> None:
        note("on_retry", message, exception)

    def on_failure(self, message: jm.Message, exception: BaseException) -> None:
        note("on_failure", message, exception)

    def on_success(self, message: jm.Message, result: Any) -> None:
        note("on_success", message, result)

    def on_revocation(self, message: jm.Message, exception: BaseException | None, result: Any) -> None:
        note("on_revocation", message, exception, result)


class Broken(jm.Task[Any, Any]):
    """All hooks, each of which fails; and the run is another one than the function."""

    def pre_op(self, message: jm.Message) -> None:
        raise RuntimeError("broken pre_op")

    def post_op(self, message: jm.Message, result: Any) -> None:
        raise RuntimeError("broken post_op")

    def on_success(self, message: jm.Message, result: Any) -> None:
        raise RuntimeError("broken on_success")

    def execute(self, message: jm.Message) -> Any:
        return super().execute(message.update(args=[2 * message.args[0]]))


def _add(times: int, message: jm.Message) -> list[int]:
    if message.retries < times:
        raise ConnectionError(f"attempt {message.retries + 1}")
    return [os.getpid(), times]


def _ask(message: jm.Message) -> list[int]:
    """Ask once to run again, and return the attempts that were counted."""
    asked = Path(os.environ["YARD"]) / f"asked_{message.uuid}"
    if not asked.exists():
        asked.touch()
        raise jm.RetryAfter(0.05)
    return [message.retries]


async def _ask_async(message: jm.Message) -> list[int]:
    return _ask(message)


def _hold(message: jm.Message) -> None:
    note("held", message)
    while True:
        time.sleep(0.01)


async def _add_async(times: int, message: jm.Message) -> list[int]:
    return _add(times, message)


async def _hold_async(message: jm.Message) -> None:
    note("held", message)
    await asyncio.sleep(600)


def _die(message: jm.Message) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _twice(number: int) -> int:
    return number


async def _twice_async(number: int) -> int:
    return number


AT_ONCE = jm.ConstantBackoff(0)


def _hooked(function: Any, name: str, mechanism: str, kind: type[jm.Task[Any, Any]] = Hooked) -> jm.Task[Any, Any]:
    return kind(function, broker, name, mechanism=mechanism, max_retries=1, backoff=AT_ONCE)


add_thread = _hooked(_add, "add_thread", "thread")
add_process = _hooked(_add, "add_process", "process")
add_async = _hooked(_add_async, "add_async", "async")
ask_thread = _hooked(_ask, "ask_thread", "thread")
ask_process = _hooked(_ask, "ask_process", "process")
ask_async = _hooked(_ask_async, "ask_async", "async")
hold_thread = _hooked(_hold, "hold_thread", "thread")
hold_process = _hooked(_hold, "hold_process", "process")
hold_async = _hooked(_hold_async, "hold_async", "async")
broken_thread = _hooked(_twice, "broken_thread", "thread", Broken)
broken_process = _hooked(_twice, "broken_process", "process", Broken)
broken_async = _hooked(_twice_async, "broken_async", "async", Broken)
die_process = _hooked(_die, "die_process", "process")
