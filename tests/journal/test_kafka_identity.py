"""A topic that is deleted, recreated or given more partitions under an open journal, on a real broker."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiokafka
import aiokafka.admin
import journeyman as jm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.deploy.kafka import KafkaCluster
from journeyman.journal.kafka.client import create_topic, make_admin, stop_admin, topic_seen
from journeyman.journal.kafka.connection import Connection
from journeyman.journal.kafka.partition_count import count_by_keys
from journeyman.journal.kafka.topic import wanted_settings
from journeyman.journal.log import Sited

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def admin_of(bootstrap: str) -> AsyncIterator[aiokafka.admin.AIOKafkaAdminClient]:
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def delete(bootstrap: str, topic: str) -> None:
    async with admin_of(bootstrap) as admin:
        await admin.delete_topics([topic])


async def seen(bootstrap: str, topic: str) -> tuple[bytes | None, int] | None:
    """Return the id and the number of partitions by which the broker knows a topic; None if it knows none."""
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        return await topic_seen(consumer, topic)
    finally:
        await consumer.stop()


async def make_again(bootstrap: str, topic: str) -> None:
    """Delete the topic and make one of the same name and settings; return once the broker knows it by its new id."""
    before = await seen(bootstrap, topic)
    await delete(bootstrap, topic)
    host, _, port = bootstrap.partition(":")
    admin = make_admin(Connection(((host, int(port)),)), 10_000)
    await admin.start()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            settings = {each.name: each.value for each in wanted_settings(1)}
            while await create_topic(admin, topic, 1, 1, settings):  # noqa: ASYNC110 - the old one is on its way out
                await asyncio.sleep(0.05)
            while await seen(bootstrap, topic) in (None, before):  # noqa: ASYNC110 - the controller tells it later
                await asyncio.sleep(0.05)
    finally:
        await stop_admin(admin)


def test_recreated_topic_has_another_index_file(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = f"again-{uuid.uuid4().hex[:8]}"
        url = f"kafka://{kafka_bootstrap}/{topic}?partitions=1&replication=1"
        paths: list[str] = []
        for again in (False, False, True):
            if again:
                await make_again(kafka_bootstrap, topic)
            async with jm.AsyncJournal(url) as journal:
                assert isinstance(journal.log, Sited)
                paths.append(journal.log.index_path())
        assert paths[0] == paths[1] != paths[2]
        assert all(Path(path).name.startswith(f"{topic}-") for path in paths)

    asyncio.run(test())


async def add_partitions(bootstrap: str, topic: str, count: int) -> None:
    async with admin_of(bootstrap) as admin:
        await admin.create_partitions({topic: aiokafka.admin.NewPartitions(count)})


@pytest.fixture
def topic() -> str:
    return f"test-{uuid.uuid4()}"


def test_reader_of_a_recreated_topic_gets_an_error(kafka_bootstrap: str, topic: str) -> None:
    async def test() -> None:
        url = f"kafka://{kafka_bootstrap}/{topic}"
        async with jm.AsyncJournal(url) as journal:
            await journal.append_all([("order.paid", {"number": number}) for number in range(3)])
            consumer = await jm.AsyncJournalConsumer(journal).start()
            assert [await consumer.poll() for _ in range(3)]
            await make_again(kafka_bootstrap, topic)
            async with jm.AsyncJournal(url) as other:
                await other.append_all([("order.paid", {"number": number}) for number in range(40)])
            with pytest.raises(jm.JournalGone, match="was deleted and recreated"):
                await consumer.poll(PATIENCE_SECONDS)
            for asked in (journal.bounds(), journal.read({0: 0}), journal.append("order.paid", {})):
                with pytest.raises(jm.JournalGone):
                    await asked
            await consumer.aclose()

    asyncio.run(test())


def test_append_never_lands_in_a_recreated_topic(kafka_bootstrap: str, topic: str) -> None:
    async def test() -> None:
        url = f"kafka://{kafka_bootstrap}/{topic}"
        async with jm.AsyncJournal(url) as journal:
            await journal.append("order.paid", {"number": 0})
            await make_again(kafka_bootstrap, topic)
            with pytest.raises(jm.JournalGone, match="nothing is read from or appended to the new one"):
                await journal.append("order.paid", {"number": 1})  # at once, before the topic was looked at
            async with jm.AsyncJournal(url) as other:
                assert dict((await other.bounds()).end) == {0: 0}
                await other.append("order.paid", {"number": 2})

    asyncio.run(test())


def test_deleted_topic_fails_waiting_callers(kafka_bootstrap: str, topic: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(f"kafka://{kafka_bootstrap}/{topic}") as journal:
            await journal.append("order.paid", {"number": 0})
            consumer = await jm.AsyncJournalConsumer(journal, full=False).start()
            await delete(kafka_bootstrap, topic)
            with pytest.raises(jm.JournalGone, match="was deleted; nothing more"):
                await consumer.poll(PATIENCE_SECONDS)
            with pytest.raises(jm.JournalGone):
                await journal.append("order.paid", {"number": 1})
            await consumer.aclose()

    asyncio.run(test())


def test_added_partitions_end_an_open_journal(kafka_bootstrap: str, topic: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(f"kafka://{kafka_bootstrap}/{topic}") as journal:
            await journal.append("order.paid", {"number": 0})
            consumer = await jm.AsyncJournalConsumer(journal, full=False).start()
            await add_partitions(kafka_bootstrap, topic, 4)
            with pytest.raises(jm.PartitionsChanged, match="has 4 partitions, the journal in it was written with 1"):
                await consumer.poll(PATIENCE_SECONDS)
            with pytest.raises(jm.PartitionsChanged):
                await journal.append("order.paid", {"number": 1})
            await consumer.aclose()

    asyncio.run(test())


@pytest.mark.parametrize("change", ["made again", "partitions"])
def test_worker_of_a_changed_topic_ends_with_a_message(kafka_cluster: KafkaCluster, topic: str, change: str) -> None:
    bootstrap = kafka_cluster.bootstrap
    url = f"kafka://{bootstrap}/{topic}"
    command = [sys.executable, "-m", "journeyman", "worker", "torture.torture_tasks", "--journal", url]
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(__file__))}  # noqa: PTH120
    with (
        jm.Journal(url) as journal,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as worker,
    ):
        try:
            joined = jm.JournalConsumer(journal, "worker.joined").start()
            assert joined.poll(PATIENCE_SECONDS) is not None
            joined.close()
            changed = make_again(bootstrap, topic) if change == "made again" else add_partitions(bootstrap, topic, 4)
            asyncio.run(changed)
            _, said = worker.communicate(timeout=PATIENCE_SECONDS)
        finally:
            worker.kill()
    assert worker.returncode == 1, said
    assert ("deleted and recreated" if change == "made again" else "has 4 partitions") in said
    assert "Traceback" not in said


@pytest.mark.parametrize("said", [True, False])
def test_topic_with_added_partitions_is_refused(kafka_bootstrap: str, topic: str, said: bool) -> None:
    """Whether the journal's records say how many partitions it had, or an older version wrote them."""

    async def test() -> None:
        url = f"kafka://{kafka_bootstrap}/{topic}"
        async with jm.AsyncJournal(url) as journal:
            made = await journal.append_all([("task.made", {"n": number}, f"task-{number}") for number in range(20)])
        if not said:
            await make_again(kafka_bootstrap, topic)
            await write_as_older_versions(kafka_bootstrap, topic, made)
        await add_partitions(kafka_bootstrap, topic, 4)
        for _ in range(2):
            with pytest.raises(jm.PartitionsChanged, match="has 4 partitions, the journal in it was written with 1"):
                await jm.AsyncJournal(url).open()
            with pytest.raises(jm.PartitionsChanged):  # the URL is right: the topic is what has changed
                await jm.AsyncJournal(f"{url}?partitions=1").open()
        async with jm.AsyncJournal(f"{url}?added=ignore&partitions=1") as journal:
            assert len((await journal.read()).events) == 20
            event = await journal.append("task.revoked", {}, "task-3")
            assert event.position == (0, 20)
        with pytest.raises(jm.PartitionsChanged):
            await jm.AsyncJournal(url).open()

    asyncio.run(test())


