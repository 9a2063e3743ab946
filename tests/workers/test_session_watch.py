"""When a worker's loop looks at the other sessions and at their processes. The test moves the clock."""

import functools
import json
import os
from typing import Any

import journeyman as jm
import pytest
from journeyman.tasks.failure_detector import FailureDetector
from journeyman.tasks.limits import WATCH_INTERVAL_SECONDS
from journeyman.tasks.state import names
from journeyman.tasks.state.decoding import read_context
from journeyman.tasks.state.identity import Accepts
from journeyman.tasks.state.selection import EVERYTHING, Selection
from journeyman.tasks.state.state import SessionState, TaskKind
from journeyman.workers.limits import DEAD_PROCESSES_SECONDS, WORKER_TASKS_CHARS_MAX
from journeyman.workers.loop import known_tasks
from journeyman.workers.loop.known_tasks import KnownTasks
from journeyman.workers.loop.registration import bounded, joining
from journeyman.workers.loop.session_watch import SessionWatch
from support.ledger import Ledger

NONE = frozenset[str]()


def test_sessions_and_processes_are_looked_at_now_and_then() -> None:
    watch = SessionWatch(Ledger().view, FailureDetector(3.0))
    assert watch.is_due(100.0)
    assert watch.looks_for_processes(100.0)
    watch.observe(NONE, 100.0)
    assert watch.departed(100.0) == []
    watch.observe(NONE, 0.0)
    assert watch.is_due(WATCH_INTERVAL_SECONDS)
    watch.observe(NONE, 100.0)
    for due, seconds in ((watch.is_due, WATCH_INTERVAL_SECONDS), (watch.looks_for_processes, DEAD_PROCESSES_SECONDS)):
        assert [due(100.0 + part * seconds) for part in (0.0, 0.99, 1.01)] == [False, False, True]


def test_watch_is_needed_while_a_session_holds_tasks() -> None:
    log = Ledger()
    watch = SessionWatch(log.view, FailureDetector(3.0))
    log.join("other")
    log.submit("a")
    needed = [watch.is_needed]
    log.claim("a", "other")
    needed.append(watch.is_needed)  # though it has not been observed yet
    watch.observe(NONE, 100.0)
    log.end_attempt(names.SUCCEEDED, "a", "other")
    needed.append(watch.is_needed)  # until its end has been observed
    watch.observe(NONE, 100.1)
    needed.append(watch.is_needed)
    assert needed == [False, True, True, False]


def test_other_functions_under_a_name_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    task = jm.Task(bounded, jm.Broker("memory://"), "send")
    known = KnownTasks({"send": task}, EVERYTHING)
    others = [Accepts(("other:send",)), Accepts(("other:send",)), Accepts((task.function_name,)), Accepts()]
    for other in others:
        known.compare([SessionState("w", 0, 1_000, "host", 1, 0.0, 0, accepts={"send": other, "else": other})])
    (line,) = [record.getMessage() for record in caplog.records]
    assert "has other:send under the name send" in line


def test_names_of_tasks_are_listed_up_to_the_limit() -> None:
    half = WORKER_TASKS_CHARS_MAX // 2
    exact = {"b" * half: 0, "a": WORKER_TASKS_CHARS_MAX - half - 1}
    assert bounded(exact) == (("a", "b" * half), 0)
    assert bounded({**exact, "c": 0, "d": 0}) == (("a", "b" * half), 2)
    assert bounded({}) == ((), 0)


@pytest.mark.parametrize(
    ("own_named", "own_function", "theirs", "told"),
    [
        (True, True, Accepts(("other:send",), named=False), True),
        (True, True, Accepts(("other:send",), named=True), False),
        (False, True, Accepts(("other:send",), named=True), True),
        (False, True, Accepts(("other:send", "another:send"), named=False), True),
        (True, True, Accepts((), named=False), False),
        (True, False, Accepts(("other:send",), named=False), False),
    ],
    ids=["theirs unnamed", "both named", "own unnamed", "neither", "theirs unknown", "own unknown"],
)
def test_functions_are_compared_unless_both_are_named(
    own_named: bool, own_function: bool, theirs: Accepts, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    function = bounded if own_function else functools.partial(bounded, {})
    task: jm.Task[Any, Any] = jm.Task(function, jm.Broker("memory://"), "bounded" if own_named else None)
    known = KnownTasks({"bounded": task}, EVERYTHING)
    known.compare([SessionState("w", 0, 1_000, "host", 1, 0.0, 0, accepts={"bounded": theirs})])
    assert bool(caplog.records) == told


def test_warnings_about_functions_are_limited(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_tasks, "FUNCTION_WARNINGS_MAX", 2)
    task = jm.Task(bounded, jm.Broker("memory://"))
    known = KnownTasks({"bounded": task}, EVERYTHING)
    kinds = [TaskKind("bounded", "default", 0, 3, 0, f"other:{number}", False) for number in range(4)]
    assert [known.runs(kind) for kind in kinds] == [False] * 4
    assert known.runs(TaskKind("bounded", "default", 0, 3, 0, task.function_name, False))
    assert not known.runs(TaskKind("another", "default", 0, 3, 0, task.function_name, False))
    assert [record.args[1] for record in caplog.records if record.args] == ["other:0", "other:1"]  # type: ignore[index]


@pytest.mark.parametrize(
    "accepts",
    [
        None,
        {},
        {"send": Accepts(("shop:send", "old:send"), named=True), "plain": Accepts()},
        {f"{number}{'x' * (WORKER_TASKS_CHARS_MAX // 2)}": Accepts(("a:b",)) for number in range(3)},
    ],
    ids=["any", "none", "two", "too many"],
)
@pytest.mark.parametrize(
    "selection",
    [EVERYTHING, Selection(queues=("mail",)), Selection(tasks={"mail": ("send",)})],
    ids=["everything", "queues", "tasks"],
)
def test_worker_reads_its_own_registration_as_others_do(
    accepts: dict[str, Accepts] | None, selection: Selection
) -> None:
    fact, context = joining("w", 15_000, accepts, selection, 3)
    assert read_context(names.JOINED, context) == fact
    said = json.loads(context)
    assert [name in said for name in ("accepts", "selection", "more_tasks")] == [
        bool(fact.accepts), bool(selection.said()), bool(fact.more_tasks)
    ]  # fmt: skip
    assert (fact.worker, fact.lease_ms, fact.slots, fact.pid) == ("w", 15_000, 3, os.getpid())
    assert (fact.tasks is None) == (accepts is None)
    left_out = len(accepts or {}) - len(fact.tasks or ())
    assert (fact.more_tasks, left_out) == ((2, 2) if accepts and len(accepts) == 3 else (0, 0))
    assert set(fact.accepts) == {name for name in fact.tasks or () if (accepts or {})[name].functions}
