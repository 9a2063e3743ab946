"""The log of failures: the first of a period in lines of their own, the others as a count when it is over."""

import json
import logging

import pytest
from journeyman.tasks import TaskState
from journeyman.workers.limits import FAILURE_CHARS_MAX, FAILURE_LINES_MAX, FAILURE_LINES_SECONDS
from journeyman.workers.loop import failure_log
from journeyman.workers.loop.failure_log import FailureLog
from support.states import waiting_task

TASK = waiting_task("t1", 0, name="send")


class Clock:
    now = 50.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(failure_log, "time", clock)
    return clock


def said(**exception: str) -> bytes:
    return json.dumps({"exception": {"name": "E", "text": "no", "traceback": "E: no", **exception}}).encode()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return lines


def test_failures_beyond_the_limit_are_counted_once_a_period(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    log, line = FailureLog(), "task send t1 has failed for good, after 1 attempt: E: no"
    for _ in range(2):
        begun = clock.now
        assert (log.due,) == (None,)
        for _ in range(FAILURE_LINES_MAX + 2):
            log.failed(TASK, 1, said())
        assert told(caplog) == [line] * FAILURE_LINES_MAX
        assert (log.due,) == (begun + FAILURE_LINES_SECONDS,)
        log.sum_up(begun + FAILURE_LINES_SECONDS - 0.01)
        assert told(caplog) == []
        clock.now = begun + FAILURE_LINES_SECONDS
        log.sum_up(clock.now)
        log.sum_up(clock.now)
        assert told(caplog) == ["2 more tasks have failed for good: `journeyman status` counts the dead letters"]


def test_failure_after_the_period_sums_the_last_one_up(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    log = FailureLog()
    for _ in range(FAILURE_LINES_MAX + 1):
        log.retried(TASK, 2, said())
    told(caplog)
    clock.now += FAILURE_LINES_SECONDS
    log.retried(TASK, 2, said())
    assert told(caplog) == [
        "1 more tasks have failed and are tried again",
        "task send t1 has failed and is tried again, after 2 attempts: E: no",
    ]


def test_kinds_of_failures_have_limits_of_their_own(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    log = FailureLog()
    for _ in range(FAILURE_LINES_MAX + 1):
        log.failed(TASK, 1, said())
    clock.now += 0.1
    for _ in range(FAILURE_LINES_MAX + 1):
        log.retried(TASK, 1, said())
    assert len(told(caplog)) == 2 * FAILURE_LINES_MAX
    assert log.due == clock.now - 0.1 + FAILURE_LINES_SECONDS, "of the two the earlier"


@pytest.mark.parametrize(
    ("task", "context", "line", "traceback"),
    [
        (TASK, said(text="a\nb\x1b[2J"), "after 1 attempt: E: a b [2J", None),
        (TASK, said(text="x" * 600), f"after 1 attempt: {('E: ' + 'x' * 600)[:FAILURE_CHARS_MAX]}", None),
        (TASK, said(traceback="one\n  two\x1b  \n"), "after 1 attempt: E: no", "one\n  two"),
        (TASK, b"{}", "after 1 attempt: no reason given", None),
        (
            TASK,
            json.dumps({"exception": {"name": "E", "text": "no", "traceback": ""}, "hook": {"name": "H", "text": "x"}}),
            "after 1 attempt: E: no; and its do_retry or retry_at with H: x",
            None,
        ),
    ],
)
def test_reason_is_one_printable_line(
    task: TaskState, context: bytes, line: str, traceback: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    FailureLog().failed(task, 1, context)
    (record,) = caplog.records
    assert record.getMessage() == f"task send t1 has failed for good, {line}"
    assert record.exc_text == traceback
    assert (vars(record)["task"], vars(record)["task_id"]) == ("send", "t1")


def test_log_that_takes_no_warnings_gets_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "journeyman.worker")
    FailureLog().failed(TASK, 1, said())
    assert caplog.records == []
