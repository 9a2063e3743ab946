"""`Consumer`: messages claimed for a pool of the caller's own, under the rules of every worker."""

import asyncio
import gc
import signal
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.tasks.state import names
from journeyman.tasks.state.routing import routing_key
from journeyman.workers import AsyncConsumer, Consumer
from support.waiting import wait_until

SHORT = jm.Settings(lease_ms=500)


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[jm.Journal]:
    with jm.Journal("memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'j.db'}") as opened:
        yield opened


def submit(journal: jm.Journal, *args: Any, **fields: Any) -> str:
    message = jm.Message(task_name=fields.pop("task_name", "send"), args=list(args), **fields)
    jm.Broker(journal).submit(message)
    return message.uuid


def end(journal: jm.Journal, message: jm.Message) -> jm.Disposition:
    return jm.Broker(journal).ack(message).disposition


def events(journal: jm.Journal, name: str) -> list[dict[str, Any]]:
    return [event.context for event in journal.read().events if event.name == name]


def status(journal: jm.Journal, task: str) -> jm.TaskStatus:
    return jm.StatusTracker(journal).get(task).status


@contextmanager
def reading(stream: Iterator[jm.Message], handle: Callable[[jm.Message], object]) -> Iterator[None]:
    """Iterate in a thread until the stream ends."""

    def read() -> None:
        for message in stream:
            handle(message)

    thread = threading.Thread(target=read)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive()


def test_consumer_yields_by_priority_and_then_order_of_the_log(journal: jm.Journal) -> None:
    for number, priority in enumerate((2, 0, 1, 0)):
        submit(journal, number, priority=priority)
    with Consumer(jm.Broker(journal)) as consumer:
        stream = consumer.stream()
        assert [next(stream).args[0] for _ in range(4)] == [1, 3, 2, 0]


def test_consumer_claims_only_what_is_asked_for(journal: jm.Journal) -> None:
    first, second = submit(journal, 1), submit(journal, 2)
    with Consumer(jm.Broker(journal)) as consumer:
        message = next(consumer.stream())
        assert message.uuid == first
        assert message.claim is not None
        assert status(journal, first) == jm.TaskStatus.RUNNING
        end(journal, message)
        assert status(journal, first) == jm.TaskStatus.SUCCEEDED
        assert status(journal, second) == jm.TaskStatus.SUBMITTED


def test_two_consumers_share_a_queue_without_double_claims(journal: jm.Journal) -> None:
    sent = [submit(journal, number) for number in range(30)]
    got: list[str] = []
    one, other = (Consumer(jm.Broker(journal)) for _ in range(2))

    def handle(message: jm.Message) -> None:
        end(journal, message)
        got.append(message.uuid)

    with reading(one.stream(), handle), reading(other.stream(), handle):
        wait_until(lambda: len(got) >= len(sent), "all messages to be handled")
        one.close()
        other.close()
    assert sorted(got) == sorted(sent)
    assert {status(journal, task) for task in sent} == {jm.TaskStatus.SUCCEEDED}
    assert len({joined["worker"] for joined in events(journal, names.JOINED)}) == 2


def test_consumer_takes_its_queues_in_their_order(journal: jm.Journal) -> None:
    for queue in ("bulk", "mail", "urgent"):
        submit(journal, queue, queue=queue)
    submit(journal, "probe", queue="mail", task_name="probe")
    with Consumer(jm.Broker(journal), ["urgent", "mail"]) as consumer:
        assert [message.args[0] for message in islice(consumer.stream(), 3)] == ["urgent", "mail", "probe"]
    with Consumer(jm.Broker(journal), {"mail": ["probe"], "bulk": None}) as narrowed:
        stream = narrowed.stream()
        assert [next(stream).args[0] for _ in range(2)] == ["probe", "bulk"]


def test_consumer_takes_nothing_from_a_paused_queue(journal: jm.Journal) -> None:
    broker = jm.Broker(journal)
    submit(journal, "paused", queue="mail")
    submit(journal, "open", queue="other", priority=9)
    broker.pause("mail")
    with Consumer(broker) as consumer:
        stream = consumer.stream()
        assert next(stream).args == ("open",)
        broker.resume("mail")
        assert next(stream).args == ("paused",)


def test_leaving_the_iteration_gives_claims_back_unharmed(journal: jm.Journal) -> None:
    task = submit(journal)
    for message in Consumer(jm.Broker(journal)).stream():
        assert message.uuid == task
        break
    gc.collect()
    wait_until(lambda: events(journal, names.LEFT), "the session to end")
    with Consumer(jm.Broker(journal)) as other:
        again = next(other.stream())
        assert (again.uuid, again.retries) == (task, 0)
        assert again.claim != message.claim


