"""A log with records that our writers never make: every reader passes over them and applies their neighbours."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apsw
import journeyman as jm
import pytest
from journeyman.consumers.files.exporting import export
from journeyman.consumers.files.importing import Importer
from journeyman.consumers.views.as_of import as_of
from journeyman.consumers.views.replica import Replica
from journeyman.journal import AsyncJournal, UnreadableRecord
from journeyman.journal.event_decoding import decode
from journeyman.journal.memory.log import MemoryLog, MemoryStore, _Record
from journeyman.tasks import State, TaskView
from journeyman.tasks.inspection.history import task_history
from journeyman.tasks.retention import compact, plan
from journeyman.tasks.state import names
from journeyman.workers import Settings, WorkerLoop
from support.malformed import records
from support.shop import Shop, named
from support.waiting import reached

EVERY = 7  # a good event after so many bad ones


def put_in(store: MemoryStore, rows: Iterable[bytes], partition: int = 0) -> None:
    """Let records stand in a log in memory."""
    records = store.partitions[partition].records
    records += [_Record(row, records[-1].appended_at if records else 0.0) for row in rows]


def poisoned(partitions: int = 1, bytes_max: int = 1_000_000) -> tuple[MemoryStore, list[int]]:
    """A log of bad records and good events among them, and the numbers of these."""
    store, good = MemoryStore(partitions), list[int]()
    journal = jm.Journal(MemoryLog(store))
    for number, row in enumerate(row for row in records() if len(row) <= bytes_max):
        put_in(store, [row], number % partitions)
        if number % EVERY == 0:
            journal.append("good.one", {"number": number}, key=str(number))
            good.append(number)
    return store, good


def numbers(events: Iterable[Any]) -> list[int]:
    return [event.context["number"] for event in events if event.name == "good.one"]


@pytest.fixture(scope="module", params=[1, 3])
def log(request: pytest.FixtureRequest) -> tuple[MemoryStore, list[int]]:
    return poisoned(request.param)


def total(store: MemoryStore) -> int:
    return sum(len(partition.records) for partition in store.partitions)


def read_all(consumer: jm.JournalConsumer) -> Iterator[jm.JournalEventBase]:
    consumer.start()
    consumer.stop()
    while (event := consumer.poll(60.0)) is not None:
        yield event


def poll(consumer: jm.JournalConsumer) -> jm.JournalEventBase | UnreadableRecord | None:
    try:
        return consumer.poll(60.0)
    except UnreadableRecord as bad:
        return bad


def test_skipping_consumer_hands_out_every_neighbour(log: tuple[MemoryStore, list[int]]) -> None:
    store, good = log
    consumer = jm.JournalConsumer(jm.Journal(MemoryLog(store)), on_bad_record="skip")
    events = list(read_all(consumer))
    assert sorted(numbers(events)) == good
    assert all(isinstance(event.context, dict) and event.context_string is not None for event in events)
    assert consumer.statistics().bad_records == total(store) - len(events) > 100


def test_callback_gets_each_bad_record_once(log: tuple[MemoryStore, list[int]]) -> None:
    store, good = log
    told: list[UnreadableRecord] = []
    consumer = jm.JournalConsumer(jm.Journal(MemoryLog(store)), on_bad_record=told.append)
    events = list(read_all(consumer))
    assert sorted(numbers(events)) == good
    places = {(bad.partition, bad.offset) for bad in told}
    assert len(places) == len(told) == total(store) - len(events)
    for bad in told:
        assert store.partitions[bad.partition].records[bad.offset].row == bad.record
        assert f"{bad.partition}:{bad.offset}" in str(bad)


@pytest.mark.parametrize("partitions", [1, 3])
def test_raising_consumer_continues_after_each_bad_record(partitions: int) -> None:
    store, good = poisoned(partitions, 1_000)  # each error costs a page
    consumer = jm.JournalConsumer(jm.Journal(MemoryLog(store)))
    consumer.start()
    consumer.stop()
    events: list[jm.JournalEventBase] = []
    places: set[tuple[int, int]] = set()
    while (found := poll(consumer)) is not None:
        if isinstance(found, UnreadableRecord):
            again = poll(consumer)
            assert isinstance(again, UnreadableRecord), "nothing is skipped unasked"
            assert again.offset == found.offset
            assert (found.partition, found.offset) not in places
            places.add((found.partition, found.offset))
            consumer.skip_bad_record()
        else:
            events.append(found)
    assert sorted(numbers(events)) == good
    assert len(events) + len(places) == total(store)


def test_skipping_a_good_record_is_refused() -> None:
    consumer = jm.JournalConsumer(jm.Journal("memory://")).start()
    with pytest.raises(RuntimeError, match="UnreadableRecord"):
        consumer.skip_bad_record()
    with pytest.raises(ValueError, match="on_bad_record"):
        jm.JournalConsumer(jm.Journal("memory://"), on_bad_record="ignore")  # type: ignore[arg-type]


def test_error_of_the_policy_is_raised_where_the_record_stands() -> None:
    store = MemoryStore()
    journal = jm.Journal(MemoryLog(store))
    journal.append("good.one", {"number": 1})
    put_in(store, [b"bad"])
    journal.append("good.one", {"number": 2})

    def refuse(bad: UnreadableRecord) -> None:
        raise LookupError(f"no seed has {bad.record!r}")

    consumer = jm.JournalConsumer(journal, on_bad_record=refuse).start()
    event = consumer.poll(60.0)
    assert event is not None
    assert event.context == {"number": 1}
    with pytest.raises(LookupError, match="bad"):
        consumer.poll(60.0)


def test_callbacks_and_iteration_pass_over_bad_records(log: tuple[MemoryStore, list[int]]) -> None:
    store, good = log
    seen: list[jm.JournalEventBase] = []
    journal = jm.Journal(MemoryLog(store))
    consumer = jm.JournalConsumer(journal, on_bad_record="skip").set_callback(
        lambda event: seen.append(event) if event is not None else None
    )
    consumer.start()
    consumer.stop()
    consumer.join(60)
    assert sorted(numbers(seen)) == good
    iterated = jm.JournalConsumer(journal, on_bad_record="skip", until=journal.bounds().end)
    assert sorted(numbers(iterated)) == good


def test_callbacks_continue_after_a_skipped_bad_record() -> None:
    store = MemoryStore()
    journal = jm.Journal(MemoryLog(store))
    journal.append("good.one", {"number": 1})
    put_in(store, [b"bad"])
    journal.append("good.one", {"number": 2})
    seen: list[int] = []
    failed, ended = threading.Event(), threading.Event()

    def take(event: jm.JournalEventBase | None) -> None:
        seen.append(event.context["number"]) if event is not None else ended.set()

    consumer = jm.JournalConsumer(journal, on_error=lambda _: failed.set()).set_callback(take).start()
    assert failed.wait(60)
    with pytest.raises(UnreadableRecord, match="0:1"):
        consumer.stop()
    consumer.skip_bad_record()
    consumer.set_callback(take)
    assert ended.wait(60)
    assert seen == [1, 2]


@pytest.mark.anyio
async def test_asynchronous_consumers_pass_over_bad_records() -> None:
    store, good = poisoned(3, 1_000)
    journal = AsyncJournal(MemoryLog(store))
    consumer = jm.AsyncJournalConsumer(journal, on_bad_record="skip", until=(await journal.bounds()).end)
    assert sorted(numbers([event async for event in consumer])) == good
    raising = jm.AsyncJournalConsumer(journal, until=(await journal.bounds()).end)
    events: list[jm.JournalEventBase] = []
    await raising.start()
    while True:
        try:
            events += [event async for event in raising]
        except UnreadableRecord:
            await raising.skip_bad_record()
        else:
            break
    # What was taken before an error is in no list that the error broke off.
    assert set(numbers(events)) <= set(good)


class Adding(jm.View):
    """A view of a user's own."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.events = 0

    def apply(self, event: jm.Event) -> None:
        context = event.context
        self.events += 1
        if event.name == "good.one":
            self.numbers.append(context["number"])


