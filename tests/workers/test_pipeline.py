"""Running one task: it always ends in one of the outcomes, which every reader can read, within the limits."""

import asyncio
import contextvars
import datetime as dt
import decimal
import json
import math
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from journeyman.journal.event import Draft, record
from journeyman.journal.limits import EVENT_BYTES_MAX
from journeyman.tasks import Broker, ConstantBackoff, Message, Task
from journeyman.tasks.limits import RESULT_EVENT_BYTES_MAX, TASK_ID_CHARS_MAX, TASK_TIMEOUT_MS_DEFAULT
from journeyman.tasks.state import names
from journeyman.tasks.state.decoding import Fact, TaskContext
from journeyman.tasks.state.state import TaskState
from journeyman.tasks.submitting import submission
from journeyman.workers.executors.children.inside.contexts import copies_of
from journeyman.workers.executors.pipeline import (
    Job,
    Outcome,
    SessionLease,
    execute,
    failure,
    gone,
    run,
    run_coroutine,
    timeout_of,
)
from journeyman.workers.limits import TEXT_CHARS_MAX, TRACEBACK_CHARS_MAX
from journeyman.workers.loop.drafts import outcome_entry
from support.states import claimed_task

BROKER = Broker("memory://")


def task_of(function: Callable[..., Any], max_retries: int | None = 3, kind: type[Task[Any, Any]] = Task) -> Any:
    return kind(function, BROKER, "work", max_retries=max_retries, backoff=ConstantBackoff(1_500, floor=0))


def job_of(message: Message, attempts: int = 1, row: bytes | None = None) -> Job:
    lease = SessionLease("worker", 0)
    lease.renew(time.monotonic(), 1_000)
    state = claimed_task(message.uuid, 7, 9, attempts, name=message.task_name, max_retries=message.max_retries)
    if row is None:
        row = record(submission(message), 1.0)[1]
    return Job(state, lease, 9, row, state.attempts - 1)


def outcome_of(task: Task[Any, Any], *args: Any, attempts: int = 1, **kwargs: Any) -> Outcome:
    message = task.generate(submit=False).update(args=list(args), kwargs=kwargs)  # unchecked, as from another program
    return run(job_of(message, attempts), {"work": task})


def said(outcome: Outcome) -> dict[str, Any]:
    """The context of the event, as every reader reads it; the fold must agree with it."""
    entry = outcome_entry(outcome)
    _, row = record(entry.draft, 1.0)
    fact = msgspec.json.decode(row, type=Fact)
    assert isinstance(entry.fact, TaskContext)
    assert (fact.context.task, fact.context.worker, fact.context.claim, fact.context.due) == (
        entry.fact.task,
        entry.fact.worker,
        entry.fact.claim,
        entry.fact.due,
    )
    context: dict[str, Any] = json.loads(row)["context"]
    return context


# -- success ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, 'ü\n"', [1, [2]], {"a": {"b": None}}, 1.5, True])
def test_result_is_part_of_the_success_event(value: object) -> None:
    outcome = outcome_of(task_of(lambda given: given), value)
    assert outcome.name == names.SUCCEEDED
    context = said(outcome)
    assert context["result"] == value
    assert (context["worker"], context["claim"]) == ("worker", 9)
    assert context["ran_ms"] >= 0


def test_arguments_are_passed_by_position_and_by_name() -> None:
    assert said(outcome_of(task_of(lambda a, b=0, *, c: [a, b, c]), 1, c=3))["result"] == [1, 0, 3]


def test_message_is_passed_to_a_function_that_asks_for_it() -> None:
    def annotated(message: Message) -> int:
        return message.retries

    def by_name(message: "Message") -> int:
        return message.retries

    def other(message: str) -> str:
        return message

    assert said(outcome_of(task_of(lambda message: [message.uuid, message.retries]), attempts=3))["result"][1] == 2
    assert said(outcome_of(task_of(annotated), attempts=2))["result"] == 1
    assert said(outcome_of(task_of(by_name), attempts=1))["result"] == 0
    assert said(outcome_of(task_of(other), message="text"))["result"] == "text"
    assert outcome_of(task_of(other)).name == names.RETRIED  # a parameter of another type is the caller's to give


