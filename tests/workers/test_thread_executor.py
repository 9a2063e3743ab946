"""The executor of threads: it uses every place, delays no job behind another, and loses no outcome."""

import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from journeyman.journal.event import record
from journeyman.tasks import Broker, Message, Task
from journeyman.tasks.state import names
from journeyman.tasks.submitting import submission
from journeyman.workers.executors import ThreadExecutor, threads
from journeyman.workers.executors.base import Run
from journeyman.workers.executors.pipeline import Job, Outcome, SessionLease
from journeyman.workers.limits import STAND_ASIDE_SECONDS
from support.shop import named
from support.states import claimed_task
from support.waiting import wait_until


def job(number: int, task: str = "work", **message_fields: Any) -> Job:
    message = Message(task_name=task, uuid=f"t{number}", args=[number], **message_fields)
    lease = SessionLease("worker", 0)
    lease.renew(time.monotonic(), 1_000)
    state = claimed_task(message.uuid, number, 100 + number, name=task)
    return Job(state, lease, state.claim, record(submission(message), 1.0)[1], 0)


class Hand:
    """Collects outcomes, as the worker loop does when it is woken."""

    def __init__(self) -> None:
        self.executor: ThreadExecutor
        self.outcomes: list[Outcome] = []
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1

    def has(self, count: int) -> bool:
        self.executor.nudge()
        self.outcomes += self.executor.collect()
        return len(self.outcomes) >= count

    def enforced(self, count: int) -> bool:
        self.executor.enforce(time.monotonic())
        return self.has(count)

    def ids(self) -> list[str]:
        return sorted(outcome.job.state.id for outcome in self.outcomes)


@contextmanager
def executor(size: int, **functions: Callable[..., Any]) -> Iterator[Hand]:
    hand = Hand()
    hand.executor = ThreadExecutor(size, named(**functions), hand.wake)
    yield hand
    mine = list(hand.executor._threads.values())
    hand.executor.close()
    wait_until(lambda: not any(thread.is_alive() for thread in mine), "the threads to end with their executor")


def test_job_has_one_outcome() -> None:
    with executor(4, work=lambda number: number) as hand:
        for start in range(0, 5_000, 500):
            hand.executor.start(job(number) for number in range(start, start + 500))
        wait_until(lambda: hand.has(5_000), "5,000 outcomes")
        assert len(set(hand.ids())) == len(hand.outcomes) == 5_000
        assert {outcome.name for outcome in hand.outcomes} == {names.SUCCEEDED}
        assert (hand.executor.running, hand.executor.waiting, hand.executor.outcomes) == (0, 0, 0)
        assert hand.wakes >= 1


def test_all_places_are_used_by_long_jobs() -> None:
    together = threading.Barrier(8)
    with executor(8, work=lambda _: together.wait(60) >= 0) as hand:
        hand.executor.start(job(number) for number in range(8))
        wait_until(lambda: hand.has(8), "eight jobs that wait for each other to run at the same time")


def test_all_places_are_used_after_short_jobs() -> None:
    together = threading.Barrier(8)
    with executor(8, short=lambda _: None, work=lambda _: together.wait(60) >= 0) as hand:
        hand.executor.start(job(number, "short") for number in range(2_000))
        wait_until(lambda: hand.has(2_000), "the short ones")
        hand.executor.start(job(number) for number in range(8))
        wait_until(lambda: hand.has(2_008), "eight jobs that wait for each other to run at the same time")


def test_long_job_holds_up_no_short_one() -> None:
    door = threading.Event()
    with executor(2, long=lambda _: door.wait(60), work=lambda number: number) as hand:
        hand.executor.start([job(0, "long")])
        hand.executor.start(job(number) for number in range(1, 500))
        wait_until(lambda: hand.has(499), "all short jobs to pass the long one")
        door.set()
        wait_until(lambda: hand.has(500), "the long one")


def test_job_arriving_between_token_and_job_is_not_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken, go_on, door = threading.Event(), threading.Event(), threading.Event()

    def slow(job: Job, started: float) -> Run:
        if job.state.name == "long":
            taken.set()
            assert go_on.wait(60)
        return Run(job, started)

    monkeypatch.setattr(threads, "Run", slow)
    with executor(2, long=lambda _: door.wait(60), work=lambda number: number) as hand:
        hand.executor.start([job(0, "long")])
        assert taken.wait(60)  # the job is taken from the queue, and not yet among the running
        hand.executor.start([job(1)])
        go_on.set()
        wait_until(lambda: hand.executor.running == 1, "the long job to run")
        wait_until(lambda: hand.has(1), "the short job to be run beside the long one")
        assert hand.ids() == ["t1"]
        door.set()
        wait_until(lambda: hand.has(2), "the long one")


def test_unstarted_job_can_be_taken_back_and_does_not_run() -> None:
    door, ran = threading.Event(), []

    def work(number: int) -> None:
        ran.append(number)
        door.wait(60)

    with executor(1, work=work) as hand:
        hand.executor.start(job(number) for number in range(5))
        wait_until(lambda: ran == [0], "the first one to run")
        back = hand.executor.take_back()
        assert sorted(each.state.id for each in back) == ["t1", "t2", "t3", "t4"]
        door.set()
        wait_until(lambda: hand.has(1), "the first one to end")
    assert ran == [0]


def test_concurrent_jobs_and_returns_lose_and_double_nothing() -> None:
    with executor(4, work=lambda number: number) as hand:
        back: list[Job] = []
        for start in range(0, 3_000, 30):
            hand.executor.start(job(number) for number in range(start, start + 30))
            back += hand.executor.take_back()
        wait_until(lambda: hand.has(3_000 - len(back)), "all that were not taken back")
        assert sorted([*hand.ids(), *(each.state.id for each in back)]) == sorted(
            f"t{number}" for number in range(3_000)
        )