def test_checkpoints_are_found_among_bad_ones(log: tuple[MemoryStore, list[int]]) -> None:
    store, good = log
    journal = jm.Journal(MemoryLog(store))
    consumer = jm.JournalConsumer(journal, "good", checkpoint="mine", on_bad_record="skip").start()
    taken = [consumer.poll(60.0) for _ in range(3)]
    consumer.commit()
    consumer.close()
    again = jm.JournalConsumer(journal, "good", checkpoint="mine", on_bad_record="skip", until=journal.bounds().end)
    assert sorted(numbers([*filter(None, taken), *again])) == good


@pytest.mark.anyio
async def test_replicas_and_snapshots_and_as_of_pass_over_bad_records() -> None:
    store, good = poisoned()
    journal = AsyncJournal(MemoryLog(store))
    replica = Replica(journal, Adding())
    await replica.catch_up()
    assert replica.view.numbers == good
    assert replica.view.events + replica.view.unreadable == total(store)
    end = (await journal.bounds()).end
    by_page, restored = await as_of(journal, TaskView, end), TaskView()
    restored.restore(by_page.snapshot())
    assert restored.snapshot() == by_page.snapshot()
    by_event = TaskView()
    for offset, record in enumerate(store.partitions[0].records):
        try:
            by_event.apply(decode(record.row, 0, offset))
        except UnreadableRecord:
            continue
    assert set(by_event.live) <= set(by_page.live) | set(by_page._ended[0].ends) | set(by_page.dead)
    assert by_page.unreadable > 100
    await as_of(journal, TaskView, 1_795_305_600.0)