def held_and_ended(consumer: Consumer, journal: jm.Journal, message: jm.Message) -> bool:
    held = consumer.holds(message)
    end(journal, message)
    return held


def test_with_block_holds_claims_until_its_end(journal: jm.Journal) -> None:
    task = submit(journal)
    with Consumer(jm.Broker(journal)) as consumer, ThreadPoolExecutor(1) as pool:
        for message in consumer.stream():
            handled = pool.submit(held_and_ended, consumer, journal, message)
            break
        assert handled.result()
        wait_until(lambda: not consumer.holds(message), "the consumer to see the end")
    assert status(journal, task) == jm.TaskStatus.SUCCEEDED
    assert not events(journal, names.INTERRUPTED)


def test_holder_can_store_a_result_before_the_end(journal: jm.Journal) -> None:
    task, results = submit(journal), jm.ResultStore(journal)
    with Consumer(jm.Broker(journal)) as consumer:
        message = next(consumer.stream())
        results.set(message, 42)
        assert end(journal, message) is jm.Disposition.ACKNOWLEDGED
    assert results.get(task, timeout=60_000) == 42


def test_former_holder_cannot_end_a_message_of_another(journal: jm.Journal) -> None:
    task = submit(journal)
    with Consumer(jm.Broker(journal)) as consumer:
        former = next(consumer.stream())
    with Consumer(jm.Broker(journal)) as consumer:
        holder = next(consumer.stream())
        assert end(journal, former) is jm.Disposition.NOT_HELD
        assert status(journal, task) == jm.TaskStatus.RUNNING
        assert end(journal, holder) is jm.Disposition.ACKNOWLEDGED
        assert status(journal, task) == jm.TaskStatus.SUCCEEDED


def test_failed_and_retried_messages_are_held_no_longer(journal: jm.Journal) -> None:
    broker = jm.Broker(journal)
    again = jm.LinearBackoff(1, floor=None).settings
    for number in range(2):
        submit(journal, number, backoff_settings=again)
    with Consumer(broker) as consumer:
        stream = consumer.stream()
        first, second = next(stream), next(stream)
        assert broker.fail(first).disposition is jm.Disposition.DEAD_LETTERED
        assert broker.retry(second).disposition is jm.Disposition.RESCHEDULED
        assert broker.in_dlq(first)
        retried = next(stream)
        assert (retried.uuid, retried.retries) == (second.uuid, 1)
        assert retried.claim != second.claim
        assert broker.ack(second).disposition is jm.Disposition.NOT_HELD
        assert broker.ack(retried).disposition is jm.Disposition.ACKNOWLEDGED


def test_revoked_message_is_held_no_longer(journal: jm.Journal) -> None:
    submit(journal)
    with Consumer(jm.Broker(journal)) as consumer:
        message = next(consumer.stream())
        assert consumer.holds(message)
        assert jm.Broker(journal).revoke(message)
        wait_until(lambda: not consumer.holds(message), "the consumer to see the revocation")


def test_unreadable_message_fails_and_the_next_one_comes(journal: jm.Journal) -> None:
    broken = str(uuid.uuid4())
    journal.append(names.SUBMITTED, {"task": broken, "task_name": "send", "kwargs": [1]}, key=routing_key(broken))
    task = submit(journal)
    with Consumer(jm.Broker(journal)) as consumer:
        assert next(consumer.stream()).uuid == task
    (failed,) = events(journal, names.FAILED)
    assert failed["task"] == broken
    assert "ValidationError" in failed["exception"]["name"]


def test_stop_ends_iterations_and_keeps_claims(journal: jm.Journal) -> None:
    submit(journal)
    got: list[jm.Message] = []
    with Consumer(jm.Broker(journal)) as consumer:
        with reading(consumer.stream(), got.append):
            wait_until(lambda: got, "a message")
            consumer.stop()
        assert list(consumer.stream()) == []
        assert consumer.holds(got[0])
    assert not consumer.holds(got[0])


def test_lease_is_renewed_while_a_message_is_held(journal: jm.Journal) -> None:
    task = submit(journal)
    with Consumer(jm.Broker(journal), settings=SHORT) as consumer:
        message = next(consumer.stream())
        wait_until(lambda: len(events(journal, names.BEAT)) >= 3, "three renewals")
        assert consumer.holds(message)
        assert status(journal, task) == jm.TaskStatus.RUNNING


