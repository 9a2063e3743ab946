"""How long a worker waits before its next turn, in each situation. The test moves the clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.workers.limits import (
    COMMIT_MEMORY_PERIODS,
    COMMIT_OUTCOMES_ENOUGH,
    COMMIT_PACE_SECONDS,
    COMMIT_PACE_SECONDS_MAX,
)
from journeyman.workers.scheduling.commit_pace import CommitPace

QUICK = COMMIT_PACE_SECONDS / 10  # how long an append takes where nothing is in its way
ROUNDING = 1e-9  # of times as large as these
PAUSED = COMMIT_PACE_SECONDS - QUICK


def pause(pace: CommitPace, at: float, *, holding: bool = True, outcomes: int = 1, draining: bool = False) -> float:
    return pace.pause(at, holding=holding, outcomes=outcomes, draining=draining)


def turn(pace: CommitPace, at: float, arrived: int, *, holding: bool = True, append: float = QUICK) -> None:
    pace.turned(at, arrived=arrived, holding=holding, append_seconds=append)


def streaming(per_second: float, seconds: float = 1.0, append: float = QUICK) -> CommitPace:
    """A worker that has turned every 2 ms, or as often as tasks came, and held claims all the time."""
    pace = CommitPace()
    step = max(COMMIT_PACE_SECONDS, 1 / per_second)
    for number in range(1, round(seconds / step) + 1):
        turn(pace, number * step, round(per_second * step), append=append)
    turn(pace, seconds, 0, append=append)
    return pace


def test_first_task_is_claimed_at_once() -> None:
    pace = CommitPace()
    turn(pace, 50.0, 1, holding=False)
    assert pause(pace, 50.0, holding=False, outcomes=0) == 0.0


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
    turn(pace, 0.2, 0)
    assert pause(pace, 0.2 + QUICK) == 0.0


def test_idle_worker_does_not_pause() -> None:
    assert pause(streaming(4_000), 1.0 + QUICK, holding=False, outcomes=0) == 0.0


def test_pause_waits_for_tasks_that_still_run() -> None:
    assert pause(streaming(4_000), 1.0 + QUICK, outcomes=0) == pytest.approx(PAUSED)


def test_many_outcomes_are_written_at_once() -> None:
    pace = streaming(100_000)
    assert pause(pace, 1.0 + QUICK, outcomes=COMMIT_OUTCOMES_ENOUGH - 1) > 0.0
    assert pause(pace, 1.0 + QUICK, outcomes=COMMIT_OUTCOMES_ENOUGH) == 0.0


def test_draining_worker_does_not_pause() -> None:
    assert pause(streaming(4_000), 1.0 + QUICK, draining=True) == 0.0


def test_slow_appends_take_no_more_than_half_of_the_time() -> None:
    slow = 2 * COMMIT_PACE_SECONDS
    pace = streaming(4_000, append=slow)
    assert pause(pace, 1.0 + slow) == pytest.approx(slow)
    assert pause(pace, 1.0 + 2 * slow) == 0.0


def test_pause_is_bounded_where_appends_take_for_ever() -> None:
    assert pause(streaming(4_000, append=60.0), 1.0) == pytest.approx(COMMIT_PACE_SECONDS_MAX)


def test_stream_on_slow_disk_may_be_slower() -> None:
    rate = 0.7 / COMMIT_PACE_SECONDS
    assert not streaming(rate).is_stream(1.0)
    assert streaming(rate, append=COMMIT_PACE_SECONDS).is_stream(1.0)


def test_stream_that_has_ended_is_forgotten() -> None:
    pace = streaming(4_000)
    assert pace.is_stream(1.0)
    turn(pace, 1.1, 1, holding=False)
    assert not pace.is_stream(1.1)
    assert pause(pace, 1.1 + QUICK) == 0.0


steps = st.lists(
    st.tuples(st.integers(0, 10_000), st.floats(0, 10), st.booleans(), st.floats(0, 100), st.integers(0, 100)),
    max_size=50,
)


@given(steps)
def test_pause_is_never_longer_than_maximum_and_never_repeated(
    happened: list[tuple[int, float, bool, float, int]],
) -> None:
    pace, now = CommitPace(), 0.0
    for tasks, later, holding, append, outcomes in happened:
        now += later
        turn(pace, now, tasks, holding=holding, append=append)
        waited = pause(pace, now, holding=holding, outcomes=outcomes)
        assert 0.0 <= waited <= COMMIT_PACE_SECONDS_MAX + ROUNDING
        now += waited + ROUNDING
        assert pause(pace, now, holding=holding, outcomes=outcomes) == 0.0


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_of_a_stream_share_the_journal(workers: int) -> None:
    pace = streaming(4_000)
    pace.turned(1.0, arrived=0, holding=True, append_seconds=QUICK, workers=workers)
    assert pause(pace, 1.0) == pytest.approx(workers * COMMIT_PACE_SECONDS)
