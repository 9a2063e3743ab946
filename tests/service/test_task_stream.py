"""The stream of one task: its statuses, progress and values, in order, resumable, and harmless to the task."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2
import journeyman as jm
import pytest
from journeyman.journal.errors import JournalUnavailable
from journeyman.service.tasks import stream as stream_module
from journeyman.tasks.lookup import TaskLookup
from support.served_tasks import Gate, worker_of
from support.service import client, service_process
from support.waiting import wait_until


class Sent(NamedTuple):
    """An event of a stream, as a browser reads it."""

    kind: str
    id: str
    data: dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def gate(url: str, address: str) -> Iterator[Gate]:
    with worker_of(url) as held:
        yield held


@pytest.fixture(autouse=True)
def closed(gate: Gate) -> Iterator[None]:
    gate.opened.clear()
    yield
    gate.opened.set()


def events_of(response: httpx2.Response) -> Iterator[Sent]:
    """The events of a stream, by the rules of Server-Sent Events."""
    kind, last, data = "message", "", ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if not line:
            if data:
                yield Sent(kind, last, json.loads(data))
            kind, data = "message", ""
        elif name == "event":
            kind = value
        elif name == "id":
            last = value
        elif name == "data":
            data += value


def submit(http: httpx2.Client, name: str, *args: Any) -> str:
    answer = http.post("/tasks", json={"task_name": name, "args": list(args), "max_retries": 0})
    return str(answer.json()["task"])


def names(sent: list[Sent]) -> list[str]:
    return [each.data.get("status", each.kind) for each in sent]


def test_stream_tells_statuses_progress_and_values(http: httpx2.Client, gate: Gate) -> None:
    task = submit(http, "hold", 3)
    sent: list[Sent] = []
    with http.stream("GET", f"/tasks/{task}/stream") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        for event in events_of(response):
            sent.append(event)
            if event.data.get("details", {}).get("value") == {"last": 3}:
                gate.opened.set()
    reports = [each for each in sent if each.kind == "progress"]
    assert [each.kind for each in sent if each not in reports] == ["status", "status", "status", "end"]
    assert names([each for each in sent if each not in reports]) == ["SUBMITTED", "RUNNING", "SUCCEEDED", "end"]
    assert reports[-1].data["details"]["progress"] == {"done": 3, "total": 3, "text": "counting"}
    offsets = [int(each.id.partition(":")[2]) for each in sent]
    assert offsets == sorted(offsets)
    assert http.get(f"/tasks/{task}/result").json()["result"] == 3


def test_stream_of_a_failed_task_ends(http: httpx2.Client) -> None:
    task = submit(http, "paint", "red")
    with http.stream("GET", f"/tasks/{task}/stream") as response:
        assert names(list(events_of(response)))[-2:] == ["FAILED", "end"]


def test_stream_goes_on_behind_the_last_event_id(http: httpx2.Client, gate: Gate) -> None:
    gate.opened.set()
    task = submit(http, "hold", 1)
    with http.stream("GET", f"/tasks/{task}/stream") as response:
        whole = list(events_of(response))
    for place, event in enumerate(whole[:-2]):
        with http.stream("GET", f"/tasks/{task}/stream", headers={"Last-Event-ID": event.id}) as response:
            rest = list(events_of(response))
        assert [(each.id, each.data) for each in rest[:-1]] == [(each.id, each.data) for each in whole[place + 1 : -1]]
    over = http.get(f"/tasks/{task}/stream", headers={"Last-Event-ID": whole[-1].id})
    assert over.status_code == 204, "so a browser does not come again"


@pytest.mark.parametrize("event_id", ["x", "1:5", "0:-5", "0:5:6", "0:" + "9" * 30])
def test_event_id_of_another_stream_is_refused(http: httpx2.Client, event_id: str) -> None:
    task = submit(http, "unheard")
    answer = http.get(f"/tasks/{task}/stream", headers={"Last-Event-ID": event_id})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:journeyman:bad-event-id")


def test_reader_that_goes_leaves_task_and_service_alone(
    http: httpx2.Client, address: str, url: str, gate: Gate
) -> None:
    task = submit(http, "hold", 1)

    def readers() -> int:
        (line,) = [each for each in http.get("/metrics").text.splitlines() if each.startswith("journeyman_readers")]
        return int(float(line.split()[-1]))

    before = readers()
    for _ in range(20):
        with client(address) as other, other.stream("GET", f"/tasks/{task}/stream") as response:
            assert any(event.data["status"] == "RUNNING" for event in events_of(response))
    wait_until(lambda: readers() <= before + 1, "the readers to be gone")  # a look-up keeps a follower for the next
    assert http.get(f"/tasks/{task}").json()["state"] == "claimed"
    gate.opened.set()
    assert http.get(f"/tasks/{task}/result", params={"wait": 30}).json()["result"] == 1


def test_silent_stream_says_that_it_lives(http: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "UPDATES_HEARTBEAT_SECONDS", 0.05)
    task = submit(http, "unheard")
    with http.stream("GET", f"/tasks/{task}/stream") as response:
        lines = response.iter_lines()
        assert sum(line.startswith(":") for line in (next(lines) for _ in range(20))) > 1


def test_service_that_stops_ends_its_streams(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    with jm.Journal(url) as journal:
        message = jm.Message("unheard")
        jm.Broker(journal).submit(message)
    with service_process(url) as served, client(served.address) as http:
        with http.stream("GET", f"/tasks/{message.uuid}/stream") as response:
            events = events_of(response)
            assert next(events).data["status"] == "SUBMITTED"
            served.process.terminate()
            assert list(events) == []
        assert served.process.wait(60) == 0


def test_reader_that_comes_again_in_an_outage_is_kept(http: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise JournalUnavailable("the broker at 10.0.0.1 is away")

    task = submit(http, "unheard")
    with http.stream("GET", f"/tasks/{task}/stream") as response:
        first = next(events_of(response))
    monkeypatch.setattr(TaskLookup, "current", fails)
    assert http.get(f"/tasks/{task}/stream").status_code == 503
    again = http.get(f"/tasks/{task}/stream", headers={"Last-Event-ID": first.id})
    assert again.status_code == 200, "after 503 a browser would not come again"
    assert "event: problem" in again.text
    assert "10.0.0.1" not in again.text
