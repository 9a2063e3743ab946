"""Workers take snapshots of the queue while they work, and the next ones start from them."""

import asyncio
import functools

import pytest
from journeyman.consumers.views.as_of import as_of
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.journal import AsyncJournal
from journeyman.tasks import TaskView
from journeyman.tasks.state import names
from journeyman.workers import Settings
from support.ledger import picture
from support.shop import Shop, named

EVERY = 60


async def snapshot_taken(floor: Shop) -> None:
    """Wait until a worker has taken a snapshot: the events have come, and it takes one behind them."""
    async with asyncio.timeout(60):
        while not await floor.log.snapshots().listed():  # noqa: ASYNC110 - the store tells of no news
            await asyncio.sleep(0.01)


@pytest.mark.anyio
async def test_own_events_count_towards_the_next_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.workers.loop.reader.SnapshotKeeper", functools.partial(SnapshotKeeper, every=EVERY))
    floor = Shop()
    tasks = named(work=lambda: 1)
    async with floor.worker(tasks, Settings(threads=2)):
        count = 0
        while not await floor.log.snapshots().listed():
            await floor.submit(tasks["work"])
            count += 1
            await floor.succeeded(count)
    assert count < EVERY, "the claims and outcomes count as well"


@pytest.mark.anyio
async def test_workers_start_from_snapshots_of_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.workers.loop.reader.SnapshotKeeper", functools.partial(SnapshotKeeper, every=EVERY))
    floor = Shop()
    tasks = named(work=lambda: 1)
    journal = AsyncJournal(floor.log)
    async with floor.worker(tasks, Settings(threads=2)), floor.worker(tasks, Settings(threads=2)):
        count = 0
        while not await floor.log.snapshots().listed():
            for _ in range(20):
                await floor.submit(tasks["work"])
            count += 20
            await floor.succeeded(count)
            await asyncio.sleep(0)  # a turn of the loop
    labels = await floor.log.snapshots().listed()
    for label in labels:
        replayed = TaskView()
        for event in (await journal.read({0: 0}, label.cursor[0])).events:
            replayed.apply(event)
        restored = TaskView()
        assert await SnapshotKeeper(floor.log, restored).restore(label.cursor, label.cursor) == label.cursor
        assert picture(restored) == picture(replayed), "the fold of its own events is the fold of the log"
    newest = max(labels, key=lambda label: label.reach)
    await floor.log.trim(newest.cursor)
    left = floor.count(names.SUCCEEDED)
    async with floor.worker(tasks, Settings(threads=2)):
        await floor.submit(tasks["work"])
        await floor.succeeded(left + 1)
    assert (await as_of(journal, TaskView, (await floor.log.bounds()).end)).succeeded == count + 1


@pytest.mark.anyio
async def test_events_of_others_count_towards_the_next_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.workers.loop.reader.SnapshotKeeper", functools.partial(SnapshotKeeper, every=EVERY))
    floor, strangers = Shop(), named(strange=lambda: 1)
    async with floor.worker(named(work=lambda: 1), Settings(threads=2)):
        for _ in range(10 * EVERY):
            await floor.submit(strangers["strange"])
            await asyncio.sleep(0)  # a turn of the loop
        await snapshot_taken(floor)
