"""Which ticks are due: late ones by each policy, against a list of ticks read off by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.tasks.state.routing import routing_key
from journeyman.tasks.state.schedules import MISFIRES, Misfire
from journeyman.tasks.state.ticks import NextTick, due_ticks, next_due, tick_id, tick_text


def every(ticks: list[int]) -> NextTick:
    return lambda moment: next((tick for tick in ticks if tick > moment), None)


TENS = every(list(range(10, 1_000, 10)))


@pytest.mark.parametrize(
    ("misfire", "now", "due"),
    [
        ("run_all", 9, []),
        ("run_all", 35, [10, 20, 30]),
        ("skip", 35, [20, 30]),  # with a grace of 15, the tick at 10 is too late
        ("skip", 30, [20, 30]),
        ("run_once", 60, [60]),
        ("run_once", 35, [30]),  # in place of those that are too late
        ("run_once", 20, [10, 20]),  # none is too late
        ("run_once", 10, [10]),
    ],
)
def test_late_ticks_are_fired_by_the_policy(misfire: Misfire, now: int, due: list[int]) -> None:
    assert due_ticks(0, misfire, 15, now, TENS, 100) == due


def test_newest_missed_tick_may_be_due_at_this_moment() -> None:
    for now in range(30, 1_000, 10):
        assert due_ticks(0, "run_once", 15, now, TENS, 100) == [now]
        assert due_ticks(0, "run_once", 15, now + 9, TENS, 100) == [now]


def test_due_ticks_end_at_the_limit_and_go_on_behind_it() -> None:
    assert due_ticks(0, "run_all", 1, 900, TENS, 3) == [10, 20, 30]
    assert due_ticks(30, "run_all", 1, 900, TENS, 3) == [40, 50, 60]


@given(
    ticks=st.lists(st.integers(0, 400), unique=True).map(sorted),
    last=st.integers(-1, 200),
    now=st.integers(0, 400),
    grace=st.integers(0, 100),
    misfire=st.sampled_from(MISFIRES),
)
def test_due_ticks_equal_the_rule_in_words(ticks: list[int], last: int, now: int, grace: int, misfire: Misfire) -> None:
    pending = [tick for tick in ticks if last < tick <= now]
    late = [tick for tick in pending if tick < now - grace]
    expected = {
        "run_all": pending,
        "skip": pending[len(late) :],
        "run_once": pending[-1:] if late else pending,
    }[misfire]
    next_tick = every(ticks)
    assert due_ticks(last, misfire, grace, now, next_tick, 1_000) == expected
    following = next_due(last, misfire, grace, now, next_tick)
    assert (following is not None and following <= now) == bool(expected)


def test_newest_of_a_billion_missed_ticks_is_found_at_once() -> None:
    asked = 0

    def seconds(moment: int) -> int:
        nonlocal asked
        asked += 1
        return (moment // 1_000 + 1) * 1_000

    assert due_ticks(0, "run_once", 1_000, 10**12 + 17, seconds, 100) == [10**12]
    assert asked < 200


def test_tick_id_routes_to_its_schedule() -> None:
    assert tick_text(1_764_471_600_000) == "2025-11-30T03:00:00Z"
    assert tick_id("report", 1_764_471_600_250) == "report@2025-11-30T03:00:00.250Z"
    assert routing_key(tick_id("report", 1_764_471_600_250)) == "report"
    assert routing_key(tick_id("mail@home", 0)) == "mail@home"
