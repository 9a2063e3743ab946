"""The journal over HTTP: appends, replay and a worker, beside the same journal in this process and bare requests.

The service is a process of its own on loopback, over a file, as `journeyman serve` runs it. The same client sends the
bare requests to a Litestar route on the same server, with bodies and answers of the same size.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore2
import uvicorn
from journeyman.bench import child, drain
from journeyman.bench.appends import BATCH_EVENTS, SLICES, Side
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, ratio_of
from journeyman.bench.replay import write_history
from journeyman.bench.rows import encoded, items
from journeyman.journal import AsyncJournal, Journal
from journeyman.journal.event import draft
from journeyman.journal.http.pending_append import run_of
from journeyman.journal.http.requests import Requests
from journeyman.journal.http.wire import Landed, pack
from journeyman.journal.runtime.portal import Portal
from journeyman.service.server import ServiceServer, listen
from journeyman.service.settings import Settings
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromQuery
from litestar.response import Stream

# What the rates over HTTP are to reach of those of the journal behind the service, where bare requests allow it.
LONE_SHARE: Final = 0.5
BATCH_SHARE: Final = 0.7
REPLAY_SHARE: Final = 0.5
WORKER_RATE: Final = 10_000
BARE_SECONDS_MAX: Final = 30.0
STREAM_CHUNK_BYTES: Final = 1_024 * 1_024


def one_by_one(bench: Bench) -> list[Figure]:
    """`Journal.append` over HTTP, one event each."""
    count = bench.size.lone_appends
    return [_appends(bench, "http-append-one", "appends over HTTP one by one", count, 1, LONE_SHARE)]


def in_batches(bench: Bench) -> list[Figure]:
    """`Journal.append_all` over HTTP, of 1,000 events each."""
    count = bench.size.batches
    return [_appends(bench, "http-append-batch", "appends over HTTP in batches", count, BATCH_EVENTS, BATCH_SHARE)]


def _appends(bench: Bench, name: str, title: str, count: int, each: int, share: float) -> Figure:
    batches = [items(each, start=number * each) for number in range(count)]
    body, answered = _sizes(each)
    with (
        bench.file("served") as served,
        bench.file("here") as here,
        service(sqlite_url(served)) as address,
        child.partner("http:bare", answered=answered) as bare,
        Journal(address) as over_http,
        Journal(sqlite_url(here)) as embedded,
        bare_requests(bare.read_line().strip(), body) as ask,
    ):
        sides = (Side(_appending(over_http, batches)), Side(_appending(embedded, batches)), Side(ask))
        for side in sides:
            side.round(range(1))
            side.rates.clear()
            side.cpu_us.clear()
        for number in range(bench.size.rounds):
            bench.progress(f"{title}: round {number + 1} of {bench.size.rounds}")
            for slice_ in range(SLICES):
                part = range(count * slice_ // SLICES, count * (slice_ + 1) // SLICES)
                for side in sides if part else ():
                    side.round(part)
    ours, here_, floor = ([rate * each for rate in side.rates] for side in sides)
    ratio = ratio_of(ours, here_)
    # A request and the append behind it, one after the other: no client of this server can be faster.
    allowed = Spread.of([1 / (1 + mine / bare_) for mine, bare_ in zip(here_, floor, strict=True)]).median
    return Figure(
        name,
        title,
        "events/s",
        Spread.of(ours),
        Floor("the journal in this process", Spread.of(here_)),
        ratio,
        (Target("ratio", "at least", min(share, allowed), ratio.median, ""),),
        {
            "bare_requests_events_per_second": Spread.of(floor).median,
            "ratio_that_bare_requests_allow": allowed,
            "cpu_us_per_event": Spread.of(sides[0].cpu_us).median / each,
        },
    )


def _appending(journal: Journal, batches: list[Any]) -> Callable[[range], None]:
    def append(part: range) -> None:
        for index in part:
            if len(batches[index]) == 1:
                journal.append(*batches[index][0])
            else:
                journal.append_all(batches[index])

    return append


def _sizes(each: int) -> tuple[int, int]:
    """How many bytes the request and the answer of an append of so many events have."""
    drafts = [draft(*item) for item in items(each)]
    request = pack(("0" * 32, [run_of(drafts, 1, {0: 1}, None)]))
    answer = pack([Landed(0, 1, [time.time()] * each)])
    return len(request), len(answer)


def replay(bench: Bench) -> list[Figure]:
    """`for event in JournalConsumer(...)` over HTTP, in a fresh process, beside the same on the file."""
    with bench.file("history") as path:
        bench.progress(f"replay over HTTP: writing a history of {bench.size.history_events:,} events")
        events = write_history(path, bench.size.history_events)
        size = sum(map(len, encoded(items(1_000)))) // 1_000
        over_http: list[dict[str, float]] = []
        embedded: list[dict[str, float]] = []
        floor: list[dict[str, float]] = []
        with service(sqlite_url(path)) as address, child.partner("http:bare", answered=size * events) as bare:
            stream = bare.read_line().strip()
            for number in range(bench.size.rounds):
                bench.progress(f"replay over HTTP: round {number + 1} of {bench.size.rounds}")
                over_http.append(child.run("replay:iterate", url=address, events=events))
                embedded.append(child.run("replay:iterate", url=sqlite_url(path), events=events))
                floor.append(child.run("http:read_bare", url=stream, events=events))
    ours, here = [each["rate"] for each in over_http], [each["rate"] for each in embedded]
    ratio = ratio_of(ours, here)
    return [
        Figure(
            "http-replay",
            "replay over HTTP through a consumer's iteration",
            "events/s",
            Spread.of(ours),
            Floor("the same on the file", Spread.of(here)),
            ratio,
            (Target("ratio", "at least", REPLAY_SHARE, ratio.median, ""),),
            {
                "events": events,
                "cpu_us_per_event": Spread.of([each["cpu_us"] for each in over_http]).median,
                "bare_stream_events_per_second": Spread.of([each["rate"] for each in floor]).median,
            },
        )
    ]


def worker(bench: Bench) -> list[Figure]:
    """A worker over HTTP on a backlog of no-op tasks, beside one on the file."""
    over_http: list[dict[str, float]] = []
    embedded: list[dict[str, float]] = []
    tasks = bench.size.backlog_tasks
    for number in range(bench.size.rounds):
        bench.progress(f"no-op tasks over HTTP: round {number + 1} of {bench.size.rounds}")
        with bench.file("served") as path:
            drain.submit(sqlite_url(path), tasks)
            with service(sqlite_url(path)) as address:
                over_http.append(child.run("drain:worker", url=address, tasks=tasks))
        with bench.file("here") as path:
            drain.submit(sqlite_url(path), tasks)
            embedded.append(child.run("drain:worker", url=sqlite_url(path), tasks=tasks))
    rates = Spread.of([each["rate"] for each in over_http])
    return [
        Figure(
            "http-worker",
            f"no-op tasks, backlog of {tasks:,}, one worker over HTTP",
            "tasks/s",
            rates,
            Floor("a worker on the file", Spread.of([each["rate"] for each in embedded])),
            ratio_of([each["rate"] for each in over_http], [each["rate"] for each in embedded]),
            (Target("rate", "at least", WORKER_RATE, rates.median, "tasks/s"),),
            {
                "worker_cpu_us_per_task": Spread.of([each["cpu_us"] for each in over_http]).median,
                "tasks_per_append": Spread.of([each["tasks_per_append"] for each in over_http]).median,
            },
        )
    ]


@contextmanager
def service(url: str) -> Iterator[str]:
    """A service of the journal at `url` in a process of its own; yields its address."""
    with child.partner("http:serve", url=url) as partner:
        yield partner.read_line().strip()


@contextmanager
def bare_requests(address: str, size: int) -> Iterator[Callable[[range], None]]:
    """A function that sends one request of `size` bytes for each number of a range, by the client that ours uses.

    As a synchronous journal does, it hands each request to a loop in another thread.
    """
    content, portal = b"x" * size, Portal()

    requests = Requests(address, None)

    def ask(part: range) -> None:
        for _ in part:
            portal.run(requests.send("POST", "/bare", {"Accept": "*/*"}, content, BARE_SECONDS_MAX))

    try:
        yield ask
    finally:
        portal.run(requests.aclose())
        portal.close()


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def serve(url: str) -> None:
    """A service, until the other side is done."""

    async def run() -> None:
        made = ServiceServer(AsyncJournal(url), Settings(port=0, drain_seconds=0))
        await made.run(lambda address: _begin(address, made.stop))

    asyncio.run(run())


def bare(answered: int) -> None:
    """A server with bare routes that answer so many bytes, until the other side is done."""

    @post("/bare", status_code=200)
    async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
        await request.body()
        return Response(b"x" * answered, media_type="application/octet-stream")

    @get("/stream")
    async def stream(size: FromQuery[int]) -> Stream:
        return Stream(_chunks(size), media_type="application/octet-stream")

    app = Litestar([answer, stream], openapi_config=None)
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, loop="asyncio", lifespan="off"))

    async def run() -> None:
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def stop() -> None:
            server.should_exit = True

        _begin(address, stop)
        await serving

    asyncio.run(run())


async def _chunks(size: int) -> AsyncIterator[bytes]:
    chunk = b"x" * STREAM_CHUNK_BYTES
    while size > 0:
        yield chunk[:size]
        size -= STREAM_CHUNK_BYTES


def _begin(address: str, stop: Callable[[], None]) -> None:
    """Say that the server is ready and where, and stop it when the other side is done."""
    child.say_ready()
    child.say(address)

    def wait() -> None:
        child.wait_for_end()
        stop()

    threading.Thread(target=wait, daemon=True).start()


def read_bare(url: str, events: int) -> dict[str, float]:
    """The floor of a replay: as many bytes as those events have, read and dropped."""
    size = sum(map(len, encoded(items(1_000)))) // 1_000

    async def read() -> int:
        got = 0
        async with (
            httpcore2.AsyncConnectionPool() as pool,
            pool.stream("GET", f"{url}/stream?size={size * events}") as response,
        ):
            async for chunk in response.aiter_stream():
                got += len(chunk)
        return got

    started = time.perf_counter()
    assert asyncio.run(read()) == size * events
    return {"rate": events / (time.perf_counter() - started)}