def test_uncollected_outcome_always_wakes_the_loop() -> None:
    with executor(3, work=lambda number: number) as hand:
        for number in range(200):
            before = hand.wakes
            hand.executor.start([job(number)])
            wait_until(lambda before=before: hand.wakes > before, "to be woken")  # type: ignore[misc]
            assert len(hand.executor.collect()) == 1


def test_thread_survives_exit_and_memory_errors() -> None:
    def work(number: int) -> None:
        raise [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError][number % 4]

    with executor(1, work=work) as hand:
        hand.executor.start(job(number) for number in range(40))
        wait_until(lambda: hand.has(40), "the one thread to end all of them")


def test_timeout_ends_a_job_and_not_its_thread() -> None:
    def work(number: int) -> int:
        while number == 0:
            time.sleep(0)  # Python code, which can be interrupted
        return number

    with executor(1, work=work) as hand:
        hand.executor.start([job(0, timeout=1), job(1)])

        wait_until(lambda: hand.enforced(2), "the endless job to be ended and the next one run")
        assert {each.job.state.id: each.name for each in hand.outcomes} == {"t0": names.RETRIED, "t1": names.SUCCEEDED}


@pytest.mark.parametrize("kind", [Exception, TimeoutError, OSError])
def test_timeout_ends_a_job_that_swallows_every_error(kind: type[Exception]) -> None:
    """A library with timeouts of its own would take it for one of them, and the job would never end."""
    door, seen = threading.Event(), list[str]()

    def work(_: int) -> None:
        try:
            while not door.is_set():
                with suppress(kind):
                    time.sleep(0)
        finally:
            seen.append("finally")

    class Asked(Task[Any, Any]):
        def do_retry(self, message: Message, exception: BaseException) -> bool:
            seen.append(type(exception).__name__)
            assert isinstance(exception, TimeoutError)
            assert any(frame.name == "work" for frame in traceback.extract_tb(exception.__traceback__))
            return False

    with executor(1) as hand:
        hand.executor._tasks = {"work": Asked(work, Broker("memory://"), "work")}
        hand.executor.start([job(0, timeout=1)])
        wait_until(lambda: hand.enforced(1), "the job to end")
        assert (hand.executor.abandoned, seen) == (0, ["finally", "TaskTimeoutError"])
        (outcome,) = hand.outcomes
        assert outcome.name == names.FAILED
        assert b'TaskTimeoutError","text":"the task has run for longer than its timeout"' in outcome.detail
        assert b"hook" not in outcome.detail
        door.set()


def test_timeout_inside_a_hook_is_reported_as_a_timeout() -> None:
    class Slow(Task[Any, Any]):
        def do_retry(self, message: Message, exception: BaseException) -> bool:
            while True:
                time.sleep(0)

    def work(_: int) -> None:
        raise LookupError("mine")

    with executor(1) as hand:
        hand.executor._tasks = {"work": Slow(work, Broker("memory://"), "work")}
        hand.executor.start([job(0, timeout=1)])
        wait_until(lambda: hand.enforced(1), "the job to end")
        (outcome,) = hand.outcomes
        assert outcome.name == names.FAILED
        assert b'"exception":{"name":"LookupError"' in outcome.detail
        assert b'"hook":{"name":"journeyman.tasks.errors.TaskTimeoutError"' in outcome.detail


def test_closed_executor_starts_nothing_more() -> None:
    door, ran = threading.Event(), []

    def work(number: int) -> None:
        ran.append(number)
        door.wait(60)

    with executor(1, work=work) as hand:
        hand.executor.start(job(number) for number in range(3))
        wait_until(lambda: ran == [0], "the first one to run")
        hand.executor.close()
        door.set()
    assert ran == [0]


def held() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def test_caller_standing_aside_resumes_when_lone_job_is_written() -> None:
    written: list[Outcome] = []
    hand = Hand()
    hand.executor = ThreadExecutor(1, named(work=lambda number: number), hand.wake, written.append)
    for number in range(200):
        lone = job(number)
        lone.over = held()
        hand.executor.start([lone])
        assert lone.over.acquire(timeout=20)  # as `stand_aside` waits, but for as long as it takes
        assert [outcome.job for outcome in written] == [lone]
        assert hand.executor.collect() == written
        written.clear()
    hand.executor.close()


def test_caller_does_not_stand_aside_for_a_whole_long_job() -> None:
    door = threading.Event()
    with executor(1, work=lambda _: door.wait(60)) as hand:
        lone = job(1)
        lone.over = held()
        hand.executor.start([lone])
        hand.executor.stand_aside(lone)
        assert hand.executor.running == 1
        assert hand.executor.outcomes == 0
        door.set()
        wait_until(lambda: hand.has(1), "the job to end")
        assert lone.over.acquire(timeout=20)


def test_signal_whose_handler_is_slow_holds_up_no_caller() -> None:
    door = threading.Event()

    def slow(_number: int, _frame: object) -> None:
        time.sleep(2 * STAND_ASIDE_SECONDS)

    with executor(1, work=lambda _: door.wait(60)) as hand:
        before = signal.signal(signal.SIGALRM, slow)
        try:
            for number in range(5):
                lone = job(number)
                lone.over = held()
                if number == 0:
                    hand.executor.start([lone])
                signal.setitimer(signal.ITIMER_REAL, STAND_ASIDE_SECONDS / 2)
                hand.executor.stand_aside(lone)
            assert hand.executor.running == 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)
            door.set()
