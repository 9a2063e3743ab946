"""A worker fills the task index while it has time for it."""

import asyncio
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.tasks.decorator import task
from journeyman.tasks.index.index import TaskIndex
from journeyman.tasks.index.pace import Stopped
from journeyman.tasks.index.store import Store
from journeyman.tasks.limits import INDEX_BUSY_EVENTS, INDEX_INTERVAL_SECONDS, INDEX_LAG_EVENTS_MAX
from journeyman.workers import Settings, WorkerLoop
from journeyman.workers.loop import indexing
from journeyman.workers.loop.indexing import IndexKeeper, is_due
from support.waiting import reached


@pytest.mark.parametrize(
    ("came", "behind", "paced", "due"),
    [
        (0, 0, True, False),
        (0, 0, False, False),
        (0, 1, False, True),
        (INDEX_BUSY_EVENTS, INDEX_BUSY_EVENTS, False, True),
        (INDEX_BUSY_EVENTS + 1, INDEX_LAG_EVENTS_MAX, False, False),
        (INDEX_BUSY_EVENTS + 1, INDEX_LAG_EVENTS_MAX, True, True),
        (INDEX_BUSY_EVENTS + 1, INDEX_LAG_EVENTS_MAX + 1, False, True),
    ],
)
def test_index_is_filled_when_it_is_cheap_or_far_behind(came: int, behind: int, paced: bool, due: bool) -> None:
    assert is_due(came, behind, paced=paced) is due


def test_worker_fills_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "INDEX_INTERVAL_SECONDS", 0.01)
    path = tmp_path / "shop.db"
    with jm.Journal(f"sqlite:///{path}") as journal:
        add = task(jm.Broker(journal))(lambda x: x)
        add.generate(args=[1])

        async def work() -> None:
            async with jm.AsyncJournal(journal.url) as own:
                worker_loop = WorkerLoop(own, {add.name: add}, Settings(threads=1))
                working = asyncio.ensure_future(worker_loop.run())
                await reached(lambda: worker_loop.counts.succeeded, "the worker to run the task")
                await reached(lambda: Store(f"{path}-index").covered(0).next_offset >= 4, "the index to be filled")
                worker_loop.stop()
                await working

        asyncio.run(work())


class Clock:
    """A clock that the test moves."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


def test_index_is_filled_slowly_while_many_events_come(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, position = Clock(), {0: 0, 1: 10}
    monkeypatch.setattr(indexing, "time", clock)
    with jm.Journal("memory://") as journal:
        keeper = IndexKeeper(journal.asynchronous, lambda: position)
        busy = [keeper._is_busy()]
        for came in (INDEX_BUSY_EVENTS, INDEX_BUSY_EVENTS + 1, 0):
            clock.now += INDEX_INTERVAL_SECONDS
            position[0] += came
            busy.append(keeper._is_busy())
        assert busy == [False, False, True, False]
        assert not IndexKeeper(journal.asynchronous, lambda: {0: INDEX_BUSY_EVENTS})._is_busy()
        assert IndexKeeper(journal.asynchronous, lambda: {0: INDEX_BUSY_EVENTS + 1})._is_busy()
        position[0] += INDEX_BUSY_EVENTS + 1
        assert keeper._is_busy(), "they have come since the last interval"
        clock.now += INDEX_INTERVAL_SECONDS / 2
        assert keeper._is_busy()


def has_index(directory: Path) -> bool:
    return (directory / "shop.db-index").exists()


@pytest.mark.parametrize("needs_loop", [False, True])
@pytest.mark.anyio
async def test_index_is_filled_where_it_is_behind(
    needs_loop: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with jm.AsyncJournal(f"sqlite:///{tmp_path}/shop.db") as journal:
        position, filled = {0: 0}, list[dict[int, int]]()
        keeper = IndexKeeper(journal, lambda: position)
        fill = keeper._fill

        async def noted(index: TaskIndex) -> None:
            filled.append(dict(position))
            await fill(index)

        monkeypatch.setattr(keeper, "_fill", noted)
        await journal.append("thing.made")
        await keeper._look()
        assert not filled, "nothing was read yet"
        assert not has_index(tmp_path)
        position[0] = 1
        monkeypatch.setattr(journal.log, "needs_loop", needs_loop)
        for _ in range(2):
            await keeper._look()
        assert filled == [{0: 1}], "the second time it is not behind"
        assert Store(f"{tmp_path}/shop.db-index").covered(0).next_offset == 1
        monkeypatch.undo()
        await keeper.aclose()


@pytest.mark.parametrize("needs_loop", [False, True])
def test_only_a_thread_that_fills_the_index_sleeps(needs_loop: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with jm.Journal("memory://") as journal:
        monkeypatch.setattr(journal.asynchronous.log, "needs_loop", needs_loop)
        keeper = IndexKeeper(journal.asynchronous, lambda: {0: INDEX_BUSY_EVENTS + 1})
        assert keeper._pace._is_busy() == (not needs_loop)
        monkeypatch.undo()


@pytest.mark.anyio
async def test_index_is_filled_once_nothing_comes(tmp_path: Path) -> None:
    async with jm.AsyncJournal(f"sqlite:///{tmp_path}/shop.db") as journal:
        keeper = IndexKeeper(journal, lambda: {0: 1})
        await journal.append("thing.made")
        keeper.start()
        await keeper._look()
        assert Store(f"{tmp_path}/shop.db-index").covered(0).next_offset == 1
        await keeper.aclose()


@pytest.mark.anyio
async def test_end_of_a_worker_ends_the_filling_of_its_index(tmp_path: Path) -> None:
    async with jm.AsyncJournal(f"sqlite:///{tmp_path}/shop.db") as journal:
        keeper = IndexKeeper(journal, lambda: {0: 1})
        keeper.start()
        (task,) = [each for each in asyncio.all_tasks() if each.get_name() == "journeyman-index"]
        await asyncio.sleep(0)
        await keeper.aclose()
        assert task.done()
        with pytest.raises(Stopped):
            keeper._pace.go_on(0, 1)
        await keeper.aclose()
