"""The end of a service, and several of them on one journal: real processes, real signals."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2
import journeyman as jm
import pytest
from support.service import Served, client, service_process
from support.waiting import wait_until

# The URL of a journal, and the services on it.
Pair = tuple[str, list[Served]]
BODY: Final = b'{"task_name":"unheard","uuid":"in-flight"}'


def _begin_request(served: Served) -> socket.socket:
    """Send a request up to the middle of its body: it is being answered, and cannot end yet."""
    place = urlsplit(served.address)
    connection = socket.create_connection((place.hostname, place.port), timeout=30)
    head = f"POST /tasks HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
    connection.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:10])
    with client(served.address) as http:
        wait_until(lambda: _running(http) == 2, "the service to have begun both requests")
    return connection


def _running(http: httpx2.Client) -> int:
    text = http.get("/metrics").text
    (line,) = [line for line in text.splitlines() if line.startswith("journeyman_requests_running")]
    return int(float(line.split()[1]))


def _refuses(served: Served) -> bool:
    place = urlsplit(served.address)
    with suppress(ConnectionError), socket.create_connection((place.hostname, place.port), timeout=5):
        return False
    return True


def test_sigterm_lets_a_request_end_and_takes_no_new_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    with service_process(url, "--drain", "60") as served, closing(_begin_request(served)) as request:
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _refuses(served), "the service to accept no connection")
        request.sendall(BODY[10:])
        answer = request.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 201 "), answer
        assert served.process.wait(60) == 0
    with jm.Journal(url) as journal:
        assert jm.StatusTracker(journal).get("in-flight").status is jm.TaskStatus.SUBMITTED


def test_request_that_does_not_end_is_given_up_after_the_drain(tmp_path: Path) -> None:
    with (
        service_process(f"sqlite:///{tmp_path}/shop.db", "--drain", "1") as served,
        closing(_begin_request(served)) as request,
    ):
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(60) == 0
        answer = request.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 503 "), answer
        assert b"retry-after: 1" in answer.lower()
        assert b"urn:journeyman:stopping" in answer


@pytest.fixture(scope="module", params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A journal, and two services on it, each a process of its own."""
    url = f"sqlite:///{tmp_path_factory.mktemp('shared')}/shop.db"
    if request.param == "kafka":
        url = f"kafka://{request.getfixturevalue('kafka_bootstrap')}/two-services?partitions=3"
    with ExitStack() as stack:
        yield url, [stack.enter_context(service_process(url)) for _ in range(2)]


def test_writes_by_one_service_are_read_by_the_other(pair: Pair) -> None:
    with client(pair[1][0].address) as one, client(pair[1][1].address) as other:
        for number in range(20):
            writer, reader = (one, other) if number % 2 else (other, one)
            written = writer.post("/tasks", json={"task_name": "unheard", "queue": "shared"})
            task, at_least = written.json()["task"], written.headers["Journal-Cursor"]
            read = reader.get(f"/tasks/{task}", params={"at_least": at_least})
            assert (read.status_code, read.json()["state"]) == (200, "ready")
            revoked = reader.post(f"/tasks/{task}/revoke", json={})
            seen = writer.get(f"/tasks/{task}", params={"at_least": revoked.headers["Journal-Cursor"]})
            assert seen.json()["state"] == "revoked"


def test_same_id_is_accepted_by_one_service_alone(pair: Pair) -> None:
    answers: list[list[int]] = [[], []]
    ready = threading.Barrier(2)

    def submit(number: int, served: Served) -> None:
        with client(served.address) as http:
            for task in range(10):
                ready.wait(60)
                answer = http.post("/tasks", json={"task_name": "unheard", "uuid": f"contested-{task}"})
                answers[number].append(answer.status_code)

    threads = [threading.Thread(target=submit, args=each) for each in enumerate(pair[1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [sorted(both) for both in zip(*answers, strict=True)] == [[201, 409]] * 10


def test_both_services_export_the_same_about_the_journal(pair: Pair) -> None:
    url, (first, second) = pair
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message("unheard", queue="scaled"))
    said = []
    for served in (first, second):
        with client(served.address) as http:
            lines = http.get("/metrics").text.splitlines()
            said.append([line for line in lines if line.startswith(("journeyman_queue_depth", "journeyman_tasks_"))])
    assert said[0] == said[1]
    assert 'journeyman_queue_depth{queue="scaled",state="ready"} 1.0' in said[0]


def test_stream_goes_on_at_the_other_service(pair: Pair) -> None:
    url, (_, stays) = pair
    with service_process(url) as leaves, client(leaves.address) as first, client(stays.address) as second:
        task = first.post("/tasks", json={"task_name": "unheard"}).json()["task"]
        seen: list[str] = []
        with first.stream("GET", f"/tasks/{task}/stream") as response:
            lines = response.iter_lines()
            last = _next_event(lines, seen)
            leaves.process.send_signal(signal.SIGTERM)
            assert [line for line in lines if line.startswith("event:")] == [], "it ends without an end of the task"
        assert leaves.process.wait(60) == 0
        assert second.post(f"/tasks/{task}/revoke", json={}).status_code in {200, 201}
        with second.stream("GET", f"/tasks/{task}/stream", headers={"Last-Event-ID": last}) as response:
            lines = response.iter_lines()
            _next_event(lines, seen)
            assert [line for line in lines if line.startswith("event:")] == ["event: end"]
    assert seen == ["SUBMITTED", "FAILED"], "which is the status of a revoked task"


def _next_event(lines: Iterator[str], seen: list[str]) -> str:
    """Read one event of a stream; note its status, and return its id."""
    found = ""
    for line in lines:
        if line.startswith("id: "):
            found = line.removeprefix("id: ")
        if line.startswith("data: "):
            seen.append(json.loads(line.removeprefix("data: "))["status"])
            return found
    raise AssertionError("the stream has ended")


def test_trace_of_a_request_travels_in_the_message(pair: Pair) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    with client(pair[1][0].address) as http:
        answer = http.post("/tasks", json={"task_name": "unheard"}, headers={"traceparent": trace})
    with jm.Journal(pair[0]) as journal:
        message = jm.Broker(journal).sync_from_journal(answer.json()["task"])
    assert message.trace == {"traceparent": trace}


def test_claim_hands_on_the_trace_of_the_submission(pair: Pair) -> None:
    trace = f"00-{'c' * 32}-{'d' * 16}-01"
    with client(pair[1][0].address) as http:
        http.post("/tasks", json={"task_name": "traced"}, headers={"traceparent": trace})
        worker = http.post("/workers/join", json={"tasks": ["traced"]}).json()["worker"]
        (claimed,) = http.post("/workers/claim", json={"worker": worker, "wait": 30}).json()["tasks"]
        http.post("/workers/leave", json={"worker": worker})
    assert claimed["trace"] == {"traceparent": trace}


def test_service_that_cannot_reach_its_journal_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [sys.executable, "-m", "journeyman", "serve", "--port", "0", "--journal", f"http://127.0.0.1:{port}"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"journeyman: the journal service at 127.0.0.1:{port} does not answer")
    assert ended.stderr.count("\n") == 1, ended.stderr
