"""Workers fire schedules: one run a tick, in one append, by the policy; and a timetable that costs little."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import journeyman as jm
import msgspec
import pytest
from journeyman.journal.event import Draft, encode_context
from journeyman.journal.limits import BATCH_BYTES_MAX
from journeyman.tasks import Message, TaskView
from journeyman.tasks.scheduling import PlannedSchedule, change_schedule, create_schedule, pausing, resuming
from journeyman.tasks.state import names
from journeyman.tasks.state.schedules import Date, Interval, Policy, Schedule
from journeyman.tasks.state.ticks import tick_id
from journeyman.tasks.tick_messages import template_of
from journeyman.workers import Settings
from journeyman.workers.limits import SCHEDULES_FIRED_MAX, TICK_BYTES_MAX
from journeyman.workers.loop.firing import Firing, drafts_of
from journeyman.workers.loop.timetable import Timetable
from journeyman.workers.scheduling.decide import DueTicks, Fire, firing
from support.ledger import Ledger
from support.shop import LEASE_MS, Shop, named
from support.waiting import reached


def now_ms() -> int:
    return int(time.time() * 1_000)


def plan(trigger: Any, name: str = "report", policy: Policy | None = None, **options: Any) -> PlannedSchedule:
    return PlannedSchedule(name, trigger, policy or Policy(), template_of(Message(task_name=name, **options)))


def settings(**options: Any) -> Settings:
    return Settings(threads=4, lease_ms=LEASE_MS, **options)


def ticks_of(shop: Shop, name: str = names.SCHEDULE_FIRED) -> list[int]:
    return [event.context["tick"] for event in shop.events(name)]


@pytest.mark.anyio
async def test_worker_submits_and_runs_each_tick_once() -> None:
    shop, seen = Shop(), list[dict[str, Any]]()

    def report(message: Message) -> None:
        assert message.metadata is not None
        seen.append({"id": message.uuid, **message.metadata["schedule"]})

    start = now_ms() + 100
    async with shop.worker(named(report=report), settings()), shop.worker(named(report=report), settings()):
        await create_schedule(shop.journal, plan(Interval(100, start), args=[]))
        await shop.succeeded(3)
    ticks = ticks_of(shop)
    assert ticks == [start + 100 * number for number in range(len(ticks))]
    submitted = [event.context["task"] for event in shop.events(names.SUBMITTED)]
    assert submitted == [tick_id("report", tick) for tick in ticks]
    assert {each["id"] for each in seen} <= set(submitted)
    assert all(each["id"] == f"{each['name']}@{each['tick']}" for each in seen)
    for fired, submission in zip(shop.events(names.SCHEDULE_FIRED), shop.events(names.SUBMITTED), strict=True):
        assert (submission.partition, submission.offset) == (fired.partition, fired.offset + 1)


@pytest.mark.anyio
async def test_tick_is_found_by_its_id_in_any_partition() -> None:
    shop = Shop(partitions=4)
    plans = [plan(Date(now_ms()), name) for name in ("alpha", "beta", "gamma", "delta")]
    for each in plans:
        await create_schedule(shop.journal, each)
    functions = {each.name: (lambda: 7) for each in plans}
    async with shop.worker(named(**functions), settings()):
        await shop.succeeded(len(plans))
    for event in shop.events(names.SCHEDULE_FIRED):
        found = await jm.AsyncStatusTracker(shop.journal).get(event.context["task"])
        assert found.status is jm.TaskStatus.SUCCEEDED
    assert len({event.partition for event in shop.events(names.SCHEDULE_FIRED)}) > 1


@pytest.mark.anyio
async def test_worker_without_schedules_leaves_them_to_others() -> None:
    shop = Shop()
    await create_schedule(shop.journal, plan(Date(now_ms())))
    async with shop.worker(named(report=lambda: None), settings(fires_schedules=False)) as idle:
        assert idle._firing.wait(time.time()) is None
        message = await shop.submit(named(report=lambda: None)["report"])
        await shop.succeeded(1)
        assert (shop.count(names.SCHEDULE_FIRED), shop.task(message).state.name) == (0, "SUCCEEDED")
        async with shop.worker(named(other=lambda: None), settings()):  # fires what it does not run
            await shop.succeeded(2)


@pytest.mark.anyio
async def test_draining_worker_fires_no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, tasks = Shop(), named(other=lambda: 1)
    async with shop.worker(tasks, settings()) as worker:
        await create_schedule(shop.journal, plan(Date(now_ms() + 3_600_000)))
        await reached(lambda: worker.view.schedules, "the schedule to be seen")
        later = time.time() + 7_200
        assert [each.schedule.name for each in worker._firing.due(later)] == ["report"]
        worker.stop()
        assert worker._situation(time.monotonic()).draining
        with monkeypatch.context() as patch:
            patch.setattr(worker._firing, "due", None)
            assert worker._situation(time.monotonic()).due == []
    assert not ticks_of(shop)


@pytest.mark.anyio
async def test_paused_schedule_ticks_again_from_its_resumption_on() -> None:
    shop = Shop()
    async with shop.worker(named(report=lambda: None), settings()):
        await create_schedule(shop.journal, plan(Interval(100, now_ms()), policy=Policy("run_all")))
        await shop.finished(names.SCHEDULE_FIRED, 2)
        await change_schedule(shop.journal, "report", lambda known: pausing(known, {}))
        fired = shop.count(names.SCHEDULE_FIRED)
        since = now_ms() + 400
        await reached(lambda: now_ms() >= since, "several ticks to pass")
        assert shop.count(names.SCHEDULE_FIRED) == fired
        await change_schedule(shop.journal, "report", lambda known: resuming(known, now_ms(), {}))
        await shop.finished(names.SCHEDULE_FIRED, fired + 2)
    assert not [tick for tick in ticks_of(shop)[fired:] if tick < since]


@pytest.mark.parametrize(("misfire", "count"), [("run_all", 8), ("run_once", 1), ("skip", 0)])
@pytest.mark.anyio
async def test_ticks_missed_by_all_are_made_up_by_the_policy(misfire: Any, count: int) -> None:
    shop, hour = Shop(), 3_600_000
    begin = now_ms() - 8 * hour + hour // 2  # eight ticks, the newest one half an hour ago
    await create_past(shop, plan(Interval(hour, begin), policy=Policy(misfire, 1_000)), begin)
    soon = now_ms()
    await create_schedule(shop.journal, plan(Date(soon), "marker"))
    async with shop.worker(named(report=lambda: None, marker=lambda: None), settings()):
        await reached(lambda: soon in ticks_of(shop), "the marker to be fired")
        await shop.finished(names.SUBMITTED, count + 1)
    fired = [tick for tick in ticks_of(shop) if tick != soon]
    assert fired == [begin + hour * number for number in range(8)][8 - count :]


async def create_past(shop: Shop, given: PlannedSchedule, first: int) -> None:
    """A schedule that was created in the past, and that no process has fired since."""
    changes = {**given.creation(0)[0][1], "first": first, "schedule": given.name}
    await shop.journal.append(names.SCHEDULE_CREATED, changes, given.name)


@pytest.mark.anyio
async def test_overlapping_ticks_are_skipped_and_told_of() -> None:
    shop, release = Shop(), asyncio.Event()

    async def report() -> None:
        await release.wait()

    async with shop.worker(named(report=report), settings()):
        await create_schedule(
            shop.journal, plan(Interval(100, now_ms()), policy=Policy(overlap="skip"), mechanism="async")
        )
        await shop.finished(names.SCHEDULE_SKIPPED, 2)
        assert shop.count(names.SCHEDULE_FIRED) == 1
        release.set()
        await shop.finished(names.SCHEDULE_FIRED, 2)
    behind = {event.context["behind"] for event in shop.events(names.SCHEDULE_SKIPPED)[:2]}
    assert behind == {shop.events(names.SUBMITTED)[0].context["task"]}


@pytest.mark.anyio
async def test_append_of_a_tick_is_refused_behind_news_of_its_schedule() -> None:
    shop = Shop()
    schedule = await create_schedule(shop.journal, plan(Interval(100, now_ms())))
    log = await shop.journal.open()
    position = dict((await log.bounds()).end)
    first, second = Firing(shop.journal, None), Firing(shop.journal, None)
    fire = [Fire(schedule, schedule.first)]
    won = [await first.append(drafts) for drafts in drafts_of(fire, position)]
    lost = [await second.append(drafts) for drafts in drafts_of(fire, position)]
    assert (won[0].offset, shop.count(names.SCHEDULE_FIRED), shop.count(names.SUBMITTED)) == (2, 1, 1)
    assert lost[0].offset in (1, 2), "the position of the event that was faster"


@pytest.mark.anyio
async def test_schedule_of_another_program_harms_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop()
    bad = {"trigger": {"type": "cron", "fields": {"hour": "99"}, "timezone": "UTC"}, "first": 1, "message": {}}
    async with shop.worker(named(report=lambda: None), settings()):
        for name in ("bad", "worse"):
            await shop.journal.append(names.SCHEDULE_CREATED, {"schedule": name, **bad}, name)
        await create_schedule(shop.journal, plan(Date(now_ms())))
        await shop.succeeded(1)
    told = sorted(record.args[0] for record in caplog.records if "cannot be fired" in record.message)  # type: ignore[index, type-var]
    assert told == ["bad", "worse"]


# -- the timetable ---------------------------------------------------------------------------------------------------


def timetable(*schedules: tuple[str, int]) -> tuple[Ledger, Timetable]:
    log = Ledger(TaskView())
    for name, every in schedules:
        trigger = msgspec.to_builtins(Interval(every, every))
        message = {"task_name": name}
        log.write(names.SCHEDULE_CREATED, schedule=name, trigger=trigger, first=every, message=message)
    return log, Timetable(log.view.schedules)


def test_timetable_returns_due_schedules_until_they_are_fired() -> None:
    log, table = timetable(("a", 1_000), ("b", 1_500))
    assert (table.next_moment(0), table.due(999)) == (1_000, [])
    for _ in range(2):  # an append that failed is tried again
        assert [(due.schedule.name, list(due.ticks)) for due in table.due(1_700)] == [("a", [1_000]), ("b", [1_500])]
    log.write(names.SCHEDULE_FIRED, schedule="a", tick=1_000, task="a@1")
    assert [due.schedule.name for due in table.due(1_700)] == ["b"]
    log.write(names.SCHEDULE_PAUSED, schedule="b")
    assert (table.due(1_700), table.next_moment(1_700)) == ([], 2_000)
    log.write(names.SCHEDULE_CLEARED, schedule="a")
    assert table.next_moment(1_700) is None


def test_timetable_asks_no_calendar_while_nothing_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    log, table = timetable(*((f"s{number}", 1_000 + number) for number in range(50)))
    assert table.next_moment(0) == 1_000

    def refuse(*_args: object) -> None:
        raise AssertionError("the calendar was asked")

    monkeypatch.setattr(Timetable, "_calendar", refuse)
    assert (table.due(999), table.next_moment(999)) == ([], 1_000)
    assert log.view.schedules.touched == set()


def test_overlap_skips_all_but_the_first_of_several_ticks() -> None:
    log, _ = timetable(("a", 1_000))
    schedule = log.view.schedules["a"]
    skips = msgspec.structs.replace(schedule, policy=Policy(overlap="skip"), task="a@1")
    assert firing(log.view, DueTicks(schedule, [1, 2, 3])) == [Fire(schedule, tick) for tick in (1, 2, 3)]
    assert firing(log.view, DueTicks(skips, [1, 2, 3])) == [Fire(skips, 1), Fire(skips, 3, skipped=True)]
    assert firing(log.view, DueTicks(skips, [1])) == [Fire(skips, 1)]
    log.submit("a@1")
    assert firing(log.view, DueTicks(skips, [1, 2])) == [Fire(skips, 2, skipped=True)]


def test_ticks_are_divided_into_appends_that_fit() -> None:
    log, _ = timetable(("a", 1_000))
    schedule = log.view.schedules["a"]
    large = msgspec.structs.replace(schedule, message=encode_context("x", {"task_name": "a", "args": ["x" * 60_000]}))
    drafts = list(drafts_of([Fire(large, tick) for tick in range(100)], {0: 5}))
    assert len(drafts) > 1
    events = [draft for part in drafts for draft in part]
    assert [draft.name for draft in events] == [names.SCHEDULE_FIRED, names.SUBMITTED] * 100
    assert all(draft.expected == 4 for draft in events if draft.name == names.SCHEDULE_FIRED)
    assert all(isinstance(draft, Draft) and draft.key == "a" and draft.partition == 0 for draft in events)


def test_append_of_ticks_has_room_for_a_number_of_them() -> None:
    log, _ = timetable(("a", 1_000))
    fires = [Fire(log.view.schedules["a"], tick) for tick in range(2 * SCHEDULES_FIRED_MAX + 1)]
    assert [len(part) for part in drafts_of(fires, {})] == [2 * SCHEDULES_FIRED_MAX, 2 * SCHEDULES_FIRED_MAX, 2]


@pytest.mark.parametrize(("per_append", "sizes"), [(4, [8, 8, 2]), (1, [2] * 9), (0.5, [2] * 9)])
def test_append_of_ticks_is_filled_to_the_byte(per_append: float, sizes: list[int]) -> None:
    log, _ = timetable(("a", 1_000), ("b", 1_000))
    message = encode_context("x", {"task_name": "a", "args": [""]})
    size = int(BATCH_BYTES_MAX / per_append) - TICK_BYTES_MAX
    message = message.replace(b'""', b'"%b"' % (b"x" * (size - len(message))))
    near = msgspec.structs.replace(log.view.schedules["a"], message=message)
    far = msgspec.structs.replace(log.view.schedules["b"], message=message, partition=3)
    fires = [Fire(each, tick) for tick in range(9) for each in (near, far)]
    appends = list(drafts_of(fires, {0: 5}))
    assert all(len({draft.partition for draft in part}) == 1 for part in appends)
    for partition, expected in ((0, 4), (3, -1)):
        parts = [part for part in appends if part[0].partition == partition]
        assert [len(part) for part in parts] == sizes
        assert {draft.expected for part in parts for draft in part[::2]} == {expected}


def test_timetable_waits_for_the_next_tick_or_the_clock() -> None:
    with jm.Journal("memory://") as journal:
        assert Firing(journal.asynchronous, None).wait(5.0) is None
        assert Firing(journal.asynchronous, None).due(5.0) == []
        assert Firing(journal.asynchronous, timetable()[1]).wait(5.0) is None
        firing = Firing(journal.asynchronous, timetable(("a", 4_000), ("b", 9_000))[1])
        assert [firing.wait(now) for now in (1.0, 3.5, 4.0, 7.0)] == [3.0, 0.5, 0.0, 0.0]
        firing.wait_seconds_max = 2.0
        assert firing.wait(1.0) == 2.0


def test_timetable_follows_what_becomes_of_schedules() -> None:
    log, table = timetable(("a", 1_000), ("b", 2_000))
    assert table.next_moment(0) == 1_000
    log.write(names.SCHEDULE_PAUSED, schedule="a")
    assert table.next_moment(0) == 2_000
    log.write(names.SCHEDULE_RESUMED, schedule="a", since=0)
    assert table.next_moment(0) == 1_000
    log.write(names.SCHEDULE_CLEARED, schedule="a")
    assert table.next_moment(0) == 2_000
    trigger = msgspec.to_builtins(Interval(500, 500))
    message = {"task_name": "a"}
    log.write(names.SCHEDULE_CREATED, schedule="a", trigger=trigger, first=500, message=message)
    assert table.next_moment(0) == 500, "the calendar of the new one"
    (due,) = table.due(600)
    assert (due.schedule.name, list(due.ticks)) == ("a", [500])
    log.write(names.SCHEDULE_FIRED, schedule="a", tick=500, task="a@1")
    assert table.next_moment(600) == 1_000, "its next tick"


def test_schedule_without_a_message_is_never_due(caplog: pytest.LogCaptureFixture) -> None:
    log, table = timetable(("good", 2_000))
    trigger = msgspec.to_builtins(Interval(1_000, 1_000))
    log.write(names.SCHEDULE_CREATED, schedule="bad", trigger=trigger, first=1_000, message={"args": [1]})
    assert [due.schedule.name for due in table.due(2_000)] == ["good"]
    assert table.next_moment(2_000) == 2_000, "the good one, until it has fired"
    (record,) = caplog.records
    assert record.getMessage().startswith("the schedule bad cannot be fired by this process: ")


def test_message_of_a_tick_is_the_same_in_each_process() -> None:
    log, _ = timetable(("a", 1_000))
    template = template_of(Message(task_name="a", delay=250, metadata={"who": "ada"}, priority=3))
    given = msgspec.structs.replace(log.view.schedules["a"], message=encode_context("x", template))
    made = [message_of(given, 2_000) for _ in range(2)]
    assert made[0] == made[1]
    assert (made[0].uuid, made[0].created_at, made[0].due) == ("a@1970-01-01T00:00:02Z", 2_000, 2.25)
    assert made[0].metadata == {"who": "ada", "schedule": {"name": "a", "tick": "1970-01-01T00:00:02Z"}}
    assert (made[0].priority, made[0].progenitor_uuid) == (3, "a@1970-01-01T00:00:01Z")
    assert message_of(given, 1_000).progenitor_uuid is None


def message_of(schedule: Schedule, tick: int) -> Message:
    from journeyman.tasks.tick_messages import tick_message

    return msgspec.json.decode(tick_message(schedule, tick), type=Message)


def test_date_in_the_past_is_a_late_tick() -> None:
    past = int((datetime.now(UTC) - timedelta(days=1)).timestamp() * 1_000)
    assert plan(Date(past)).creation(now_ms())[0][1]["first"] == past
