"""Schedules tick, and submissions lapse, by the clock of the workbench."""

from collections.abc import Iterator
from datetime import UTC, datetime

import journeyman as jm
import pytest
from journeyman.testing import Workbench
from task_modules import bakery

BEGIN = datetime(2030, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def bench() -> Iterator[Workbench]:
    with Workbench(begin=BEGIN) as bench:
        yield bench


def test_schedule_ticks_at_its_moments(bench: Workbench) -> None:
    ran: list[datetime] = []

    @jm.task(bakery.broker, trigger=jm.CronTrigger(hour=6, minute=15, timezone="UTC"))
    def clean() -> None:
        ran.append(bench.now)

    bench.add(clean)
    clean.generate()
    bench.run_until_idle()
    assert ran == []
    bench.advance(days=3)
    assert [moment.replace(microsecond=0) for moment in ran] == [
        datetime(2030, 3, day, 6, 15, tzinfo=UTC) for day in (2, 3, 4)
    ]
    assert len(bench.submitted(clean)) == 3
    bench.assert_all_succeeded()
    assert isinstance(clean, jm.TriggerTask)
    clean.pause()
    bench.advance(days=2)
    clean.resume()
    bench.advance(days=1)
    assert len(ran) == 4


def test_task_of_a_schedule_is_found_in_its_module(bench: Workbench) -> None:
    bakery.baked.clear()
    bakery.heat.generate()
    bench.advance(hours=2)
    bench.assert_all_succeeded()
    assert bakery.baked == ["heat", "heat"]


def test_schedule_of_one_test_is_not_there_in_the_next() -> None:
    for _ in range(2):
        with Workbench(begin=BEGIN) as bench:
            bakery.heat.generate()
            bench.advance(hours=1)
            assert len(bench.submitted(bakery.heat)) == 1


def test_submission_lapses_when_its_time_to_live_is_over(bench: Workbench) -> None:
    message = bakery.bake.generate(["rye"], submit=False)
    bakery.broker.pause("default")
    bakery.broker.submit(message, ttl=60_000)
    bench.advance(seconds=61)
    bakery.broker.resume("default")
    bench.run_until_idle()
    with pytest.raises(AssertionError, match=r"expected to have succeeded; it .*\n(.*\n)*.*task.lapsed"):
        bench.assert_succeeded(message)
    assert bench.attempts(message) == 0


def test_status_of_a_lapsed_task_is_told_by_the_same_clock(bench: Workbench) -> None:
    message = bakery.bake.generate(["rye"], submit=False)
    bakery.broker.submit(message, ttl=3_600_000)
    statuses = jm.StatusTracker(bakery.broker.journal)
    assert statuses.get(message).status is jm.TaskStatus.SUBMITTED
    bakery.broker.pause("default")
    bench.advance(hours=2)
    assert statuses.get(message).status is jm.TaskStatus.FAILED


def test_waits_of_a_test_end_by_the_real_clock(bench: Workbench) -> None:
    message = bakery.bake.generate(["rye"])
    with pytest.raises(TimeoutError):
        jm.ResultStore(bakery.broker.journal).get(message, timeout=1)
    with pytest.raises(TimeoutError):
        jm.StatusTracker(bakery.broker.journal).wait_for(message, jm.TaskStatus.SUCCEEDED, timeout=0.001)
