"""How long a worker waits before its next turn, in each situation. The test moves the clock."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.workers.limits import (
    COMMIT_MEMORY_PERIODS,
    COMMIT_OUTCOMES_ENOUGH,
    COMMIT_PACE_SECONDS,
    COMMIT_PACE_SECONDS_MAX,
    COMMIT_TIME_SHARE_MAX,
    COMMITS_PER_PERIOD,
    STEAL_DELAY_APPENDS,
    STEAL_DELAY_PERIODS,
    STEAL_DELAY_SECONDS,
    STEAL_DELAY_SECONDS_MAX,
)
from journeyman.workers.scheduling.commit_pace import CommitPace

QUICK = COMMIT_PACE_SECONDS / 20  # how long an append takes where nothing is in its way
ROUNDING = 1e-9  # of times as large as these
PAUSED = COMMIT_PACE_SECONDS - QUICK


def pause(pace: CommitPace, at: float, *, outcomes: int = 1, draining: bool = False) -> float:
    return pace.pause(at, outcomes=outcomes, draining=draining)


def turn(pace: CommitPace, at: float, arrived: int, *, holding: bool = True, append: float = QUICK) -> None:
    pace.turned(at, arrived=arrived, holding=holding, append_seconds=append)


def streaming(per_second: float, seconds: float = 1.0, append: float = QUICK) -> CommitPace:
    """A worker that has turned once in a period, or as often as tasks came, and held claims all the time."""
    pace = CommitPace()
    step = max(COMMIT_PACE_SECONDS, 1 / per_second)
    for number in range(1, round(seconds / step) + 1):
        turn(pace, number * step, round(per_second * step), append=append)
    turn(pace, seconds, 0, append=append)
    return pace


def test_first_task_is_claimed_at_once() -> None:
    pace = CommitPace()
    turn(pace, 50.0, 1, holding=False)
    assert pause(pace, 50.0, outcomes=0) == 0.0


def test_worker_that_has_not_turned_yet_does_not_pause() -> None:
    assert pause(CommitPace(), 50.0) == 0.0


def test_stream_begins_with_one_expected_task_per_period() -> None:
    for arrived, stream in ((COMMIT_MEMORY_PERIODS - 1, False), (COMMIT_MEMORY_PERIODS, True)):
        pace = CommitPace()
        turn(pace, 50.0, arrived)
        assert pace.is_stream(50.0) is stream


def test_lone_outcome_is_written_at_once() -> None:
    pace = CommitPace()
    turn(pace, 50.0, 1, holding=False)
    assert pause(pace, 50.0 + QUICK) == 0.0


def test_caller_that_waits_for_each_result_is_no_stream() -> None:
    pace = CommitPace()
    for number in range(10_000):  # ten in the time of a pause
        now = number * COMMIT_PACE_SECONDS / 10
        turn(pace, now, 1, holding=False)
        assert not pace.is_stream(now)
        assert pause(pace, now + QUICK) == 0.0


def test_stream_passes_keep_their_distance() -> None:
    pace = streaming(4_000)
    assert pause(pace, 1.0 + QUICK) == pytest.approx(PAUSED)
    assert pause(pace, 1.0 + COMMIT_PACE_SECONDS / 2) == pytest.approx(COMMIT_PACE_SECONDS / 2)


def test_pause_ends_when_the_last_pass_is_old_enough() -> None:
    pace = streaming(4_000)
    assert pause(pace, 1.0 + COMMIT_PACE_SECONDS) == 0.0
    assert pause(pace, 1.0 + 3 * COMMIT_PACE_SECONDS) == 0.0


def test_stream_that_begins_is_noticed_within_few_periods() -> None:
    assert pause(streaming(4_000, seconds=3 * COMMIT_PACE_SECONDS), 3 * COMMIT_PACE_SECONDS + QUICK) > 0.0


@pytest.mark.parametrize("per_second", [1, 10, 100, 0.7 / COMMIT_PACE_SECONDS])
def test_rare_tasks_are_no_stream_though_claims_are_held(per_second: float) -> None:
    pace = streaming(per_second, seconds=2.0)
    assert pause(pace, 2.0 + QUICK) == 0.0


def test_tasks_arriving_at_an_idle_worker_are_no_stream() -> None:
    pace = CommitPace()
    for number in range(100):
        turn(pace, number * COMMIT_PACE_SECONDS, 50, holding=False)
    turn(pace, 0.5, 0)
    assert pause(pace, 0.5 + QUICK) == 0.0


def test_pause_waits_for_tasks_that_still_run() -> None:
    assert pause(streaming(4_000), 1.0 + QUICK, outcomes=0) == pytest.approx(PAUSED)


def test_many_outcomes_are_written_at_once() -> None:
    pace = streaming(100_000)
    assert pause(pace, 1.0 + QUICK, outcomes=COMMIT_OUTCOMES_ENOUGH - 1) > 0.0
    assert pause(pace, 1.0 + QUICK, outcomes=COMMIT_OUTCOMES_ENOUGH) == 0.0


def test_draining_worker_does_not_pause() -> None:
    assert pause(streaming(4_000), 1.0 + QUICK, draining=True) == 0.0


def test_worker_may_settle_once_in_a_period() -> None:
    assert not CommitPace().may_settle
    pace = CommitPace()
    for number in range(3):
        turn(pace, float(number), 0)
        before = pace.may_settle
        pace.settled(number + QUICK, arrived=0)
        assert (before, pace.may_settle) == (True, False)


def test_settling_does_not_move_the_next_turn() -> None:
    pace = streaming(4_000)
    pace.settled(1.0 + COMMIT_PACE_SECONDS / 2, arrived=0)
    assert pause(pace, 1.0 + COMMIT_PACE_SECONDS / 2) == pytest.approx(COMMIT_PACE_SECONDS / 2)
    assert pause(pace, 1.0 + COMMIT_PACE_SECONDS) == 0.0


def test_tasks_that_come_before_all_is_settled_are_a_stream() -> None:
    pace, now = CommitPace(), 0.0
    for _ in range(10 * COMMIT_MEMORY_PERIODS):
        now += COMMIT_PACE_SECONDS
        turn(pace, now, 20, holding=False)
        pace.settled(now + COMMIT_PACE_SECONDS / 5, arrived=2)
    assert pace.is_stream(now)


def test_rate_fades_as_fast_with_settling_turns_as_without() -> None:
    settling, plain = streaming(4_000), streaming(4_000)
    settling.settled(1.01, arrived=0)
    turn(settling, 1.02, 0)
    turn(plain, 1.02, 0)
    memory = COMMIT_MEMORY_PERIODS * COMMIT_PACE_SECONDS
    ends = 1.0 + memory * math.log(4_000 * COMMIT_PACE_SECONDS)  # when a rate that fades is below one in a period
    for pace in (settling, plain):
        assert pace.is_stream(1.03)
        assert not pace.is_stream(ends + memory / 5)


def test_slow_appends_take_no_more_than_half_of_the_time() -> None:
    slow = COMMIT_PACE_SECONDS_MAX / 5
    pace = streaming(4_000, append=slow)
    period = COMMITS_PER_PERIOD * slow / COMMIT_TIME_SHARE_MAX
    assert COMMIT_PACE_SECONDS < period < COMMIT_PACE_SECONDS_MAX
    assert pause(pace, 1.0 + slow) == pytest.approx(period - slow)
    assert pause(pace, 1.0 + period + ROUNDING) == 0.0


def test_pause_is_bounded_where_appends_take_for_ever() -> None:
    assert pause(streaming(4_000, append=60.0), 1.0) == pytest.approx(COMMIT_PACE_SECONDS_MAX)


def test_stream_on_slow_disk_may_be_slower() -> None:
    rate = 0.7 / COMMIT_PACE_SECONDS
    assert not streaming(rate).is_stream(1.0)
    assert streaming(rate, append=COMMIT_PACE_SECONDS).is_stream(1.0)


def test_stream_that_has_ended_is_forgotten() -> None:
    pace = streaming(4_000)
    assert pace.is_stream(1.0)
    turn(pace, 1.3, 1, holding=False)
    assert not pace.is_stream(1.3)
    assert pause(pace, 1.3 + QUICK) == 0.0


steps = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.floats(0, 10),
        st.booleans(),
        st.floats(0, 100),
        st.integers(0, 100),
        st.booleans(),
    ),
    max_size=50,
)


@given(steps)
def test_pause_is_never_longer_than_maximum_and_never_repeated(
    happened: list[tuple[int, float, bool, float, int, bool]],
) -> None:
    pace, now = CommitPace(), 0.0
    for tasks, later, holding, append, outcomes, settles in happened:
        now += later
        turn(pace, now, tasks, holding=holding, append=append)
        if settles:
            pace.settled(now, arrived=tasks)
        waited = pause(pace, now, outcomes=outcomes)
        assert 0.0 <= waited <= COMMIT_PACE_SECONDS_MAX + ROUNDING
        now += waited + ROUNDING
        assert pause(pace, now, outcomes=outcomes) == 0.0


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_of_a_stream_share_the_journal(workers: int) -> None:
    pace = streaming(4_000)
    pace.turned(1.0, arrived=0, holding=True, append_seconds=QUICK, workers=workers)
    assert pause(pace, 1.0) == pytest.approx(workers * COMMIT_PACE_SECONDS)


def test_steal_delay_follows_appends_and_periods() -> None:
    assert CommitPace().steal_delay(1.0) == STEAL_DELAY_SECONDS
    slow = STEAL_DELAY_SECONDS / STEAL_DELAY_APPENDS
    idle = CommitPace()
    idle.turned(1.0, arrived=0, holding=False, append_seconds=2 * slow, workers=4)
    assert idle.steal_delay(1.0) == pytest.approx(2 * STEAL_DELAY_SECONDS)
    idle.turned(1.0, arrived=0, holding=False, append_seconds=100.0)
    assert idle.steal_delay(1.0) == STEAL_DELAY_SECONDS_MAX
    busy = streaming(4_000)
    busy.turned(1.0, arrived=0, holding=True, append_seconds=QUICK, workers=4)
    assert busy.steal_delay(1.0) == pytest.approx(STEAL_DELAY_PERIODS * 4 * COMMIT_PACE_SECONDS)
    assert busy.steal_delay(2.0) == STEAL_DELAY_SECONDS
