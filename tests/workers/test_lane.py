"""A lane: how much it claims, what it gives back, when it has to be woken. The test moves the clock."""

import time
from collections.abc import Iterator

import pytest
from journeyman.tasks import Message, TaskState
from journeyman.tasks.state import names
from journeyman.workers.executors import ThreadExecutor
from journeyman.workers.executors.base import Run, begun, count_begun
from journeyman.workers.executors.pipeline import Job, SessionLease, gone
from journeyman.workers.limits import (
    CLAIM_AHEAD_SECONDS,
    CLAIM_IDLE_SECONDS_MAX,
    CLAIMS_MAX,
    OUTCOME_LINGER_SECONDS,
)
from journeyman.workers.loop.lane import Lane, room
from journeyman.workers.scheduling.ready_queue import ReadyTasks
from support.shop import named
from support.states import claimed_task, waiting_task


class Unhurried(ThreadExecutor):
    """An executor whose threads come when the test says so: as long as the system is busy elsewhere."""

    hurried = False

    def nudge(self) -> None:
        if self.hurried:
            super().nudge()


def job(number: int = 0) -> Job:
    message = Message(task_name="work", uuid=f"t{number}")
    return Job(claimed_task(message.uuid, number, 100 + number), SessionLease("worker", 0), 100 + number, b"", 0)


@pytest.fixture
def lane() -> Iterator[Lane]:
    executor = Unhurried(2, named(work=lambda: 1), lambda: None)
    ready = ReadyTasks()
    ready.set_workers({0: "worker"}, {})
    yield Lane(executor, ready)
    executor.close()


# -- room ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 8, 64])
def test_long_tasks_are_claimed_one_per_place(size: int) -> None:
    assert room(size, 3_600.0) == room(size, CLAIM_AHEAD_SECONDS * size * 1.01) == size


def test_short_tasks_are_claimed_ahead_within_the_limit() -> None:
    assert room(4, CLAIM_AHEAD_SECONDS / 10) == 4 + 4 * 10
    assert room(8, 0.0) == room(8, 1e-9) == CLAIMS_MAX


def test_lane_capacity_grows_with_the_pace() -> None:
    rooms = [room(8, seconds) for seconds in (10, 1, 0.1, 0.01, 0.001, 0.000_1)]
    assert rooms == sorted(rooms)


def test_lane_claims_no_more_than_its_capacity(lane: Lane) -> None:
    now = time.monotonic()
    assert lane.free(now) == 2
    lane.start([job(0)])
    assert lane.free(now) == 1
    lane.start([job(1)])
    assert lane.free(now) == 0


def test_busy_lane_is_not_refilled_one_by_one(lane: Lane) -> None:
    lane.executor._job_seconds, lane._trusted = CLAIM_AHEAD_SECONDS / 50, CLAIMS_MAX
    now = time.monotonic()
    hold = lane.room(now)
    assert hold == 102
    lane.start([job(number) for number in range(hold - 20)])
    assert lane.free(now) == 0
    lane.outcomes(now, draining=True)  # which gives them back
    lane.executor.draining, lane._trusted = False, CLAIMS_MAX
    lane.start([job(number) for number in range(hold - 25)])
    assert lane.free(now) == 25, "a quarter of the room"
    lane.start([job(number) for number in range(5)])
    assert lane.free(now) == 0
    lane.executor._waiting.clear()  # nothing more to do
    assert lane.free(now) == 20


def test_claiming_ahead_restarts_small_after_a_vain_claim(lane: Lane) -> None:
    lane.executor._job_seconds = CLAIM_AHEAD_SECONDS / 50
    now = time.monotonic()
    assert lane.room(now) == 2
    for count in (1, 5):
        lane._held += count
        lane.executor._done.extend(gone(job(number)) for number in range(count))
        lane.outcomes(now, draining=False)
    assert lane.room(now) == 2 + 6
    lane.start([job(number) for number in range(3)])
    assert lane.outcomes(now + 2 * CLAIM_IDLE_SECONDS_MAX, draining=False)
    lane._progressed_at = now
    assert lane.room(now) == 2


def test_places_in_long_jobs_do_not_count_for_claiming_ahead(lane: Lane) -> None:
    lane.executor._job_seconds, lane._trusted = CLAIM_AHEAD_SECONDS / 50, CLAIMS_MAX
    assert isinstance(lane.executor, ThreadExecutor)
    lane.executor._running[1] = begun(job(0))
    later = time.monotonic() + 2 * CLAIM_AHEAD_SECONDS
    assert lane.room(later) == 2 + 50
    lane.executor._running[2] = begun(job(1))
    assert lane.room(later) == 2
    lane.executor._running.clear()


def test_runs_that_began_before_a_moment_are_counted() -> None:
    runs = [Run(job(number), started, number) for number, started in enumerate((1.0, 2.0, 3.0, 4.0))]
    assert [count_begun(runs, before) for before in (0.5, 1.0, 3.0, 9.0)] == [0, 0, 2, 4]


def test_jobs_too_long_to_wait_for_get_no_claims_ahead() -> None:
    assert room(100, CLAIM_IDLE_SECONDS_MAX / 2.1) > 100
    assert room(100, CLAIM_IDLE_SECONDS_MAX / 1.9) == 100
    assert room(2 * CLAIMS_MAX, 1e-6) == 2 * CLAIMS_MAX


# -- giving back -----------------------------------------------------------------------------------------------------


