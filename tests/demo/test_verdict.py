"""The demonstration's checks notice results that are lost, doubled or wrong."""

from typing import Any

import journeyman as jm
import pytest
from journeyman.demo.fold import DemoView
from journeyman.demo.verdict import disagreements
from journeyman.journal.event import encode_context
from journeyman.tasks.state import names
from msgspec import Raw

PATHS = {"task-1": "abc.py", "task-2": "ast.py"}
FACTS: dict[str, dict[str, Any]] = {"abc.py": {"lines": 188}, "ast.py": {"lines": 1709}}


class Run:
    """A journal in the making, and the view that follows it."""

    def __init__(self, begin: int = 0) -> None:
        self.view = DemoView(PATHS, {0: begin})
        self.offset = 0

    def append(self, name: str, task: str | None = None, **context: object) -> int:
        """The next event; returns its offset."""
        full = ({"task": task} if task else {}) | context
        offset, self.offset = self.offset, self.offset + 1
        self.view.apply(
            jm.Event(1.0 + offset, name, Raw(encode_context(name, full)), task, "writer", offset + 1, offset=offset)
        )
        return offset

    def complete(self, task: str, worker: str, lines: int) -> None:
        """The whole life of a task."""
        self.append(names.SUBMITTED, task, task_name="examine_source", queue="demo")
        self.finish(task, worker, self.append(names.CLAIMED, task, worker=worker), lines)

    def finish(self, task: str, worker: str, claim: int, lines: int) -> None:
        """The outcome of a claim."""
        self.append(names.SUCCEEDED, task, worker=worker, claim=claim, result={"lines": lines})


@pytest.fixture
def run() -> Run:
    made = Run()
    made.append(names.JOINED, worker="w1", host="here", pid=11, lease_ms=2_000)
    made.append(names.JOINED, worker="w2", host="here", pid=12, lease_ms=2_000)
    return made


def test_verdict_is_empty_when_all_is_well(run: Run) -> None:
    run.complete("task-1", "w1", 188)
    run.complete("task-2", "w2", 1_709)
    assert disagreements(PATHS, run.view, FACTS) == []
    assert run.view.done == 2
    assert run.view.attempts == 2
    assert run.view.workers == {11: "w1", 12: "w2"}
    assert run.view.done_by == {"w1": 1, "w2": 1}
    assert (run.view.first_claim_at, run.view.last_success_at) == (4.0, 8.0)


def test_task_without_a_result_is_lost(run: Run) -> None:
    run.complete("task-1", "w1", 188)
    run.append(names.SUBMITTED, "task-2", task_name="examine_source", queue="demo")
    assert disagreements(PATHS, run.view, FACTS) == ["ast.py: lost, there is no result"]


def test_wrong_result_is_detected(run: Run) -> None:
    run.complete("task-1", "w1", 189)
    run.complete("task-2", "w2", 1_709)
    (problem,) = disagreements(PATHS, run.view, FACTS)
    assert "abc.py: a worker found {'lines': 189}" in problem


def test_failure_is_detected(run: Run) -> None:
    run.complete("task-1", "w1", 188)
    run.append(names.SUBMITTED, "task-2", task_name="examine_source", queue="demo")
    claim = run.append(names.CLAIMED, "task-2", worker="w2")
    run.append(names.FAILED, "task-2", worker="w2", claim=claim, exception={"name": "OSError", "text": "disk on fire"})
    assert disagreements(PATHS, run.view, FACTS) == ["ast.py: failed: disk on fire"]


def test_second_success_is_detected(run: Run) -> None:
    run.complete("task-1", "w1", 188)
    run.complete("task-2", "w2", 1_709)
    run.view.successes["task-2"] += 1  # the fold refuses it; the count is kept apart so that it could be seen
    assert disagreements(PATHS, run.view, FACTS) == ["ast.py: completed 2 times"]


def test_takeover_and_the_late_outcome_are_counted(run: Run) -> None:
    run.complete("task-1", "w1", 188)
    run.append(names.SUBMITTED, "task-2", task_name="examine_source", queue="demo")
    first = run.append(names.CLAIMED, "task-2", worker="w1")
    run.append(names.CLAIMED, "task-2", worker="w2")
    assert run.view.held("w1") == 1
    run.append(names.EXPIRED, worker="w1", last=first, by="w2")
    assert run.view.held("w1") == 0
    second = run.append(names.CLAIMED, "task-2", worker="w2")
    run.finish("task-2", "w1", first, 1)
    run.finish("task-2", "w2", second, 1_709)
    assert run.view.changed_owner == ["task-2"]
    assert run.view.takeovers == 1
    assert (run.view.refused_claims, run.view.refused_outcomes, run.view.attempts) == (1, 1, 3)
    assert disagreements(PATHS, run.view, FACTS) == []


def test_earlier_events_are_folded_and_not_counted() -> None:
    run = Run(begin=3)
    run.append(names.JOINED, worker="w1", host="here", pid=11, lease_ms=2_000)
    run.append(names.SUBMITTED, "other", task_name="mail", queue="default")
    run.append(names.CLAIMED, "other", worker="w1")
    run.complete("task-1", "w1", 188)
    assert run.view.events == 3
    assert run.view.results == {"task-1": {"lines": 188}}
