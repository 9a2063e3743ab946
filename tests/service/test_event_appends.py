"""POST /events: all or none, with positions, and once, however often the request is repeated."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from journeyman.journal import Journal
from journeyman.journal.verification import verify
from journeyman.service.settings import Settings
from support.service import client, free_port, keyring, service_here, service_process
from support.waiting import wait_until

SUBMITTER = "submitter-key-0123456789"
OTHER = "other-submitter-key-0123"


@pytest.fixture
def journal(url: str, address: str) -> Iterator[Journal]:
    with Journal(url) as made:
        yield made


def once(http: httpx2.Client, key: str, body: Any, **query: Any) -> httpx2.Response:
    return http.post("/events", json=body, params=query, headers={"Idempotency-Key": key})


def of_topic(http: httpx2.Client, topic: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = http.get("/events", params={"topic": topic}).json()["events"]
    return events


def test_one_event_is_answered_with_its_position(http: httpx2.Client, journal: Journal) -> None:
    answer = http.post("/events", json={"name": "order.paid", "context": {"order": 7, "text": "ƒ"}, "key": "7"})
    assert answer.status_code == 201
    (event,) = answer.json()["events"]
    read = journal.read({event["partition"]: event["offset"]}, 1).events[0]
    assert (read.name, read.context, read.key) == ("order.paid", {"order": 7, "text": "ƒ"}, "7")
    assert answer.headers["Journal-Cursor"] == answer.json()["cursor"] == f"0:{event['offset'] + 1}"


def test_several_events_land_together_or_not_at_all(http: httpx2.Client) -> None:
    good = [{"name": "batch.good", "context": {"n": n}} for n in range(3)]
    answer = http.post("/events", json=good)
    offsets = [event["offset"] for event in answer.json()["events"]]
    assert offsets == list(range(offsets[0], offsets[0] + 3))
    answer = http.post("/events", json=[*good, {"name": "not a name"}])
    assert answer.status_code == 400
    assert "dotted words" in answer.json()["detail"]
    assert len(of_topic(http, "batch")) == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({"name": "a", "contxt": {}}, 400),
        ({"name": "a", "context": [1]}, 400),
        ({"context": {}}, 400),
        ({"name": "a", "key": "k" * 501}, 400),
        ({"name": "a", "context": {"text": "x" * 1_100_000}}, 413),
        ([{"name": "a"}] * 10_001, 413),
    ],
)
def test_what_cannot_be_appended_is_a_problem(http: httpx2.Client, body: Any, status: int) -> None:
    answer = http.post("/events", json=body)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("body", [{"name": "once.one", "key": "k"}, {"name": "once.keyless"}])
def test_repeat_is_the_same_event(http: httpx2.Client, body: dict[str, Any]) -> None:
    first = once(http, f"repeat-{body['name']}", body)
    http.post("/events", json={"name": "between"})
    again = once(http, f"repeat-{body['name']}", body)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert len(of_topic(http, body["name"])) == 1
    assert once(http, f"another-{body['name']}", body).json() != first.json()


def test_batch_is_repeated_whole(http: httpx2.Client, journal: Journal) -> None:
    body = [{"name": "once.batch", "context": {"n": n}, "key": str(n)} for n in range(2_000)]
    first, again = once(http, "batch", body), once(http, "batch", body)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert len(first.json()["events"]) == 2_000
    assert once(http, "batch", body[:-1]).status_code == 422


def test_other_content_under_a_used_key_is_refused(http: httpx2.Client) -> None:
    once(http, "reused", {"name": "once.reused", "context": {"n": 1}})
    answer = once(http, "reused", {"name": "once.reused", "context": {"n": 2}})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:journeyman:idempotency-key-reused"


def test_repeat_is_known_to_other_processes_and_after_a_restart(tmp_path: Path) -> None:
    url, body = f"sqlite:///{tmp_path}/shop.db", {"name": "order.paid", "context": {"order": 7}}
    with service_process(url) as served, client(served.address) as http:
        first = once(http, "7", body)
        with service_here(url, Settings(port=0)) as other, client(other) as beside:
            assert once(beside, "7", body).json() == first.json()
            second = once(beside, "8", body)
            assert once(http, "8", body).json() == second.json()
        served.process.kill()
        served.process.wait()
    with service_process(url) as served, client(served.address) as http:
        assert once(http, "7", body).json() == first.json()
        assert len(of_topic(http, "order")) == 2


def test_requests_at_the_same_time_append_once(http: httpx2.Client, url: str, journal: Journal) -> None:
    with (
        service_here(url, Settings(port=0)) as other,
        client(other) as beside,
        ThreadPoolExecutor(8) as pool,
    ):
        for body in ({"name": "rushed.keyed", "key": "k"}, {"name": "rushed.keyless"}):
            for number in range(5):
                key = f"{body['name']}-{number}"
                answers = list(pool.map(lambda each: once(each, key, body), [http, beside] * 4))  # noqa: B023
                assert {answer.status_code for answer in answers} == {201}
                assert len({answer.text for answer in answers}) == 1
    assert len(of_topic(http, "rushed")) == 10
    assert journal.run(verify(journal.asynchronous.log, lambda *_: None)).found == 0


def test_expected_position_refuses_what_was_decided_too_early(http: httpx2.Client) -> None:
    cursor = http.post("/events", json={"name": "account.opened", "key": "a"}).json()["cursor"]
    http.post("/events", json={"name": "account.opened", "key": "b"})
    moved = http.post("/events", json={"name": "account.closed", "key": "a"}, params={"expected": cursor})
    assert moved.status_code == 201
    late = http.post("/events", json={"name": "account.closed", "key": "a"}, params={"expected": cursor})
    assert late.status_code == 409
    assert late.json()["type"] == "urn:journeyman:event-conflict"
    whole = http.post("/events", json={"name": "x"}, params={"expected": cursor, "whole_partition": True})
    assert whole.status_code == 409
    keyless = http.post("/events", json={"name": "x"}, params={"expected": cursor})
    assert keyless.status_code == 400


def test_repeat_of_a_conditional_append_is_the_same_event(http: httpx2.Client) -> None:
    cursor = http.post("/events", json={"name": "seat.free", "key": "s"}).json()["cursor"]
    first = once(http, "seat-1", {"name": "seat.taken", "key": "s"}, expected=cursor)
    assert once(http, "seat-1", {"name": "seat.taken", "key": "s"}, expected=cursor).json() == first.json()
    assert once(http, "seat-2", {"name": "seat.taken", "key": "s"}, expected=cursor).status_code == 409


def test_events_of_several_partitions_are_not_one_append(tmp_path: Path) -> None:
    url = "memory://several-partitions?partitions=4"
    with Journal(url), service_here(url, Settings(port=0)) as address, client(address) as http:
        answer = http.post("/events", json=[{"name": "a", "key": str(n)} for n in range(20)])
        assert answer.status_code == 400
        assert answer.json()["type"] == "urn:journeyman:several-partitions"
        first = once(http, "one", [{"name": "a", "key": "same"}] * 3)
        assert once(http, "one", [{"name": "a", "key": "same"}] * 3).json() == first.json()


def test_events_of_the_queue_need_the_scope_admin(tmp_path: Path) -> None:
    ring = keyring(f"shop submit,read {SUBMITTER}", f"mall submit {OTHER}")
    with (
        service_here(f"sqlite:///{tmp_path}/keys.db", Settings(keyring=ring, port=0)) as address,
        client(address, SUBMITTER) as http,
        client(address, OTHER) as other,
    ):
        refused = http.post("/events", json={"name": "task.succeeded", "key": "t"})
        assert refused.status_code == 403
        assert "admin" in refused.json()["detail"]
        mine = once(http, "same", {"name": "order.paid"})
        assert once(other, "same", {"name": "order.sent"}).status_code == 201  # keys are each caller's own
        assert once(http, "same", {"name": "order.paid"}).json() == mine.json()


def test_answers_lost_with_a_killed_service_are_repeated(tmp_path: Path) -> None:
    url, port, count = f"sqlite:///{tmp_path}/shop.db", free_port(), 60
    answers: dict[int, str] = {}

    def body(n: int) -> Any:
        return [{"name": "order.paid", "context": {"n": n, "part": part}} for part in range(2)]

    def ask(http: httpx2.Client, n: int) -> None:
        with suppress(httpx2.TransportError):
            answer = once(http, f"key-{n}", body(n))
            if answer.status_code == 201:
                answers[n] = answer.text

    with service_process(url, port=port) as served, client(served.address) as http, ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, http, n) for n in range(count)]
        wait_until(lambda: len(answers) >= count // 3, "a third of the answers")
        served.process.kill()
        for each in asked:
            each.result()
    before = dict(answers)
    assert len(before) < count
    with service_process(url, port=port) as served, client(served.address) as http:
        for n in range(count):
            ask(http, n)
        assert {n: answers[n] for n in before} == before
        events = http.get("/events", params={"topic": "order", "limit": 1_000}).json()["events"]
    found = [(event["context"]["n"], event["context"]["part"]) for event in events]
    assert sorted(found) == [(n, part) for n in range(count) for part in range(2)]
