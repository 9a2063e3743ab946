"""A reader of removed history gets an error, or, if it named no place to begin at, a notice."""

import contextlib
import itertools
import logging
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import apsw
import pytest
from journeyman.consumers import AsyncJournalConsumer, JournalConsumer, Replica, View, as_of
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.journal import AsyncJournal, Draft, HistoryTruncated, Journal, Page, UnreadableRecord
from journeyman.journal.memory.log import MemoryLog, MemoryStore, _Partition
from journeyman.journal.sqlite.log import SqliteLog

PATIENCE = 30.0
DAY = 86_400.0
FIRST = 1_700_000_000.0
EVENTS, TRIMMED = 10, 6
FIRST_LEFT = FIRST + TRIMMED * DAY


def day(n: float) -> float:
    """The time of event `n`."""
    return FIRST + n * DAY


class Seen(View):
    """A view with snapshots: how many events it was shown."""

    snapshot_name: ClassVar[str | None] = "seen"

    def __init__(self) -> None:
        self.rows = 0

    def apply_page(self, page: Page) -> None:
        self.rows += len(page.rows)

    def snapshot(self) -> bytes:
        return b"%d" % self.rows

    def restore(self, state: bytes) -> None:
        self.rows = int(state)


def numbers(consumer: JournalConsumer) -> list[Any]:
    consumer.stop()
    found = [event.context["n"] for event in consumer]
    consumer.close()
    return found


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    """An event a day for ten days, of which the first six were removed."""
    days = itertools.count()

    def clock() -> float:
        return day(next(days))

    log = MemoryLog(clock=clock) if request.param == "memory" else SqliteLog(f"{tmp_path}/journal.db", clock=clock)
    with Journal(log) as journal:
        for n in range(EVENTS):
            journal.append("order.paid", {"n": n})
        yield journal


def trim(journal: Journal, offset: int = TRIMMED) -> None:
    journal.run(journal.asynchronous.log.trim({0: offset}))


def refused(journal: Journal, **options: Any) -> HistoryTruncated:
    with pytest.raises(HistoryTruncated) as error:
        JournalConsumer(journal, **options).start()
    assert (error.value.partition, error.value.first_offset) == (0, TRIMMED)
    assert error.value.first_time == pytest.approx(FIRST_LEFT, abs=1)
    assert error.value.first_time is not None
    assert datetime.fromtimestamp(error.value.first_time, UTC).isoformat() in str(error.value)
    return error.value


