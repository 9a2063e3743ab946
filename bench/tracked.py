"""`/tracker` of a service with many active requests, and the memory for these requests and for finished jobs."""

import urllib.request
import uuid
from typing import Final

from journeyman.bench.child import resident_bytes
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.http_load import Load, Server, load, server, serving
from journeyman.journal import Journal
from journeyman.tasks import Broker, Message
from journeyman.top import HTTPTask, JournalTracker
from journeyman.topchef import ServiceListener

CONNECTIONS: Final = 8
WARMING: Final = 100
ACTIVE_REQUESTS: Final = 1_000
KEY: Final = "any-key-of-sixteen-or-more"
PATH: Final = f"/tracker?action=active-tasks&api-key={KEY}"
MEMORY_MIB_MAX: Final = 64.0
# A viewer asks every two seconds: so many serve forty of them.
RATE_MIN: Final = 20.0


class Idle(ServiceListener):
    """A listener that registers a service, and is never started."""

    def run(self, parameters: object) -> object:
        """Return the parameters."""
        return parameters


def embedded(bench: Bench) -> list[Figure]:
    """Ask for the active requests, beside a bare route of as many bytes; then measure the memory."""
    with bench.file("tracked") as path:
        url = sqlite_url(path)
        with server("journeyman", "serve", "--journal", url, "--port", "0") as service:
            load(service.address, "/", WARMING, CONNECTIONS)
            before = resident_bytes(service.pid)
            jobs = bench.size.backlog_tasks // 4
            _finish_jobs(url, service.address, jobs)
            _begin_requests(url)
            size = _size(service.address + PATH)
            with serving("journeyman.bench.raw_litestar", str(size)) as bare:
                bench.progress("/tracker: asking")
                rounds = [_round(bench, service, bare) for _ in range(bench.size.rounds)]
            used = resident_bytes(service.pid) - before
    return [_rate(rounds, size), _memory(used, jobs)]


def _finish_jobs(url: str, address: str, jobs: int) -> None:
    queue = f"topchef.{Idle.new_service(f'{address}/topchef', 'finished', '', {'type': 'object'}).id}"
    messages = [Message(queue, queue, uuid=str(uuid.uuid4()), kwargs={"parameters": {"n": n}}) for n in range(jobs)]
    with Journal(url) as journal:
        broker = Broker(journal)
        broker.submit_all(messages)
        for message in messages:
            broker.ack(message)


def _begin_requests(url: str) -> None:
    with Journal(url) as journal:
        tracker = JournalTracker(journal)
        for number in range(ACTIVE_REQUESTS):
            tracker.start_task(
                HTTPTask.create_from_current_thread(
                    number, host="shop.example", method="GET", path=f"/orders/{number}", protocol="HTTP/1.1"
                )
            )
        tracker.recorder.close()


def _size(address: str) -> int:
    with urllib.request.urlopen(address) as answer:
        return len(answer.read())


def _round(bench: Bench, service: Server, bare: str) -> tuple[Load, Load]:
    requests = max(CONNECTIONS, bench.size.http_requests // 10)
    load(service.address, PATH, CONNECTIONS, CONNECTIONS)
    return load(service.address, PATH, requests, CONNECTIONS), load(bare, "/", requests, CONNECTIONS)


def _rate(rounds: list[tuple[Load, Load]], size: int) -> Figure:
    ours, floor = ([each[side].rate for each in rounds] for side in (0, 1))
    times = [ms for each in rounds for ms in each[0].times_ms]
    ratio = ratio_of(ours, floor)
    return Figure(
        "tracker",
        f"GET /tracker with {ACTIVE_REQUESTS:,} active requests, {CONNECTIONS} connections",
        "requests/s",
        Spread.of(ours),
        Floor("a bare Litestar route of as many bytes", Spread.of(floor)),
        ratio,
        (Target("rate", "at least", RATE_MIN, Spread.of(ours).median, "requests/s"),),
        {"bytes": float(size), "p50_ms": percentile(times, 50), "p99_ms": percentile(times, 99)},
    )


def _memory(used: float, jobs: int) -> Figure:
    mib = used / 2**20
    return Figure(
        "tracker-memory",
        f"memory of a service for {jobs:,} finished jobs and {ACTIVE_REQUESTS:,} active requests",
        "MiB",
        Spread.of([mib]),
        None,
        None,
        (Target("memory", "at most", MEMORY_MIB_MAX, mib, "MiB"),),
    )
