"""Readers that are slow, that go, and that are sent away: what they are told, and what they leave behind."""

import asyncio
import gc
import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import pytest
from journeyman.journal import Journal, JournalUnavailable
from journeyman.service import server
from journeyman.service.events import channel, hub
from journeyman.service.events.channel import Channel
from journeyman.service.events.feed import Feed
from journeyman.service.events.page import Page
from journeyman.service.events.poll import Poll
from journeyman.service.events.selection import Reading
from journeyman.service.limits import READER_BYTES_MAX
from journeyman.service.settings import Settings
from support.service import Running, client, running_service
from support.streams import LINES, SSE, following, frames, numbers, up_to
from support.waiting import wait_until

READERS = 1_000
TOGETHER = 100


@pytest.fixture(scope="module")
def running(url: str) -> Iterator[Running]:
    with running_service(url, Settings(port=0)) as made:
        yield made


@pytest.fixture(scope="module")
def address(running: Running) -> str:
    return running.address


@pytest.fixture
def journal(url: str, address: str) -> Iterator[Journal]:
    with Journal(url) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Running, Journal]]:
    """A service, and a journal behind it, of the test's own; a reader may take nothing as long as the test needs."""
    monkeypatch.setattr(server, "READER_STALL_SECONDS", 3_600.0)
    monkeypatch.setattr(hub, "READER_STALL_SECONDS", 3_600.0)
    monkeypatch.setattr(hub, "READER_LOOK_SECONDS", 0.01)  # the watch for stalls must not keep a reader either
    url = f"sqlite:///{tmp_path}/own.db"
    with running_service(url, Settings(port=0)) as made, Journal(url) as behind:
        yield made, behind


def connected(address: str, query: str = "", accept: str = "text/event-stream", received: int | None = None) -> Any:
    """A connection of a reader that has sent its request."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    made = socket.socket()
    if received is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
    made.settimeout(60)
    made.connect((host, int(port)))
    made.sendall(f"GET /events?{query} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode())
    return made


def open_descriptors() -> Iterator[tuple[int, str]]:
    """The open files of this process with what they lead to; none where the system does not tell."""
    folder = Path("/proc/self/fd")
    for each in list(folder.iterdir()) if folder.exists() else ():
        with suppress(FileNotFoundError):  # closed meanwhile
            yield int(each.name), str(each.readlink())


def sockets_at(port: int) -> Iterator[int]:
    """The sockets of this process that are bound to a port: those of other tests' threads do not count."""
    for descriptor, target in open_descriptors():
        if target.startswith("socket:"):
            with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as sock:
                name = sock.getsockname()
                if isinstance(name, tuple) and name[1] == port:
                    yield descriptor


def open_files(journal: str) -> list[str]:
    """The open files of this process that belong to a journal in a file."""
    return [target for _, target in open_descriptors() if target.startswith(journal)]


def traces(running: Running) -> dict[str, Any]:
    """What the readers of a service could leave behind."""
    shared = running.service.app.state.hub
    journal = running.service.app.state.backend.journal
    loop = running.service._server._loop
    assert loop is not None
    gc.collect()
    kept = (Feed, Poll, Channel, Reading, Page)
    return {
        "objects": sum(isinstance(each, kept) for each in gc.get_objects()),
        "tasks": len(asyncio.all_tasks(loop)),
        "sockets": len(list(sockets_at(int(running.address.rpartition(":")[2])))),
        "files": len(open_files(journal.url.removeprefix("sqlite:///"))),
        "readers": len(shared.readers),
        "channels": len(shared.channels),
        "followers": journal.readers,
    }


