"""A workbench runs tasks as a worker does, in the calling thread and without waiting for any clock."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import journeyman as jm
import pytest
from journeyman.testing import Workbench
from task_modules import bakery


@pytest.fixture
def bench() -> Iterator[Workbench]:
    bakery.baked.clear()
    with Workbench() as bench:
        yield bench


def test_message_runs_once_the_test_says_so(bench: Workbench) -> None:
    message = bakery.bake.generate(["rye"], {"count": 3})
    bench.assert_waiting(message)
    assert not bakery.baked
    bench.run_until_idle()
    assert bakery.baked == ["rye"]
    assert bench.result(message) == "3 × rye"
    assert bench.attempts(message) == 1
    bench.assert_all_succeeded()


def test_result_stays_for_the_reader_of_the_program(bench: Workbench) -> None:
    message = bakery.bake.generate(["rye"])
    bench.run_until_idle()
    bench.assert_succeeded(message)
    assert jm.ResultStore(bakery.broker.journal).get(message) == "1 × rye"
    assert jm.StatusTracker(bakery.broker.journal).get(message).status is jm.TaskStatus.SUCCEEDED


def test_delayed_task_runs_at_its_very_moment(bench: Workbench) -> None:
    message = bakery.bake.generate(["rye"], delay=3_600_000)
    bench.run_until_idle()
    bench.assert_waiting(message)
    bench.advance(minutes=59, seconds=59, milliseconds=999)
    bench.assert_waiting(message)
    bench.advance(milliseconds=1)
    bench.assert_succeeded(message)


@pytest.mark.parametrize(
    "begin", [datetime(1999, 12, 31, tzinfo=UTC), datetime(2038, 2, 28, 23, 59, 59, 7, tzinfo=UTC)]
)
def test_clock_begins_where_the_test_says(begin: datetime) -> None:
    with Workbench(begin=begin) as bench:
        message = bakery.bake.generate(["rye"], delay=30 * 24 * 3_600_000)
        assert abs(bench.now - begin) < timedelta(milliseconds=1)
        bench.advance(days=30)
        assert timedelta(days=30) <= bench.now - begin < timedelta(days=30, milliseconds=1)
        bench.assert_succeeded(message)
        submitted, *_, succeeded = bench.journal.read().events
        assert succeeded.timestamp - submitted.timestamp == pytest.approx(30 * 24 * 3_600, abs=0.01)


def test_clock_stands_still_for_tasks_without_timers(bench: Workbench) -> None:
    begin = bench.now
    for _ in range(50):
        bakery.bake.generate(["rye"])
    bench.run_until_idle()
    assert bench.now == begin
    assert len(bakery.baked) == 50


def test_retries_follow_their_backoff_without_a_sleep(bench: Workbench) -> None:
    message = bakery.deliver.generate(kwargs={"successes_at": 3})
    bench.run_until_idle()
    attempts = [bench.attempts(message)]
    for _ in range(3):
        bench.advance(seconds=59)
        assert bench.attempts(message) == attempts[-1]
        bench.advance(seconds=1)
        attempts.append(bench.attempts(message))
    assert attempts == [1, 2, 3, 4]
    assert bench.result(message) == 3


def test_used_up_attempts_make_a_dead_letter_to_requeue(bench: Workbench) -> None:
    message = bakery.deliver.generate()
    bench.advance(hours=1)
    assert [letter.uuid for letter in bench.dead_letters] == [message.uuid]
    failure = bench.assert_failed(message, match="ConnectionError: the street is closed, attempt 4")
    assert "bakery.py" in failure.traceback
    assert bakery.broker.requeue(message).disposition is jm.Disposition.REQUEUED
    assert bench.dead_letters == []
    bench.run_until_idle()
    assert bench.attempts(message) == 1


def test_tasks_that_a_task_submits_run_too(bench: Workbench) -> None:
    message = bakery.order.generate([["rye", "spelt"]])
    bench.run_until_idle()
    assert bakery.baked == ["rye", "spelt"]
    assert [each.uuid for each in bench.submitted(bakery.bake)] == bench.result(message)
    assert bench.assert_submitted(bakery.bake, ["rye"]).uuid == bench.result(message)[0]
    assert [each.task_name for each in bench.submitted()] == ["order", "bake", "bake"]


def test_arguments_make_the_round_trip_of_a_worker(bench: Workbench) -> None:
    given: list[object] = []

    @jm.task(bakery.broker)
    def take(value: object) -> tuple[int, int]:
        given.append(value)
        return (1, 2)

    bench.add(take)
    original = {"a": [1, 2]}
    message = take.generate([original])
    bench.run_until_idle()
    assert given == [original]
    assert given[0] is not original
    assert bench.result(message) == [1, 2]
    with pytest.raises(jm.ValidationError, match="set"):
        take.generate([{1, 2}])


def test_result_that_json_cannot_hold_fails_as_in_a_worker(bench: Workbench) -> None:
    @jm.task(bakery.broker, max_retries=0)
    def give() -> set[int]:
        return {1}

    bench.add(give)
    message = give.generate()
    bench.run_until_idle()
    bench.assert_failed(message, match="UnserialisableResult")


def test_priority_and_log_order_decide(bench: Workbench) -> None:
    for bread, priority in [("late", 5), ("first", 1), ("second", 1), ("soon", 2)]:
        bakery.bake.generate([bread], priority=priority)
    bench.run_until_idle()
    assert bakery.baked == ["first", "second", "soon", "late"]


def test_two_queues_are_served_as_the_settings_say() -> None:
    bakery.baked.clear()
    with Workbench(settings=jm.Settings(queues=["night", "day"])) as bench:
        ignored = bakery.bake.generate(["evening"], queue="evening")
        bakery.bake.generate(["day"], queue="day")
        bakery.bake.generate(["night"], queue="night")
        bench.run_until_idle()
        assert bakery.baked == ["night", "day"]
        bench.assert_waiting(ignored)
        assert [each.uuid for each in bench.unfinished] == [ignored.uuid]


def test_paused_queue_waits_for_its_resumption(bench: Workbench) -> None:
    bakery.broker.pause("default")
    message = bakery.bake.generate(["rye"])
    bench.advance(days=1)
    bench.assert_waiting(message)
    bakery.broker.resume("default")
    bench.run_until_idle()
    bench.assert_succeeded(message)


def test_revoked_task_does_not_run(bench: Workbench) -> None:
    message = bakery.bake.generate(["rye"])
    bakery.broker.revoke(message)
    bench.run_until_idle()
    bench.assert_revoked(message)
    assert not bakery.baked


def test_synchronous_tasks_run_in_the_thread_of_the_test(bench: Workbench) -> None:
    threads: list[threading.Thread] = []

    @jm.task(bakery.broker)
    def note() -> None:
        threads.append(threading.current_thread())

    @jm.task(bakery.broker, mechanism="process")
    def note_too() -> None:
        threads.append(threading.current_thread())

    bench.add(note, note_too)
    note.generate()
    note_too.generate()
    bench.run_until_idle()
    assert threads == [threading.current_thread()] * 2


def test_tasks_take_locks_as_in_a_worker(bench: Workbench) -> None:
    @jm.task(bakery.broker)
    def guard() -> list[bool]:
        lock = jm.Lock("oven", bakery.broker.journal)
        with lock:
            return [lock.acquire(), lock.held]

    bench.add(guard)
    messages = [guard.generate() for _ in range(3)]
    bench.run_until_idle()
    assert [bench.result(message) for message in messages] == [[True, True]] * 3


def test_submissions_of_other_threads_run_too(bench: Workbench) -> None:
    threads = [threading.Thread(target=bakery.bake.generate, args=([bread],)) for bread in ("rye", "oat")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.run_until_idle()
    assert sorted(bakery.baked) == ["oat", "rye"]
    bench.assert_all_succeeded()


def test_slow_call_of_a_task_meets_its_timeout(bench: Workbench) -> None:
    ended: list[datetime] = []

    @jm.task(bakery.broker, timeout=2_000, max_retries=0)
    def call(seconds: float) -> str:
        try:
            bench.elapse(seconds=seconds)
        finally:
            ended.append(bench.now)
        return "answered"

    bench.add(call)
    begin = bench.now
    quick, slow = call.generate([1.5]), call.generate([30])
    bench.run_until_idle()
    assert bench.result(quick) == "answered"
    bench.assert_failed(slow, match="TaskTimeoutError")
    assert [round((moment - begin).total_seconds(), 3) for moment in ended] == [1.5, 3.5]


def test_task_that_really_hangs_is_stopped(bench: Workbench) -> None:
    @jm.task(bakery.broker, timeout=50, max_retries=0)
    def hang() -> None:
        while True:
            time.sleep(0)

    bench.add(hang)
    message = hang.generate()
    bench.run_until_idle()
    bench.assert_failed(message, match="TaskTimeoutError")


def test_exception_meant_for_the_test_ends_it(bench: Workbench) -> None:
    @jm.task(bakery.broker)
    def interrupt() -> None:
        raise KeyboardInterrupt

    bench.add(interrupt)
    interrupt.generate()
    with pytest.raises(KeyboardInterrupt):
        bench.run_until_idle()


def test_hooks_and_attributes_of_a_task_class_count(bench: Workbench) -> None:
    class Patient(jm.Task[..., None]):
        seen = 0

        def op(self, message: jm.Message) -> None:
            self.seen += 1
            super().op(message)

        def do_retry(self, message: jm.Message, exception: BaseException) -> bool:
            return isinstance(exception, OSError) and self.seen < 3

        def retry_at(self, message: jm.Message) -> float:
            return bench.now.timestamp() + 10

    @jm.task(bakery.broker, base_task=Patient)
    def knock() -> None:
        raise OSError("closed")

    bench.add(knock)
    message = knock.generate()
    bench.advance(seconds=20)
    assert bench.attempts(message) == 3
    bench.assert_failed(message, match="OSError: closed")
    assert isinstance(knock, Patient)
    assert knock.seen == 3


def test_tasks_of_one_name_run_their_own_messages(bench: Workbench) -> None:
    @jm.task(bakery.broker)
    def bake() -> str:
        return "the other one"

    bench.add(bake)
    other, own = bake.generate(), bakery.bake.generate(["rye"])
    bench.run_until_idle()
    assert (bench.result(other), bench.result(own)) == ("the other one", "1 × rye")


def test_time_asked_backwards_is_refused(bench: Workbench) -> None:
    with pytest.raises(jm.ValidationError, match="goes on"):
        bench.advance(seconds=-1)
    with pytest.raises(jm.ValidationError, match="time zone"):
        Workbench(begin=datetime(2030, 1, 1))  # noqa: DTZ001
    with pytest.raises(jm.ValidationError, match="takes tasks"):
        Workbench(bakery.baked)  # type: ignore[arg-type]


def test_workbench_refuses_use_out_of_place(bench: Workbench) -> None:
    with pytest.raises(RuntimeError, match="no synchronous task runs"):
        bench.elapse(seconds=1)
    with pytest.raises(RuntimeError, match="not open"):
        Workbench().run_until_idle()
    with pytest.raises(RuntimeError, match="opened once"):
        bench.__enter__()

    @jm.task(bakery.broker, max_retries=0)
    def nested() -> None:
        bench.advance(seconds=1)

    bench.add(nested)
    message = nested.generate()
    bench.run_until_idle()
    bench.assert_failed(message, match="runs already")


def test_package_and_module_are_names_for_their_tasks() -> None:
    for tasks in ("task_modules.bakery", bakery, bakery.bake):
        with Workbench(tasks) as bench:
            message = jm.Message(task_name="bake", args=["by name only"])
            bakery.broker.submit(message)
            bench.run_until_idle()
            bench.assert_succeeded(message)
