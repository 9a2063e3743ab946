"""Load on an HTTP server from this process: several connections, each with one request under way."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple
from urllib.parse import urlsplit

HEAD_END: Final = b"\r\n\r\n"


class Load(NamedTuple):
    """What was measured: requests a second, and the time of each request in ms."""

    rate: float
    times_ms: Sequence[float]


class _Connection(asyncio.Protocol):
    """Sends a request as soon as the last one was answered; the answers have a Content-Length and status 200."""

    def __init__(self, request: bytes, count: int) -> None:
        self._request, self._left = request, count
        self._begun = 0.0
        self._received = b""
        self.times_ms: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._begun = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(HEAD_END)
        if not found or len(body) < _length(head):
            return
        self.times_ms.append((time.perf_counter() - self._begun) * 1_000)
        self._received, self._left = b"", self._left - 1
        if self._left:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._left:
            self.done.set_exception(exc or ConnectionError("the server has closed the connection"))
        else:
            self.done.set_result(None)


def _length(head: bytes) -> int:
    first, *lines = head.lower().split(b"\r\n")
    if b" 200 " not in first + b" ":
        raise ConnectionError(f"expected 200, got {first!r}")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


def load(address: str, path: str, requests: int, connections: int) -> Load:
    """Ask for `path` so many times, by so many connections at once."""
    return asyncio.run(_load(address, path, requests // connections, connections))


async def _load(address: str, path: str, each: int, connections: int) -> Load:
    parts, loop = urlsplit(address), asyncio.get_running_loop()
    host, port = parts.hostname, parts.port
    assert host is not None
    assert port is not None
    request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    begun = time.perf_counter()
    made = [await loop.create_connection(lambda: _Connection(request, each), host, port) for _ in range(connections)]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    seconds = time.perf_counter() - begun
    return Load(each * connections / seconds, [ms for _, protocol in made for ms in protocol.times_ms])


class Server(NamedTuple):
    """A server in a process of its own."""

    address: str
    pid: int


@contextmanager
def server(*arguments: str) -> Iterator[Server]:
    """Run `python -m …`, a server whose first line of output begins with its address."""
    with subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process.stdout.readline().split()[0], process.pid)
        finally:
            process.terminate()


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """As `server`; yields its address."""
    with server(*arguments) as running:
        yield running.address