def test_thousand_readers_leave_nothing_behind(own: tuple[Running, Journal]) -> None:
    running, journal = own
    journal.append("gone", {})
    before = traces(running)
    shared, backend = running.service.app.state.hub, running.service.app.state.backend
    queries = [
        ("topic=gone", "text/event-stream"),
        ("full=false", "application/x-ndjson"),
        ("full=false&wait=60", "application/json"),
        ("until=4000000000", "text/event-stream"),
    ]
    for _ in range(READERS // TOGETHER):
        readers = [connected(running.address, *queries[n % len(queries)]) for n in range(TOGETHER)]
        wait_until(lambda: len(shared.readers) == before["readers"] + TOGETHER, "all readers to follow")
        wait_until(lambda: backend.readers == before["followers"] + TOGETHER, "each reader to be counted once")
        journal.append("gone", {})
        for reader in readers:
            reader.close()
        wait_until(lambda: len(shared.readers) == before["readers"], "all readers to have gone")
    left: dict[str, Any] = {}

    def is_clean() -> bool:
        left.update({name: found - before[name] for name, found in traces(running).items()})
        return not any(more > 0 for more in left.values())

    with suppress(AssertionError):
        wait_until(is_clean, "no reader to have left a trace")
    assert {name: more for name, more in left.items() if more > 0} == {}
    assert traces(running)["tasks"] == before["tasks"]


def test_slow_reader_is_told_and_dropped_and_can_resume(
    own: tuple[Running, Journal], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, journal = own
    monkeypatch.setattr(channel, "READER_BYTES_MAX", 1_000_000)
    slow = connected(running.address, "full=false&topic=slow", received=4_096)
    shared = running.service.app.state.hub
    wait_until(lambda: ("slow", None) in shared.channels, "the reader to follow")
    count = 200
    for n in range(count):
        journal.append("slow", {"n": n, "text": "x" * 100_000})
    with slow.makefile("rb") as file:
        text = b"".join(iter(lambda: file.readline(1 << 20), b"0\r\n")).decode()
    assert "event: again" in text
    assert '"overrun":' in text
    taken = [json.loads(line[6:]) for line in text.splitlines() if line.startswith('data: {"timestamp"')]
    got = [event["context"]["n"] for event in taken]
    assert got == list(range(len(got)))
    assert len(got) < count
    last = [line.removeprefix("id: ") for line in text.splitlines() if line.startswith("id: ")][-1]
    with client(running.address) as http, following(http, {"Last-Event-ID": last}, full=False) as stream:
        assert numbers(list(islice(stream, count - len(got)))) == list(range(len(got), count))
    slow.close()


def test_reader_that_takes_nothing_is_disconnected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "READER_STALL_SECONDS", 0.2)
    monkeypatch.setattr(hub, "READER_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(server, "READER_STALL_SECONDS", 1.0)
    url = f"sqlite:///{tmp_path}/stalled.db"
    with running_service(url, Settings(port=0)) as running, Journal(url) as journal:
        shared, connections = running.service.app.state.hub, running.service._server.server_state.connections
        for n in range(40):
            journal.append("stalled", {"n": n, "text": "x" * 500_000})
        stalled = connected(running.address, "topic=stalled", received=4_096)
        wait_until(lambda: shared.readers, "the reader to follow")
        wait_until(lambda: not shared.readers, "the reader to be dropped", timeout=60)
        wait_until(lambda: not connections, "its connection to be closed", timeout=60)
        stalled.close()


def test_reader_that_comes_again_in_an_outage_is_kept(
    http: httpx2.Client, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: Reading) -> None:
        raise JournalUnavailable("the broker at 10.0.0.1 is away")

    cursor = http.get("/").headers["Journal-Cursor"]
    monkeypatch.setattr(Reading, "open", fails)
    assert http.get("/events", headers=SSE).status_code == 503
    with following(http, {"Last-Event-ID": cursor}) as stream:
        (told,) = stream  # an EventSource that gets 503 would not come again
        assert (told.kind, told.data["status"], told.last_id) == ("problem", 503, cursor)
        assert "10.0.0.1" not in told.data["detail"]


def test_error_within_a_stream_is_a_problem(
    http: httpx2.Client, running: Running, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: float) -> None:
        raise RuntimeError("a bug")

    with following(http, full=False, topic="failing") as stream:
        shared = running.service.app.state.hub
        wait_until(lambda: ("failing", None) in shared.channels, "the reader to follow")
        monkeypatch.setattr(shared.channels["failing", None]._reading, "next_page", fails)
        journal.append("failing", {"n": 1})
        told = up_to(stream, "problem")[-1]
        assert told.data["type"] == "urn:journeyman:internal-error"
        assert "a bug" not in json.dumps(told.data)
        assert next(stream, None) is None


def test_removed_history_is_a_problem_or_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/trimmed.db"
    with Journal(url) as journal:
        for n in range(20):
            journal.append("old", {"n": n})
        with running_service(url) as running, client(running.address) as http:
            journal.run(journal.asynchronous.log.trim({0: 10}))
            answer = http.get("/events", params={"cursor": "0:3"}, headers=SSE)
            assert answer.status_code == 410
            assert "begins at offset 10" in answer.json()["detail"]
            with following(http, include_sentinel=True) as stream:
                first, *rest = up_to(stream, "sentinel")
            assert (first.kind, first.data["first_offset"]) == ("truncated", 10)
            assert numbers(rest) == list(range(10, 20))


def test_end_of_the_service_tells_readers_to_come_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ending.db"
    with running_service(url) as running, client(running.address) as http:
        waiting = connected(running.address, "wait=60", "application/json")
        lines = connected(running.address, "until=4000000000", "application/x-ndjson")
        shared = running.service.app.state.hub
        with http.stream("GET", "/events", headers=SSE) as response:
            stream = frames(response)
            wait_until(lambda: len(shared.readers) == 3 and shared.channels, "the readers to follow")
            running.service.stop()
            told = up_to(stream, "again")[-1]
            assert told.retry is not None
            assert next(stream, None) is None
        with waiting.makefile("rb") as file:
            assert json.loads(file.read().partition(b"\r\n\r\n")[2])["events"] == []
        with lines.makefile("rb") as file:
            assert b'"again"' in file.read()
        waiting.close()
        lines.close()


def test_poll_waits_for_an_event_and_goes_on_behind_it(http: httpx2.Client, running: Running, journal: Journal) -> None:
    waiting = connected(running.address, "full=false&wait=60&topic=polled", "application/json")
    shared = running.service.app.state.hub
    wait_until(lambda: ("polled", None) in shared.channels, "the request to wait, with others that ask for the same")
    journal.append("other", {})
    journal.append_all([("polled", {"n": n}, str(n)) for n in range(5)])
    with waiting.makefile("rb") as file:
        head = b"".join(iter(file.readline, b"\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        first = json.loads(file.read(length))
    waiting.close()
    assert [event["context"]["n"] for event in first["events"]] == list(range(5))
    answer = http.get("/events", params={"topic": "polled", "cursor": first["cursor"], "wait": 0.01})
    assert answer.json()["events"] == []
    assert answer.json()["cursor"] == answer.headers["Journal-Cursor"]


def test_polls_one_after_the_other_deliver_each_event_once(http: httpx2.Client, journal: Journal) -> None:
    journal.append_all([("paged", {"n": n}, str(n)) for n in range(1_203)])
    query: dict[str, Any] = {"topic": "paged", "limit": 100, "include_sentinel": True}
    got: list[int] = []
    while True:
        answer = http.get("/events", params=query).json()
        got += [event["context"]["n"] for event in answer["events"]]
        query["cursor"] = answer["cursor"]
        if answer["sentinel"]:
            break
    assert got == list(range(1_203))
    ended = http.get("/events", params={"until": query["cursor"], "cursor": query["cursor"]}).json()
    assert (ended["events"], ended["ended"]) == ([], True)


def test_lines_of_a_slow_history_wait_for_their_reader(own: tuple[Running, Journal]) -> None:
    running, journal = own
    end = journal.append("history", {"n": 0}).offset + 1
    for n in range(1, 100):
        end = journal.append("history", {"n": n, "text": "x" * 200_000}).offset + 1
    slow = connected(running.address, f"topic=history&until=0:{end}", LINES["Accept"], received=4_096)
    shared = running.service.app.state.hub
    wait_until(lambda: any(reader.taking_since for reader in shared.readers), "the reader to be written to")
    with slow.makefile("rb") as file:
        text = b"".join(iter(lambda: file.readline(1 << 20), b"0\r\n"))
    assert text.count(b'"name":"history"') == 100
    assert len(text) > READER_BYTES_MAX
    slow.close()