HOLDER = """
    import sys
    import journeyman as jm

    consumer = jm.Consumer(jm.Broker(sys.argv[1]), settings=jm.Settings(lease_ms=500))
    stream = consumer.stream()
    print(next(stream).uuid, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(url: str) -> "Iterator[subprocess.Popen[str]]":
    """Run a process that holds the first message, until its stdin is closed."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_killed_consumers_message_goes_to_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'j.db'}"
    with jm.Journal(url) as journal:
        task = submit(journal)
        with holder(url) as process, Consumer(jm.Broker(journal), settings=SHORT) as consumer:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == task
            process.send_signal(signal.SIGKILL)
            taken_over = next(consumer.stream())
            assert (taken_over.uuid, taken_over.retries) == (task, 1)


def test_program_that_ends_gives_its_claims_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'j.db'}"
    with jm.Journal(url) as journal:
        task = submit(journal)
        with holder(url) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline().strip() == task
            process.stdin.close()
            assert process.wait(60) == 0
        assert len(events(journal, names.LEFT)) == 1
        with Consumer(jm.Broker(journal)) as consumer:
            assert next(consumer.stream()).retries == 0


def test_consumers_without_names_may_claim_any_task(journal: jm.Journal) -> None:
    with Consumer(jm.Broker(journal)) as consumer:
        submit(journal)
        next(consumer.stream())
        (joined,) = events(journal, names.JOINED)
        assert "tasks" not in joined
        assert joined["queues"] is None


@pytest.mark.anyio
async def test_async_consumer_yields_and_cancelled_waits_lose_nothing(journal: jm.Journal) -> None:
    broker = jm.AsyncBroker(journal)
    async with AsyncConsumer(broker) as consumer:
        stream = consumer.stream()
        for number in range(5):
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await broker.submit(jm.Message(task_name="send", args=[number]), new=True)
            message = await anext(stream)
            assert message.args == (number,)
            assert (await broker.ack(message)).disposition is jm.Disposition.ACKNOWLEDGED
        consumer.stop()
        assert [message async for message in stream] == []


@pytest.mark.parametrize("fires", [True, False])
def test_consumer_fires_due_schedules_unless_told_otherwise(journal: jm.Journal, fires: bool) -> None:
    past = jm.DateTrigger(datetime(2026, 1, 1, tzinfo=UTC))
    message = jm.TriggerTask(lambda: None, past, jm.Broker(journal), "greet").generate()
    with Consumer(jm.Broker(journal), settings=jm.Settings(lease_ms=500, fires_schedules=fires)) as consumer:
        if fires:
            assert next(consumer.stream()).uuid == message.uuid
            return
        other = submit(journal, "ada")
        assert next(consumer.stream()).uuid == other, "the session works"
    assert not events(journal, names.SCHEDULE_FIRED)


def test_bad_arguments_are_refused_with_a_sentence(journal: jm.Journal) -> None:
    broker = jm.Broker(journal)
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: Consumer(journal), "takes a Broker"),  # type: ignore[arg-type]
        (lambda: Consumer(broker, backoff=5), "backoff is a Backoff"),  # type: ignore[arg-type]
        (lambda: Consumer(broker, "mail"), "queues must be different names"),
        (lambda: Consumer(broker, ["mail"], settings=jm.Settings(queues=["mail"])), "give one of them"),
        (lambda: AsyncConsumer(journal), "takes an AsyncBroker or a Broker"),  # type: ignore[arg-type]
    ]
    for make, said in refused:
        with pytest.raises(jm.ValidationError, match=said):
            make()
    assert Consumer(broker).backoff == jm.LinearBackoff(1_000, floor=1_000, ceiling=30_000, zero_override=False)


@pytest.mark.kafka
def test_consumers_share_a_queue_on_kafka(kafka_bootstrap: str) -> None:
    url = f"kafka://{kafka_bootstrap}/consumer-{uuid.uuid4().hex}?partitions=3&replication=1"
    with jm.Journal(url) as journal:
        sent = [submit(journal, number) for number in range(12)]
        got: list[str] = []
        with Consumer(jm.Broker(journal)) as one, Consumer(jm.Broker(journal)) as other:

            def handle(message: jm.Message) -> None:
                end(journal, message)
                got.append(message.uuid)

            with reading(one.stream(), handle), reading(other.stream(), handle):
                wait_until(lambda: len(got) >= len(sent), "all messages to be handled", timeout=60)
                one.stop()
                other.stop()
        assert sorted(got) == sorted(sent)
