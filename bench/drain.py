"""No-op tasks: how fast one worker process drains a backlog, and what a task costs it in CPU time.

Ours is a worker as the command line starts it, with its threads. The floor does by hand the work that any worker on
such a log has to do: decode the submissions, and append a claim and an outcome for each, 256 tasks an append.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec
import orjson
from journeyman.bench import child, raw_sqlite
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target
from journeyman.bench.rows import WORKER, WRITER
from journeyman.bench.tasks import NOOPS, broker, noop
from journeyman.journal import Draft, Event, Journal
from journeyman.journal.event import record
from journeyman.tasks import Task
from journeyman.tasks.message_encoding import decode_message
from journeyman.tasks.submitting import submission
from journeyman.workers import WorkerLoop, work

APPEND_TASKS: Final = 256
SUBMIT_TASKS: Final = 1_000
# How often the worker is polled for its end, in seconds; this does not affect the measurement.
LOOK_SECONDS: Final = 0.05


def embedded(bench: Bench) -> list[Figure]:
    """A backlog in a file, drained by a new worker process in each round."""
    ours: list[dict[str, float]] = []
    floor: list[dict[str, float]] = []
    tasks = bench.size.backlog_tasks
    for number in range(bench.size.rounds):
        bench.progress(f"no-op tasks: round {number + 1} of {bench.size.rounds}")
        with bench.file("queue") as path:
            url = sqlite_url(path)
            submit(url, tasks)
            ours.append(child.run("drain:worker", url=url, tasks=tasks))
        with bench.file("raw") as path:
            fill_raw(path, tasks)
            floor.append(child.run("drain:raw", path=str(path), tasks=tasks))
    title = f"no-op tasks, backlog of {tasks:,}, one worker process"
    return [figure("drain", title, "the same rows by hand, raw apsw", ours, floor, rate_bar=20_000, cpu_bar=40)]


def figure(
    name: str,
    title: str,
    floor_title: str,
    ours: list[dict[str, float]],
    floor: list[dict[str, float]],
    rate_bar: float,
    cpu_bar: float,
) -> Figure:
    """The figure of a drain from what the two sides answered in each round."""
    rates, cpu = Spread.of([each["rate"] for each in ours]), Spread.of([each["cpu_us"] for each in ours])
    bare = Spread.of([each["rate"] for each in floor])
    return Figure(
        name,
        title,
        "tasks/s",
        rates,
        Floor(floor_title, bare),
        Spread.of([mine["rate"] / hand["rate"] for mine, hand in zip(ours, floor, strict=True)]),
        (
            Target("rate", "at least", rate_bar, rates.median, "tasks/s"),
            Target("worker CPU", "at most", cpu_bar, cpu.median, "µs a task"),
        ),
        {
            "worker_cpu_us_per_task": cpu.median,
            "floor_cpu_us_per_task": Spread.of([each["cpu_us"] for each in floor]).median,
            "tasks_per_append": Spread.of([each["tasks_per_append"] for each in ours]).median,
            "lost_claims": sum(each["lost_claims"] for each in ours),
            "start_seconds": Spread.of([each["start_seconds"] for each in ours]).median,
        },
    )


def submit(url: str, tasks: int, mechanism: str = "thread") -> None:
    """Put a backlog of no-op tasks of this mechanism into a journal."""
    broker.bind(url)
    task = NOOPS[mechanism]
    messages = (task.generate(args=[number], submit=False) for number in range(tasks))
    assert broker.submit_all(messages, new=True) == tasks
    broker.journal.close()


def submission_rows(tasks: int) -> list[bytes]:
    """The same backlog as encoded events."""
    drafts = [submission(noop.generate(args=[number], submit=False)) for number in range(tasks)]
    return [_row(draft, number) for number, draft in enumerate(drafts, start=1)]


def fill_raw(path: Path, tasks: int) -> None:
    """Put the backlog into a plain table."""
    connection = raw_sqlite.connect(path)
    rows = submission_rows(tasks)
    for start in range(0, tasks, SUBMIT_TASKS):
        raw_sqlite.append_batch(connection, rows[start : start + SUBMIT_TASKS])
    connection.close()


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def worker(url: str, tasks: int, mechanism: str = "thread") -> dict[str, float]:
    """A worker until it has done `tasks`: measured from its session's opening to the last acknowledged outcome.

    `mechanism` is that of the tasks that wait.
    """
    begun = time.perf_counter()
    marks: dict[str, float] = {}

    async def until_done(worker_loop: WorkerLoop) -> None:
        while worker_loop.counts.succeeded < tasks:  # noqa: ASYNC110 - nothing announces the last one
            await asyncio.sleep(LOOK_SECONDS)
        worker_loop.stop()

    watching: set[asyncio.Task[None]] = set()

    def started(worker_loop: WorkerLoop) -> None:
        marks.update(start=time.perf_counter(), cpu=child.cpu_seconds(children=True))
        watching.add(asyncio.get_running_loop().create_task(until_done(worker_loop)))

    counts = asyncio.run(work(known(mechanism), url, None, started))
    cpu = child.cpu_seconds(children=True) - marks["cpu"]
    assert counts.succeeded == tasks, f"expected {tasks} tasks to succeed, got {counts}"
    return {
        "rate": tasks / seconds_from_join_to_last_outcome(url, tasks),
        "cpu_us": cpu / tasks * 1e6,
        "tasks_per_append": tasks / counts.appends,
        "lost_claims": counts.lost_claims,
        "start_seconds": marks["start"] - begun,
    }


def known(mechanism: str) -> dict[str, Task[Any, Any]]:
    """The tasks of a worker that knows the no-op task of this mechanism."""
    task = NOOPS[mechanism]
    return {task.name: task}


def seconds_from_join_to_last_outcome(url: str, tasks: int) -> float:
    """Compute it from the times in the journal, from the first join on; every task must have its outcome there."""
    joined, last, outcomes = 0.0, 0.0, set()
    with Journal(url) as journal:
        end = journal.bounds().end[0]
        for event in itertools.islice(journal.tail(), end):
            if event.name == "worker.joined":
                joined = joined or event.timestamp
            elif event.name == "task.succeeded":
                last = event.timestamp
                outcomes.add(event.key)
    assert len(outcomes) == tasks, f"expected outcomes of {tasks} tasks, found {len(outcomes)}"
    return last - joined


def raw(path: str, tasks: int) -> dict[str, float]:
    """The floor on a file."""
    connection = raw_sqlite.connect(path)

    def pages() -> Iterator[list[tuple[int, bytes]]]:
        position = 0
        while position < tasks:
            limit = min(APPEND_TASKS, tasks - position)  # behind the backlog come our own rows
            rows = raw_sqlite.page(connection, position, limit)
            position = rows[-1][0]
            yield rows

    started, cpu = time.perf_counter(), child.cpu_seconds()
    outcomes: list[bytes] = []
    for page in pages():
        claims, done = by_hand(page, first_claim=_next_position(connection) + len(outcomes))
        raw_sqlite.append_batch(connection, outcomes + claims)
        outcomes = done
    raw_sqlite.append_batch(connection, outcomes)
    seconds, cpu = time.perf_counter() - started, child.cpu_seconds() - cpu
    connection.close()
    return {"rate": tasks / seconds, "cpu_us": cpu / tasks * 1e6}


def _next_position(connection: apsw.Connection) -> int:
    last: int = connection.execute("SELECT max(position) FROM events").get
    return last + 1


def by_hand(page: list[tuple[int, bytes]], first_claim: int) -> tuple[list[bytes], list[bytes]]:
    """The claims of a page of submissions, and their outcomes: decoded, called, encoded."""
    claims, outcomes = [], []
    now = time.time()
    for index, (_, row) in enumerate(page):
        message = decode_message(row)
        result = orjson.dumps(noop.function(*message.args))
        about = b'{"task":"%b","worker":"%b"' % (message.uuid.encode(), WORKER.encode())
        detail = b',"claim":%d,"ran_ms":%.3f,"result":%b}' % (first_claim + index, 0.004, result)
        claims.append(_encode(Event(now, "task.claimed", msgspec.Raw(about + b"}"), message.uuid, WRITER, 1)))
        outcomes.append(_encode(Event(now, "task.succeeded", msgspec.Raw(about + detail), message.uuid, WRITER, 2)))
    return claims, outcomes


_encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode


def _row(draft: Draft, number: int) -> bytes:
    draft.writer, draft.seq = WRITER, number
    return record(draft, time.time())[1]
