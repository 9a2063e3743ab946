"""Idle latency: from submitting one task to holding its result, the worker being another process.

The floor is the least work that makes a submission, a claim and an outcome durable one by one: three commits and three
wake-ups (worker, thread, submitter), by raw apsw and unix datagram sockets, in two processes as well. Ours and the
floor take turns, one sample each, with a pause before each so that all threads are asleep.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Final

import apsw
from journeyman.bench import child, raw_listener, raw_sqlite
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.drain import by_hand, submission_rows
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.tasks import broker, noop
from journeyman.journal import Journal
from journeyman.tasks import ResultStore
from journeyman.workers import WorkerLoop, work

PAUSE_SECONDS: Final = 0.005
WARM_UP: Final = 20
RESULT_MS: Final = 10_000
MILLISECONDS: Final = 1_000


def embedded(bench: Bench) -> list[Figure]:
    """Both workers wait in their own processes; the submitter is this one."""
    with bench.file("queue") as path, bench.file("raw") as raw, contextlib.ExitStack() as stack:
        url = sqlite_url(path)
        journal = stack.enter_context(Journal(url))
        broker.bind(journal)
        results = ResultStore(journal)
        stack.enter_context(child.partner("latency:worker", url=url))
        stack.enter_context(child.partner("latency:raw_worker", path=str(raw)))
        floor = RawSubmitter(raw)
        stack.callback(floor.close)

        def submit() -> None:
            message = noop.generate(args=[7])
            assert results.get(message, timeout=RESULT_MS, keep=True) == 7

        mine, bare = alternate(bench, "idle latency", timed(submit), timed(floor.submit))
    return [
        figure(
            "latency",
            "idle latency, submit to result, other process",
            "3 fsyncs and 3 wake-ups, raw apsw and sockets",
            mine,
            bare,
            Target("p50", "at most", 1.5, _p50(mine), "ms"),
        )
    ]


def alternate(
    bench: Bench, what: str, ours: Callable[[], float], floor: Callable[[], float]
) -> tuple[list[list[float]], list[list[float]]]:
    """Samples of both sides in turns, round by round; each side takes one sample, in ms, at a call."""
    for _ in range(min(WARM_UP, bench.size.latency_samples)):
        ours()
        floor()
    mine: list[list[float]] = []
    bare: list[list[float]] = []
    for number in range(bench.size.rounds):
        bench.progress(f"{what}: round {number + 1} of {bench.size.rounds}")
        pairs = [(_rested(ours), _rested(floor)) for _ in range(bench.size.latency_samples)]
        mine.append([each for each, _ in pairs])
        bare.append([each for _, each in pairs])
    return mine, bare


def _rested(side: Callable[[], float]) -> float:
    time.sleep(PAUSE_SECONDS)
    return side()


def timed(work: Callable[[], None]) -> Callable[[], float]:
    """Wrap `work` in a function that returns its duration in ms."""

    def sample() -> float:
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * MILLISECONDS

    return sample


def figure(
    name: str,
    title: str,
    floor: str,
    mine: list[list[float]],
    bare: list[list[float]],
    *further: Target,
    ratio_bar: float | None = 1.6,
) -> Figure:
    """The figure of a latency: the median of each round, and its ratio to the floor's."""
    ours, floors = [percentile(each, 50) for each in mine], [percentile(each, 50) for each in bare]
    ratio = ratio_of(ours, floors)
    return Figure(
        name,
        title,
        "ms (p50)",
        Spread.of(ours),
        Floor(floor, Spread.of(floors)),
        ratio,
        (*further, *([Target("ratio", "at most", ratio_bar, ratio.median, "")] if ratio_bar is not None else [])),
        {"p99_ms": percentile(list(chain(*mine)), 99), "floor_p99_ms": percentile(list(chain(*bare)), 99)},
    )


def _p50(samples: list[list[float]]) -> float:
    return percentile(list(chain(*samples)), 50)


class RawSubmitter:
    """The submitting side of the floor."""

    def __init__(self, path: Path) -> None:
        self._resources = contextlib.ExitStack()
        self._connection = raw_sqlite.connect(path)
        self._reader = apsw.Connection(str(path))
        self._resources.callback(self._connection.close)
        self._resources.callback(self._reader.close)
        self._listener = self._resources.enter_context(raw_listener.listener(path, "submitter"))
        self._notify_worker = self._resources.enter_context(raw_listener.notifier(path, "worker"))
        self._row = submission_rows(1)[0]

    def submit(self) -> None:
        """Commit a submission, notify the worker, wait for its notice, read the outcome."""
        self._connection.execute(raw_sqlite.INSERT, (self._row,))
        position = self._connection.last_insert_rowid()
        self._notify_worker()
        self._listener.recv(raw_listener.NOTICE_BYTES_MAX)
        rows = raw_sqlite.page(self._reader, position)
        assert b'"task.succeeded"' in rows[-1][1], "the last row is the outcome"

    def close(self) -> None:
        """Close the database and the sockets."""
        self._resources.close()


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def worker(url: str) -> None:
    """A worker that runs until the submitter is done."""

    def started(worker_loop: WorkerLoop) -> None:
        loop = asyncio.get_running_loop()
        threading.Thread(target=_stop_at_end, args=(loop, worker_loop), daemon=True).start()
        child.say_ready()

    asyncio.run(work({noop.name: noop}, url, None, started))


def _stop_at_end(loop: asyncio.AbstractEventLoop, worker_loop: WorkerLoop) -> None:
    child.wait_for_end()
    loop.call_soon_threadsafe(worker_loop.stop)


def raw_worker(path: str) -> None:
    """The working side of the floor: one thread waits and claims, one runs and commits the outcome."""
    database = Path(path)
    connection = raw_sqlite.connect(database)
    claimed: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    runner = threading.Thread(target=_run_raw, args=(database, claimed))
    runner.start()
    position = 0
    with raw_listener.listener(database, "worker") as sock:
        threading.Thread(target=raw_listener.notify_at_end, args=(database, "worker"), daemon=True).start()
        child.say_ready()
        while sock.recv(raw_listener.NOTICE_BYTES_MAX) != raw_listener.END:
            rows = raw_sqlite.page(connection, position)
            claims, outcomes = by_hand(rows[-1:], first_claim=rows[-1][0] + 1)
            connection.execute(raw_sqlite.INSERT, (claims[0],))
            position = connection.last_insert_rowid() + 1  # its outcome comes next, and is not ours to read
            claimed.put(outcomes[0])
    claimed.put(None)
    runner.join()
    connection.close()


def _run_raw(database: Path, claimed: "queue.SimpleQueue[bytes | None]") -> None:
    connection = raw_sqlite.connect(database)
    with raw_listener.notifier(database, "submitter") as notify_submitter:
        while (outcome := claimed.get()) is not None:
            connection.execute(raw_sqlite.INSERT, (outcome,))
            notify_submitter()
    connection.close()
