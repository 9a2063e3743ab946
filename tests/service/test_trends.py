"""GET /trends: the last hour as charts show it, kept by live events and the same after a restart."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from journeyman.service.trends import recent, routes
from support.served_tasks import Gate, worker_of
from support.service import client, service_here

ENDED = ("counts", "over_time", "latency", "ran")


@pytest.fixture(scope="module", autouse=True)
def gate(url: str, address: str) -> Iterator[Gate]:
    with worker_of(url) as held:
        yield held


def run(http: httpx2.Client, name: str, *args: Any, queue: str) -> None:
    task = http.post("/tasks", json={"task_name": name, "args": list(args), "queue": queue, "max_retries": 0})
    assert task.status_code == 201, task.text
    http.get(f"/tasks/{task.json()['task']}/result", params={"wait": 30})


def trends(http: httpx2.Client, **parameters: Any) -> dict[str, Any]:
    answer = http.get("/trends", params=parameters)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def line(said: dict[str, Any], queue: str) -> dict[str, Any]:
    return next(each for each in said["queues"] if each["queue"] == queue)


def test_live_events_continue_what_was_read(http: httpx2.Client) -> None:
    before = trends(http)["total"]["counts"]["submitted"]
    run(http, "add", 1, 2, queue="sums")
    first = trends(http)
    assert line(first, "sums")["counts"]["succeeded"] == 1
    run(http, "add", 3, 4, queue="sums")
    run(http, "paint", "green", queue="art")
    said = trends(http)
    assert sum(line(said, "sums")["over_time"]["succeeded"]) == line(said, "sums")["latency"]["count"] == 2
    assert sum(line(said, "art")["over_time"]["failed"]) == 1
    assert said["total"]["counts"]["submitted"] == before + 3
    (failure,) = [each for each in said["failures"] if each["queue"] == "art"]
    assert (failure["name"], failure["queue"], failure["failed"]) == ("paint", "art", 1)
    assert len(said["total"]["over_time"]["waiting"]) == len(said["ends"]) == len(said["expired_over_time"])


def test_restarted_service_answers_the_same(http: httpx2.Client, url: str) -> None:
    run(http, "add", 1, 2, queue="again")
    kept = trends(http, queue="again")
    with service_here(url) as address, client(address) as other:
        read = trends(other, queue="again")
    assert {name: kept["total"][name] for name in ENDED} == {name: read["total"][name] for name in ENDED}


def test_levels_are_what_waits_and_runs(http: httpx2.Client, gate: Gate) -> None:
    task = http.post("/tasks", json={"task_name": "hold", "args": [1], "queue": "slow"}).json()["task"]
    http.post("/tasks", json={"task_name": "unheard", "queue": "slow"})
    while http.get(f"/tasks/{task}").json()["state"] != "claimed":
        http.get(f"/tasks/{task}/result", params={"wait": 0.05})
    said = line(trends(http, queue="slow"), "slow")["over_time"]
    gate.opened.set()
    assert (said["waiting"][-1], said["running"][-1]) == (1, 1)


def test_window_of_the_past_is_read_within_bounds(http: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    run(http, "add", 1, 2, queue="past")
    assert line(trends(http, until="0s", since="10m", width=30), "past")["counts"]["succeeded"] == 1
    assert trends(http, as_of="1h")["total"]["counts"]["submitted"] == 0
    assert http.get("/trends", params={"since": "10m", "width": 0.1}).status_code == 400
    monkeypatch.setattr(routes, "TREND_EVENTS_MAX", 1)
    assert http.get("/trends", params={"since": "10m", "width": 30}).json()["type"].endswith("window-too-large")


def test_trends_are_given_up_when_unused(http: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    trends(http)
    monkeypatch.setattr(recent, "TREND_IDLE_SECONDS", 0.0)
    run(http, "add", 1, 2, queue="idle")
    monkeypatch.undo()
    assert line(trends(http), "idle")["counts"]["succeeded"] == 1
