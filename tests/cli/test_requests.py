"""`journeyman requests`: active and completed requests, filtered, as JSON, as of a moment."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import journeyman as jm
import pytest
from journeyman.top import HTTPTask, JournalTracker

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tracker(url: str) -> Iterator[JournalTracker[HTTPTask]]:
    with jm.Journal(url) as journal:
        yield JournalTracker(journal, instance="web")


def fill(tracker: JournalTracker[HTTPTask]) -> None:
    for number, (path, status) in enumerate([("/orders", 200), ("/orders/9", 404), ("/pay", 500)]):
        tracker.start_task(HTTPTask(number, path=path, method="GET", client_ip_address="203.0.113.9"))
        tracker.end_task(HTTPTask(number, status_code=status, response_headers=[("CONTENT-LENGTH", "5")]))
    tracker.start_task(HTTPTask(9, path="/slow", method="POST", processor_name="worker 1"))


def lines(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_active_and_completed_are_shown(call: Run, url: str, tracker: JournalTracker[HTTPTask]) -> None:
    fill(tracker)
    printed = call("requests", "--journal", url).stdout
    assert "1 active" in printed
    assert "3 completed" in printed
    assert "/slow" in printed.partition("completed")[0]
    assert printed.index("/pay") < printed.index("/orders/9")


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        (("--path", "/orders"), ["/orders/9", "/orders"]),
        (("--status", "404"), ["/orders/9"]),
        (("--status", "5xx"), ["/pay"]),
        (("--slower", "1h"), []),
        (("--limit", "1"), ["/pay"]),
    ],
)
def test_filters_choose_requests(
    call: Run, url: str, tracker: JournalTracker[HTTPTask], options: tuple[str, ...], paths: list[str]
) -> None:
    fill(tracker)
    printed = call("requests", "--journal", url, "--json", "--mode", "completed", *options).stdout
    assert [each["path"] for each in lines(printed)] == paths


def test_past_moment_shows_what_was_active_then(call: Run, url: str, tracker: JournalTracker[HTTPTask]) -> None:
    tracker.start_task(HTTPTask(1, path="/then"))
    moment = time.time()
    tracker.end_task(HTTPTask(1, status_code=200))
    then = lines(call("requests", "--journal", url, "--json", "--as-of", repr(moment)).stdout)
    assert [(each["path"], each["active"]) for each in then] == [("/then", True)]
    now = lines(call("requests", "--journal", url, "--json").stdout)
    assert [(each["path"], each["active"]) for each in now] == [("/then", False)]


def test_record_of_hostile_text_is_printed_harmless(call: Run, url: str, tracker: JournalTracker[HTTPTask]) -> None:
    tracker.start_task(HTTPTask(1, path="/\x1b[31m[/bold]"))
    printed = call("requests", "--journal", url).stdout
    assert "\x1b" not in printed
    assert "[/bold]" in printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--status", "ok"), "404"),
        (("--slower", "fast"), "--slower"),
        (("--watch", "--json"), "--watch"),
    ],
)
def test_bad_option_is_told(
    call: Run, url: str, tracker: JournalTracker[HTTPTask], options: tuple[str, ...], said: str
) -> None:
    fill(tracker)
    answer = call("requests", "--journal", url, *options)
    assert answer.returncode == 2
    assert said in answer.stderr
