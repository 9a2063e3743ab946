"""Tasks with triggers: what makes a schedule, who joins it, and what is refused."""

import asyncio
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.tasks.scheduling import schedules_of
from journeyman.tasks.state import names
from journeyman.tasks.state.schedules import Schedule

LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db") as opened:
        yield opened


def report(journal: jm.Journal, trigger: Any = None, **options: Any) -> Any:
    @jm.task(jm.Broker(journal), trigger=trigger or jm.IntervalTrigger(hours=1, timezone="UTC"), **options)
    def report(title: str = "sales") -> str:
        return title

    return report


def schedule(journal: jm.Journal, name: str = "report") -> Schedule:
    return journal.run(schedules_of(journal.asynchronous))[name]


def events(journal: jm.Journal) -> list[str]:
    return [event.name for event in journal.read().events]


def test_task_with_a_trigger_is_a_trigger_task(journal: jm.Journal) -> None:
    task = report(journal)
    assert isinstance(task, jm.TriggerTask)
    assert task("x") == "x"
    assert (task.name, task.generated) == ("report", False)
    assert isinstance(task.trigger, jm.IntervalTrigger)


def test_generate_creates_the_schedule_and_returns_its_next_message(journal: jm.Journal) -> None:
    task = report(journal, misfire="skip", grace_ms=timedelta(minutes=2), overlap="skip")
    message = task.generate(kwargs={"title": "stock"}, priority=2)
    known = schedule(journal)
    assert (known.policy.misfire, known.policy.grace_ms, known.policy.overlap) == ("skip", 120_000, "skip")
    assert message.uuid == f"report@{datetime.fromtimestamp(known.first / 1_000, UTC):%Y-%m-%dT%H:%M:%S}" + (
        f".{known.first % 1_000:03}Z" if known.first % 1_000 else "Z"
    )
    assert (message.kwargs, message.priority, task.generated) == ({"title": "stock"}, 2, True)
    assert events(journal) == [names.SCHEDULE_CREATED]


def test_second_process_joins_the_schedule(journal: jm.Journal) -> None:
    first, second = report(journal), report(journal)
    assert first.generate().uuid == second.generate().uuid
    assert events(journal) == [names.SCHEDULE_CREATED]
    assert second.generated


def test_second_call_in_one_process_is_refused_until_shutdown(journal: jm.Journal) -> None:
    task = report(journal)
    task.generate()
    with pytest.raises(jm.SchedulingError, match="already scheduled"):
        task.generate()
    task.shutdown()
    task.generate()
    assert events(journal) == [names.SCHEDULE_CREATED]
    task.clear()
    task.generate()
    assert events(journal)[1:] == [names.SCHEDULE_CLEARED, names.SCHEDULE_CREATED]


def test_schedule_that_differs_is_refused_or_replaced(journal: jm.Journal) -> None:
    report(journal).generate()
    other = report(journal, jm.IntervalTrigger(hours=2, timezone="UTC"), overlap="skip")
    with pytest.raises(jm.SchedulingError, match=r"every hour, here every 2 hours.*overlap=skip.*of kwargs.*replace"):
        other.generate(kwargs={"title": "stock"})
    assert schedule(journal).trigger.every_ms == 3_600_000  # type: ignore[union-attr]
    other.pause()
    other.generate(kwargs={"title": "stock"}, replace=True)
    assert schedule(journal).trigger.every_ms == 7_200_000  # type: ignore[union-attr]
    assert schedule(journal).paused_at is not None
    again = report(journal, jm.IntervalTrigger(hours=2, timezone="UTC"), overlap="skip")
    again.generate(kwargs={"title": "stock"}, replace=True)
    assert events(journal) == [
        names.SCHEDULE_CREATED,
        names.SCHEDULE_PAUSED,
        names.SCHEDULE_CLEARED,
        names.SCHEDULE_CREATED,
        names.SCHEDULE_PAUSED,
    ]


def test_replaced_message_keeps_the_ticks(journal: jm.Journal) -> None:
    task = report(journal)
    task.generate()
    first = schedule(journal)
    journal.append(names.SCHEDULE_FIRED, {"schedule": "report", "tick": first.first, "task": "x"}, "report")
    report(journal).generate(kwargs={"title": "stock"}, replace=True)
    assert schedule(journal).first == first.first + 3_600_000


def test_schedule_that_ticks_no_more_gives_way(journal: jm.Journal) -> None:
    report(journal, jm.DateTrigger(datetime(2020, 1, 1, tzinfo=UTC))).generate()
    tick = schedule(journal).first
    journal.append(names.SCHEDULE_FIRED, {"schedule": "report", "tick": tick, "task": "x"}, "report")
    report(journal, jm.DateTrigger(datetime(2020, 1, 1, tzinfo=UTC))).generate(kwargs={"title": "other"})
    assert len(events(journal)) == 2
    report(journal, jm.DateTrigger(LATER)).generate()
    assert schedule(journal).first == int(LATER.timestamp() * 1_000)


def test_pause_and_resume_are_of_the_schedule(journal: jm.Journal) -> None:
    task = report(journal)
    with pytest.raises(jm.SchedulingError, match="holds no schedule report"):
        task.pause()
    task.generate()
    other = report(journal)
    assert (other.pause(by="ada", reason="stocktaking"), task.pause()) == (True, False)
    assert journal.read().events[-1].context == {"schedule": "report", "by": "ada", "reason": "stocktaking"}
    assert (task.resume(), other.resume()) == (True, False)


def test_clear_of_what_was_not_generated_is_an_attribute_error(journal: jm.Journal) -> None:
    task = report(journal)
    with pytest.raises(AttributeError, match="was not generated"):
        task.clear()
    report(journal).generate()
    task.clear()  # by a process that has not generated it
    assert not task.generated


