"""Tasks whose metadata was changed after their submission, beside workers."""

from typing import Any

import journeyman as jm
import pytest
from journeyman.tasks import AsyncBroker
from journeyman.tasks.state import names
from journeyman.workers import Consumer
from support.shop import Shop, named


def told(message: jm.Message) -> Any:
    return message.metadata


@pytest.mark.parametrize("joined", ["before", "after"])
@pytest.mark.anyio
async def test_worker_runs_a_task_with_its_last_metadata(joined: str) -> None:
    """Whether it keeps the submission, which it read before the amendments, or reads all of them at its start."""
    shop, tasks = Shop(partitions=2), named(told=told)
    broker = AsyncBroker(shop.journal)
    plain = tasks["told"].generate(metadata={"step": 0}, submit=False)
    other = tasks["told"].generate(metadata={"step": 0}, submit=False)

    async def amend() -> None:
        for step in (1, 2):
            assert await broker.sync_to_journal(other.update(metadata={"step": step}))

    if joined == "after":
        await shop.submit_message(plain)
        await shop.submit_message(other)
        await amend()
        async with shop.worker(tasks):
            await shop.succeeded(2)
    else:
        await broker.pause("default")
        async with shop.worker(tasks):
            await shop.submit_message(plain)
            await shop.submit_message(other)
            await amend()
            await broker.resume("default")
            await shop.succeeded(2)
    results = {event.context["task"]: event.context["result"] for event in shop.events(names.SUCCEEDED)}
    assert results == {plain.uuid: {"step": 0}, other.uuid: {"step": 2}}


@pytest.mark.anyio
async def test_requeued_dead_letter_keeps_its_amendment() -> None:
    shop, tasks = Shop(), named(told=told)
    broker = AsyncBroker(shop.journal)
    message = tasks["told"].generate(metadata={"step": 0}, submit=False)
    await shop.submit_message(message)
    assert await broker.sync_to_journal(message.update(metadata={"step": 1}))
    assert await broker.fail(message)
    assert await broker.requeue(message)
    async with shop.worker(tasks):
        await shop.succeeded(1)
    assert shop.events(names.SUCCEEDED)[0].context["result"] == {"step": 1}


def test_holder_of_a_consumer_amends_for_the_next_attempt() -> None:
    with jm.Journal("memory://") as journal:
        broker = jm.Broker(journal)
        broker.submit(jm.Message("send", metadata={"step": 0}, backoff_settings=jm.ConstantBackoff(0).settings))
        stream = Consumer(broker).stream()
        first = next(stream)
        assert broker.sync_to_journal(first.clone().update(metadata={"step": 9})).disposition is jm.Disposition.NOT_HELD
        assert broker.sync_to_journal(first.update(metadata={"step": 1})).disposition is jm.Disposition.AMENDED
        assert broker.retry(first)
        second = next(stream)
        assert (second.uuid, second.metadata) == (first.uuid, {"step": 1})
        assert broker.ack(second)
        stream.close()
