"""Each trap that Kafka and its client set for a journal, sprung on a real broker."""

import asyncio
import gc
import itertools
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiokafka
import aiokafka.admin
import aiokafka.errors
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from journeyman.journal import (
    AsyncJournal,
    BadJournalURL,
    Cursor,
    Draft,
    Event,
    EventTooLarge,
    HistoryTruncated,
    Journal,
    JournalClosed,
    JournalError,
    JournalUnavailable,
    Log,
    Page,
    Tail,
    UnsafeTopic,
    draft,
    log_from_url,
)
from journeyman.journal.event_decoding import decode, decode_all
from journeyman.journal.kafka import append_history as kafka_memory
from journeyman.journal.kafka import client
from journeyman.journal.kafka import client as kafka_client
from journeyman.journal.kafka import log as kafka
from journeyman.journal.kafka import producer as kafka_producer
from journeyman.journal.kafka import topic as kafka_topic
from journeyman.journal.kafka.limits import TOPIC_MESSAGE_BYTES_MIN
from journeyman.journal.kafka.log import KafkaLog
from journeyman.journal.kafka.repeats import RepeatFilter
from journeyman.journal.kafka.topic import wanted_settings

pytestmark = pytest.mark.kafka

PATIENCE_SECONDS = 60.0
T = TypeVar("T")


def new_topic() -> str:
    return f"test-{uuid.uuid4()}"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[KafkaLog]:
    log: Log = log_from_url(url)
    assert isinstance(log, KafkaLog)
    await log.open()
    try:
        yield log
    finally:
        await log.aclose()


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[Any]:
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topic(
    bootstrap: str, topic: str, settings: Mapping[str, str] | None = None, partitions: int = 1
) -> None:
    """A topic with these settings, the others being Kafka's own defaults."""
    async with _admin(bootstrap) as admin:
        order = aiokafka.admin.NewTopic(topic, partitions, 1, topic_configs=dict(settings or {}))
        answer = await admin.create_topics([order])
        assert answer.topic_errors[0][1] == 0, answer


async def set_topic(bootstrap: str, topic: str, changes: Mapping[str, str]) -> None:
    """A journal's settings with these changes; the order replaces all settings of the topic."""
    settings = {each.name: each.value for each in wanted_settings(1)} | dict(changes)
    async with _admin(bootstrap) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=settings)])


async def limited(bootstrap: str, topic: str, message_bytes: int | None) -> None:
    """Change how large a batch the topic takes (None: as it was), and see that its broker does so."""
    await set_topic(bootstrap, topic, {"max.message.bytes": str(message_bytes)} if message_bytes else {})
    probe = b'{"timestamp": 1.0, "name": "probe.sent", "context": {"filling": "%b"}}' % (b"x" * 150_000)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await is_locked(bootstrap, topic, probe) is (message_bytes is not None):
            pass  # each turn waits for the broker's answer


async def is_locked(bootstrap: str, topic: str, value: bytes) -> bool:
    try:
        await produce(bootstrap, topic, [value])
    except aiokafka.errors.MessageSizeTooLargeError:
        return False
    return True