def test_generate_without_submission_schedules_nothing(journal: jm.Journal) -> None:
    assert report(journal).generate(submit=False).task_name == "report"
    assert events(journal) == []


def test_generate_async_creates_the_schedule(journal: jm.Journal) -> None:
    task = report(journal)
    message = asyncio.run(task.generate_async(kwargs={"title": "stock"}))
    assert message.kwargs == {"title": "stock"}
    assert events(journal) == [names.SCHEDULE_CREATED]


def test_coroutines_act_on_the_schedule_as_the_methods_do(journal: jm.Journal) -> None:
    task = report(journal)

    async def acted() -> tuple[bool, ...]:
        with pytest.raises(jm.SchedulingError, match="holds no schedule report"):
            await task.pause_async()
        await task.generate_async()
        paused = await task.pause_async(by="ada", reason="stocktaking"), await task.pause_async()
        resumed = await task.resume_async(by="bob"), await task.resume_async()
        known = await task.is_generated_async()
        await task.clear_async()
        with pytest.raises(AttributeError, match="was not generated"):
            await task.clear_async()
        return (*paused, *resumed, known, await task.is_generated_async())

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none of them blocks the loop
        assert asyncio.run(acted()) == (True, False, True, False, True, False)
    said = [(event.name, event.context.get("by")) for event in journal.read().events[1:]]
    assert said == [(names.SCHEDULE_PAUSED, "ada"), (names.SCHEDULE_RESUMED, "bob"), (names.SCHEDULE_CLEARED, None)]


def test_function_that_needs_arguments_cannot_be_scheduled(journal: jm.Journal) -> None:
    broker, trigger = jm.Broker(journal), jm.IntervalTrigger(hours=1)
    with pytest.raises(jm.SchedulingError, match="requires a, b"):
        jm.TriggerTask(lambda a, b, c=1: None, trigger, broker, name="f")
    jm.TriggerTask(lambda message, c=1, *args, **kwargs: None, trigger, broker, name="f")
    with pytest.raises(jm.SchedulingError, match="must not end like"):
        jm.TriggerTask(lambda: None, trigger, broker, name="f@7")
    with pytest.raises(jm.SchedulingError, match="at most 160 characters, got 161"):
        jm.TriggerTask(lambda: None, trigger, broker, name="f" * 161)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"misfire": "never"}, "misfire is one of run_once, skip, run_all"),
        ({"overlap": "run"}, "overlap is one of queue, skip"),
        ({"grace_ms": 999}, "from 1,000 to"),
        ({"grace_ms": 1.5}, "whole number of ms"),
        ({"grace_ms": timedelta(days=400)}, "or a timedelta"),
    ],
)
def test_policy_is_checked(journal: jm.Journal, options: dict[str, Any], said: str) -> None:
    with pytest.raises(jm.ValidationError, match=said):
        report(journal, **options)


def test_settings_of_a_schedule_without_trigger_are_refused(journal: jm.Journal) -> None:
    with pytest.raises(jm.ValidationError, match="misfire, overlap are settings of a schedule"):
        jm.task(jm.Broker(journal), misfire="skip", overlap="skip")  # type: ignore[call-overload]


def test_base_task_must_take_a_trigger(journal: jm.Journal) -> None:
    class Plain(jm.Task[Any, Any]):
        pass

    class Timed(jm.TriggerTask[Any, Any]):
        pass

    trigger = jm.IntervalTrigger(hours=1)
    with pytest.raises(ValueError, match="base_task takes no trigger"):
        jm.task(jm.Broker(journal), trigger=trigger, base_task=Plain)
    made = jm.task(jm.Broker(journal), trigger=trigger, base_task=Timed)(lambda: None)
    assert type(made) is Timed


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"uuid": "x"}, jm.ValidationError, "made of schedule and tick"),
        ({"kwargs": {"shoe": 1}}, jm.ValidationError, "shoe"),
        ({"metadata": {"schedule": 1}}, jm.ValidationError, "another key"),
        ({"kwargs": {"title": "x" * 70_000}}, jm.SchedulingError, "at most 65,536 bytes"),
    ],
)
def test_generate_refuses_what_no_tick_could_carry(
    journal: jm.Journal, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        report(journal).generate(**options)
    assert events(journal) == []


def test_trigger_that_never_ticks_is_refused(journal: jm.Journal) -> None:
    with pytest.raises(jm.SchedulingError, match="does not tick from now on"):
        report(journal, jm.CronTrigger(month=2, day=30, timezone="UTC")).generate()


def test_two_processes_that_generate_at_once_make_one_schedule(journal: jm.Journal) -> None:
    async def both() -> list[jm.Message]:
        one, two = jm.AsyncJournal(journal.url), jm.AsyncJournal(journal.url)
        try:
            tasks = [
                report(journal)._create(each, report(journal).generate(submit=False), replace=False)
                for each in (one, two)
            ]
            return list(await asyncio.gather(*tasks))
        finally:
            await asyncio.gather(one.aclose(), two.aclose())

    first, second = asyncio.run(both())
    assert first.uuid == second.uuid
    assert events(journal) == [names.SCHEDULE_CREATED]


def test_import_of_the_package_imports_no_apscheduler() -> None:
    loaded = "'apscheduler' in sys.modules, 'zoneinfo' in sys.modules"
    code = f"import journeyman as jm, sys; jm.Worker, jm.TriggerTask; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
    assert pickle.loads(pickle.dumps(jm.CronTrigger(hour=1, timezone="UTC"))) is not None
