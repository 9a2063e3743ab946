"""A worker fills the task index while it has time for it."""

import asyncio
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.tasks.decorator import task
from journeyman.tasks.index.store import Store
from journeyman.tasks.limits import INDEX_BUSY_EVENTS, INDEX_LAG_EVENTS_MAX
from journeyman.workers import Settings, WorkerLoop
from journeyman.workers.loop import indexing
from journeyman.workers.loop.indexing import is_due
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
