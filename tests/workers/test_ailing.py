"""Children that do not start: their worker claims nothing for them, says why, once, and goes on when they do."""

import logging
from pathlib import Path

import broken_tasks
import pytest
from floor import LEASE_MS, Floor, in_loop
from journeyman.journal.limits import CHILD_READY_SECONDS_MAX
from journeyman.workers import Settings
from journeyman.workers.crew import children
from journeyman.workers.health.progress import Progress, judge
from journeyman.workers.rules import names
from waiting import reached


@pytest.mark.parametrize("floor", [0, 1, 3])
@pytest.mark.parametrize(
    ("hang", "reason"), [(False, "ended with exit code 1"), (True, "did not become ready within 0.3 s")]
)
def test_a_worker_whose_children_do_not_start_claims_nothing_for_them_until_they_do(
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
        monkeypatch.setattr(children, "CHILD_READY_SECONDS_MAX", 0.3)
    caplog.set_level(logging.ERROR, "journeyman.worker")

    @in_loop
    async def run() -> None:
        place = Floor()
        settings = Settings(processes=3, process_floor=floor, lease_ms=LEASE_MS)
        async with place.worker({"compute": broken_tasks.compute}, settings) as foreman:
            messages = [await place.submit(broken_tasks.compute, number) for number in range(5)]

            def ailments() -> tuple[str, ...]:
                vitals = foreman.vitals()
                return vitals.ailments if vitals is not None else ()

            await reached(ailments, "the worker to know that its children do not start")
            await reached(lambda: place.count(names.CLAIMED) == place.count(names.INTERRUPTED), "all to be given back")
            claims, said = place.count(names.CLAIMED), len(caplog.records)
            await reached(lambda: len(caplog.records) >= said + 2, "it to be tried twice more")
            assert place.count(names.CLAIMED) == claims <= 5, "nothing is claimed in vain again"
            assert len(caplog.records) < 10, "and it is not told of each child"
            reasons = {event.context["reason"] for event in place.events(names.INTERRUPTED)}
            assert all(f"do not start: the last one {reason}" in given for given in reasons)
            assert all(f"did not start: it {reason}; " in record.getMessage() for record in caplog.records)
            assert [place.task(message).attempts for message in messages] == [0] * 5

            vitals = foreman.vitals()
            assert vitals is not None
            seen = Progress(0, vitals.turned_at, vitals.turned_at)
            judgement = judge(vitals, seen, vitals.turned_at)
            assert not judgement.healthy
            assert "no task with mechanism process can be run: its child processes" in judgement.reasons[0]

            monkeypatch.setattr(children, "CHILD_READY_SECONDS_MAX", CHILD_READY_SECONDS_MAX)
            (tmp_path / "mended").touch()
            await place.succeeded(5)
            assert not ailments()

            crew = foreman._lanes["process"].crew
            assert isinstance(crew, children.ChildrenCrew)
            for child in crew._children:
                if child.ready:
                    child.kill()
            await reached(lambda: not crew.ready, "those that were there to be gone")
            assert not ailments(), "that others did not start long ago is no ailment of these"

    run()
