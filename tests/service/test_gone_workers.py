"""A worker that has gone is answered with its life and its end, now and as of a moment; search finds it."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from support.service import client, service_here
from support.waiting import wait_until

LEASE_MS = 500


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of a service of its own: no other worker expires those of the tests."""
    url = f"sqlite:///{tmp_path_factory.mktemp('gone') / 'shop.db'}"
    with service_here(url) as address, client(address) as opened:
        yield opened


def join(http: httpx2.Client, **terms: Any) -> str:
    return str(http.post("/workers/join", json={"tasks": ["send"], **terms}).json()["worker"])


def test_worker_that_has_left_is_answered(http: httpx2.Client) -> None:
    worker = join(http, host="atlas", queues=["mail"], slots=4)
    there = http.get(f"/workers/{worker}").json()
    assert there["end"] is None
    http.post("/workers/leave", json={"worker": worker})
    assert worker not in [line["worker"] for line in http.get("/workers").json()["workers"]]
    answer = http.get(f"/workers/{worker}")
    assert answer.status_code == 200
    found = answer.json()
    end = found["end"]
    assert end == {"how": "left", "at": end["at"], "by": None, "by_host": None, "by_service": False}
    assert found | {"end": None, "last_sign": None} == there | {"last_sign": None}
    assert http.get(f"/workers/…{worker[-8:]}").json() == found
    assert answer.headers["Journal-Cursor"] == http.get("/").headers["Journal-Cursor"]


def test_silent_worker_is_expired_by_the_service(http: httpx2.Client) -> None:
    worker = join(http, host="atlas", lease_ms=LEASE_MS)
    task = http.post("/tasks", json={"task_name": "send", "queue": "default"}).json()["task"]
    claimed = http.post("/workers/claim", json={"worker": worker, "wait": 30}).json()["tasks"]
    assert [each["task"] for each in claimed] == [task]
    wait_until(lambda: http.get(f"/workers/{worker}").json()["end"], "the service to expire the worker")
    found = http.get(f"/workers/{worker}").json()
    assert (found["holds"], found["claims"], found["end"]["how"]) == ([], 0, "expired")
    assert found["end"]["by_service"]
    wait_until(lambda: "journeyman_expiries_total 0.0" not in http.get("/metrics").text, "the expiry to be counted")
    (event,) = http.get("/events", params={"topic": "worker.expired", "key": worker}).json()["events"]
    assert event["context"]["service"] is True
    assert event["context"]["by"] == found["end"]["by"]
    assert "GET /events?topic=worker" in http.get(f"/workers/{found['end']['by']}").json()["detail"]


def test_worker_is_answered_as_of_each_moment_of_its_life(http: httpx2.Client) -> None:
    worker = join(http, host="atlas")
    joined_at = http.get(f"/workers/{worker}").json()["joined_at"]
    http.post("/workers/leave", json={"worker": worker})
    left_at = http.get(f"/workers/{worker}").json()["end"]["at"]
    path = f"/workers/{worker}"
    assert http.get(path, params={"as_of": joined_at - 0.001}).status_code == 404
    assert http.get(path, params={"as_of": joined_at}).json()["end"] is None
    assert http.get(path, params={"as_of": left_at}).json()["end"]["at"] == left_at


def test_unknown_worker_is_answered_with_what_to_do(http: httpx2.Client) -> None:
    answer = http.get("/workers/nothing")
    assert answer.status_code == 404
    assert "GET /workers lists" in answer.json()["detail"]


def test_end_of_several_ids_is_ambiguous(http: httpx2.Client) -> None:
    ids = [f"01a00000-0000-7000-8000-00000{number}decade" for number in range(2)]
    for worker in ids:
        for name in ("joined", "left"):
            http.post("/events", json={"name": f"worker.{name}", "context": {"worker": worker}, "key": worker})
    answer = http.get("/workers/decade")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:journeyman:ambiguous")
    assert [hit["name"] for hit in http.get("/search", params={"text": "decade"}).json()["hits"]] == ids


def test_search_finds_a_worker_that_has_gone(http: httpx2.Client) -> None:
    worker = join(http, host="cygnus")
    (there,) = http.get("/search", params={"text": worker[-8:]}).json()["hits"]
    assert there == {"kind": "worker", "name": worker, "about": "cygnus, process 0"}
    http.post("/workers/leave", json={"worker": worker})
    for text in (worker, worker[-8:], f"…{worker[-8:]}"):
        (hit,) = http.get("/search", params={"text": text}).json()["hits"]
        assert hit == {"kind": "worker", "name": worker, "about": "cygnus, process 0, left"}
