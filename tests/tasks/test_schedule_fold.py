"""The schedules in the fold: accepted once and in order, whatever other processes append."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.tasks import TaskView, Verdict
from journeyman.tasks.limits import SCHEDULE_NAME_CHARS_MAX
from journeyman.tasks.state import names
from journeyman.tasks.state.schedules import Date, Interval, Policy, Schedules
from support.ledger import Ledger

EVERY = {"type": "interval", "every_ms": 10, "start_ms": 10}
MESSAGE = {"task_name": "report"}


def created(log: Ledger, name: str = "report", first: int = 10, **more: Any) -> Verdict:
    context = {"schedule": name, "trigger": EVERY, "message": MESSAGE, "first": first, **more}
    return log.write(names.SCHEDULE_CREATED, **context)


def fired(log: Ledger, tick: int, name: str = "report") -> Verdict:
    return log.write(names.SCHEDULE_FIRED, schedule=name, tick=tick, task=f"{name}@{tick}")


def test_schedule_is_created_once() -> None:
    log = Ledger()
    assert created(log, policy={"misfire": "skip", "overlap": "skip"}) is Verdict.ACCEPTED
    assert created(log, first=99) is Verdict.REFUSED
    schedule = log.view.schedules["report"]
    assert (schedule.first, schedule.last, schedule.created, schedule.partition) == (10, 9, 0, 0)
    assert schedule.trigger == Interval(10, 10)
    assert schedule.policy == Policy(misfire="skip", overlap="skip")
    assert msgspec.json.decode(schedule.message) == MESSAGE


@pytest.mark.parametrize("event", sorted(Schedules.events))
def test_event_that_names_no_schedule_is_foreign(event: str) -> None:
    log = Ledger()
    assert log.write(event) is Verdict.FOREIGN
    assert not log.view.schedules


def test_tick_is_accepted_once_and_only_behind_the_last_one() -> None:
    log = Ledger()
    created(log)
    assert [fired(log, tick) for tick in (9, 10, 10, 30, 20)] == [
        Verdict.REFUSED,
        Verdict.ACCEPTED,
        Verdict.REFUSED,
        Verdict.ACCEPTED,
        Verdict.REFUSED,
    ]
    schedule = log.view.schedules["report"]
    assert (schedule.last, schedule.fired, schedule.task) == (30, 2, "report@30")
    assert log.write(names.SCHEDULE_SKIPPED, schedule="report", tick=40) is Verdict.ACCEPTED
    assert (schedule.last, schedule.fired, schedule.skipped, schedule.task) == (40, 2, 1, "report@30")


def paused_at(log: Ledger) -> float | None:
    return log.view.schedules["report"].paused_at


def test_paused_schedule_refuses_ticks_and_leaves_out_those_of_the_pause() -> None:
    log = Ledger()
    created(log)
    assert log.write(names.SCHEDULE_RESUMED, schedule="report", since=5) is Verdict.REFUSED
    assert log.write(names.SCHEDULE_PAUSED, schedule="report", by="ada") is Verdict.ACCEPTED
    assert log.write(names.SCHEDULE_PAUSED, schedule="report") is Verdict.REFUSED
    assert fired(log, 10) is Verdict.REFUSED
    assert paused_at(log) == log.events[2].timestamp
    assert log.write(names.SCHEDULE_RESUMED, schedule="report", since=55) is Verdict.ACCEPTED
    assert paused_at(log) is None
    assert [fired(log, tick) for tick in (50, 54, 55)] == [Verdict.REFUSED, Verdict.REFUSED, Verdict.ACCEPTED]


def test_cleared_schedule_can_be_created_anew() -> None:
    log = Ledger()
    created(log)
    assert log.write(names.SCHEDULE_CLEARED, schedule="report") is Verdict.ACCEPTED
    assert fired(log, 10) is Verdict.REFUSED
    assert log.write(names.SCHEDULE_CLEARED, schedule="report") is Verdict.REFUSED
    assert created(log, first=20) is Verdict.ACCEPTED
    assert log.view.schedules["report"].first == 20


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"schedule": ""},
        {"schedule": 7},
        {"schedule": "x", "trigger": {"type": "moon"}},
        {"schedule": "x", "tick": "y"},
    ],
)
def test_event_of_another_form_is_foreign(context: dict[str, Any]) -> None:
    log = Ledger()
    for name in names.SCHEDULE_EVENTS:
        assert log.write(name, **context) is not Verdict.ACCEPTED
    assert (log.view.schedules, log.view.unreadable) == ({}, 0)


def test_schedule_without_trigger_or_with_a_long_name_is_refused() -> None:
    log = Ledger()
    assert log.write(names.SCHEDULE_CREATED, schedule="x", first=1, message=MESSAGE) is Verdict.REFUSED
    assert created(log, "x" * (SCHEDULE_NAME_CHARS_MAX + 1)) is Verdict.REFUSED
    assert created(log, "x" * SCHEDULE_NAME_CHARS_MAX) is Verdict.ACCEPTED
    assert created(log, "date", trigger=msgspec.to_builtins(Date(5)), first=5) is Verdict.ACCEPTED


def test_events_of_another_partition_change_nothing() -> None:
    log = Ledger()
    created(log)
    other = Ledger(log.view, partition=1)
    assert [fired(other, 10), other.write(names.SCHEDULE_CLEARED, schedule="report")] == [Verdict.REFUSED] * 2
    assert log.view.schedules["report"].last == 9


STEPS = st.lists(
    st.tuples(
        st.sampled_from([*names.SCHEDULE_EVENTS, names.SCHEDULE_FIRED, names.SCHEDULE_FIRED]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 30),
    ),
    max_size=40,
)


@given(steps=STEPS, cut=st.integers(0, 40))
def test_schedules_are_the_same_however_they_are_read(steps: list[tuple[str, str, int]], cut: int) -> None:
    log, restored = Ledger(TaskView()), TaskView()
    for number, (name, schedule, tick) in enumerate(steps):
        if number == cut:
            restored.restore(log.view.snapshot())
        said = {"trigger": EVERY, "message": MESSAGE} if name == names.SCHEDULE_CREATED else {}
        verdict = log.write(
            name, schedule=schedule, tick=tick, since=tick, first=tick, task=f"{schedule}@{tick}", **said
        )
        if number >= cut:
            assert restored.apply(log.events[-1]) is verdict
    paged = TaskView()
    if log.rows:
        paged.apply_page(log.page())
    assert dict(paged.schedules) == dict(log.view.schedules)
    if cut < len(steps):
        assert dict(restored.schedules) == dict(log.view.schedules)


@given(steps=STEPS)
def test_fired_ticks_of_a_schedule_rise(steps: list[tuple[str, str, int]]) -> None:
    log, ticks = Ledger(TaskView()), dict[str, list[int]]()
    for name, schedule, tick in steps:
        said = {"trigger": EVERY, "message": MESSAGE} if name == names.SCHEDULE_CREATED else {}
        verdict = log.write(name, schedule=schedule, tick=tick, since=tick, first=tick, **said)
        if name == names.SCHEDULE_CREATED and verdict is Verdict.ACCEPTED:
            ticks[schedule] = []
        elif name == names.SCHEDULE_FIRED and verdict is Verdict.ACCEPTED:
            ticks[schedule].append(tick)
    for own in ticks.values():
        assert all(one < other for one, other in itertools.pairwise(own))


def test_schedule_knows_its_last_accepted_event() -> None:
    log = Ledger()
    created(log)
    changed = []
    for tick in (10, 10, 20):
        fired(log, tick)
        changed.append(log.view.schedules["report"].changed)
    assert changed == [1, 1, 3]
