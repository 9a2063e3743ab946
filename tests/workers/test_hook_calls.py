"""The calls of hooks after an outcome: with what, in which order, and in which thread when one takes too long."""

import asyncio
import datetime as dt
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from journeyman.journal.event import record
from journeyman.tasks import Broker, ConstantBackoff, Message, RetryAfter, RevokedError, Task
from journeyman.tasks.limits import RESULT_EVENT_BYTES_MAX
from journeyman.tasks.serializers import BinarySerializer, MsgspecSerializer
from journeyman.tasks.state import names
from journeyman.tasks.submitting import submission
from journeyman.workers.executors.pipeline import Job, Outcome, SessionLease, run
from journeyman.workers.limits import HOOK_SECONDS_MAX
from journeyman.workers.loop import hooks as hooks_module
from journeyman.workers.loop.hooks import OutcomeHooks
from msgspec.structs import replace
from support.shop import Shop
from support.states import claimed_task
from support.waiting import reached, wait_until

BROKER = Broker("memory://")
LATER = 4_000_000_000.5


class Hooked(Task[Any, Any]):
    """Notes the calls of its hooks, with the thread; `during(number)` runs within call number 0, 1 and so on."""

    def __init__(self, function: Callable[..., Any] = lambda: None, **options: Any) -> None:
        super().__init__(function, BROKER, "work", backoff=ConstantBackoff(60_000), **options)
        self.calls: list[tuple[Any, ...]] = []
        self.threads: list[threading.Thread] = []
        self.during: Callable[[int], None] = lambda number: None

    def noted(self, *call: Any) -> None:
        self.calls.append(call)
        self.threads.append(threading.current_thread())
        self.during(len(self.calls) - 1)

    def on_success(self, message: Message, result: object) -> None:
        self.noted("success", result)

    def on_retry(self, message: Message, exception: BaseException) -> None:
        self.noted("retry", exception)

    def on_failure(self, message: Message, exception: BaseException) -> None:
        self.noted("failure", exception)

    def on_revocation(self, message: Message, exception: BaseException | None, result: object) -> None:
        self.noted("revocation", exception, result)


class OnlySuccess(Task[Any, Any]):
    """Has one of the hooks."""

    def on_success(self, message: Message, result: object) -> None:
        raise AssertionError("it has failed")


def outcome_of(task: Task[Any, Any], attempt: int = 1) -> Outcome:
    """What comes of a run of the task, in this process."""
    message = task.generate(submit=False)
    lease = SessionLease("worker", 0)
    lease.renew(time.monotonic(), 1_000)
    job = Job(claimed_task(message.uuid, 7, 9), lease, 9, record(submission(message), 1.0)[1], attempt - 1)
    return run(job, {"work": task})


@asynccontextmanager
async def hooks_of(task: Task[Any, Any]) -> AsyncIterator[OutcomeHooks]:
    """The hooks of a task; at the end all were called."""
    hooks = OutcomeHooks({"work": task})
    yield hooks
    await hooks.aclose(1_000)


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


# -- with what -------------------------------------------------------------------------------------------------------

LARGE = "x" * (RESULT_EVENT_BYTES_MAX + 1)
MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("result", "options", "given"),
    [
        ((1, 2), {}, [1, 2]),
        ({1, 2}, {"serializer": BinarySerializer}, {1, 2}),
        (MOMENT, {"serializer": MsgspecSerializer}, MOMENT.isoformat().replace("+00:00", "Z")),
        (LARGE, {"large_results": "split"}, LARGE),
        (LARGE, {"large_results": "split", "serializer": BinarySerializer}, LARGE),
    ],
    ids=["plain", "binary", "msgspec", "split", "split binary"],
)
@pytest.mark.anyio
async def test_success_hook_is_given_the_result_as_it_is_read(
    result: object, options: dict[str, Any], given: object
) -> None:
    task = Hooked(lambda: result, **options)
    async with hooks_of(task) as hooks:
        hooks.ended(outcome_of(task))
    assert task.calls == [("success", given)]


@pytest.mark.anyio
async def test_hooks_of_a_failure_are_given_the_exception_itself() -> None:
    error = ValueError("no")
    task = Hooked(raising(error), max_retries=1)
    async with hooks_of(task) as hooks:
        hooks.ended(outcome_of(task, 1))
        hooks.ended(outcome_of(task, 2))
    assert task.calls == [("retry", error), ("failure", error)]


