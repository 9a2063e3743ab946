"""A real topic with records that no writer of ours makes, and writers whose clocks are wrong."""

import asyncio
import itertools
import logging
import time
import uuid

import aiokafka
import journeyman as jm
import pytest
from journeyman.consumers.views.as_of import as_of
from journeyman.journal import AsyncJournal, log_from_url
from journeyman.journal.event import draft
from journeyman.journal.kafka.log import KafkaLog
from journeyman.tasks import State, TaskView
from journeyman.tasks.submitting import submission
from journeyman.workers import Settings, WorkerLoop
from support.malformed import records
from support.shop import named
from support.waiting import reached

pytestmark = pytest.mark.kafka

DAY = 86_400.0


async def write(bootstrap: str, topic: str, partition: int, rows: list[bytes]) -> None:
    """Let another program write to the topic."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=4_000_000)
    await producer.start()
    try:
        for row in rows:
            await producer.send(topic, row, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


@pytest.mark.parametrize("partitions", [1, 2])
def test_readers_and_workers_pass_over_bad_records_of_a_topic(kafka_bootstrap: str, partitions: int) -> None:
    topic = f"test-{uuid.uuid4()}"
    url = f"kafka://{kafka_bootstrap}/{topic}?partitions={partitions}"
    rows = [row for row in records(5) if len(row) < 300_000]

    async def test() -> None:
        async with AsyncJournal(url) as journal:
            good = [await journal.append("good.one", {"number": 0}, "key")]
            half = len(rows) // 2
            for at, part in enumerate((rows[:half], rows[half:])):
                await write(kafka_bootstrap, topic, at % partitions, part)
                good.append(await journal.append("good.one", {"number": at + 1}, f"key-{at}"))
            end = (await journal.bounds()).end
            consumer = jm.AsyncJournalConsumer(journal, on_bad_record="skip", until=end)
            events = [event async for event in consumer]
            numbers = sorted(event.context["number"] for event in events if event.name == "good.one")
            assert numbers == [0, 1, 2]
            assert (await consumer.statistics()).bad_records > 100
            assert (await as_of(journal, TaskView, end)).unreadable > 100
            task = named(work=lambda *_: 1)["work"]
            message = task.generate(submit=False)
            await journal.append_drafts([submission(message)])
            async with AsyncJournal(url) as own:
                worker_loop = WorkerLoop(own, {"work": task}, Settings(threads=2))
                running = asyncio.ensure_future(worker_loop.run())
                await reached(lambda: running.done() or succeeded(worker_loop, message), "the task to succeed", 60.0)
                assert not running.done()
                worker_loop.stop()
                await asyncio.wait_for(running, 60)

    asyncio.run(test())


def succeeded(worker_loop: WorkerLoop, message: jm.Message) -> bool:
    return any(worker_loop.view.state_of(partition, message.uuid) is State.SUCCEEDED for partition in range(2))


def test_clock_differing_from_the_brokers_is_warned_of(kafka_bootstrap: str, caplog: pytest.LogCaptureFixture) -> None:
    topic = f"test-{uuid.uuid4()}"
    url = f"kafka://{kafka_bootstrap}/{topic}?partitions=1"

    async def test() -> None:
        right = log_from_url(url)
        await right.open()
        assert isinstance(right, KafkaLog)
        wrong = KafkaLog(right._connection, topic, url=url, clock=lambda: time.time() + DAY)
        await wrong.open()
        before = await right.append([draft("right.thing")])
        moment = time.time()
        for _ in range(3):
            await wrong.append([draft("wrong.thing")])
        after = await right.append([draft("right.thing")])
        assert after[0].timestamp < moment + 60
        seen = await as_of(AsyncJournal(right), Names, time.time())
        assert seen.names == ["right.thing", *["wrong.thing"] * 3, "right.thing"]
        assert (await right.position_at(moment - 0.5))[0] <= before[0].offset + 1
        await wrong.aclose()
        await right.aclose()

    with caplog.at_level(logging.WARNING):
        asyncio.run(test())
    told = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert len(told) == 1
    assert "ahead of the clock of the Kafka broker" in told[0]


class Names(jm.View):
    def __init__(self) -> None:
        self.names: list[str] = []

    def apply(self, event: jm.Event) -> None:
        self.names.append(event.name)


def test_writer_times_step_back_once_its_clock_is_right(kafka_bootstrap: str) -> None:
    topic = f"test-{uuid.uuid4()}"
    url = f"kafka://{kafka_bootstrap}/{topic}?partitions=1"

    async def test() -> None:
        opened = log_from_url(url)
        await opened.open()
        assert isinstance(opened, KafkaLog)
        errors = itertools.chain([0.0, DAY, DAY], itertools.repeat(0.0))
        error = [0.0]
        log = KafkaLog(opened._connection, topic, url=url, clock=lambda: time.time() + error[0])
        await log.open()
        times = []
        for _ in range(5):
            error[0] = next(errors)
            times.append((await log.append([draft("a.b")]))[0].timestamp - time.time())
        assert [round(each / DAY) for each in times] == [0, 1, 1, 0, 0]
        await log.aclose()
        await opened.aclose()

    asyncio.run(test())