@pytest.mark.parametrize("mechanism", ["thread", "async"])
def test_largest_result_fits_its_event(mechanism: str) -> None:
    text = "x" * (RESULT_EVENT_BYTES_MAX - 2)
    id_ = "\x01" * TASK_ID_CHARS_MAX  # each takes six bytes, in the key and in the context

    def work() -> str:
        return text

    async def awork() -> str:
        return text

    task = task_of(work if mechanism == "thread" else awork)
    job = job_of(task.generate(submit=False, uuid=id_))
    tasks = {"work": task}
    outcome = run(job, tasks) if mechanism == "thread" else asyncio.run(run_coroutine(job, tasks))
    assert outcome.name == names.SUCCEEDED
    assert len(record(outcome_entry(outcome).draft, 1.0)[1]) <= EVENT_BYTES_MAX


# -- failure ---------------------------------------------------------------------------------------------------------


def fails(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_exception_is_recorded_and_retried_from_the_failure() -> None:
    before = time.time()
    outcome = outcome_of(task_of(fails(KeyError("missing"))))
    context = said(outcome)
    assert outcome.name == names.RETRIED
    assert before + 1.5 <= context["due"] <= time.time() + 1.5
    assert context["exception"]["name"] == "KeyError"
    assert context["exception"]["text"] == "'missing'"
    assert "raise error" in context["exception"]["traceback"]


@pytest.mark.parametrize(
    ("max_retries", "attempts", "name"),
    [(3, 3, "task.retried"), (3, 4, "task.failed"), (0, 1, "task.failed"), (-1, 1, "task.failed"),
     (None, 10_000, "task.retried")],
)  # fmt: skip
def test_task_is_retried_up_to_its_limit(max_retries: int | None, attempts: int, name: str) -> None:
    task = task_of(fails(OSError()))
    task.max_retries = max_retries  # as it may stand in a journal: a task of today takes none below 0
    assert outcome_of(task, attempts=attempts).name == name


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(), MemoryError()])
def test_exceptions_of_a_task_never_escape(error: BaseException) -> None:
    outcome = outcome_of(task_of(fails(error), 0))
    assert outcome.name == names.FAILED
    assert said(outcome)["exception"]["name"] == type(error).__name__


class Silent(Exception):
    """An exception whose own text ends the program."""

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


@pytest.mark.parametrize(
    "error",
    [Silent(), ValueError("\ud800 lone"), ValueError("x" * 1_000_000), ValueError("\x00" * 100_000)],
    ids=["its text fails", "no UTF-8", "long", "control characters"],
)
def test_unprintable_exception_loses_no_outcome(error: BaseException) -> None:
    context = said(outcome_of(task_of(fails(error), 0)))
    assert len(context["exception"]["text"]) <= TEXT_CHARS_MAX
    assert len(context["exception"]["traceback"]) <= TRACEBACK_CHARS_MAX


def test_exception_cause_is_part_of_its_traceback() -> None:
    def work() -> None:
        raise RuntimeError("outer") from ValueError("inner")

    trace = said(outcome_of(task_of(work)))["exception"]["traceback"]
    assert trace.index("inner") < trace.index("outer")


def cycle() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "cannot be written as JSON"),
        ({1: 2}, "cannot be written as JSON"),
        ("\ud800", "cannot be written as JSON"),
        (2**70, "cannot be written as JSON"),
        ({"when": [dt.date(2026, 1, 1)]}, "the result.when[0] is a value of type datetime.date"),
        (cycle(), "cannot be written as JSON"),
        ({"loss": float("nan")}, "the result.loss is nan, and JSON has neither NaN nor an infinite number"),
        ("x" * RESULT_EVENT_BYTES_MAX, "the limit is"),
    ],
    ids=[
        "an object",
        "keys that are no text",
        "no UTF-8",
        "a large number",
        "a date",
        "a cycle",
        "not a number",
        "too large",
    ],
)
def test_unstorable_result_fails_the_task_with_the_reason(value: object, reason: str) -> None:
    outcome = outcome_of(task_of(lambda: value, 0))
    assert outcome.name == names.FAILED
    exception = said(outcome)["exception"]
    assert "UnserialisableResult" in exception["name"]
    assert reason in exception["text"]


