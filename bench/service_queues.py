"""`GET /queues` of a service, beside a bare Litestar route that answers as many bytes."""

import urllib.request
from typing import Final

from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.http_load import Load, load, serving
from journeyman.journal import Journal
from journeyman.tasks import Broker, Message

QUEUES: Final = 10
CONNECTIONS: Final = 8
WARMING: Final = 200


def embedded(bench: Bench) -> list[Figure]:
    """Ask for the queues of a journal with waiting tasks, and the bare route, round by round."""
    with bench.file("queues") as path:
        url = sqlite_url(path)
        with Journal(url) as journal:
            waiting = bench.size.backlog_tasks
            messages = (Message("bench.noop", queue=f"queue-{number % QUEUES}") for number in range(waiting))
            Broker(journal).submit_all(messages, new=True)
        with serving("journeyman", "serve", "--journal", url, "--port", "0") as service:
            with urllib.request.urlopen(f"{service}/queues") as answer:
                size = len(answer.read())
            with serving("journeyman.bench.raw_litestar", str(size)) as bare:
                bench.progress("GET /queues: asking")
                rounds = [_round(bench, service, bare) for _ in range(bench.size.rounds)]
    ours, floor = ([each[side].rate for each in rounds] for side in (0, 1))
    ratio = ratio_of(ours, floor)
    times = [ms for each in rounds for ms in each[0].times_ms]
    bare_times = [ms for each in rounds for ms in each[1].times_ms]
    facts = {
        "bytes": float(size),
        "p50_ms": percentile(times, 50),
        "p99_ms": percentile(times, 99),
        "bare_p50_ms": percentile(bare_times, 50),
        "bare_p99_ms": percentile(bare_times, 99),
    }
    title = f"GET /queues of {QUEUES} queues with {waiting:,} waiting tasks, {CONNECTIONS} connections"
    target = Target("ratio", "at least", 0.5, ratio.median, "")
    bare_title = "a bare Litestar route of as many bytes"
    return [
        Figure(
            "service-queues", title, "requests/s", Spread.of(ours), Floor(bare_title, Spread.of(floor)), ratio,
            (target,), facts,
        )
    ]  # fmt: skip


def _round(bench: Bench, service: str, bare: str) -> tuple[Load, Load]:
    for address, path in ((service, "/queues"), (bare, "/")):
        load(address, path, WARMING, CONNECTIONS)
    requests = bench.size.http_requests
    return load(service, "/queues", requests, CONNECTIONS), load(bare, "/", requests, CONNECTIONS)
