"""Connections: clients that send slowly, too much, or no HTTP at all harm neither the service nor others."""

import random
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx2
import pytest
from journeyman.service import protocol
from journeyman.service.limits import HEAD_BYTES_MAX

SEED = 20_261_130
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def connection(address: str) -> Iterator[socket.socket]:
    """A connection to the service."""
    parts = urlsplit(address)
    with closing(socket.create_connection((parts.hostname, parts.port), timeout=30)) as made:
        yield made


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
    parts = urlsplit(address)
    with closing(socket.create_connection((parts.hostname, parts.port), timeout=30)) as connection:
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
    dice, parts = random.Random(SEED), urlsplit(address)
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
        with closing(socket.create_connection((parts.hostname, parts.port), timeout=30)) as connection:
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