@pytest.mark.parametrize(
    "context",
    [
        b'{"task":"t","task_name":"work","timeout":"soon"}',
        b'{"task":"t","task_name":"work","args":5}',
        b'{"task":"t","task_name":"work","priority":-1}',
        b'{"task":"t","task_name":"work","delay":-1}',
    ],
)
def test_invalid_submission_fails_and_harms_no_other(context: bytes) -> None:
    _, row = record(Draft(names.SUBMITTED, context), 1.0)
    task = task_of(lambda: 1)
    job = job_of(Message(uuid="t", task_name="work"), row=row)
    outcome = run(job, {"work": task})
    assert outcome.name == names.FAILED
    assert said(outcome)["exception"]["text"]
    assert failure(job, {"work": task}, TimeoutError("late"), 1.0).name == names.FAILED
    assert timeout_of(row) == TASK_TIMEOUT_MS_DEFAULT / 1_000


def test_wrong_arguments_fail_the_task() -> None:
    assert "unexpected" in said(outcome_of(task_of(lambda: 1, 0), surplus=1))["exception"]["text"]


def test_task_ended_from_outside_is_retried_by_its_rules() -> None:
    task = task_of(lambda: 1, 1)
    message = task.generate(submit=False)
    first, last = (failure(job_of(message, attempts), {"work": task}, OSError("died"), 2.5) for attempts in (1, 2))
    assert (first.name, last.name) == (names.RETRIED, names.FAILED)
    assert said(last)["ran_ms"] == 2_500


def test_removed_submission_is_reported_as_gone() -> None:
    outcome = gone(job_of(Message(task_name="work"), row=b""))
    assert outcome.name == names.FAILED
    assert "removed by retention" in said(outcome)["exception"]["text"]


# -- hooks -----------------------------------------------------------------------------------------------------------


class Broken(Task[Any, Any]):
    """A task whose own rules fail."""

    def do_retry(self, message: Message, exception: BaseException) -> bool:
        raise SystemExit("the hook fails")


class Timeless(Task[Any, Any]):
    """A task whose next attempt is at no time."""

    moment: Any = math.nan

    def retry_at(self, message: Message) -> float:
        moment: float = self.moment
        return moment


class Stubborn(Task[Any, Any]):
    """A task that goes on for ever."""

    def do_retry(self, message: Message, exception: BaseException) -> bool:
        return True


def test_failing_hook_loses_no_outcome() -> None:
    outcome = outcome_of(task_of(fails(ValueError("first")), kind=Broken))
    assert outcome.name == names.FAILED
    assert said(outcome)["exception"]["text"] == "first"
    assert said(outcome)["hook"]["text"] == "the hook fails"


@pytest.mark.parametrize(
    "moment", [math.nan, math.inf, -math.inf, 1e300, 10**400, "soon", None], ids=lambda moment: str(moment)[:9]
)
def test_invalid_retry_time_never_reaches_the_log(moment: object) -> None:
    task = task_of(fails(ValueError("first")), kind=Timeless)
    task.moment = moment
    outcome = outcome_of(task)
    assert outcome.name == names.FAILED
    assert "hook" in said(outcome)


def test_subclass_may_decide_when_to_give_up() -> None:
    assert outcome_of(task_of(fails(ValueError()), 0, Stubborn), attempts=50).name == names.RETRIED


