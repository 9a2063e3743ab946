"""Calendars: cron, interval and date triggers as data, over both changes of the clocks, and what is refused."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import journeyman as jm
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from journeyman.tasks.state.schedules import Cron, Date, Interval, Trigger
from journeyman.tasks.state.ticks import NextTick, tick_text
from journeyman.tasks.triggers import calendar, data_of, in_words, is_same

BERLIN = "Europe/Berlin"
ZONES = [BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "Africa/Casablanca", "UTC"]


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


def ticks(next_tick: NextTick, begin: str, count: int) -> list[str]:
    found, moment = [], ms(begin)
    for _ in range(count):
        tick = next_tick(moment)
        if tick is None:
            break
        found.append(tick_text(tick))
        moment = tick
    return found


def cron(zone: str = BERLIN, **fields: object) -> NextTick:
    return calendar(data_of(jm.CronTrigger(timezone=zone, **fields)))


def test_daily_tick_comes_once_where_its_hour_is_left_out() -> None:
    assert ticks(cron(hour=2, minute=30), "2026-03-28T00:00Z", 3) == [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:30:00Z",  # 03:30 by the new time: 02:30 is left out
        "2026-03-30T00:30:00Z",
    ]


def test_daily_tick_comes_once_where_its_hour_repeats() -> None:
    assert ticks(cron(hour=2, minute=30), "2026-10-24T00:00Z", 3) == [
        "2026-10-24T00:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-26T01:30:00Z",
    ]


def test_midnight_after_a_change_of_the_clocks_is_not_lost() -> None:
    assert ticks(cron(hour=0), "2026-03-28T12:00Z", 3) == [
        "2026-03-28T23:00:00Z",
        "2026-03-29T22:00:00Z",
        "2026-03-30T22:00:00Z",
    ]


def test_tick_of_each_half_hour_follows_real_time() -> None:
    for begin in ("2026-03-28T23:00+00:00", "2026-10-24T22:00+00:00"):
        moment = datetime.fromisoformat(begin)
        expected = [f"{moment + timedelta(minutes=30 * step):%Y-%m-%dT%H:%M:%SZ}" for step in range(1, 13)]
        assert ticks(cron(minute="*/30"), begin, 12) == expected


def test_leap_day_ticks_in_leap_years_only() -> None:
    assert ticks(cron("UTC", month=2, day=29), "2026-01-01T00:00Z", 3) == [
        "2028-02-29T00:00:00Z",
        "2032-02-29T00:00:00Z",
        "2036-02-29T00:00:00Z",
    ]
    assert cron("UTC", month=2, day=30)(ms("2026-01-01T00:00Z")) is None
    assert ticks(cron("UTC", day="last"), "2028-02-01T00:00Z", 1) == ["2028-02-29T00:00:00Z"]


def test_cron_keeps_its_start_and_end() -> None:
    next_tick = cron(hour=6, start_date="2026-05-02", end_date="2026-05-03 23:00:00")
    assert ticks(next_tick, "2026-01-01T00:00Z", 9) == ["2026-05-02T04:00:00Z", "2026-05-03T04:00:00Z"]


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "day": st.sampled_from(["*", "1", "*/2", "last"]),
        "hour": st.sampled_from(["0", "2", "1-3", "*/6", "*", "23"]),
        "minute": st.sampled_from(["0", "30", "*/20", "10,35"]),
    },
).filter(bool)


@given(
    fields=FIELDS,
    zone=st.sampled_from(ZONES),
    begin=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 20)),  # noqa: DTZ001 - made aware below
)
@example(fields={"hour": "2", "minute": "30"}, zone=BERLIN, begin=datetime(2026, 3, 29, 1, 10))  # noqa: DTZ001
@example(fields={"day": "*"}, zone=BERLIN, begin=datetime(2026, 3, 29, 7, 0))  # noqa: DTZ001
@example(fields={"hour": "1-3", "minute": "10,35"}, zone="Australia/Lord_Howe", begin=datetime(2026, 10, 3, 15, 31))  # noqa: DTZ001
def test_calendar_equals_the_clock_read_minute_by_minute(fields: dict[str, str], zone: str, begin: datetime) -> None:
    first = begin.replace(second=0, microsecond=0, tzinfo=UTC)
    next_tick = cron(zone, **fields)
    moment, found = int(first.timestamp() * 1_000), []
    end = moment + 3 * 86_400_000
    while (tick := next_tick(moment)) is not None and tick <= end:
        found.append(tick)
        moment = tick
    assert found == read_off(fields, ZoneInfo(zone), first, end)


def read_off(fields: dict[str, str], zone: tzinfo, first: datetime, end: int) -> list[int]:
    """The ticks by the rule in words: each minute on the wall that matches, at a fixed hour once a day."""
    wall_calendar = cron("UTC", **fields)
    is_fixed = not fields.get("hour", "0" if set(fields) == {"day"} else "*").startswith("*")
    begin = int(first.timestamp() * 1_000)
    moment, found = begin - 86_400_000, set()
    while (tick := wall_calendar(moment)) is not None and tick <= end + 86_400_000:
        moment = tick
        wall = datetime.fromtimestamp(tick / 1_000, UTC).replace(tzinfo=None)
        for fold in (0,) if is_fixed else (0, 1):
            real = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
            if is_fixed or real.astimezone(zone).replace(tzinfo=None) == wall:
                found.add(int(real.timestamp() * 1_000))
    return sorted(tick for tick in found if begin < tick <= end)


def test_interval_ticks_from_its_start_on_without_drift() -> None:
    next_tick = calendar(Interval(every_ms=1_500, start_ms=1_000, end_ms=6_000))
    assert [next_tick(moment) for moment in (-9_000, 999, 1_000, 2_499, 2_500, 5_499, 5_500)] == [
        1_000,
        1_000,
        2_500,
        2_500,
        4_000,
        5_500,
        None,
    ]


@given(every=st.integers(1, 10_000), start=st.integers(0, 10**13), moment=st.integers(0, 10**13))
def test_interval_tick_is_the_first_behind_a_moment(every: int, start: int, moment: int) -> None:
    tick = calendar(Interval(every, start))(moment)
    assert tick is not None
    assert tick > moment
    assert (tick - start) % every == 0
    assert tick == start or (tick > start and tick - every <= moment)


def test_date_ticks_once() -> None:
    trigger = data_of(jm.DateTrigger(datetime(2026, 5, 1, 12, tzinfo=UTC)))
    assert ticks(calendar(trigger), "2026-01-01T00:00Z", 5) == ["2026-05-01T12:00:00Z"]


@pytest.mark.parametrize(
    "trigger",
    [
        jm.CronTrigger(hour="*/3", day_of_week="mon-fri", timezone=BERLIN, start_date="2026-01-01"),
        jm.CronTrigger.from_crontab("*/5 4 2 * *", timezone="UTC"),
        jm.CronTrigger(day="2nd mon", timezone=timezone(timedelta(hours=5, minutes=30))),
        jm.IntervalTrigger(hours=1, timezone=BERLIN),
        jm.DateTrigger("2026-05-01 12:00:00", timezone="America/New_York"),
    ],
)
def test_data_of_a_trigger_survives_the_journal(trigger: object) -> None:
    data = data_of(trigger)
    read = msgspec.json.decode(msgspec.json.encode(data), type=Trigger)
    assert read == data
    moment, own = datetime(2026, 4, 30, tzinfo=UTC), []
    for _ in range(3):
        found = trigger.get_next_fire_time(None, moment)  # type: ignore[attr-defined]
        own.append(found.astimezone(UTC))
        moment = own[-1] + timedelta(microseconds=1)
        if isinstance(data, Date):
            break
    expected = [tick_text(-int(-each.timestamp() * 1_000 // 1)) for each in own]
    assert ticks(calendar(read), "2026-04-29T23:59:59Z", len(own)) == expected


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        (lambda: jm.CronTrigger(hour=1, jitter=9), "jitter=9"),
        (lambda: jm.IntervalTrigger(minutes=1, jitter=9), "jitter=9"),
        (lambda: jm.IntervalTrigger(seconds=0.000_5), "whole number of ms, at least 100"),
        (lambda: jm.IntervalTrigger(seconds=0.05), "at least 100"),
        (lambda: jm.CronTrigger(hour=1, timezone=Nameless()), "by its name"),
        (lambda: "0 3 * * *", "a trigger is a CronTrigger"),
    ],
)
def test_trigger_that_no_other_process_could_follow_is_refused(trigger: object, said: str) -> None:
    with pytest.raises(jm.SchedulingError, match=said):
        data_of(trigger())  # type: ignore[operator]


class Nameless(tzinfo):
    def utcoffset(self, _dt: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, _dt: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _dt: datetime | None) -> str:
        return "nameless"


@pytest.mark.parametrize(
    "bad", [Cron({"hour": "99"}, "UTC"), Cron({"shoe": "1"}, "UTC"), Cron({}, "Mars/Olympus"), Interval(0, 0)]
)
def test_data_of_another_program_is_no_calendar(bad: Trigger) -> None:
    with pytest.raises((ValueError, LookupError)):
        calendar(bad)


def test_intervals_are_the_same_whenever_their_objects_were_made() -> None:
    assert is_same(Interval(5_000, 1), Interval(5_000, 2))
    assert not is_same(Interval(5_000, 1), Interval(6_000, 1))
    assert not is_same(Interval(5_000, 1), Date(1))


def test_trigger_is_described_in_words() -> None:
    assert in_words(Interval(3_600_000, 0)) == "every hour"
    assert in_words(Interval(90_000, 0)) == "every 90 seconds"
    assert in_words(Interval(1_500, 0)) == "every 1,500 ms"
    assert in_words(Cron({"hour": "3"}, BERLIN)) == "hour=3 (Europe/Berlin)"
    assert in_words(Date(0)) == "once, at 1970-01-01T00:00:00Z"


def test_ticks_of_a_calendar_rise() -> None:
    next_tick, moment, found = cron(hour="*/5", minute=7), ms("2026-03-01T00:00Z"), []
    for _ in range(200):
        tick = next_tick(moment)
        assert tick is not None
        found.append(tick)
        moment = tick
    assert all(one < other for one, other in pairwise(found))
