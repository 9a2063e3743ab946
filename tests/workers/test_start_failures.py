"""Children that fail to start: their worker claims nothing for them, logs the reason once, and goes on later."""

import logging
from pathlib import Path

import pytest
from journeyman.tasks.state import names
from journeyman.workers import Settings
from journeyman.workers.executors.children import pool
from journeyman.workers.health.progress import ReadProgress, judge
from journeyman.workers.limits import CHILD_READY_SECONDS_MAX
from support.shop import LEASE_MS, Shop
from support.waiting import reached
from task_modules import broken_tasks


@pytest.mark.parametrize("floor", [0, 1, 3])
@pytest.mark.parametrize(
    ("hang", "reason"), [(False, "ended with exit code 1"), (True, "did not become ready within 0.3 s")]
)
@pytest.mark.anyio
async def test_worker_claims_nothing_for_children_that_do_not_start(
    floor: int,
    hang: bool,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("YARD", str(tmp_path))
    if hang:
        (tmp_path / "hang").touch()
        monkeypatch.setattr(pool, "CHILD_READY_SECONDS_MAX", 0.3)
    caplog.set_level(logging.ERROR, "journeyman.worker")
    place = Shop()
    settings = Settings(processes=3, process_floor=floor, lease_ms=LEASE_MS)
    async with place.worker({"compute": broken_tasks.compute}, settings) as worker_loop:
        messages = [await place.submit(broken_tasks.compute, number) for number in range(5)]

        def start_failures() -> tuple[str, ...]:
            health = worker_loop.health()
            return health.start_failures if health is not None else ()

        await reached(start_failures, "the worker to know that its children do not start")
        await reached(lambda: place.count(names.CLAIMED) == place.count(names.INTERRUPTED), "all to be given back")
        claims, said = place.count(names.CLAIMED), len(caplog.records)
        await reached(lambda: len(caplog.records) >= said + 2, "it to be tried twice more")
        assert place.count(names.CLAIMED) == claims <= 5, "nothing is claimed in vain again"
        assert len(caplog.records) < 10, "and it is not told of each child"
        reasons = {event.context["reason"] for event in place.events(names.INTERRUPTED)}
        assert all(f"do not start: the last one {reason}" in given for given in reasons)
        assert all(f"did not start: it {reason}; " in record.getMessage() for record in caplog.records)
        assert [place.task(message).attempts for message in messages] == [0] * 5

        health = worker_loop.health()
        assert health is not None
        seen = ReadProgress(0, health.turned_at, health.turned_at)
        judgement = judge(health, seen, health.turned_at)
        assert not judgement.healthy
        assert "no task with mechanism process can be run: its child processes" in judgement.reasons[0]

        monkeypatch.setattr(pool, "CHILD_READY_SECONDS_MAX", CHILD_READY_SECONDS_MAX)
        (tmp_path / "mended").touch()
        await place.succeeded(5)
        assert not start_failures()

        executor = worker_loop._lanes["process"].executor
        assert isinstance(executor, pool.ChildPool)
        for child in executor._children:
            if child.ready:
                child.kill()
        await reached(lambda: not executor.ready, "those that were there to be gone")
        assert not start_failures(), "that others did not start long ago is no ailment of these"
