"""Asynchronous code submits, waits and reads results, and its event loop goes on meanwhile."""

import asyncio
import subprocess
import sys
import uuid
import warnings
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import TypeVar

import journeyman as jm
import pytest
from asked_tasks import add, hold, refuse
from asked_worker import asked_worker
from journeyman.journal import blocked_loops
from journeyman.journal.testing.faults import Fault, FaultyLog
from journeyman.journal.url import log_from_url
from journeyman.tasks.doubts import SubmissionInDoubt

T = TypeVar("T")

URL_OF_NO_BROKER = "kafka://127.0.0.1:1/asked?partitions=1&replication=1"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A journal on which a worker runs."""
    url = f"sqlite:///{tmp_path_factory.mktemp('asked')}/asked.db"
    with asked_worker(url):
        yield url


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was warned of yet."""
    monkeypatch.setattr(blocked_loops, "_warned", set())


def task_on(broker: jm.Broker, task: jm.Task[..., T]) -> jm.Task[..., T]:
    """The same task, submitted by another broker."""
    return jm.task(broker, max_retries=0)(task.function)


async def turns_while(awaited: Awaitable[T]) -> tuple[T, int]:
    """The result, and how many turns the event loop has made meanwhile."""
    turns, over = 0, False

    async def turn() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    try:
        return await awaited, turns
    finally:
        over = True
        await turning


async def ask_everything(submitting: jm.Broker, journal: jm.AsyncJournal | jm.Journal) -> None:
    """Submit by a task, and ask on `journal`."""
    message = await task_on(submitting, add).generate_async([3, 4])
    results, tracker = jm.AsyncResultStore(journal), jm.AsyncStatusTracker(journal)
    assert await tracker.exists(message)
    assert await results.get(message, timeout=60_000, keep=True) == 7
    assert await results.exists(message)
    assert (await tracker.get(message)).status is jm.TaskStatus.SUCCEEDED
    assert await tracker.wait_for(message, jm.TaskStatus.SUCCEEDED) is jm.TaskStatus.SUCCEEDED
    told = [update.status.name async for update in tracker.listen_to_updates(message)]
    assert told == ["SUBMITTED", "RUNNING", "SUCCEEDED"]
    failing = await task_on(submitting, refuse).generate_async(kwargs={"order": 7})
    with pytest.raises(jm.TaskFailedError, match="order 7 is unknown"):
        await results.get(failing, timeout=60_000)
    broker = jm.AsyncBroker(journal)
    assert (await broker.requeue(failing)).disposition is jm.Disposition.REQUEUED
    held = hold.generate(delay=3_600_000, submit=False)
    await broker.submit(held)
    with pytest.raises(jm.MessageAlreadyExistsError):
        await broker.submit(held)
    waiting = asyncio.create_task(results.get(held, timeout=3_600_000))
    assert (await submitting.asynchronous.revoke(held)).disposition is jm.Disposition.REVOKED
    with pytest.raises(jm.TaskFailedError, match="was revoked"):
        await waiting
    many = [add.generate([each, each], submit=False) for each in range(20)]
    assert await broker.submit_all(many) == 20
    pool = jm.AsyncResultPool(results)
    assert [result async for _, result in pool.stream(*many, keep=True)] == [2 * each for each in range(20)]
    assert sum([result async for _, result in pool.istream(*many)]) == 380


@pytest.mark.parametrize("kind", ["broker's", "asynchronous"])
def test_asynchronous_code_submits_waits_and_asks(url: str, kind: str, untold: None) -> None:
    async def main() -> None:
        async with jm.AsyncJournal(url) as journal:
            await ask_everything(broker, broker.journal if kind == "broker's" else journal)

    broker = jm.Broker(url)
    for _ in range(2):  # in a second loop as well
        asyncio.run(main())
    broker.journal.close()


@pytest.mark.kafka
def test_asynchronous_code_submits_waits_and_asks_on_kafka(kafka_bootstrap: str, untold: None) -> None:
    url = f"kafka://{kafka_bootstrap}/asked-{uuid.uuid4().hex}?partitions=3&replication=1"

    async def main() -> None:
        async with jm.AsyncJournal(url) as journal:
            await ask_everything(broker, journal)

    broker = jm.Broker(url)
    broker.journal.bounds()  # which makes the topic
    with asked_worker(url):
        for _ in range(2):
            asyncio.run(ask_everything(broker, broker.journal))
        asyncio.run(main())
    broker.journal.close()


def test_loop_runs_on_while_a_result_is_awaited(url: str, untold: None) -> None:
    async def main() -> None:
        async with jm.AsyncJournal(url) as journal:
            results = jm.AsyncResultStore(journal)
            held = hold.generate(delay=3_600_000, submit=False)
            await jm.AsyncBroker(journal).submit(held)
            getting = results.get(held, timeout=200)
            outcome, turns = await turns_while(asyncio.gather(getting, return_exceptions=True))
            assert isinstance(outcome[0], TimeoutError)
            assert turns > 5
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await results.get(held, timeout=3_600_000)
            assert await results.exists(held) is False, "a wait that was cancelled leaves nothing taken"

    asyncio.run(main())