@pytest.mark.parametrize("uses_attempt", [False, True])
@pytest.mark.anyio
async def test_retry_after_of_another_process_is_made_again(uses_attempt: bool) -> None:
    moment = dt.datetime.fromtimestamp(LATER, dt.UTC)
    task = Hooked(raising(RetryAfter(moment, uses_attempt=uses_attempt)))
    async with hooks_of(task) as hooks:
        hooks.ended(replace(outcome_of(task), error=None))
    ((hook, error),) = task.calls
    assert (hook, type(error)) == ("retry", RetryAfter)
    assert (error.due, error.uses_attempt) == (LATER, uses_attempt)


@pytest.mark.parametrize(("attempt", "hook"), [(1, "retry"), (2, "failure")])
@pytest.mark.anyio
async def test_exception_of_another_process_is_made_again(attempt: int, hook: str) -> None:
    task = Hooked(raising(KeyError("k")), max_retries=1)
    async with hooks_of(task) as hooks:
        hooks.ended(replace(outcome_of(task, attempt), error=None))
    ((name, error),) = task.calls
    assert (name, type(error)) == (hook, KeyError)
    assert "Traceback" in error.__notes__[0]


@pytest.mark.anyio
async def test_retry_after_that_failed_for_good_is_no_retry() -> None:
    task = Hooked(raising(RetryAfter(60, uses_attempt=True)), max_retries=0)
    async with hooks_of(task) as hooks:
        hooks.ended(replace(outcome_of(task), error=None))
    ((hook, error),) = task.calls
    assert (hook, type(error)) == ("failure", Exception)
    assert str(error).startswith("journeyman.tasks.retry_after.RetryAfter: ")


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.anyio
async def test_revocation_hook_is_given_what_the_run_came_to(fails: bool) -> None:
    error = ValueError("no")
    task = Hooked(raising(error) if fails else lambda: 7)
    async with hooks_of(task) as hooks:
        hooks.revoked(outcome_of(task))
    ((hook, raised, result),) = task.calls
    assert (hook, type(raised), result) == ("revocation", RevokedError, None if fails else 7)
    assert raised.__cause__ is (error if fails else None)


@pytest.mark.anyio
async def test_outcome_that_says_little_calls_its_hook() -> None:
    task = Hooked(raising(ValueError("no")), serializer=BinarySerializer)
    async with hooks_of(task) as hooks:
        failed = outcome_of(task)
        hooks.revoked(failed)
        hooks.ended(Outcome(failed.job, names.RETRIED, due=LATER))
    (_, _, result), retry = task.calls
    assert (result, retry) == (None, ("retry", None))


@pytest.mark.anyio
async def test_outcomes_without_a_hook_call_none(caplog: pytest.LogCaptureFixture) -> None:
    task = OnlySuccess(raising(ValueError("no")), BROKER, "work", backoff=None)
    async with hooks_of(task) as hooks:
        failed = outcome_of(task)
        hooks.ended(failed)
        hooks.revoked(failed)
        hooks.ended(Outcome(failed.job, names.INTERRUPTED))
        failed.job.state = claimed_task("t", 7, 9, name="another")
        hooks.ended(failed)
        hooks.revoked(failed)
        assert hooks._thread is None
    assert not caplog.records


@pytest.mark.anyio
async def test_task_is_told_of_that_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    task = Hooked(lambda: 1)
    outcome = outcome_of(task)
    outcome.job.row = b"{"
    async with hooks_of(task) as hooks:
        hooks.ended(outcome)
        hooks.ended(outcome_of(task))
    assert task.calls == [("success", 1)]
    assert [record.getMessage() for record in caplog.records] == [
        f"on_success of task work {outcome.job.state.id} was not called: its submission cannot be read"
    ]


@pytest.mark.anyio
async def test_hook_is_called_for_a_task_under_a_former_name() -> None:
    shop, task = Shop(), Hooked(lambda: 7, aliases=("former",))
    await shop.submit_message(Message(task_name="former"))
    async with shop.worker({"work": task}):
        await shop.succeeded(1)
    assert task.calls == [("success", 7)], "its worker has left, so its hooks were called"


