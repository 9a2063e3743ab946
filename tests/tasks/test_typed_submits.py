"""Submissions with the function's own parameters and options of their own, and durations as `timedelta`."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import journeyman as jm
import pytest


@pytest.fixture
def send() -> Iterator[jm.Task[Any, Any]]:
    def send(address: str, copies: int = 1) -> None:
        raise AssertionError("no worker runs it")

    with jm.Journal("memory://") as journal:
        yield jm.Task(send, jm.Broker(journal), "send")


def test_options_are_those_of_generate(send: jm.Task[Any, Any]) -> None:
    options = send.options(delay=2_000, priority=3, queue="mail", metadata={"who": "ada"}, timeout_override=500)
    message = options.submit("ada@shop.example", copies=2)
    assert send.broker.exists(message)
    assert (message.args, message.kwargs) == (("ada@shop.example",), {"copies": 2})
    assert (message.delay, message.priority, message.queue, message.timeout) == (2_000, 3, "mail", 500)
    assert message.metadata == {"who": "ada"}
    assert options.submit("eve@shop.example").uuid != message.uuid, "the options can be used again"
    assert send.submit("ada@shop.example").queue == "default", "and change nothing of the task"


def test_options_hold_for_asyncio_too(send: jm.Task[Any, Any]) -> None:
    async def submits() -> jm.Message:
        return await send.options(priority=7, uuid="letter-1").submit_async("ada@shop.example")

    message = asyncio.run(submits())
    assert (message.priority, message.uuid) == (7, "letter-1")
    assert send.broker.exists("letter-1")


def test_options_that_do_not_exist_are_refused(send: jm.Task[Any, Any]) -> None:
    wrong: Any = {"prio": 1}
    with pytest.raises(TypeError, match="prio"):
        send.options(**wrong).submit("ada@shop.example")


def test_durations_may_be_timedeltas(send: jm.Task[Any, Any]) -> None:
    minute = timedelta(minutes=1)
    message = send.generate(["a"], delay=minute, timeout_override=minute / 2, result_ttl=2 * minute, ttl=3 * minute)
    assert (message.delay, message.timeout, message.result_ttl) == (60_000, 30_000, 120_000)
    assert message.expires > message.due > 0
    made = asyncio.run(send.generate_async(["a"], delay=timedelta(milliseconds=1.5), ttl=minute))
    assert made.delay == 1
    assert jm.Task(lambda: None, send.broker, "quick", timeout=timedelta(seconds=2)).timeout == 2_000


def test_negative_timedelta_is_refused(send: jm.Task[Any, Any]) -> None:
    with pytest.raises(jm.ValidationError, match="delay"):
        send.generate(["a"], delay=timedelta(seconds=-1))
    with pytest.raises(jm.ValidationError, match="timeout"):
        jm.Task(lambda: None, send.broker, "quick", timeout=timedelta(0))


def test_waits_take_a_timedelta(send: jm.Task[Any, Any]) -> None:
    message, none = send.submit("a"), timedelta(milliseconds=1)
    journal = send.broker.journal
    with pytest.raises(TimeoutError, match="after 1 ms"):
        jm.ResultStore(journal).get(message, timeout=none)
    with pytest.raises(TimeoutError, match=r"after 0\.001 s"):
        jm.StatusTracker(journal).wait_for(message, jm.TaskStatus.SUCCEEDED, timeout=none)
    with pytest.raises(TimeoutError, match=r"within 0\.001 s"):
        list(jm.StatusTracker(journal).listen_to_updates(message, timeout=none))
    with pytest.raises(TimeoutError, match="in 1 ms"):
        list(jm.ResultPool(jm.ResultStore(journal)).stream(message, timeout=none))