def test_jobs_just_given_to_idle_threads_are_not_taken_back(lane: Lane) -> None:
    lane.start([job(0)])
    lane.executor._waiting.clear()  # a thread has it
    lane._progressed_at -= 10 * CLAIM_IDLE_SECONDS_MAX

    lane.start([job(1)])

    assert lane.executor.waiting == 1
    assert lane.outcomes(time.monotonic(), draining=False) == []
    assert lane.executor.waiting == 1


def test_jobs_reached_by_no_thread_are_given_back(lane: Lane) -> None:
    lane.start([job(number) for number in range(3)])
    late = time.monotonic() + 2 * CLAIM_IDLE_SECONDS_MAX
    outcomes = lane.outcomes(late, draining=False)
    assert sorted(outcome.job.state.id for outcome in outcomes) == ["t0", "t1", "t2"]
    assert {outcome.name for outcome in outcomes} == {names.INTERRUPTED}
    assert not lane.busy


def test_jobs_that_cannot_be_started_are_given_back(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    lane.start([job(0)])
    monkeypatch.setattr(ThreadExecutor, "start_failure", "the module is gone")
    now = time.monotonic()
    assert (lane.room(now), lane.free(now)) == (0, 0)
    (outcome,) = lane.outcomes(now, draining=False)
    assert (outcome.name, outcome.detail) == (names.INTERRUPTED, b',"reason":"the module is gone"')


def test_jobs_behind_long_ones_are_not_begun_at_once(lane: Lane) -> None:
    assert isinstance(lane.executor, ThreadExecutor)
    lane.executor._running.update({1: begun(job(0)), 2: begun(job(1))})
    lane._held, before = 2, lane._progressed_at
    lane.start([job(2)])
    assert lane._progressed_at == before, "so they are given back if nothing ends"
    lane.executor._running.clear()


@pytest.mark.parametrize(("waiting", "ended", "lingers"), [(12, 2, True), (12, 4, False), (0, 1, False)])
def test_few_outcomes_wait_for_others_to_share_their_append(
    lane: Lane, waiting: int, ended: int, lingers: bool
) -> None:
    lane.start([job(number) for number in range(waiting)])
    lane._held += ended
    lane.executor._done.extend(gone(job(number)) for number in range(ended))
    now = time.monotonic()
    moments = (now, now + OUTCOME_LINGER_SECONDS * 0.9, now + OUTCOME_LINGER_SECONDS)
    written = [len(lane.outcomes(moment, draining=False)) for moment in moments]
    assert written == ([0, 0, ended] if lingers else [ended, 0, 0])
    assert lane.in_hand == waiting


def test_lane_is_woken_for_outcomes_that_wait(lane: Lane) -> None:
    lane.start([job(number) for number in range(12)])
    lane._held += 1
    lane.executor._done.append(gone(job(0)))
    now = time.monotonic()
    assert lane.outcomes(now, draining=False) == []
    lane.executor._waiting.clear()  # the threads have them all
    assert lane.next_moment(now, 0.0) == now + OUTCOME_LINGER_SECONDS


def test_one_long_job_ends_claims_ahead_and_not_the_trust(lane: Lane) -> None:
    lane.executor._job_seconds, lane._trusted = CLAIM_AHEAD_SECONDS / 50, 6
    now = time.monotonic()
    assert lane.room(now) == 2 + 6
    lane._held, lane._progressed_at = 1, now
    assert lane.room(now + CLAIM_IDLE_SECONDS_MAX) == 2 + 6
    later = now + 1.01 * CLAIM_IDLE_SECONDS_MAX
    assert lane.room(later) == 2
    assert lane.outcomes(later, draining=False) == [], "nothing waits, so nothing is given back"
    assert lane._trusted == 6


def test_drain_gives_back_unstarted_jobs_at_once(lane: Lane) -> None:
    lane.start([job(0)])
    (outcome,) = lane.outcomes(time.monotonic(), draining=True)
    assert outcome.name == names.INTERRUPTED
    assert b"draining" in outcome.detail
    assert not lane.busy


def test_outcome_of_an_unrunnable_job_is_passed_on(lane: Lane) -> None:
    outcome = gone(job(0))
    lane.end(outcome)
    assert lane.busy
    assert lane.outcomes(time.monotonic(), draining=False) == [outcome]
    assert not lane.busy


# -- waking ----------------------------------------------------------------------------------------------------------


def due_task(due: float = 0.0) -> TaskState:
    return waiting_task("due", 50, due=due)


def test_idle_lane_sets_no_timer(lane: Lane) -> None:
    assert lane.next_moment(time.monotonic(), time.time()) is None


def test_lane_is_woken_when_a_delay_is_over(lane: Lane) -> None:
    lane.ready.add(due_task(due=1_000.5))
    assert lane.next_moment(50.0, 1_000.0) == 50.5


def test_lane_is_woken_to_take_what_others_left(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane.ready, "steal_at", lambda: 60.0)
    assert lane.next_moment(50.0, 1_000.0) == 60.0
    lane.ready.add(due_task(due=1_000.5))
    assert lane.next_moment(50.0, 1_000.0) == 50.5


@pytest.mark.parametrize("why", ["draining", "no room"])
def test_lane_is_not_woken_by_tasks_it_would_not_claim(lane: Lane, why: str) -> None:
    now = time.monotonic()
    lane.ready.add(due_task(due=1_000.0))
    if why == "draining":
        lane.outcomes(now, draining=True)
        assert lane.next_moment(now, 2_000.0) is None
    else:
        lane.start([job(0), job(1)])
        moment = lane.next_moment(now, 2_000.0)
        assert moment is None or moment > now