@pytest.mark.anyio
async def test_workers_run_tasks_around_bad_records() -> None:
    floor = Shop()
    tasks = named(work=lambda *args: 1)
    async with floor.worker(tasks, Settings(threads=2)) as worker_loop:
        before = await floor.submit(tasks["work"])
        await succeeds(worker_loop, before)
        put_in(floor.store, records(1))
        floor.store.notify()
        between = await floor.submit(tasks["work"])
        await succeeds(worker_loop, between)
        put_in(floor.store, records(2))
    behind = await floor.submit(tasks["work"])
    async with floor.worker(tasks, Settings(threads=2)) as worker_loop:  # begins with all of them
        await succeeds(worker_loop, behind)


async def succeeds(worker_loop: WorkerLoop, message: jm.Message) -> None:
    def succeeded() -> bool:
        return worker_loop.view.state_of(0, message.uuid) is State.SUCCEEDED

    await reached(succeeded, "the task to succeed", 60.0)


@pytest.mark.anyio
async def test_maintenance_commands_pass_over_bad_records() -> None:
    store, good = poisoned()
    journal = AsyncJournal(MemoryLog(store))
    lines: list[bytes] = []
    done = await export(journal, lines.append, skip_bad=True)
    assert done.events + done.skipped == total(store)
    with pytest.raises(UnreadableRecord):
        await export(journal, lambda _: None)
    copy = jm.Journal("memory://")
    importer = Importer(copy.asynchronous, writer="copy", skip_bad=True)
    await importer.prepare()
    took = await importer.take(b"".join(lines).splitlines(keepends=True))
    assert took.added + took.bad == done.events
    assert numbers(await asyncio.to_thread(lambda: list(read_all(jm.JournalConsumer(copy))))) == good
    again = Importer(journal, writer="copy", skip_bad=True)
    await again.prepare()
    await task_history(journal, "poison")
    planned = await plan(journal, 1_900_000_000.0)
    await compact(journal, planned)


def test_last_and_first_record_may_be_bad(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with jm.Journal(f"sqlite:///{path}") as journal:
        first = journal.append("good.one", {"number": 0})
    for row in (b"bad", b'{"timestamp":"x"}', b"[" * 5_000):
        insert(path, [row])
        with jm.Journal(f"sqlite:///{path}") as journal:
            event = journal.append("good.one", {"number": 1})
            assert event.timestamp > first.timestamp
            sought = journal.position_at(event.timestamp)[0]
            assert event.offset - 1 <= sought <= event.offset, "what has no time stands on either side"
            journal.run(journal.asynchronous.log.trim({0: event.offset - 1}))
            with pytest.raises(jm.HistoryTruncated):
                journal.read({0: 0})
            with pytest.raises(UnreadableRecord):
                journal.read()
            assert [each.offset for each in journal.read({0: event.offset}).events] == [event.offset]


def insert(path: Path, rows: Iterable[bytes]) -> None:
    """Let another program write into the file."""
    connection = apsw.Connection(str(path))
    for row in rows:
        connection.execute("INSERT INTO events (event) VALUES (?)", (row,))
    connection.close()


def test_restart_from_bad_names_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    view = TaskView()
    store = MemoryStore()
    put_in(store, [b"bad", b'{"timestamp":1,"name":"task.succeeded","context":{}}', b'{"timestamp":1,"name":"a.b"}'])
    page = MemoryLog(store).slice(0, 0, 10)
    assert page is not None
    view.apply_page(page)
    assert (view.unreadable, view.stale_outcomes) == (2, 0)
    assert names.SUCCEEDED == "task.succeeded"
