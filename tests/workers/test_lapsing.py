"""Tasks with a time to live, beside workers."""

import time
from collections.abc import Sequence

import pytest
from journeyman.journal.event import Draft, Event
from journeyman.journal.memory.log import MemoryLog
from journeyman.tasks import State
from journeyman.tasks.state import names
from support.shop import Shop, named


def add(a: int, b: int) -> int:
    return a + b


@pytest.mark.anyio
async def test_worker_ends_a_lapsed_task_and_runs_the_others() -> None:
    shop, tasks = Shop(), named(add=add)
    late = tasks["add"].generate([1, 2], submit=False).update(expires=time.time() - 1)
    timely = tasks["add"].generate([3, 4], submit=False).update(expires=time.time() + 3_600)
    for message in (late, timely):
        await shop.submit_message(message)
    async with shop.worker(tasks):
        await shop.succeeded(1)
        await shop.finished(names.LAPSED)
    assert (shop.task(late).state, shop.task(timely).state) == (State.REVOKED, State.SUCCEEDED)
    assert shop.events(names.LAPSED)[0].context["reason"] == "expired"
    assert shop.count(names.CLAIMED) == 1


@pytest.mark.parametrize("how", ["requeued", "rescheduled"])
@pytest.mark.anyio
async def test_task_that_lapses_no_more_runs(how: str) -> None:
    """By hand it failed and was requeued, or was tried again in time."""
    shop, tasks = Shop(), named(add=add)
    message = tasks["add"].generate([1, 2], submit=False)
    message.update(expires=time.time() + (3_600 if how == "rescheduled" else -1))
    await shop.submit_message(message)
    if how == "requeued":
        await shop.say(names.REJECTED, message.uuid, task=message.uuid)
        await shop.say(names.REQUEUED, message.uuid, task=message.uuid)
    else:
        await shop.say(names.RESCHEDULED, message.uuid, task=message.uuid, due=time.time() - 1)
    async with shop.worker(tasks):
        await shop.succeeded(1)
    assert shop.task(message).attempts == (1 if how == "requeued" else 2)


@pytest.mark.parametrize("requeued", [False, True])
@pytest.mark.anyio
async def test_refused_lapse_files_a_task_that_is_ready(requeued: bool) -> None:
    """The task was requeued while the append of its lapse was under way; else there is nothing to file."""
    shop, tasks = Shop(), named(add=add)
    message = tasks["add"].generate([1, 2], submit=False).update(expires=time.time() - 1)
    await shop.submit_message(message)

    class Requeueing(MemoryLog):
        async def append(self, drafts: Sequence[Draft]) -> list[Event]:
            if requeued and drafts[0].name == names.LAPSED:
                await shop.say(names.REJECTED, message.uuid, task=message.uuid)
                await shop.say(names.REQUEUED, message.uuid, task=message.uuid)
            return await super().append(drafts)

    async with shop.worker(tasks, log=Requeueing(shop.store)):
        await shop.finished(names.LAPSED)
        if requeued:
            await shop.succeeded(1)
    assert shop.task(message).state is (State.SUCCEEDED if requeued else State.REVOKED)
    assert shop.count(names.CLAIMED) == requeued
