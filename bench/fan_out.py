"""Delivery of a live event to many readers of a service, and the memory of a reader, beside a bare Litestar route."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from journeyman.bench.child import KIB, resident_bytes
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.http_load import Server, server

READERS: Final = 500
FRAME_BYTES: Final = 230  # as many as the service sends for the event, its id included
BODY: Final = b'{"name": "order.paid", "context": {"order": 7}, "key": "7"}'
PATIENCE_SECONDS: Final = 60.0
WARM_UP: Final = 3


class Round(NamedTuple):
    """What one side took: the times in ms from a request to each reader, and the bytes of memory of each reader."""

    times_ms: list[float]
    reader_bytes: float


def embedded(bench: Bench) -> list[Figure]:
    """Post an event to the service with its readers, and to the bare route with as many, round by round."""
    with bench.file("fan-out") as path, ExitStack() as stack:
        url = sqlite_url(path)
        ours = stack.enter_context(server("journeyman", "serve", "--journal", url, "--port", "0"))
        bare = stack.enter_context(server("journeyman.bench.raw_stream", str(FRAME_BYTES)))
        rounds: list[tuple[Round, Round]] = []
        for number in range(bench.size.rounds):
            bench.progress(f"fan-out: round {number + 1} of {bench.size.rounds}")
            samples = bench.size.latency_samples
            rounds.append((asyncio.run(_round(ours, samples)), asyncio.run(_round(bare, samples))))
    return [_times(rounds), _memory(rounds)]


def _times(rounds: list[tuple[Round, Round]]) -> Figure:
    ours, floor = ([percentile(each[side].times_ms, 99) for each in rounds] for side in (0, 1))
    every, bare = ([ms for each in rounds for ms in each[side].times_ms] for side in (0, 1))
    return Figure(
        "fan-out",
        f"a live event at {READERS} readers, from the request that appends it",
        "ms (p99)",
        Spread.of(ours),
        Floor("a bare Litestar route that streams as many bytes", Spread.of(floor)),
        ratio_of(ours, floor),
        (Target("p99", "at most", 100.0, percentile(every, 99), "ms"),),
        {"p50_ms": percentile(every, 50), "bare_p50_ms": percentile(bare, 50)},
    )


def _memory(rounds: list[tuple[Round, Round]]) -> Figure:
    ours, floor = rounds[0][0].reader_bytes / KIB, rounds[0][1].reader_bytes / KIB  # later ones use freed memory again
    return Figure(
        "reader-memory",
        f"memory of a reader, of {READERS} that wait for live events",
        "KiB",
        Spread.of([ours]),
        Floor("a reader of the bare Litestar route", Spread.of([floor])),
        ratio_of([ours], [floor]) if floor > 0 else None,
        (Target("a reader", "at most", 64.0, ours, "KiB"),),
    )


class _Reader(asyncio.Protocol):
    """Counts the frames with data, from the first frame on, which says that it follows."""

    def __init__(self, note: Callable[[], None]) -> None:
        self._note = note
        self._received = b""
        self.follows: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self.follows.done():
            _, found, rest = self._received.partition(b"\r\n\r\n")
            if not found or b"\n\n" not in rest:
                return
            self.follows.set_result(None)
            self._received = rest
        while b"\n\n" in self._received:
            frame, _, self._received = self._received.partition(b"\n\n")
            if b"data: " in frame:
                self._note()


async def _round(side: Server, samples: int) -> Round:
    loop, parts = asyncio.get_running_loop(), urlsplit(side.address)
    assert parts.hostname is not None
    assert parts.port is not None
    times: list[float] = []
    begun, missing, arrived = 0.0, 0, asyncio.Event()

    def note() -> None:
        nonlocal missing
        times.append((time.perf_counter() - begun) * 1_000)
        missing -= 1
        if not missing:
            arrived.set()

    before = resident_bytes(side.pid)
    ask = b"GET /events?full=false HTTP/1.1\r\nHost: %b\r\nAccept: text/event-stream\r\n\r\n" % parts.netloc.encode()
    readers = []
    for _ in range(READERS):
        transport, reader = await loop.create_connection(lambda: _Reader(note), parts.hostname, parts.port)
        transport.write(ask)
        await reader.follows
        readers.append(transport)
    source, sink = await asyncio.open_connection(parts.hostname, parts.port)
    post = b"POST /events HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    used = 0
    for number in range(WARM_UP + samples):
        if number == WARM_UP:
            times.clear()
            used = resident_bytes(side.pid)
        missing = READERS
        arrived.clear()
        begun = time.perf_counter()
        sink.write(post % (parts.netloc.encode(), len(BODY), BODY))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await arrived.wait()
            await _read_answer(source)
    sink.close()
    for each in readers:
        each.close()
    return Round(times, (used - before) / READERS)


async def _read_answer(source: asyncio.StreamReader) -> None:
    head = (await source.readuntil(b"\r\n\r\n")).lower()
    await source.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