async def settings_of(bootstrap: str, topic: str) -> dict[str, str]:
    async with _admin(bootstrap) as admin:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def in_transaction(bootstrap: str, topic: str, values: Sequence[bytes]) -> None:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=str(uuid.uuid4()))
    await producer.start()
    try:
        async with producer.transaction():
            for value in values:
                await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def produce(bootstrap: str, topic: str, values: Sequence[bytes | None], partition: int = 0) -> None:
    """Records as any other program writes them."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=5_000_000)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, key=b"any", partition=partition)
    finally:
        await producer.stop()


async def stored(bootstrap: str, topic: str, partition: int = 0) -> list[bytes]:
    """Every record of a partition as it stands in the topic, repeats included."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="none"
    )
    await consumer.start()
    try:
        name = aiokafka.TopicPartition(topic, partition)
        end = (await consumer.end_offsets([name]))[name]
        consumer.assign([name])
        consumer.seek(name, 0)
        rows: list[bytes] = []
        async with asyncio.timeout(60):
            while len(rows) < end:
                got = await consumer.getmany(name, timeout_ms=1_000)
                rows += [record.value for record in got.get(name, ())]
        return rows
    finally:
        await consumer.stop()


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a test and see that it left no task and no client behind: warnings are errors here."""

    async def alone() -> T:
        outcome = await test
        for _ in range(10):
            await asyncio.sleep(0)  # connections just closed take a turn of the loop to be gone
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"still running: {left}"
        return outcome

    try:
        return asyncio.run(alone())
    finally:
        gc.collect()


def drafts(name: str, count: int, size: int = 0) -> list[Draft]:
    return [draft(name, {"number": number, "filling": "x" * size}) for number in range(count)]


async def everything(log: Log, partition: int = 0) -> list[Event]:
    """The events that a new reader gets of a partition, from its start to its present end."""
    end = (await log.bounds()).end[partition]
    tail = await log.tail({partition: (await log.bounds()).first[partition]})
    try:
        return await up_to(tail, partition, end)
    finally:
        await tail.aclose()


async def up_to(tail: Tail, partition: int, end: int) -> list[Event]:
    events: list[Event] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while tail.cursor[partition] < end:
            page = await tail.page(timeout=1.0, partition=partition)
            if page is not None:
                events += decode_all(page.rows, page.partition, page.offsets)
    return events


async def reaches(log: Log, offset: int) -> Cursor:
    """Wait until the log ends there: a transaction's marker has an offset, and is written after its commit."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (end := (await log.bounds()).end)[0] < offset:
            pass  # each turn waits for the broker's answer
    return end


# -- the topic -----------------------------------------------------------------------------------------------------


def test_missing_topic_is_created_to_keep_history(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}?partitions=3") as log:
            assert log.partitions == 3
        found = await settings_of(kafka_bootstrap, topic)
        assert found["message.timestamp.type"] == "LogAppendTime"
        assert (found["retention.ms"], found["retention.bytes"], found["cleanup.policy"]) == ("-1", "-1", "delete")
        assert int(found["max.message.bytes"]) >= TOPIC_MESSAGE_BYTES_MIN
        assert (found["min.insync.replicas"], found["unclean.leader.election.enable"]) == ("1", "false")

    run(test())


def test_three_replicas_need_two_for_a_write() -> None:
    assert {each.name: each.value for each in wanted_settings(3)}["min.insync.replicas"] == "2"
    of_one = next(each for each in wanted_settings(1) if each.name == "min.insync.replicas")
    assert of_one.accepts("1")
    assert not of_one.accepts("2"), "more copies than there are could never have a write"