@pytest.mark.anyio
async def test_worker_leaves_behind_its_last_hook() -> None:
    shop, task, door = Shop(), Hooked(lambda: 7), threading.Event()
    task.during = lambda number: door.wait(60)  # type: ignore[assignment]
    await shop.submit_message(Message(task_name="work"))
    worker, running = await shop.start({"work": task})
    await shop.succeeded(1)
    await reached(lambda: task.calls, "the hook to be called")
    worker.stop()
    await shop.finished(names.LEFT)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not running.done(), "it waits for the hook"
    door.set()
    await asyncio.wait_for(running, 60)


# -- in which order and thread ---------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_hook_that_exits_ends_no_further_ones(caplog: pytest.LogCaptureFixture) -> None:
    task = Hooked(lambda: 1)

    def leave(number: int) -> None:
        if number == 0:
            raise SystemExit(3)

    task.during = leave
    async with hooks_of(task) as hooks:
        for _ in range(3):
            hooks.ended(outcome_of(task))
    assert (len(task.calls), len(set(task.threads))) == (3, 1)
    assert [record.getMessage() for record in caplog.records] == ["a hook has failed"]


class Clock:
    """A clock that the test moves."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(hooks_module, "time", clock)
    return clock


@pytest.mark.anyio
async def test_another_thread_calls_on_where_a_hook_is_slow(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    task, door = Hooked(lambda: 1), threading.Event()
    task.during = lambda number: number or door.wait(60)  # type: ignore[assignment]
    async with hooks_of(task) as hooks:
        hooks.ended(outcome_of(task))
        await reached(lambda: task.calls, "the first hook to be called")
        clock.now += HOOK_SECONDS_MAX
        hooks.ended(outcome_of(task))
        assert len(task.calls) == 1, "it may take so long"
        clock.now += 0.1
        hooks.ended(outcome_of(task))
        await reached(lambda: len(task.calls) == 3, "the others to be called")
        slow, fast, last = task.threads
        assert slow is not fast is last
        door.set()
        slow.join(60)
        assert not slow.is_alive(), "a thread that was replaced ends"
        clock.now += 10 * HOOK_SECONDS_MAX
        hooks.ended(outcome_of(task))
        await reached(lambda: len(task.calls) == 4, "the next to be called")
        assert task.threads[3] is fast, "an idle thread is not replaced, however long it was idle"
    assert [record.getMessage() for record in caplog.records] == [
        f"a hook takes longer than {HOOK_SECONDS_MAX:g} s: another thread calls the next ones"
    ]


@pytest.mark.anyio
async def test_thread_replaced_as_it_waits_leaves_its_call(clock: Clock) -> None:
    task = Hooked(lambda: 1)
    async with hooks_of(task) as hooks:
        hooks.ended(outcome_of(task))
        await reached(lambda: task.calls and hooks._begun_at is None, "the first hook to have been called")
        (waiting,) = task.threads
        hooks._thread = other = threading.Thread(target=hooks._work)
        hooks.ended(outcome_of(task))
        waiting.join(60)
        assert len(task.calls) == 1, "the call is left to the thread that took its place"
        other.start()
        await reached(lambda: len(task.calls) == 2, "the second hook to be called")
        assert task.threads == [waiting, other]


@pytest.mark.anyio
async def test_end_does_not_wait_for_a_hook_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    task, door = Hooked(lambda: 1), threading.Event()
    task.during = lambda number: door.wait(60)  # type: ignore[assignment]
    hooks = OutcomeHooks({"work": task})
    for _ in range(3):
        hooks.ended(outcome_of(task))
    await reached(lambda: task.calls, "the first hook to be called")
    await hooks.aclose(0.0)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "2 hooks were not called, since one has not returned within 0 s")
    ]
    door.set()
    task.threads[0].join(60)
    assert not task.threads[0].is_alive(), "it ends behind the last hook"
    assert len(task.calls) == 3


def test_hook_may_return_after_its_loop_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    task, door = Hooked(lambda: 1), threading.Event()
    task.during = lambda number: door.wait(60)  # type: ignore[assignment]
    hooks = OutcomeHooks({"work": task})
    hooks.ended(outcome_of(task))
    wait_until(lambda: task.calls, "the hook to be called")
    asyncio.run(hooks.aclose(0.0))
    assert "0 hooks were not called" in caplog.text
    caplog.clear()
    door.set()
    task.threads[0].join(60)
    assert not caplog.records