async def write_as_older_versions(bootstrap: str, topic: str, events: Sequence[jm.Event]) -> None:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for event in events:
            await producer.send_and_wait(topic, record_of(event), partition=0)
    finally:
        await producer.stop()


def record_of(event: jm.Event) -> bytes:
    """The record of an event that has a key."""
    shown = {"timestamp": event.timestamp, "name": event.name, "context": event.context, "key": event.key}
    return json.dumps({**shown, "writer": event.writer, "seq": event.seq}).encode()


def test_journal_of_several_partitions_opens_again(kafka_bootstrap: str, topic: str) -> None:
    async def test() -> None:
        url = f"kafka://{kafka_bootstrap}/{topic}?partitions=4"
        async with jm.AsyncJournal(url) as journal:
            await journal.append_all([("task.made", {}, f"task-{number}") for number in range(20)])
        async with jm.AsyncJournal(f"kafka://{kafka_bootstrap}/{topic}") as journal:
            assert journal.log.partitions == 4

    asyncio.run(test())


@given(st.integers(1, 8), st.integers(1, 8), st.lists(st.integers(0, 2**31 - 1), max_size=60))
def test_unchanged_topic_passes_the_count_by_keys(written: int, added: int, keys: list[int]) -> None:
    placed: dict[int, list[int]] = {}
    for key in keys:
        placed.setdefault(key % written, []).append(key)
    assert count_by_keys(placed, sorted(placed), written) is None
    found = count_by_keys(placed, sorted(placed), written + added)
    moved = any(key % (written + added) != key % written for key in keys)
    assert (found is not None) == moved
    if found is not None:
        assert found <= written
