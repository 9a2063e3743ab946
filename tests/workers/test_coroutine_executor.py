"""Coroutines: whatever a task does to its own cancellation, it has an outcome and its place is free again."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from journeyman.journal.event import Event
from journeyman.tasks import Message, Task
from journeyman.tasks.state import names
from journeyman.workers import Settings
from journeyman.workers.executors import base, coroutines
from support.shop import LEASE_MS, Shop, named
from support.waiting import reached

ONE_AT_A_TIME = Settings(coroutines=1, lease_ms=LEASE_MS)
left_behind: contextvars.ContextVar[int] = contextvars.ContextVar("left_behind")


async def awaits_what_was_cancelled() -> None:
    cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    await cancelled


async def raises() -> None:
    raise asyncio.CancelledError("by itself")


async def cancels_itself_and_waits() -> None:
    me = asyncio.current_task()
    assert me is not None
    me.cancel()
    await asyncio.Event().wait()


async def cancels_itself_and_returns() -> str:
    me = asyncio.current_task()
    assert me is not None
    me.cancel()
    return "done"


async def is_cancelled_from_elsewhere() -> None:
    me = asyncio.current_task()
    assert me is not None
    asyncio.get_running_loop().call_soon(me.cancel)
    await asyncio.Event().wait()


async def leaves_a_variable_behind() -> str:
    left_behind.set(1)
    return "done"


async def works(number: int) -> int:
    await asyncio.sleep(0)
    return number


def tasks_of(*functions: Callable[..., Any], max_retries: int = 0) -> dict[str, Task[Any, Any]]:
    tasks = named(**{function.__name__: function for function in functions})
    for task in tasks.values():
        task.max_retries = max_retries
    return tasks


def error(event: Event) -> str:
    return str(event.context["exception"]["name"]).rpartition(".")[2]


@pytest.mark.parametrize(
    "broken", [awaits_what_was_cancelled, raises, cancels_itself_and_waits, is_cancelled_from_elsewhere]
)
@pytest.mark.anyio
async def test_task_that_cancels_itself_fails_as_with_any_error(
    broken: Callable[..., Any],
) -> None:
    floor, tasks = Shop(), tasks_of(broken, works, max_retries=1)
    async with floor.worker(tasks, ONE_AT_A_TIME):
        first = await floor.submit(tasks[broken.__name__])
        rest = [await floor.submit(tasks["works"], number) for number in range(3)]
        await floor.succeeded(3)
        await floor.finished(names.FAILED)
    assert [error(event) for event in floor.events(names.RETRIED)] == ["CancelledError"]
    assert [error(event) for event in floor.events(names.FAILED)] == ["CancelledError"]
    assert floor.task(first).attempts == 2
    assert [floor.task(message).attempts for message in rest] == [1, 1, 1]


@pytest.mark.parametrize("spoiling", [cancels_itself_and_returns, leaves_a_variable_behind])
@pytest.mark.anyio
async def test_leftovers_of_a_task_do_not_hit_the_next(spoiling: Callable[..., Any]) -> None:
    floor, tasks = Shop(), tasks_of(spoiling, works)
    async with floor.worker(tasks, ONE_AT_A_TIME):
        for number in range(5):
            await floor.submit(tasks[spoiling.__name__])
            await floor.submit(tasks["works"], number)
        await floor.succeeded(10)
    assert floor.count(names.FAILED) == floor.count(names.INTERRUPTED) == 0


@pytest.mark.anyio
async def test_timeout_is_distinguished_from_a_cancellation() -> None:
    async def stays() -> None:
        await asyncio.Event().wait()

    floor, tasks = Shop(), tasks_of(stays, raises, works)
    async with floor.worker(tasks, ONE_AT_A_TIME):
        await floor.submit(tasks["stays"], timeout_override=50)
        await floor.submit(tasks["raises"])
        await floor.submit(tasks["works"], 1)
        await floor.succeeded(1)
    assert [error(event) for event in floor.events(names.FAILED)] == ["TaskTimeoutError", "CancelledError"]


@pytest.mark.parametrize("how", ["goes on", "cleans up"])
@pytest.mark.anyio
async def test_coroutine_that_ignores_cancellation_is_abandoned(
    how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(coroutines, "ABANDON_SECONDS", 0.1)
    may_end, ended = asyncio.Event(), list[str]()

    async def stays() -> str:
        if how == "goes on":
            while not may_end.is_set():
                with suppress(asyncio.CancelledError):
                    await may_end.wait()
        else:
            try:
                await asyncio.Event().wait()
            finally:
                await may_end.wait()
        ended.append(how)
        return "unheard"

    floor, tasks = Shop(), tasks_of(stays, works)
    async with floor.worker(tasks, ONE_AT_A_TIME) as worker_loop:
        message = await floor.submit(tasks["stays"], timeout_override=50)
        await floor.submit(tasks["works"], 1)
        await floor.succeeded(1)
        executor = worker_loop._lanes["async"].executor
        assert (executor.running, executor.size) == (0, 1), "its place is free again"
        may_end.set()
        await floor.submit(tasks["works"], 2)
        await floor.succeeded(2)
    (failed,) = floor.events(names.FAILED)
    assert error(failed) == "TaskTimeoutError"
    assert failed.context["exception"]["text"] == (
        "stays ran for longer than its 0.05 s, and its coroutine cannot be stopped"
    )
    assert floor.task(message).attempts == 1
    assert ended == (["goes on"] if how == "goes on" else [])
    (warning,) = [record.getMessage() for record in caplog.records if "cannot be stopped: it" in record.getMessage()]
    assert message.uuid in warning


@pytest.mark.anyio
async def test_abandoned_coroutine_does_not_keep_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coroutines, "ABANDON_SECONDS", 0.1)
    cancelled, may_end = list[float](), asyncio.Event()

    async def refuses() -> None:
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                cancelled.append(0.0)

    floor, tasks = Shop(), tasks_of(refuses)
    async with floor.worker(tasks, ONE_AT_A_TIME) as worker_loop:
        await floor.submit(tasks["refuses"], timeout_override=50)
        await floor.finished(names.FAILED)
    assert worker_loop.counts.left_running == 0
    await reached(lambda: len(cancelled) == 2, "the executor to cancel it once more as it is closed")
    assert len(coroutines._ending) == 1, "it is kept as long as it goes on"
    may_end.set()
    await reached(lambda: not coroutines._ending, "it to end")


class Slow(Task[Any, Any]):
    """Takes its time to say whether it is to be tried again."""

    may_answer = threading.Event()

    def do_retry(self, message: Message, exception: BaseException) -> bool:
        self.may_answer.wait()
        return False


@pytest.mark.anyio
async def test_hook_blocking_after_a_timeout_delays_no_other_task(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stays() -> None:
        await asyncio.Event().wait()

    floor, tasks = Shop(), tasks_of(works)
    tasks["stays"] = Slow(stays, tasks["works"].broker, "stays")
    async with floor.worker(tasks, Settings(coroutines=2, lease_ms=LEASE_MS)):
        await floor.submit(tasks["stays"], timeout_override=50)
        await floor.submit(tasks["works"], 1)
        await floor.succeeded(1)
        assert floor.count(names.FAILED) == 0, "the hook is still being asked"
        Slow.may_answer.set()
        await floor.finished(names.FAILED)
        Slow.may_answer.clear()
        monkeypatch.setattr(base, "HOOK_SECONDS_MAX", 0.1)
        await floor.submit(tasks["stays"], timeout_override=50)
        await floor.finished(names.FAILED, 2)
    Slow.may_answer.set()
    first, second = floor.events(names.FAILED)
    assert error(first) == error(second) == "TaskTimeoutError"
    assert "hook" not in first.context
    assert "have not answered in time" in second.context["hook"]["text"]