def test_start_without_position_gets_the_rest_and_one_warning(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    trim(journal)
    with caplog.at_level(logging.WARNING, "journeyman"):
        consumer = JournalConsumer(journal, "order").start()
        assert numbers(consumer) == [6, 7, 8, 9]
    (record,) = caplog.records
    assert "begins at offset 6" in record.message
    assert consumer.truncated is not None
    assert (consumer.truncated.first_offset, consumer.truncated.asked_offset) == (6, 0)
    assert consumer.truncated.first_time == pytest.approx(FIRST_LEFT, abs=1)


def test_complete_history_gives_no_warning(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "journeyman"):
        whole = JournalConsumer(journal)
        assert whole.truncated is None
        assert numbers(whole.start()) == list(range(EVENTS))
        trim(journal)
        live = JournalConsumer(journal, full=False).start()
        assert numbers(live) == []
        later = JournalConsumer(journal, since=day(7)).start()
        assert numbers(later) == [8, 9]
        assert (whole.truncated, live.truncated, later.truncated) == (None, None, None)
    assert caplog.records == []


def test_time_before_the_first_remaining_event_is_refused(journal: Journal) -> None:
    assert numbers(JournalConsumer(journal, since=day(2)).start()) == [3, 4, 5, 6, 7, 8, 9], "it was there then"
    trim(journal)
    assert "Events later than the requested 2023-11-1" in str(refused(journal, since=day(2)))
    refused(journal, since=1.0)
    refused(journal, since=FIRST_LEFT - 1)
    for since in (FIRST_LEFT + 1, day(7) - 1):
        assert numbers(JournalConsumer(journal, since=since).start()) == [7, 8, 9]


def test_time_is_accepted_if_a_snapshot_covers_removed_events(journal: Journal) -> None:
    async def compact() -> None:
        log = await journal.asynchronous.open()
        view = Seen()
        for page in await log.read({0: 0}, TRIMMED):
            view.apply_page(page)
        await SnapshotKeeper(log, view).take({0: TRIMMED}, created=day(5.5))
        await log.trim({0: TRIMMED})

    journal.run(compact())
    assert numbers(JournalConsumer(journal, since=day(5.7)).start()) == [6, 7, 8, 9]
    refused(journal, since=day(5.3))


@pytest.mark.parametrize("offset", [0, 3, TRIMMED - 1])
def test_start_from_a_removed_position_is_refused(journal: Journal, offset: int) -> None:
    class Kept:
        def load(self) -> Any:
            return {0: offset}

        def save(self, cursor: Any) -> None:
            raise AssertionError

    trim(journal)
    assert refused(journal, cursor={0: offset}).asked_offset == offset
    assert refused(journal, checkpoint=Kept()).asked_offset == offset
    assert numbers(JournalConsumer(journal, cursor={0: TRIMMED}).start()) == [6, 7, 8, 9]


def test_journal_checkpoint_that_fell_behind_is_refused(journal: Journal) -> None:
    with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
        consumer.poll_batch(2, PATIENCE)
        consumer.commit()
    trim(journal)
    assert refused(journal, topic="order", checkpoint="billing").asked_offset == 2


def test_refused_consumer_can_be_started_elsewhere(journal: Journal) -> None:
    trim(journal)
    consumer = JournalConsumer(journal, since=day(1))
    with pytest.raises(HistoryTruncated) as error:
        consumer.start()
    assert error.value.first_time is not None
    consumer.since = error.value.first_time
    assert numbers(consumer.start()) == [7, 8, 9]


async def ask_in_asyncio(journal: AsyncJournal) -> None:
    consumer = await AsyncJournalConsumer(journal).start()
    assert consumer.truncated is not None
    assert consumer.truncated.first_offset == TRIMMED
    await consumer.aclose()
    with pytest.raises(HistoryTruncated):
        await AsyncJournalConsumer(journal, since=day(2)).start()


def test_truncation_is_handled_alike_in_asyncio(journal: Journal) -> None:
    trim(journal)
    journal.run(ask_in_asyncio(journal.asynchronous))


def test_replica_or_as_of_after_a_trim_needs_a_snapshot(journal: Journal) -> None:
    trim(journal)
    with pytest.raises(HistoryTruncated, match="begins at offset 6"):
        journal.run(Replica(journal.asynchronous, Seen()).catch_up())
    for moment in (day(2), day(8), {0: 3}, {0: 8}):
        with pytest.raises(HistoryTruncated, match="begins at offset 6"):
            journal.run(as_of(journal.asynchronous, Seen, moment))


def test_replica_without_snapshots_uses_the_rest_and_warns(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    class Plain(Seen):
        snapshot_name = None

    whole = Replica(journal.asynchronous, Plain())
    journal.run(whole.catch_up())
    assert (whole.view.rows, whole.truncated) == (EVENTS, None)
    trim(journal)
    with caplog.at_level(logging.WARNING, "journeyman"):
        rest = Replica(journal.asynchronous, Plain())
        journal.run(rest.catch_up())
    assert rest.view.rows == EVENTS - TRIMMED
    assert rest.truncated is not None
    assert rest.truncated.first_time == pytest.approx(FIRST_LEFT, abs=1)
    (record,) = caplog.records
    assert "the view Plain" in record.message
    for each in (whole, rest):
        journal.run(each.aclose())
    late = Replica(journal.asynchronous, Plain(), cursor={0: 2})
    with pytest.raises(HistoryTruncated):
        journal.run(late.catch_up())
    journal.run(late.aclose())


def test_latest_beginning_of_several_partitions_is_named() -> None:
    with Journal("memory://?partitions=3") as journal:
        log = journal.asynchronous.log
        for n in range(60):
            journal.append_drafts([Draft("order.paid", b"{}", partition=n % 3)])
        ends = journal.bounds().end
        behind = {partition: offset // (partition + 2) for partition, offset in ends.items()}
        journal.run(log.trim(behind))
        firsts = {
            partition: journal.read({partition: offset}, 1).events[0].timestamp for partition, offset in behind.items()
        }
        last = max(firsts, key=firsts.__getitem__)
        consumer = JournalConsumer(journal).start()
        assert consumer.truncated is not None
        assert (consumer.truncated.partition, consumer.truncated.first_time) == (last, firsts[last])
        consumer.close()
        with pytest.raises(HistoryTruncated) as refusal:
            JournalConsumer(journal, since=1.0).start()
        assert refusal.value.partition == last


@pytest.mark.kafka
def test_truncation_is_handled_alike_on_kafka(kafka_bootstrap: str) -> None:
    with Journal(f"kafka://{kafka_bootstrap}/trimmed-{uuid.uuid4().hex}") as journal:
        for n in range(EVENTS):
            journal.append("order.paid", {"n": n})
        trim(journal)
        first = journal.read({0: TRIMMED}, 1).events[0].timestamp
        consumer = JournalConsumer(journal).start()
        assert consumer.truncated is not None
        assert (consumer.truncated.first_offset, consumer.truncated.first_time) == (TRIMMED, first)
        assert numbers(consumer) == [6, 7, 8, 9]
        for options in ({"since": first - 1}, {"cursor": {0: 2}}):
            with pytest.raises(HistoryTruncated) as refusal:
                JournalConsumer(journal, **options).start()
            assert (refusal.value.first_offset, refusal.value.first_time) == (TRIMMED, first)
        later = JournalConsumer(journal, since=first).start()
        assert numbers(later) == [7, 8, 9]


def test_trimmed_partition_missing_in_a_checkpoint_is_announced() -> None:
    store = MemoryStore(1)
    with Journal(MemoryLog(store)) as journal:
        journal.append("order.paid")
        with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
            consumer.poll(30.0)
            consumer.commit()
            kept = consumer.cursor
    store.partitions.append(_Partition())
    with Journal(MemoryLog(store)) as journal:
        journal.append_drafts([Draft("order.paid", partition=1) for _ in range(3)])
        journal.run(journal.run(journal.asynchronous.open()).trim({1: 2}))
        key = next(name for name in map(str, range(100)) if journal.asynchronous.log.partition_of(name) == 0)
        journal.append("consumer.checkpointed", {"cursor": str(kept)}, key=key)
        with JournalConsumer(journal, "order", checkpoint=key) as consumer:
            consumer.stop()
            assert [event.position for event in consumer] == [(1, 2)]
            assert consumer.truncated is not None
            assert (consumer.truncated.partition, consumer.truncated.first_offset) == (1, 2)


def intrude(journal: Journal) -> None:
    """Put a record that is no event behind the last one, as another program might."""
    log = journal.asynchronous.log
    if isinstance(log, MemoryLog):
        records = log._store.partitions[0].records
        records.append(records[-1]._replace(row=b"not an event"))
    else:
        assert isinstance(log, SqliteLog)
        with contextlib.closing(apsw.Connection(log.path)) as connection:
            connection.execute("INSERT INTO events (event) VALUES (?)", (b"not an event",))


def test_bad_first_remaining_record_stops_no_start(journal: Journal) -> None:
    intrude(journal)
    events = [journal.append("order.paid", {"n": n}) for n in range(EVENTS + 1, EVENTS + 4)]
    trim(journal, EVENTS)
    assert numbers(JournalConsumer(journal, on_bad_record="skip").start()) == [11, 12, 13]
    assert numbers(JournalConsumer(journal, since=events[0].timestamp, on_bad_record="skip").start()) == [12, 13]
    assert numbers(JournalConsumer(journal, cursor=f"0:{EVENTS}", on_bad_record="skip").start()) == [11, 12, 13]
    with JournalConsumer(journal) as consumer, pytest.raises(UnreadableRecord):
        consumer.poll(PATIENCE)
    for place in ({"cursor": "0:2"}, {"since": day(2)}):
        with pytest.raises(HistoryTruncated) as error:
            JournalConsumer(journal, **place).start()
        assert error.value.first_offset == EVENTS


def test_history_without_remaining_events_stops_no_start(journal: Journal) -> None:
    intrude(journal)
    trim(journal, EVENTS)
    for options in ({}, {"since": day(2)}, {"since": day(20)}):
        consumer = JournalConsumer(journal, on_bad_record="skip", **options).start()  # type: ignore[arg-type]
        assert numbers(consumer) == []