def test_loop_runs_on_while_kafka_is_away(untold: None, soon_away: None) -> None:
    """And what is awaited ends, however it is asked and when it is cancelled."""

    async def main() -> None:
        broker = jm.Broker(URL_OF_NO_BROKER)
        submitting = task_on(broker, add).generate_async([1, 2])
        (error,), turns = await turns_while(asyncio.gather(submitting, return_exceptions=True))
        assert isinstance(error, jm.JournalUnavailable)
        assert turns > 5
        store = jm.AsyncResultStore(broker.journal)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await store.get("order-7", timeout=3_600_000)
        broker.journal.close()
        with pytest.raises(jm.JournalClosed):
            await store.get("order-7")

    with warnings.catch_warnings(action="ignore"):  # of the one that closes
        asyncio.run(main())


def test_append_in_doubt_is_settled_by_its_message(tmp_path: Path, untold: None) -> None:
    faults: list[Fault] = []
    log = FaultyLog(
        log_from_url(f"sqlite:///{tmp_path}/doubt.db"),
        lambda operation: faults.pop() if operation == "append" and faults else None,
    )

    async def main(journal: jm.Journal) -> None:
        broker = jm.Broker(journal)
        faults.append(Fault.LOST_ACKNOWLEDGEMENT)
        with pytest.raises(SubmissionInDoubt) as raised:
            await task_on(broker, add).generate_async([1, 2])
        await broker.asynchronous.submit(raised.value.message)
        many = [add.generate([each, each], submit=False) for each in range(3)]
        faults.append(Fault.LOST_ACKNOWLEDGEMENT)
        with pytest.raises(SubmissionInDoubt) as raised:
            await broker.asynchronous.submit_all(many)
        assert raised.value.messages == tuple(many)
        assert await broker.asynchronous.submit_all(raised.value.messages) == 3

    with jm.Journal(log) as journal:
        faults.append(Fault.LOST_ACKNOWLEDGEMENT)
        broker = jm.Broker(journal)
        with pytest.raises(jm.AppendInDoubt, match=r"Submit the same message again, broker\.submit") as raised:
            task_on(broker, add).generate([1, 2])
        assert isinstance(raised.value, SubmissionInDoubt)
        event = broker.submit(raised.value.message)
        assert event.key == raised.value.message.uuid
        asyncio.run(main(journal))
        events = journal.read().events
    assert len(events) == len({event.key for event in events}) == 5


@pytest.mark.parametrize("asked", ["result", "status", "consumer"])
def test_synchronous_wait_in_a_loop_is_logged_once(url: str, asked: str, untold: None) -> None:
    instead = {"result": "AsyncResultStore.get", "status": "AsyncStatusTracker.wait_for"}

    async def main(journal: jm.Journal) -> None:
        held = hold.generate(delay=3_600_000, submit=False)
        await jm.AsyncBroker(journal).submit(held)
        for _ in range(2):
            if asked == "result":
                with pytest.raises(TimeoutError):
                    jm.ResultStore(journal).get(held, timeout=200)
            elif asked == "status":
                with pytest.raises(TimeoutError):
                    jm.StatusTracker(journal).wait_for(held, jm.TaskStatus.SUCCEEDED, timeout=0.2)
            else:
                with jm.JournalConsumer(journal, "nothing", full=False) as consumer, pytest.raises(TimeoutError):
                    consumer.poll(timeout=0.2)

    with jm.Journal(url) as journal, warnings.catch_warnings(record=True, action="always") as told:
        asyncio.run(main(journal))
    told = [warning for warning in told if "is blocked meanwhile" in str(warning.message)]
    (warning,) = [each for each in told if instead.get(asked, "AsyncJournalConsumer") in str(each.message)]
    assert warning.category is RuntimeWarning
    assert warning.filename == __file__, "it names the line that has to change"


_SUBMIT = """
import asyncio, sys
import journeyman as jm

from journeyman.journal.kafka import log, topic

log.KAFKA_OPEN_SECONDS_MAX = topic.KAFKA_OPEN_SECONDS_MAX = 1.0

@jm.task(jm.Broker(sys.argv[1]))
def add(left: int, right: int) -> int:
    return left + right

async def main() -> None:
    for _ in range(2):
        try:
            add.generate([1, 2])
        except jm.JournalUnavailable:
            print("away")

asyncio.run(main())
"""


def test_generate_in_a_loop_names_its_awaitable(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SUBMIT, URL_OF_NO_BROKER]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout == "away\naway\n"
    assert ended.stderr.count("RuntimeWarning") == 1
    assert "use task.generate_async or AsyncBroker.submit there" in ended.stderr
    local = [sys.executable, "-W", "error::RuntimeWarning", "-c", _SUBMIT, f"sqlite:///{tmp_path}/quiet.db"]
    assert subprocess.run(local, capture_output=True, text=True, timeout=60, check=True).stderr == ""


@pytest.mark.parametrize("reader", [jm.AsyncResultStore, jm.AsyncStatusTracker, jm.AsyncBroker])
def test_async_broker_refuses_a_value_that_is_no_journal(reader: type) -> None:
    with pytest.raises(TypeError, match=rf"{reader.__name__}\(\) takes an AsyncJournal or a Journal, got .* str; pass"):
        reader("sqlite:///shop.db")
