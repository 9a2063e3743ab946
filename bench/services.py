"""Services and jobs: an idle queue asked without pause, and jobs through one and eight listeners, over raw HTTP."""

import asyncio
import json
from typing import Any, Final, Self
from urllib.parse import urlsplit

from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.http_load import HEAD_END, load, serving

CONNECTIONS: Final = 8
LISTENERS: Final = 8
WARMING: Final = 200
# The requests of a job: it is claimed, and completed.
REQUESTS_PER_JOB: Final = 2
SERVICE: Final = {"name": "bench", "description": "", "job_registration_schema": {"type": "object"}}


def embedded(bench: Bench) -> list[Figure]:
    """Ask for an idle queue, and do jobs, beside a bare route of as many bytes, round by round."""
    with bench.file("services") as path:
        url = sqlite_url(path)
        with serving("journeyman", "serve", "--journal", url, "--port", "0") as address:
            service = asyncio.run(_registered(address))
            queue = f"/topchef/services/{service}/queue?wait=0"
            size = asyncio.run(_size_of(address, queue))
            with serving("journeyman.bench.raw_litestar", str(size)) as bare:
                return [_idle(bench, address, queue, bare), *_jobs(bench, address, service, bare)]


def _idle(bench: Bench, address: str, queue: str, bare: str) -> Figure:
    rates: list[list[float]] = [[], []]
    times: list[float] = []
    for _ in range(bench.size.rounds):
        bench.progress("an idle queue of jobs: asking")
        for side, (server, path) in enumerate(((address, queue), (bare, "/"))):
            load(server, path, WARMING, CONNECTIONS)
            measured = load(server, path, bench.size.http_requests, CONNECTIONS)
            rates[side].append(measured.rate)
            times += measured.times_ms if side == 0 else ()
    ours, floor = rates
    ratio = ratio_of(ours, floor)
    return Figure(
        "service-jobs-idle",
        f"GET …/queue of a service without jobs, {CONNECTIONS} connections",
        "requests/s",
        Spread.of(ours),
        Floor("a bare Litestar route of as many bytes", Spread.of(floor)),
        ratio,
        (Target("ratio", "at least", 0.4, ratio.median, ""),),
        {"p50_ms": percentile(times, 50), "p99_ms": percentile(times, 99)},
    )


def _jobs(bench: Bench, address: str, service: str, bare: str) -> list[Figure]:
    figures = []
    for count in (1, LISTENERS):
        ours, floor = [], []
        jobs = max(count, bench.size.http_requests // 10)
        for _ in range(bench.size.rounds):
            bench.progress(f"jobs through {count} listeners")
            ours.append(asyncio.run(_done(address, service, jobs, count)))
            floor.append(load(bare, "/", REQUESTS_PER_JOB * jobs, count).rate / REQUESTS_PER_JOB)
        name = "one listener" if count == 1 else f"{count} listeners"
        figures.append(
            Figure(
                f"service-jobs-{count}",
                f"jobs of a service through {name}, each claimed and completed durably",
                "jobs/s",
                Spread.of(ours),
                Floor("as many bare requests, which append nothing", Spread.of(floor)),
                ratio_of(ours, floor),
            )
        )
    return figures


async def _registered(address: str) -> str:
    async with _Requests(address) as requests:
        made = await requests.ask("POST", "/topchef/services", SERVICE)
        return str(made["data"]["id"])


async def _size_of(address: str, path: str) -> int:
    async with _Requests(address) as requests:
        return len(json.dumps(await requests.ask("GET", path), separators=(",", ":")))


async def _done(address: str, service: str, jobs: int, listeners: int) -> float:
    """Submit jobs, have them done, and return how many were done a second."""
    queue = f"topchef.{service}"
    message = {"task_name": queue, "queue": queue, "kwargs": {"parameters": {"n": 1}}}
    async with _Requests(address) as requests:
        await requests.ask("POST", "/tasks", [message] * jobs)
    loop = asyncio.get_running_loop()
    began = loop.time()
    done = await asyncio.gather(*(_listen(address, service, f"listener {n}") for n in range(listeners)))
    assert sum(done) == jobs, f"{sum(done)} of {jobs} jobs were done"
    return jobs / (loop.time() - began)


async def _listen(address: str, service: str, listener: str) -> int:
    async with _Requests(address) as requests:
        for done in range(1_000_000):
            claimed = await requests.ask(
                "POST", f"/topchef/services/{service}/jobs/claim", {"listener": listener, "wait": 0}
            )
            job = claimed["data"]
            if job is None:
                return done
            body = {"status": "COMPLETED", "results": {"square": 1}}
            await requests.ask("PATCH", f"/topchef/jobs/{job['id']}", body, f"X-Claim-Token: {job['token']}\r\n")
    raise AssertionError("more jobs than were submitted")


class _Requests:
    """One connection, with one request at a time."""

    def __init__(self, address: str) -> None:
        self._place = urlsplit(address)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self, method: str, path: str, body: Any = None, headers: str = "") -> Any:
        """Send a request, and return the body of its answer, which must have a status of success."""
        content = b"" if body is None else json.dumps(body).encode()
        length = f"Content-Length: {len(content)}\r\nContent-Type: application/json\r\n" if content else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._place.netloc}\r\n{length}{headers}\r\n"
        self._writer.write(head.encode() + content)
        lines = (await self._reader.readuntil(HEAD_END)).lower().split(b"\r\n")
        size = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        answer = await self._reader.readexactly(size)
        if not lines[0].split(b" ")[1].startswith(b"2"):
            raise ConnectionError(f"expected success of {method} {path}, got {lines[0]!r}: {answer[:300]!r}")
        return json.loads(answer)
