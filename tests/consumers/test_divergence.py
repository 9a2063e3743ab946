"""Cursors and checkpoints of another history: a restored or replaced journal is noticed, nothing is skipped."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import journeyman as jm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.consumers import as_of
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.journal.log import Log
from journeyman.journal.memory.log import MemoryLog, MemoryStore


class Numbers(jm.View):
    """The numbers of all events, in order."""

    snapshot_name = "test.numbers"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def apply(self, event: jm.Event) -> None:
        self.seen.append(event.context["number"])

    def snapshot(self) -> bytes:
        return ",".join(map(str, self.seen)).encode()

    def restore(self, state: bytes) -> None:
        self.seen = [int(each) for each in state.decode().split(",")]


def append(path: Path, numbers: range) -> list[jm.Event]:
    with jm.Journal(f"sqlite:///{path}") as journal:
        return [journal.append("order.paid", {"number": number}) for number in numbers]


def copied(path: Path, copy: Path) -> None:
    """A copy of a journal that is closed, taken or brought back."""
    for ending in ("", "-wal", "-shm"):
        Path(f"{copy}{ending}").unlink(missing_ok=True)
        if os.path.exists(f"{path}{ending}"):  # noqa: PTH110 - a file beside the path
            shutil.copy(f"{path}{ending}", f"{copy}{ending}")


@pytest.fixture
def restored(tmp_path: Path) -> tuple[Path, str, list[jm.Event]]:
    """A journal of 100 events, restored after 150; the cursor behind all 150; the events of the copy."""
    path, copy = tmp_path / "shop.db", tmp_path / "copy.db"
    kept = append(path, range(100))
    copied(path, copy)
    append(path, range(100, 150))
    with jm.Journal(f"sqlite:///{path}") as journal, jm.JournalConsumer(journal, "order") as consumer:
        assert len([consumer.poll() for _ in range(150)]) == 150
        cursor = str(consumer.cursor)
    copied(copy, path)
    return path, cursor, kept


def test_cursor_ahead_of_a_restored_journal_is_refused(restored: tuple[Path, str, list[jm.Event]]) -> None:
    path, cursor, kept = restored
    with jm.Journal(f"sqlite:///{path}") as journal:
        for asked in (cursor, "0:150"):
            with pytest.raises(jm.JournalDiverged, match="partition 0 ends at offset 100") as refused:
                jm.JournalConsumer(journal, cursor=asked).start()
            assert (refused.value.partition, refused.value.asked_offset, refused.value.end_offset) == (0, 150, 100)
            assert (refused.value.common_offset, refused.value.common_time) == (100, kept[-1].timestamp)


def test_cursor_next_to_another_event_is_refused(restored: tuple[Path, str, list[jm.Event]]) -> None:
    path, cursor, kept = restored
    append(path, range(1_000, 1_200))
    with jm.Journal(f"sqlite:///{path}") as journal:
        with pytest.raises(jm.JournalDiverged, match="event at offset 149 of partition 0 is not the one") as refused:
            jm.JournalConsumer(journal, cursor=cursor).start()
        assert refused.value.common_offset == 100, "found by the times of the events"
        assert refused.value.common_time == kept[-1].timestamp
        resumed = jm.JournalConsumer(journal, cursor={0: refused.value.common_offset}).start()
        resumed.stop()
        assert [event.context["number"] for event in resumed] == list(range(1_000, 1_200))


@pytest.mark.parametrize("appended", [0, 50, 80])
def test_foreign_cursor_is_refused_by_every_way_to_resume(
    restored: tuple[Path, str, list[jm.Event]], appended: int
) -> None:
    path, text, _ = restored
    append(path, range(1_000, 1_000 + appended))
    cursor = jm.Cursor.parse(text)

    async def check() -> None:
        async with jm.AsyncJournal(f"sqlite:///{path}") as journal:
            with pytest.raises(jm.JournalDiverged):
                await jm.AsyncJournalConsumer(journal, cursor=cursor).start()
            with pytest.raises(jm.JournalDiverged):
                await jm.AsyncJournalConsumer(journal, until=cursor).start()
            with pytest.raises(jm.JournalDiverged):
                await journal.read(cursor)
            with pytest.raises(jm.JournalDiverged):
                await anext(aiter(journal.tail(cursor)))
            with pytest.raises(jm.JournalDiverged):
                await as_of(journal, Numbers, cursor)
            replica = jm.Replica(journal, Numbers())
            with pytest.raises(jm.JournalDiverged):
                await replica.wait_for(cursor)
            await replica.aclose()
            with pytest.raises(jm.JournalDiverged):
                await jm.Replica(journal, Numbers(), cursor).catch_up()

    asyncio.run(check())


def test_append_that_expects_a_foreign_position_is_refused(restored: tuple[Path, str, list[jm.Event]]) -> None:
    path, text, kept = restored
    with jm.Journal(f"sqlite:///{path}") as journal:
        for expected in (jm.Cursor.parse(text), jm.Position(0, 149)):
            with pytest.raises(jm.JournalDiverged, match="nothing was read or appended"):
                journal.append("order.paid", {"number": 0}, key="a", expected=expected)
        assert journal.bounds().end[0] == 100
    append(path, range(1_000, 1_200))
    with jm.Journal(f"sqlite:///{path}") as journal:
        with pytest.raises(jm.JournalDiverged, match="event at offset 149 of partition 0 is not the one"):
            journal.append("order.paid", {"number": 0}, key="a", expected=jm.Cursor.parse(text))
        known = jm.Position(0, kept[-1].offset)
        assert journal.append("order.paid", {"number": 0}, key="a", expected=known).offset == 300


def test_checkpoint_of_a_foreign_history_is_refused(tmp_path: Path) -> None:
    path, copy = tmp_path / "shop.db", tmp_path / "copy.db"
    own = sqlite3.connect(tmp_path / "own.db")
    append(path, range(10))
    copied(path, copy)
    append(path, range(10, 15))
    with jm.Journal(f"sqlite:///{path}") as journal:
        consumer = jm.JournalConsumer(journal, checkpoint=jm.SqliteCheckpoint(own, "billing")).start()
        assert len(consumer.poll_batch()) == 15
        consumer.commit()
        consumer.close()
    copied(copy, path)
    append(path, range(100, 150))
    with jm.Journal(f"sqlite:///{path}") as journal:
        with pytest.raises(jm.JournalDiverged) as refused:
            jm.JournalConsumer(journal, checkpoint=jm.SqliteCheckpoint(own, "billing")).start()
        assert refused.value.common_offset == 10
        checkpoint = jm.SqliteCheckpoint(own, "billing")
        checkpoint.save(jm.Cursor({refused.value.partition: refused.value.common_offset}))
        consumer = jm.JournalConsumer(journal, checkpoint=checkpoint).start()
        assert [event.context["number"] for event in consumer.poll_batch()] == list(range(100, 150))
        consumer.close()
    own.close()


def test_checkpoint_of_an_older_version_is_accepted(tmp_path: Path) -> None:
    append(tmp_path / "shop.db", range(10))
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db") as journal:
        journal.append("consumer.checkpointed", {"name": "billing", "cursor": "0:4"}, key="billing")
        consumer = jm.JournalConsumer(journal, "order", checkpoint="billing").start()
        consumer.stop()
        assert [event.context["number"] for event in consumer] == list(range(4, 10))


def test_committed_cursor_of_a_late_start_has_a_mark(tmp_path: Path) -> None:
    events = append(tmp_path / "shop.db", range(10))
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db") as journal:
        consumer = jm.JournalConsumer(journal, full=False).start()
        assert consumer.cursor is not None
        assert consumer.cursor.marks[0].time == events[-1].timestamp, "although nothing was delivered"
        consumer.close()


def test_snapshot_of_a_foreign_history_is_not_used(restored: tuple[Path, str, list[jm.Event]], tmp_path: Path) -> None:
    path, _, _ = restored

    async def check() -> None:
        async with jm.AsyncJournal(f"sqlite:///{tmp_path}/copy.db") as other:
            for number in range(20):
                await other.append("order.paid", {"number": -1 - number})
            view = await as_of(other, Numbers, (await other.bounds()).end)
            label = await SnapshotKeeper(other.log, view).take((await other.bounds()).end)
            sealed = await other.log.snapshots().load(label)
        append(path, range(1_000, 1_100))
        assert sealed is not None
        async with jm.AsyncJournal(f"sqlite:///{path}") as journal:
            await journal.log.snapshots().save(label, sealed)
            replica = jm.Replica(journal, Numbers())
            await replica.catch_up()
            assert replica.view.seen == [*range(100), *range(1_000, 1_100)]
            assert str(replica.cursor) == str(jm.Cursor.parse(str(replica.cursor)))
            assert replica.cursor.marks, "a replica's cursor knows its journal"
            await replica.aclose()

    asyncio.run(check())


histories = st.lists(st.integers(0, 2), max_size=12)


@settings(max_examples=150, deadline=None)
@given(common=histories, lost=histories, appended=histories, read=st.integers(0, 24))
def test_resume_delivers_exactly_the_following_events_or_raises(
    common: list[int], lost: list[int], appended: list[int], read: int
) -> None:
    """Two logs that share a beginning; a consumer of the one resumes, by its cursor's text, on the other."""
    clock = iter(range(1, 1_000))

    async def write(log: Log, partitions: list[int]) -> None:
        for partition in partitions:
            await log.append([jm.Draft("order.paid", b"{}", partition=partition)])

    async def check() -> None:
        first = MemoryLog(MemoryStore(3), clock=lambda: float(next(clock)))
        other_store = MemoryStore(3)
        await write(first, common)
        for number, partition in enumerate(first._store.partitions):
            other_store.partitions[number].records = list(partition.records)
        await write(first, lost)
        journal = jm.AsyncJournal(first)
        consumer = await jm.AsyncJournalConsumer(journal).start()
        await consumer.stop()
        seen = [event async for event in _some(consumer, read)]
        text = str(consumer.cursor)
        second = MemoryLog(other_store, clock=lambda: float(next(clock)))
        await write(second, appended)
        every = await _all(jm.AsyncJournal(second), None)
        identities = {(event.writer, event.seq) for event in every}
        belongs = all((event.writer, event.seq) in identities for event in seen)
        try:
            rest = await _all(jm.AsyncJournal(second), text)
        except jm.JournalDiverged:
            assert not belongs, "a cursor of this very history was refused"
            return
        assert belongs, "events that the consumer has seen are not in this history"
        known = {(event.writer, event.seq) for event in seen}
        assert sorted((event.writer, event.seq) for event in rest) == sorted(identities - known)

    asyncio.run(check())


async def _some(consumer: jm.AsyncJournalConsumer, count: int) -> AsyncIterator[jm.JournalEventBase]:
    for _ in range(count):
        event = await consumer.poll()
        if event is None:
            return
        yield event


async def _all(journal: jm.AsyncJournal, cursor: str | None) -> list[jm.JournalEventBase]:
    consumer = await jm.AsyncJournalConsumer(journal, cursor=cursor).start()
    await consumer.stop()
    return [event async for event in consumer]
