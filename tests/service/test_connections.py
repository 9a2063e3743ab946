"""Connections: clients that send slowly, too much, or no HTTP at all harm neither the service nor others."""

import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from journeyman.service import open_files, protocol
from journeyman.service.limits import CONNECTIONS_MAX, HEAD_BYTES_MAX
from support.service import client, service_here
from support.waiting import wait_until

SEED = 20_261_130
KEPT = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def connection(address: str) -> Iterator[socket.socket]:
    """A connection to the service."""
    with connected(address) as made:
        yield made


def connected(address: str) -> "closing[socket.socket]":
    """A connection to the service at `address`."""
    parts = urlsplit(address)
    return closing(socket.create_connection((parts.hostname, parts.port), timeout=30))


def answer_of(connection: socket.socket) -> bytes:
    """All that the service sends until it closes the connection."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_head_that_is_too_large_is_refused(connection: socket.socket, http: httpx2.Client) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\n")
    try:
        for _ in range(3 * HEAD_BYTES_MAX // 1_000):
            connection.sendall(b"X-Filler: " + b"x" * 988 + b"\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was refused before all was sent
    assert b"200" not in answer_of(connection)[:20]
    assert http.get("/").status_code == 200


def test_large_head_is_refused_with_a_sentence(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nX-Filler: " + b"x" * (HEAD_BYTES_MAX + 1))
    answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"65,536 bytes" in answer


def test_head_without_an_end_is_refused(connection: socket.socket, http: httpx2.Client) -> None:
    try:
        for _ in range(3 * HEAD_BYTES_MAX // 10_000):
            connection.sendall(b"x" * 10_000 if _ else b"GET /" + b"x" * 10_000)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert b"200" not in answer_of(connection)[:20]
    assert http.get("/").status_code == 200


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: ", b"HTTP/1.1 408"),
        (b"POST /workers/join HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{", b"HTTP/1.1 408"),
    ],
)
def test_slow_client_is_ended(address: str, monkeypatch: pytest.MonkeyPatch, sent: bytes, answered: bytes) -> None:
    for limit in ("HEAD_SECONDS_MAX", "BODY_SECONDS_MAX"):
        monkeypatch.setattr(protocol, limit, 0.1)
    with connected(address) as connection:
        connection.sendall(sent)
        answer = answer_of(connection)
    assert answer.startswith(answered)
    assert (b"application/problem+json" in answer) is bool(answered)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: localhost:port\r\nConnection: close\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\r\n\r\n\r\n\x00\x00",
    ],
)
def test_malformed_request_is_answered_with_a_sentence(
    connection: socket.socket, http: httpx2.Client, sent: bytes
) -> None:
    connection.sendall(sent)
    connection.shutdown(socket.SHUT_WR)
    answer = answer_of(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
    assert http.get("/").status_code == 200


def test_random_bytes_never_take_the_service_down(address: str, http: httpx2.Client) -> None:
    dice = random.Random(SEED)
    for _ in range(300):
        sent = bytearray(REQUEST)
        for _ in range(dice.randint(1, 12)):
            place = dice.randrange(len(sent))
            match dice.randrange(3):
                case 0:
                    sent[place] = dice.randrange(256)
                case 1:
                    del sent[place]
                case _:
                    sent[place:place] = dice.randbytes(dice.randint(1, 40))
        with connected(address) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert not answer_of(connection).startswith(b"HTTP/1.1 5"), bytes(sent)
    assert http.get("/").status_code == 200


def test_body_that_is_too_large_is_refused_before_it_is_sent(connection: socket.socket) -> None:
    head = b"POST /workers/join HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connection.sendall(head + b"Content-Length: 10000000000\r\nConnection: close\r\n\r\n{")
    answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("body", [b"[" * 50_000, b'{"a":' * 50_000], ids=["lists", "objects"])
@pytest.mark.parametrize("path", ["/events", "/tasks", "/workers/complete", "/commands", "/tasks/one/revoke"])
def test_body_nested_too_deep_is_refused(http: httpx2.Client, path: str, body: bytes) -> None:
    answer = http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:journeyman:too-deep")


def test_connections_above_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "CONNECTIONS_MAX", 2)
    monkeypatch.setattr(protocol, "CONNECTIONS_REFUSED_MAX", 1)
    with service_here("memory://") as address, ExitStack() as stack:
        served = [stack.enter_context(connected(address)) for _ in range(2)]
        for each in served:
            each.sendall(KEPT)
            assert each.recv(65_536).startswith(b"HTTP/1.1 200")
        with connected(address) as refused:
            refused.sendall(KEPT)
            answer = answer_of(refused)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in answer
        assert b"urn:journeyman:too-many-connections" in answer
        stack.enter_context(connected(address))  # says nothing, and is above the limit
        with connected(address) as closed:
            assert answer_of(closed) == b"", "it is closed before it can ask"
        served[0].sendall(KEPT)
        assert served[0].recv(65_536).startswith(b"HTTP/1.1 200")
        stack.close()
        with client(address) as http:
            wait_until(lambda: http.get("/healthz").status_code == 200, "the closed connections to make room")


def test_idle_connections_leave_files_to_the_journal(tmp_path: Path) -> None:
    serve = [sys.executable, "-m", "journeyman", "serve", "--port", "0", "--journal", f"sqlite:///{tmp_path}/shop.db"]
    few = ["sh", "-c", 'ulimit -n 700; exec "$@"', "sh", *serve]
    with (
        subprocess.Popen(few, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        ExitStack() as idle,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            address = process.stdout.readline().split()[0]
            with client(address) as http:
                assert http.get("/").status_code == 200
                for _ in range(800):
                    idle.enter_context(connected(address))
                assert http.post("/tasks", json={"task_name": "unheard"}).status_code == 201
        finally:
            process.terminate()
        _, said = process.communicate(timeout=60)
    assert "may open 700 files, which leaves room for 60 connections" in said
    assert said.count("\n") == 1, said


@pytest.mark.parametrize(("files", "connections"), [(1_000_000, CONNECTIONS_MAX), (1_024, 384), (20, 1)])
def test_open_files_bound_the_connections(files: int, connections: int) -> None:
    assert open_files.connections_within(files) == connections
