"""When a worker's loop looks at the other sessions and at their processes. The test moves the clock."""

import journeyman as jm
import pytest
from journeyman.tasks.failure_detector import FailureDetector
from journeyman.tasks.limits import WATCH_INTERVAL_SECONDS
from journeyman.tasks.state import names
from journeyman.tasks.state.identity import Accepts
from journeyman.tasks.state.selection import EVERYTHING
from journeyman.tasks.state.state import SessionState
from journeyman.workers.limits import DEAD_PROCESSES_SECONDS, WORKER_TASKS_CHARS_MAX
from journeyman.workers.loop.known_tasks import KnownTasks
from journeyman.workers.loop.registration import bounded
from journeyman.workers.loop.session_watch import SessionWatch
from support.ledger import Ledger

NONE = frozenset[str]()


def test_sessions_and_processes_are_looked_at_now_and_then() -> None:
    watch = SessionWatch(Ledger().view, FailureDetector(3.0))
    assert watch.is_due(100.0)
    assert watch.looks_for_processes(100.0)
    watch.observe(NONE, 100.0)
    assert watch.departed(NONE, 100.0) == []
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
