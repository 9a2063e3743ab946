"""`RetryAfter`: how an attempt ends that names its next moment, and which moments it takes."""

import asyncio
import datetime as dt
import json
import pickle
import time
from typing import Any

import pytest
from journeyman.journal.event import record
from journeyman.tasks import Broker, ConstantBackoff, RetryAfter, Task, ValidationError
from journeyman.tasks.state import names
from journeyman.tasks.submitting import submission
from journeyman.workers.executors.pipeline import Job, Outcome, SessionLease, run, run_coroutine
from journeyman.workers.loop.drafts import outcome_entry
from support.states import claimed_task

BROKER = Broker("memory://")
LATER = 4_000_000_000.5


class Refusing(Task[Any, Any]):
    """A task that is never tried again by itself."""

    def do_retry(self, message: Any, exception: BaseException) -> bool:
        return False


def outcome_of(error: RetryAfter, attempts: int, mechanism: str = "thread", kind: Any = Task) -> Outcome:
    def work() -> None:
        raise error

    async def awork() -> None:
        raise error

    function: Any = work if mechanism == "thread" else awork
    task = kind(function, BROKER, "work", max_retries=2, backoff=ConstantBackoff(1_500, floor=0))
    message = task.generate(submit=False)
    lease = SessionLease("worker", 0)
    lease.renew(time.monotonic(), 1_000)
    state = claimed_task(message.uuid, 7, 9, attempts, name="work", max_retries=2)
    job = Job(state, lease, 9, record(submission(message), 1.0)[1], attempts - 1)
    return run(job, {"work": task}) if mechanism == "thread" else asyncio.run(run_coroutine(job, {"work": task}))


@pytest.mark.parametrize("mechanism", ["thread", "async"])
@pytest.mark.parametrize("attempts", [1, 3])
def test_attempt_that_names_its_moment_is_not_counted(attempts: int, mechanism: str) -> None:
    moment = dt.datetime.fromtimestamp(LATER, dt.UTC)
    outcome = outcome_of(RetryAfter(moment), attempts, mechanism, Refusing)
    context = json.loads(outcome_entry(outcome).draft.context)
    assert (outcome.name, outcome.due, context["due"]) == (names.INTERRUPTED, LATER, LATER)
    assert context["exception"]["text"] == "it asked to run again at 2096-10-02 07:06:40.500+00:00"


@pytest.mark.parametrize(("attempts", "name"), [(1, names.RETRIED), (2, names.RETRIED), (3, names.FAILED)])
def test_attempt_that_is_to_count_does_and_fails_at_last(attempts: int, name: str) -> None:
    outcome = outcome_of(RetryAfter(dt.datetime.fromtimestamp(LATER, dt.UTC), uses_attempt=True), attempts)
    assert (outcome.name, outcome.due) == (name, LATER if name == names.RETRIED else 0.0)


@pytest.mark.parametrize("when", [60, 60.0, dt.timedelta(minutes=1)])
def test_span_is_counted_from_the_call(when: Any) -> None:
    before = time.time()
    assert before + 59.9 <= RetryAfter(when).due <= time.time() + 60.1


@pytest.mark.parametrize("when", [-5, 0, dt.timedelta(-1), dt.datetime.fromtimestamp(5, dt.UTC)])
def test_moment_that_has_passed_is_now(when: Any) -> None:
    before = time.time()
    assert before - 0.1 <= RetryAfter(when).due <= time.time() + 0.1


@pytest.mark.parametrize(
    "when",
    [None, "60", True, float("nan"), float("inf"), dt.datetime(2030, 1, 1), 1e12, dt.timedelta.max],  # noqa: DTZ001
)
def test_anything_else_is_refused_with_a_sentence(when: Any) -> None:
    with pytest.raises(ValidationError, match="RetryAfter takes"):
        RetryAfter(when)


def test_copy_keeps_the_moment() -> None:
    first = RetryAfter(60, uses_attempt=True)
    second = pickle.loads(pickle.dumps(first))
    assert (second.due, second.uses_attempt) == (first.due, True)
