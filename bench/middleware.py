"""What `TrackASGI` adds to a request, beside the bare application."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from journeyman import Journal
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.top import JournalTracker, TrackASGI
from journeyman.top.asgi import App

_HEADERS = [(b"host", b"shop.example"), (b"user-agent", b"bench"), (b"accept", b"*/*")]
_GATHER_SECONDS = 0.002  # between two requests, so that the recorder's thread has its turns as on a server


def asgi(bench: Bench) -> list[Figure]:
    """Requests one by one, with a pause between them; a thread records them meanwhile."""
    with bench.file("requests") as path, Journal(sqlite_url(path)) as journal:
        tracker = JournalTracker(journal)
        tracked = TrackASGI(_answer, tracker)
        ours: list[list[float]] = []
        bare: list[list[float]] = []
        for number in range(bench.size.rounds):
            bench.progress(f"requests: round {number + 1} of {bench.size.rounds}")
            bare.append(asyncio.run(_times(_answer, bench.size.latency_samples)))
            ours.append(asyncio.run(_times(tracked, bench.size.latency_samples)))
        tracker.recorder.close()
    added = {percent: _of_all(ours, percent) - _of_all(bare, percent) for percent in (50, 99)}
    mine, theirs = ([percentile(part, 50) for part in side] for side in (ours, bare))
    return [
        Figure(
            "middleware",
            "a recorded request through the ASGI middleware, p50",
            "µs",
            Spread.of(mine),
            Floor("the bare application", Spread.of(theirs)),
            ratio_of(mine, theirs),
            (
                Target("added at p50", "at most", 50, added[50], "µs"),
                Target("added at p99", "at most", 500, added[99], "µs"),
            ),
        )
    ]


def _of_all(rounds: Sequence[Sequence[float]], percent: float) -> float:
    return percentile([each for part in rounds for each in part], percent)


async def _times(app: App, count: int) -> list[float]:
    times = []
    for _ in range(count):
        await asyncio.sleep(_GATHER_SECONDS)
        started = time.perf_counter()
        await app(_scope(), _receive, _send)
        times.append((time.perf_counter() - started) * 1e6)
    return times


def _scope() -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/orders", "query_string": b"page=1", "headers": _HEADERS}


async def _answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def _receive() -> Any:
    return {"type": "http.request", "body": b""}


async def _send(_message: Any) -> None:
    pass