# -- the lease -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["the lease may have run out", "the claim is another's"])
def test_job_with_a_doubtful_claim_is_not_started(why: str) -> None:
    ran: list[int] = []
    task = task_of(lambda: ran.append(1))
    job = job_of(task.generate(submit=False))
    if why == "the claim is another's":
        assert isinstance(job.state, TaskState)
        job.state.run.claim = 10
    else:
        job.lease.renew(time.monotonic() - 10, 9)
    outcomes = [run(job, {"work": task}), asyncio.run(run_coroutine(job, {"work": task}))]
    assert [outcome.name for outcome in outcomes] == [names.INTERRUPTED] * 2
    assert not ran
    assert said(outcomes[0])["claim"] == 9


# -- coroutines ------------------------------------------------------------------------------------------------------


def test_coroutine_has_the_same_outcomes() -> None:
    async def work(kind: str) -> object:
        await asyncio.sleep(0)
        if kind == "fails":
            raise ValueError("no")
        return object() if kind == "unserialisable" else kind

    task = task_of(work, 0)
    found = {}
    for kind in ("fine", "fails", "unserialisable"):
        job = job_of(task.generate(args=[kind], submit=False))
        found[kind] = asyncio.run(run_coroutine(job, {"work": task})).name
    assert found == {"fine": names.SUCCEEDED, "fails": names.FAILED, "unserialisable": names.FAILED}


def test_unknown_task_name_fails_the_task_alone() -> None:
    ending = execute("unheard_of", b"{}", 0, {})
    assert ending.name == names.FAILED
    assert "no task 'unheard_of'" in msgspec.json.decode(b'{"ended":0%b}' % ending.detail)["exception"]["text"]


# -- what one task leaves to the next ----------------------------------------------------------------------------------

LOCALE = contextvars.ContextVar("LOCALE", default="none")


def test_context_variables_do_not_leak_between_tasks() -> None:
    def work() -> list[object]:
        seen = [LOCALE.get(), decimal.getcontext().prec]
        LOCALE.set("de")
        decimal.getcontext().prec = 3
        return seen

    task = task_of(work)
    before = [LOCALE.get(), decimal.getcontext().prec]
    assert [said(outcome_of(task))["result"] for _ in range(2)] == [before, before]
    assert [LOCALE.get(), decimal.getcontext().prec] == before


@pytest.mark.parametrize("prec", [50, None])
def test_run_in_a_copied_context_leaves_the_original_alone(prec: int | None) -> None:
    def work() -> int:
        decimal.getcontext().prec += 1
        return decimal.getcontext().prec

    task, imported = task_of(work), contextvars.Context()
    if prec is not None:
        imported.run(lambda: setattr(decimal.getcontext(), "prec", prec))
    row = record(submission(task.generate(submit=False)), 1.0)[1]
    copied = copies_of(imported)
    endings = [execute("work", row, 0, {"work": task}, copied()) for _ in range(2)]
    first = (prec or decimal.DefaultContext.prec) + 1
    assert [b'"result":%d' % first in ending.detail for ending in endings] == [True, True]


class Nameless(type):
    """A class of classes that fail when they are asked for their names."""

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__qualname__", "__name__", "__module__"):
            raise KeyboardInterrupt
        return super().__getattribute__(name)


class Unspeakable(Exception, metaclass=Nameless):
    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            raise GeneratorExit
        return super().__getattribute__(name)

    def __str__(self) -> str:
        raise SystemExit


def test_unprintable_error_is_the_tasks_failure() -> None:
    def work() -> None:
        raise Unspeakable

    outcome = outcome_of(task_of(work, 0))
    assert outcome.name == names.FAILED
    assert said(outcome)["exception"]["name"] == "(cannot be shown)"


def test_unprintable_coroutine_error_is_the_tasks_failure() -> None:
    async def work() -> None:
        raise Unspeakable

    task = task_of(work, 0)
    outcome = asyncio.run(run_coroutine(job_of(task.generate(submit=False)), {"work": task}))
    assert outcome.name == names.FAILED
