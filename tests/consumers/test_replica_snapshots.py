"""A replica starts from the newest valid snapshot and takes new ones; its state never depends on them."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.consumers.views.replica import Replica
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.consumers.views.view import View
from journeyman.journal.snapshots import seal
from support.counting import Counting
from support.waiting import reached, wait_until

EVERY = 40


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = uuid.uuid4()
    if request.param == "kafka":
        return f"kafka://{request.getfixturevalue('kafka_bootstrap')}/test-{name}?partitions=2"
    return f"memory://{name}?partitions=2" if request.param == "memory" else f"sqlite:///{tmp_path}/{name}.db"


async def write(journal: jm.AsyncJournal, count: int, name: str = "thing.made") -> None:
    for start in range(0, count, 500):
        await journal.append_all([(name, {}, f"k{number}") for number in range(start, min(start + 500, count))])


@asynccontextmanager
async def replica(journal: jm.AsyncJournal, every: int = EVERY) -> AsyncIterator[Replica[Counting]]:
    made = Replica(journal, Counting(), snapshot_every=every)
    try:
        yield made
    finally:
        await made.aclose()


async def reaches(journal: jm.AsyncJournal) -> list[int]:
    return sorted(label.reach for label in await journal.log.snapshots().listed())


async def take(journal: jm.AsyncJournal) -> None:
    """A snapshot of all that is there now."""
    async with replica(journal, 10**9) as one:
        cursor = await one.catch_up()
        await SnapshotKeeper(journal.log, one.view).take(cursor)


def test_replica_starts_from_the_snapshot_and_reads_the_rest(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            await write(journal, 30)
            await take(journal)
            await write(journal, 7, "thing.sold")
            async with replica(journal) as late:
                await late.catch_up()
                assert late.view.counts == {"thing.made": 30, "thing.sold": 7}
                assert late.view.told == 7
                assert late.cursor == (await journal.bounds()).end

    asyncio.run(test())


def test_replica_past_the_threshold_saves_one_for_all(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            await write(journal, 1)
            async with replica(journal) as one, replica(journal) as other:
                for each in (one, other):
                    await each.catch_up()
                assert await reaches(journal) == []
                saved = 0
                while saved == 0:
                    await write(journal, EVERY)
                    await one.catch_up()
                    await one._snapshots.aclose()  # type: ignore[union-attr]
                    saved = len(await reaches(journal))
                assert saved == 1
                # The other is past the threshold as well. It looks, and finds that it need not.
                await other.catch_up()
                await other._snapshots.aclose()  # type: ignore[union-attr]
                assert len(await reaches(journal)) == 1
            async with replica(journal) as late:
                await late.catch_up()
                assert late.view.told < late.view.counts["thing.made"]

    asyncio.run(test())


def test_synchronous_journal_saves_snapshots_while_reading(tmp_path: Path) -> None:
    with jm.Journal(f"sqlite:///{tmp_path}/j.db") as journal:
        made = Replica(journal.asynchronous, Counting(), snapshot_every=EVERY)

        def taken() -> bool:
            journal.append_all([("thing.made", {}) for _ in range(EVERY)])
            journal.run(made.catch_up())
            return bool(journal.run(journal.asynchronous.log.snapshots().listed()))

        wait_until(taken, "a snapshot to be taken")
        journal.run(made.aclose())


def test_old_snapshots_are_pruned(tmp_path: Path) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(f"sqlite:///{tmp_path}/j.db") as journal, replica(journal) as one:
            seen: set[int] = set()

            async def enough() -> bool:
                await write(journal, EVERY)
                await one.catch_up()
                await one._snapshots.aclose()  # type: ignore[union-attr]
                seen.update(await reaches(journal))
                return len(seen) >= 6

            while not await enough():
                pass
            assert await reaches(journal) == sorted(seen)[-3:]

    asyncio.run(test())


def test_foreign_or_damaged_snapshot_is_passed_over(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            await write(journal, 10)
            end = (await journal.bounds()).end
            store = journal.log.snapshots()
            await store.save(*seal("counting", "0", end, 0.0, Counting().snapshot()))
            label, sealed = seal("counting", "1", end, 1.0, Counting().snapshot())
            await store.save(label, b"y" + sealed[1:])
            await store.save(*seal("counting", "1", end, 2.0, b"no state of this view"))
            await store.save(*seal("another", "1", end, 3.0, Counting().snapshot()))
            with caplog.at_level(logging.WARNING, "journeyman"):
                for _ in range(2):
                    async with replica(journal) as one:
                        await one.catch_up()
                        assert one.view.counts == {"thing.made": 10}
                        assert one.view.told == 10

    asyncio.run(test())
    for reason in ("its schema is 0, the view's is 1", "its hash does not match", "the view does not take it"):
        assert len([text for text in caplog.messages if reason in text]) == 1, reason


def test_older_snapshot_replaces_a_damaged_newest_one(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            await write(journal, 10)
            await take(journal)
            await write(journal, 5)
            label, sealed = seal("counting", "1", (await journal.bounds()).end, 1.0, Counting().snapshot())
            await journal.log.snapshots().save(label, sealed[:-1])
            async with replica(journal) as one:
                await one.catch_up()
                assert (one.view.counts["thing.made"], one.view.told) == (15, 5)

    asyncio.run(test())


def test_snapshot_of_a_replaced_journal_is_not_used(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            await write(journal, 20)
            offset = (await journal.bounds()).end[0]
            cursor = {**(await journal.bounds()).end}
            counted = Counting()
            counted.counts = {"from.elsewhere": 20}
            await journal.log.snapshots().save(
                *seal("counting", "1", cursor, 0.0, counted.snapshot(), f"0:{offset - 1}:12345")
            )
            async with replica(journal) as one:
                await one.catch_up()
                assert one.view.counts == {"thing.made": 20}

    asyncio.run(test())


def test_snapshot_beyond_the_end_is_not_used(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            await write(journal, 3)
            beyond = {partition: offset + 5 for partition, offset in (await journal.bounds()).end.items()}
            await journal.log.snapshots().save(*seal("counting", "1", beyond, 0.0, Counting().snapshot()))
            async with replica(journal) as one:
                await one.catch_up()
                assert one.view.counts == {"thing.made": 3}

    asyncio.run(test())


def test_replica_of_a_trimmed_journal_requires_a_snapshot(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            await write(journal, 30)
            kept = (await journal.bounds()).end
            await write(journal, 4)
            await journal.log.trim(kept)
            async with replica(journal) as one:
                with pytest.raises(jm.HistoryTruncated, match="No snapshot of the view 'counting'") as refused:
                    await one.catch_up()
                first = (await journal.read(kept, 1)).events
                assert refused.value.first_offset == kept[refused.value.partition]
                if first and first[0].partition == refused.value.partition:
                    assert refused.value.first_time == first[0].timestamp
            state = Counting()
            state.counts = {"thing.made": 30}
            await SnapshotKeeper(journal.log, state).take(kept)
            async with replica(journal) as one:
                await one.catch_up()
                assert (one.view.counts, one.view.told) == ({"thing.made": 34}, 4)
            here = Replica(journal, Counting(), kept)
            await here.catch_up()
            assert here.view.counts == {"thing.made": 4}, "a caller that names a place to read from gets that"
            await here.aclose()

    asyncio.run(test())


def test_failing_snapshot_store_does_not_disturb_reading(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(f"sqlite:///{tmp_path}/j.db") as journal:
            store = journal.log.snapshots()

            async def fail(*_: object) -> None:
                raise jm.JournalUnavailable("the disk is full, as this test wants it")

            monkeypatch.setattr(type(store), "save", fail)
            async with replica(journal) as one:
                total = 0

                async def told() -> bool:
                    nonlocal total
                    total += EVERY
                    await write(journal, EVERY)
                    await one.catch_up()
                    return any("as this test wants it" in text for text in caplog.messages)

                while not await told():
                    await reached(lambda: True, "a turn of the loop")
                assert one.view.told == total

    with caplog.at_level(logging.WARNING, "journeyman"):
        asyncio.run(test())


def test_view_without_snapshots_replays_existing_events(url: str) -> None:
    class Plain(View):
        def __init__(self) -> None:
            self.told = 0

        def apply(self, event: jm.Event) -> None:
            self.told += 1

    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            await write(journal, 3 * EVERY)
            one = Replica(journal, Plain(), snapshot_every=1)
            await one.catch_up()
            await write(journal, 3 * EVERY)
            await one.catch_up()
            await one.aclose()
            assert one.view.told == 6 * EVERY
            assert await reaches(journal) == []

    asyncio.run(test())