def test_unsafe_topic_is_refused_with_the_fixing_command(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        await make_topic(kafka_bootstrap, topic, {"cleanup.policy": "compact"})
        with pytest.raises(UnsafeTopic) as refusal:
            async with opened(f"kafka://{kafka_bootstrap}/{topic}"):
                pass
        text = str(refusal.value)
        assert "retention.ms is 604800000 and must be -1" in text
        assert "cleanup.policy is compact and must be delete" in text
        assert "max.message.bytes is 1048588 and must be at least 4718592" in text
        command = text.partition("kafka-configs ")[2]
        assert command.startswith(f"--bootstrap-server {kafka_bootstrap} --alter --entity-type topics ")
        assert f"--entity-name {topic} --add-config " in command
        await set_topic(kafka_bootstrap, topic, dict(each.split("=") for each in command.split()[-1].split(",")))
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            await log.append(drafts("thing.made", 1))

    run(test())


def test_partitions_that_contradict_the_topic_are_refused(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}?partitions=2"):
            pass
        with pytest.raises(BadJournalURL, match=r"has 2 partition\(s\), the URL says 3"):
            async with opened(f"kafka://{kafka_bootstrap}/{topic}?partitions=3"):
                pass
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            assert log.partitions == 2

    run(test())


def test_more_replicas_than_brokers_are_refused(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        with pytest.raises(JournalUnavailable, match="replication="):
            async with opened(f"kafka://{kafka_bootstrap}/{topic}?replication=3"):
                pass
        async with opened(f"kafka://{kafka_bootstrap}/{topic}"):
            pass
        with pytest.raises(UnsafeTopic, match="has 1 replicas, the URL asks for replication=3"):
            async with opened(f"kafka://{kafka_bootstrap}/{topic}?replication=3"):
                pass

    run(test())


def test_concurrent_creators_make_one_topic(kafka_bootstrap: str) -> None:
    async def test() -> None:
        logs = [log_from_url(f"kafka://{kafka_bootstrap}/{new_topic()}")]
        logs += [log_from_url(logs[0].url) for _ in range(4)]
        await asyncio.gather(*[log.open() for log in logs])
        for number, log in enumerate(logs):
            (event,) = await log.append(drafts("thing.made", 1))
            assert event.offset == number
        await asyncio.gather(*[log.aclose() for log in logs])

    run(test())


def test_concurrent_opens_open_once(kafka_bootstrap: str) -> None:
    async def test() -> None:
        journal = AsyncJournal(f"kafka://{kafka_bootstrap}/{new_topic()}")
        await asyncio.gather(*[journal.append("thing.made") for _ in range(5)])
        await journal.aclose()

    run(test())


def test_single_replica_is_warned_of_once(kafka_bootstrap: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        url = f"kafka://{kafka_bootstrap}/{new_topic()}"
        for _ in range(2):
            async with opened(url):
                pass

    run(test())
    said = [record.getMessage() for record in caplog.records if record.name == "journeyman"]
    assert len(said) == 1
    assert "survives a crash of the broker, but not the loss of its disk" in said[0]


def test_pure_python_records_are_warned_of_once(
    kafka_bootstrap: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "has_c_extension", lambda: False)
    monkeypatch.setattr(client, "_warned_of_slow_records", [])

    async def test() -> None:
        for _ in range(2):
            async with opened(f"kafka://{kafka_bootstrap}/{new_topic()}"):
                pass

    run(test())
    assert sum("C extension" in record.getMessage() for record in caplog.records) == 1


# -- who cannot be reached -----------------------------------------------------------------------------------------


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def refusal_of(url: str) -> str:
    async def test() -> str:
        with pytest.raises(JournalUnavailable) as refusal:
            async with opened(url):
                pass
        return str(refusal.value)

    return run(test())


def test_refused_connection_is_named(
    closed_port: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka_topic, "KAFKA_OPEN_SECONDS_MAX", 1.0)
    text = refusal_of(f"kafka://ada:secret@127.0.0.1:{closed_port}/orders?sasl=PLAIN")
    assert f"127.0.0.1:{closed_port}" in text
    assert "Start it, or correct the address" in text
    assert "secret" not in text
    assert "\n" not in text
    assert capfd.readouterr().err == "", "the client's own complaints stay quiet"


def test_silent_server_is_named(deaf_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_topic, "KAFKA_OPEN_SECONDS_MAX", 1.0)
    assert "accepts connections and does not answer" in refusal_of(f"kafka://127.0.0.1:{deaf_port}/orders")


def test_one_answering_server_of_several_is_enough(kafka_bootstrap: str, closed_port: int) -> None:
    async def test() -> None:
        async with opened(f"kafka://127.0.0.1:{closed_port},{kafka_bootstrap}/{new_topic()}") as log:
            await log.append(drafts("thing.made", 1))

    run(test())


def test_broker_without_tls_is_distinguished_from_a_dead_one(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_topic, "KAFKA_OPEN_SECONDS_MAX", 2.0)
    text = refusal_of(f"kafka://{kafka_bootstrap}/orders?tls=true")
    assert kafka_bootstrap in text


def test_passwordless_broker_is_distinguished_from_a_dead_one(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNEYMAN_KAFKA_PASSWORD", "s3cret")
    text = refusal_of(f"kafka://ada@{kafka_bootstrap}/orders?sasl=SCRAM-SHA-512")
    assert "authentication failed" in text
    assert "s3cret" not in text


# -- appending -----------------------------------------------------------------------------------------------------


def test_rejected_batch_fails_alone(kafka_bootstrap: str) -> None:
    """A batch refused for good uses up sequence numbers: the producer that sent it could not send any more."""

    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}?partitions=2") as log:
            await log.append([Draft("early.thing", partition=partition) for partition in (0, 1)])
            await limited(kafka_bootstrap, topic, 100_000)
            large = [Draft("large.thing", drafts("x", 1, 200_000)[0].context, partition=0)]
            with pytest.raises(EventTooLarge, match=r"max\.message\.bytes"):
                await log.append(large)
            for _ in range(3):
                await log.append([Draft("late.thing", partition=partition) for partition in (0, 1)])
            await limited(kafka_bootstrap, topic, None)
            await log.append(large)  # refused, it is new when handed in again
            assert await names_in(log, 0) == ["early.thing", *["late.thing"] * 3, "large.thing"]
            assert await names_in(log, 1) == ["early.thing", *["late.thing"] * 3]

    run(test())


def test_appends_too_large_together_land_one_by_one(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            await log.append(drafts("early.thing", 1))
            await limited(kafka_bootstrap, topic, 100_000)
            # The first goes alone, the others wait for it and travel together.
            sizes = (100, 70_000, 200_000, 70_000)
            outcomes = await asyncio.gather(
                *[log.append(drafts(f"thing.n{number}", 1, size)) for number, size in enumerate(sizes)],
                return_exceptions=True,
            )
            assert [isinstance(outcome, EventTooLarge) for outcome in outcomes] == [False, False, True, False]
            assert await names_in(log, 0) == ["early.thing", "thing.n0", "thing.n1", "thing.n3"]

    run(test())


async def names_in(log: Log, partition: int) -> list[str]:
    return [event.name for event in await everything(log, partition) if event.name != "probe.sent"]


class Faults:
    """What happens to the batches a producer is given; the producer and the broker are real."""

    def __init__(self, *faults: Callable[[Any], Awaitable[Any]]) -> None:
        self.faults = iter(faults)
        self.sent: list[bytes] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make = kafka_client.make_producer

        def faulty(*arguments: Any) -> Any:
            producer: Any = make(*arguments)
            send = producer.send_batch

            async def send_batch(batch: Any, topic: str, *, partition: int) -> Any:
                fault = next(self.faults, None)
                if fault is None:
                    return await send(batch, topic, partition=partition)
                return await fault(lambda: send(batch, topic, partition=partition))

            producer.send_batch = send_batch
            return producer

        monkeypatch.setattr(kafka_producer, "make_producer", faulty)


async def never_sent(send: Callable[[], Awaitable[Any]]) -> Any:
    raise aiokafka.errors.OutOfOrderSequenceNumber


async def acknowledgement_lost(send: Callable[[], Awaitable[Any]]) -> Any:
    await (await send())
    raise aiokafka.errors.OutOfOrderSequenceNumber


async def offset_forgotten(send: Callable[[], Awaitable[Any]]) -> Any:
    sent = await (await send())
    future = asyncio.get_running_loop().create_future()
    future.set_result(sent._replace(offset=-1))
    return future


async def unharmed(send: Callable[[], Awaitable[Any]]) -> Any:
    return await send()


@pytest.mark.parametrize("fault", [never_sent, acknowledgement_lost, offset_forgotten])
def test_batch_in_doubt_is_searched_and_lands_once(
    fault: Callable[[Any], Awaitable[Any]], kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Faults(unharmed, fault, fault, unharmed, fault).install(monkeypatch)

    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            appended = [await log.append(drafts(f"thing.n{number}", 3)) for number in range(4)]
            assert [event.offset for event in itertools.chain(*appended)] == list(range(12))
            rows = await stored(kafka_bootstrap, topic)
            assert len(rows) == 12
            assert [event.seq for event in await everything(log)] == list(range(1, 13))

    run(test())


def test_late_batch_counts_at_its_first_position(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given up, looked for in vain, sent again: and meanwhile the first attempt arrived after all."""
    topic = new_topic()
    kept: list[list[bytes]] = []

    async def test() -> None:
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            await log.append(drafts("early.thing", 1))

            async def lose(*_: object, **__: object) -> Any:
                kept.append(list(log._opened.appends._appenders[0]._in_flight[0].rows))
                raise aiokafka.errors.OutOfOrderSequenceNumber

            async def overtaken(send: Callable[[], Awaitable[Any]]) -> Any:
                await produce(kafka_bootstrap, topic, kept[0])
                return await send()

            # The next batch is lost by the producer of now, which is then replaced by one that is overtaken.
            Faults(overtaken).install(monkeypatch)
            lease = await log._producers.take()
            log._producers.give_back(lease)
            monkeypatch.setattr(lease.producer, "send_batch", lose)
            events = await log.append(drafts("thing.made", 2))
            assert [event.offset for event in events] == [1, 2]
            late = await log.append(drafts("late.thing", 1))
            assert late[0].offset == 5
            assert len(await stored(kafka_bootstrap, topic)) == 6
            seen = await everything(log)
            assert [event.offset for event in seen] == [0, 1, 2, 5]

    run(test())


@pytest.mark.parametrize("limit", ["APPENDS_REMEMBERED", "PLACES_REMEMBERED"])
def test_repeat_is_found_beyond_the_remembered_history(
    limit: str, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_memory, limit, 1)

    async def test() -> None:
        async with opened(f"kafka://{kafka_bootstrap}/{new_topic()}?partitions=3") as log:
            handed_in = [Draft("thing.made", partition=number % 3) for number in range(6)]
            events = await log.append(handed_in)
            for _ in range(3):
                await log.append(drafts("noise.made", 2))
            again = await log.append(handed_in)
            assert [event.position for event in again] == [event.position for event in events]
            assert [event.timestamp for event in again] == [event.timestamp for event in events]

    run(test())


def test_drafts_of_a_closed_log_are_found_by_the_next(kafka_bootstrap: str) -> None:
    async def test() -> None:
        url = f"kafka://{kafka_bootstrap}/{new_topic()}"
        handed_in = drafts("thing.made", 3)
        async with opened(url) as log:
            events = await log.append(handed_in[:2])
        async with opened(url) as log:
            again = await log.append(handed_in)
            assert [event.position for event in again[:2]] == [event.position for event in events]
            assert again[2].offset == 2
            assert len(await everything(log)) == 3

    run(test())


# -- reading -------------------------------------------------------------------------------------------------------


def test_repeats_in_the_topic_are_delivered_once(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            await log.append(drafts("thing.made", 4))
            live = await log.tail({0: 4})
            rows = await stored(kafka_bootstrap, topic)
            await produce(kafka_bootstrap, topic, [rows[1], rows[3]])
            await log.append(drafts("late.thing", 1))
            await produce(kafka_bootstrap, topic, [rows[2]])
            assert [event.offset for event in await everything(log)] == [0, 1, 2, 3, 6]
            assert [event.offset for event in await up_to(live, 0, 8)] == [6]
            for start, expected in ((0, [0, 1, 2, 3, 6]), (2, [2, 3, 6]), (4, [6]), (5, [6]), (7, [])):
                tail = await log.tail({0: start})
                assert [event.offset for event in await up_to(tail, 0, 8)] == expected, "a reader from the middle on"
                pages = await log.read({0: start})
                assert [offset for page in pages for offset in page.offsets] == expected
            first = (await log.read({0: 0}, 3))[0]
            second = (await log.read({0: first.next_offset}, 3))[0]
            assert [*first.offsets, *second.offsets] == [0, 1, 2, 3, 6], "a reading gone on with"

    run(test())


def test_page_of_repeats_moves_the_cursor_and_ends_the_wait(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            await log.append(drafts("thing.made", 2))
            tail = await log.tail({0: 2})
            await produce(kafka_bootstrap, topic, await stored(kafka_bootstrap, topic))
            end = (await log.bounds()).end
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not tail.cursor.reaches(end):
                    assert await tail.page() is None

    run(test())


def test_skipped_records_count_for_finding_repeats(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}?partitions=2") as log:
            tail = await log.tail({0: 0, 1: 0})
            await log.append([Draft("thing.made", partition=number % 2) for number in range(6)])
            await log.append([Draft("thing.made", partition=0)])
            tail.skip(0, 3)
            await produce(kafka_bootstrap, topic, (await stored(kafka_bootstrap, topic))[:3])
            assert [event.offset for event in await up_to(tail, 0, 7)] == [3]

    run(test())


def test_repeat_filter_forgets_the_longest_silent_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.kafka.repeats.DEDUPE_WRITERS_MAX", 2)

    def row(writer: str, seq: int) -> bytes:
        return b'{"name":"a","writer":"%b","seq":%d}' % (writer.encode(), seq)

    repeats = RepeatFilter()
    assert repeats.repeats([row("one", 1), row("two", 1), row("one", 2), row("one", 2), row("one", 1)]) == [3, 4]
    assert repeats.repeats([row("three", 5)]) == []
    assert repeats.repeats([row("one", 2), row("three", 5)]) == [0, 1], "two is the one forgotten"
    assert repeats.repeats([row("two", 1)]) == []
    repeats.prime([row("two", 9), row("two", 3)])
    assert repeats.repeats([row("two", 9), row("two", 10)]) == [0]


def test_foreign_records_are_passed_over(kafka_bootstrap: str) -> None:
    foreign = [b"not JSON", b'{"seq": "x", "writer": 7}', b'{"name": "a.b"}', b'{"name": "a.b"}', b"[1]", b"\xff"]

    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            await log.append(drafts("thing.made", 1))
            await produce(kafka_bootstrap, topic, [*foreign, None])
            tail = await log.tail({0: 1})
            rows: list[bytes] = []
            async with asyncio.timeout(PATIENCE_SECONDS):
                while tail.cursor[0] < 8:
                    page = await tail.page()
                    rows += page.rows if page is not None else []
            assert rows == [*foreign, b""]
            assert [row for page in await log.read({0: 1}) for row in page.rows] == rows
            with pytest.raises(JournalError, match="0:1 is not an event"):
                decode(rows[0], 0, 1)

    run(test())


def test_foreign_transactions_leave_gaps_and_no_stuck_reader(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            await log.append(drafts("thing.made", 1))
            await in_transaction(kafka_bootstrap, topic, [b'{"name": "a.b"}'])
            await reaches(log, 3)
            assert [offset for page in await log.read({0: 0}) for offset in page.offsets] == [0, 1]
            assert await log.read({0: 2}) == []
            await log.append(drafts("late.thing", 1))
            tail = await log.tail({0: 0})
            offsets: list[int] = []
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(offsets) < 3:
                    page = await tail.page()
                    offsets += page.offsets if page is not None else []
            assert offsets == [0, 1, 3]

    run(test())


def test_history_that_ends_with_a_marker_is_reached(kafka_bootstrap: str) -> None:
    async def test() -> None:
        topic = new_topic()
        async with opened(f"kafka://{kafka_bootstrap}/{topic}") as log:
            await log.append(drafts("thing.made", 1))
            await in_transaction(kafka_bootstrap, topic, [b'{"name": "a.b"}'])
            end = await reaches(log, 3)
            tail = await log.tail({0: 0})
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not tail.cursor.reaches(end):
                    await tail.page()

    run(test())


def test_queries_do_not_wait_behind_a_tail(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one connection a broker answers in order: a question asked there would wait for the end of the long poll."""
    monkeypatch.setattr(kafka, "_FETCH_WAIT_MS", 30_000)

    async def test() -> None:
        async with opened(f"kafka://{kafka_bootstrap}/{new_topic()}") as log:
            await log.append(drafts("thing.made", 3))
            tail = await log.tail({0: 3})
            poll = asyncio.ensure_future(tail.page(timeout=20.0))

            async def questions() -> list[Page]:
                for _ in range(5):
                    await log.bounds()
                    await log.position_at(0.0)
                return await log.read({0: 1})

            asked = asyncio.ensure_future(questions())
            done, _ = await asyncio.wait({poll, asked}, return_when=asyncio.FIRST_COMPLETED)
            assert done == {asked}
            assert len(asked.result()[0].rows) == 2
            poll.cancel()
            await asyncio.wait({poll})

    run(test())


def test_tail_of_one_partition_leaves_the_others_for_later(kafka_bootstrap: str) -> None:
    async def test() -> None:
        async with opened(f"kafka://{kafka_bootstrap}/{new_topic()}?partitions=3") as log:
            for number in range(3):
                await log.append([Draft(f"thing.n{number}", partition=partition) for partition in range(3)])
            tail = await log.tail({0: 0, 1: 0, 2: 0})
            seen: list[tuple[int, int]] = []
            for partition in (2, 0, 2, 1, 0, 0, 2, 1, 1):
                page = await tail.page(1, PATIENCE_SECONDS, partition)
                assert page is not None
                assert (page.partition, len(page.rows)) == (partition, 1)
                seen.append((partition, page.offsets[0]))
            assert seen == [(2, 0), (0, 0), (2, 1), (1, 0), (0, 1), (0, 2), (2, 2), (1, 1), (1, 2)]
            with pytest.raises(JournalError, match="follows partitions"):
                await tail.page(partition=3)
            with pytest.raises(ValueError, match="partitions 0 to 2"):
                await log.tail({3: 0})

    run(test())


def test_removed_history_of_a_partition_hides_no_other(kafka_bootstrap: str) -> None:
    async def test() -> None:
        async with opened(f"kafka://{kafka_bootstrap}/{new_topic()}?partitions=2") as log:
            await log.append([Draft("thing.made", partition=number % 2) for number in range(8)])
            await log.trim({0: 2, 1: 0})
            assert (await log.bounds()).first == Cursor({0: 2, 1: 0})
            tail = await log.tail({0: 1, 1: 0})
            assert len(await up_to(tail, 1, 4)) == 4
            with pytest.raises(HistoryTruncated) as refusal:
                await tail.page(timeout=PATIENCE_SECONDS)
            assert (refusal.value.partition, refusal.value.asked_offset, refusal.value.first_offset) == (0, 1, 2)
            await log.trim({0: 100})
            assert (await log.bounds()).first[0] == 4, "never beyond the end"

    run(test())


# -- the synchronous side, and the end -----------------------------------------------------------------------------


def test_synchronous_journal_works_on_kafka(kafka_bootstrap: str) -> None:
    with Journal(f"kafka://{kafka_bootstrap}/{new_topic()}") as journal:
        event = journal.append("order.paid", {"order": 7}, key="7")
        journal.append_all([("order.sent", {"order": 7}, "7"), ("order.closed", {})])
        assert [each.name for each in journal.read().events] == ["order.paid", "order.sent", "order.closed"]
        events = journal.tail()
        assert next(events).position == event.position
        events.close()  # type: ignore[attr-defined]
    gc.collect()


def test_closed_log_refuses_use(kafka_bootstrap: str) -> None:
    async def test() -> None:
        async with opened(f"kafka://{kafka_bootstrap}/{new_topic()}") as log:
            tail = await log.tail({0: 0})
            other = await log.tail({0: 0})
            await other.aclose()
            await other.aclose()
            with pytest.raises(JournalClosed):
                await other.page(timeout=0.0)
        with pytest.raises(JournalClosed):
            await tail.page()
        with pytest.raises(JournalClosed):
            await log.append(drafts("thing.made", 1))

    run(test())


def test_unopened_log_refuses_use() -> None:
    async def test() -> None:
        log = log_from_url("kafka://127.0.0.1:1/orders")
        with pytest.raises(JournalError, match="not open yet"):
            await log.append(drafts("thing.made", 1))
        await log.aclose()

    run(test())
