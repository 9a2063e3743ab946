"""Services and jobs of TopChef: requests for an empty queue, and jobs through one listener and through eight."""

import threading
import time
import urllib.request
from typing import Any, Final

from journeyman.bench import child
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.http_load import load, serving
from journeyman.journal import Journal
from journeyman.tasks import Broker, Message
from journeyman.topchef import ServiceListener

CONNECTIONS: Final = 8
LISTENERS: Final = (1, 8)
WARMING: Final = 200
# The requests of a job: it is claimed, and completed.
REQUESTS_PER_JOB: Final = 2
ENOUGH_SECONDS: Final = 600.0


class Squares(ServiceListener):
    """A listener whose jobs take no time."""

    def run(self, parameters: Any) -> Any:
        """Return the square of `n`."""
        return {"square": parameters["n"] ** 2}


def embedded(bench: Bench) -> list[Figure]:
    """Ask for an idle queue, and do jobs, beside a bare route of as many bytes, round by round."""
    with bench.file("services") as path:
        url = sqlite_url(path)
        with serving("journeyman", "serve", "--journal", url, "--port", "0") as address:
            service = Squares.new_service(f"{address}/topchef", "squares", "", {"type": "object"}).id
            queue = f"/topchef/services/{service}/queue?wait=0"
            with urllib.request.urlopen(f"{address}{queue}") as answer:
                size = len(answer.read())
            with serving("journeyman.bench.raw_litestar", str(size)) as bare:
                idle = _idle(bench, address, queue, bare)
                return [idle, *(_jobs(bench, url, address, service, bare, count) for count in LISTENERS)]


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


def _jobs(bench: Bench, url: str, address: str, service: str, bare: str, listeners: int) -> Figure:
    ours, floor = [], []
    jobs = max(listeners, bench.size.http_requests // 10)
    for _ in range(bench.size.rounds):
        who = "one listener" if listeners == 1 else f"{listeners} listeners"
        bench.progress(f"jobs through {who}")
        _submit(url, service, jobs)
        base = f"{address}/topchef"
        ours.append(child.run("services:listen", base=base, service=service, listeners=listeners, jobs=jobs)["rate"])
        floor.append(load(bare, "/", REQUESTS_PER_JOB * jobs, listeners).rate / REQUESTS_PER_JOB)
    return Figure(
        f"service-jobs-{listeners}",
        f"jobs of a service through {who} of one process, each claimed and completed durably",
        "jobs/s",
        Spread.of(ours),
        Floor("two bare requests for a job, which append nothing", Spread.of(floor)),
        ratio_of(ours, floor),
    )


def _submit(url: str, service: str, jobs: int) -> None:
    queue = f"topchef.{service}"
    with Journal(url) as journal:
        messages = (Message(queue, queue, kwargs={"parameters": {"n": number}}) for number in range(jobs))
        Broker(journal).submit_all(messages, new=True)


def listen(*, base: str, service: str, listeners: int, jobs: int) -> dict[str, float]:
    """Do so many jobs by listeners of this process, and return how many were done a second."""
    left, mutex, done = [jobs], threading.Lock(), threading.Event()

    class Counted(Squares):
        def run(self, parameters: Any) -> Any:
            result = super().run(parameters)
            with mutex:
                left[0] -= 1
                if left[0] == 0:
                    done.set()
            return result

    all_of_them = [Counted(base, service) for _ in range(listeners)]
    begun = time.perf_counter()
    for each in all_of_them:
        each.start()
    assert done.wait(ENOUGH_SECONDS), f"{left[0]} of {jobs} jobs were not done"
    seconds = time.perf_counter() - begun
    for each in all_of_them:
        each.stop()
    for each in all_of_them:
        each.join()
    return {"rate": jobs / seconds}
