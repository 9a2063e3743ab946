"""Looking tasks up in a long history: status, result and history of any task, and a process that asks for one status.

The floor is a hand-written look-up: the same key in the same file, by a bare apsw connection.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import apsw
import msgspec
import uuid_utils
from journeyman.bench import child
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.journal import Journal
from journeyman.tasks import ResultStore, StatusTracker
from journeyman.tasks.index.index import task_index
from journeyman.tasks.index.keys import key_of
from journeyman.tasks.inspection.history import task_history
from journeyman.tasks.state import names

# Tasks of one append, three appends for each so many: submitted, claimed, succeeded.
APPEND_TASKS: Final = 3_000
KEPT_IDS_EACH: Final = 50
LOOKUPS: Final = 500
QUESTIONS: Final = ("status", "result", "history")
_ROW: Final = "SELECT * FROM tasks WHERE key = ?"
# The peak comes from Linux: the figure of `getrusage` begins with that of the process which started this one.
_ASK: Final = """
import sys, time
from journeyman import Journal, StatusTracker
begun = time.perf_counter()
with Journal(sys.argv[1]) as journal:
    StatusTracker(journal).get(sys.argv[2])
    took = (time.perf_counter() - begun) * 1_000
with open("/proc/self/status") as status:
    print(took, next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def embedded(bench: Bench) -> list[Figure]:
    """Write a history of finished tasks into a file, make its index, then look tasks up."""
    with bench.file("lookups") as path:
        bench.progress(f"look-ups: writing a history of {bench.size.lookup_events:,} events")
        ids, events = write_history(f"{sqlite_url(path)}?sync=normal", bench.size.lookup_events)
        bench.progress("look-ups: making the index")
        rates = [child.run("lookups:rebuild", path=str(path), events=events) for _ in range(bench.size.few_rounds)]
        size = Path(f"{path}-index").stat().st_size / (events / 3)
        bench.progress("look-ups: asking")
        asked = [look_up(path, ids) for _ in range(bench.size.few_rounds)]
        first = [first_answer(sqlite_url(path), ids[0]) for _ in range(bench.size.rounds)]
    return [*_lookups(asked, events), _rebuild(rates, size, events), _first(first, events)]


def kafka(bench: Bench) -> list[Figure]:
    """The same questions about a history in a topic, once the index is made; there is no floor by hand."""
    events = bench.size.kafka_history_events
    with tempfile.TemporaryDirectory(dir=bench.directory) as state:
        url = f"{bench.kafka_url('lookups')}&state={state}"
        bench.progress(f"look-ups on Kafka: writing a history of {events:,} events")
        ids, events = write_history(url, events)
        bench.progress("look-ups on Kafka: making the index")
        rate = child.run("lookups:rebuild_of", url=url, events=events)
        bench.progress("look-ups on Kafka: asking")
        asked = [ask(url, ids) for _ in range(bench.size.few_rounds)]
    figures = [_median(f"kafka-lookup-{name}", f"Kafka: {name}", asked, name, events, 100) for name in QUESTIONS]
    title = f"Kafka: making the task index of {events:,} events"
    # Half of a file's bar: a raw client reads and decodes about 250,000 events/s.
    bar = Target("rate", "at least", 100_000, rate, "events/s")
    return [*figures, Figure("kafka-index-rebuild", title, "events/s", Spread.of([rate]), targets=(bar,))]


def write_history(url: str, events: int) -> tuple[list[str], int]:
    """So many events, about, of tasks that have succeeded; some of their ids, and how many events there are."""
    ids: list[str] = []
    worker = str(uuid_utils.uuid7())
    with Journal(url) as journal:
        journal.append(names.JOINED, {"worker": worker, "lease_ms": 60_000, "host": "bench", "pid": 1}, worker)
        for begin in range(0, events // 3, APPEND_TASKS):
            tasks = [str(uuid_utils.uuid7()) for _ in range(min(APPEND_TASKS, events // 3 - begin))]
            ids += tasks[::KEPT_IDS_EACH]
            journal.append_all([(names.SUBMITTED, {"task": task, "task_name": "bench.noop"}, task) for task in tasks])
            claims = journal.append_all([(names.CLAIMED, {"task": task, "worker": worker}, task) for task in tasks])
            said = ({"task": event.key, "worker": worker, "claim": event.offset, "result": 1} for event in claims)
            journal.append_all([(names.SUCCEEDED, context, str(context["task"])) for context in said])
        return ids, journal.bounds().end[0]


def rebuild(path: str, events: int) -> float:
    """Make the index of the journal at `path` anew; events/s."""
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}-index{ending}").unlink(missing_ok=True)
    return rebuild_of(sqlite_url(Path(path)), events)


def rebuild_of(url: str, events: int) -> float:
    """Make the index of a journal that has none; events/s."""
    with Journal(url) as journal:
        begun = time.perf_counter()
        journal.run(_catch_up(journal))
        return events / (time.perf_counter() - begun)


async def _catch_up(journal: Journal) -> None:
    await journal.asynchronous.open()
    await task_index(journal.asynchronous).catch_up()


def look_up(path: Path, ids: list[str]) -> dict[str, list[float]]:
    """Ask for tasks from all over the history, and by hand; each answer in ms."""
    bare = apsw.Connection(f"{path}-index", flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return ask(sqlite_url(path), ids, {"floor": lambda task: bare.execute(_ROW, (key_of(task),)).fetchall()})
    finally:
        bare.close()


def ask(
    url: str, ids: list[str], others: Mapping[str, Callable[[str], object]] | None = None
) -> dict[str, list[float]]:
    """Ask for status, result and history of some of the tasks, and `others`; each answer in ms."""
    with Journal(url) as journal:
        tracker, results = StatusTracker(journal), ResultStore(journal)
        questions: dict[str, Callable[[str], object]] = {
            "status": tracker.get,
            "result": lambda task: results.get(task, keep=True),
            "history": lambda task: journal.run(task_history(journal.asynchronous, task)),
            **(others or {}),
        }
        for question in questions.values():  # warm
            question(ids[0])
        taken: dict[str, list[float]] = {name: [] for name in questions}
        for task in random.choices(ids, k=LOOKUPS):
            for name, question in questions.items():
                begun = time.perf_counter()
                question(task)
                taken[name].append((time.perf_counter() - begun) * 1_000)
        return taken


def first_answer(url: str, task: str) -> dict[str, float]:
    """Ask for one status in a fresh process that does nothing else: from opening the journal, and its memory."""
    done = subprocess.run([sys.executable, "-c", _ASK, url, task], capture_output=True, text=True, check=True)
    ms, kib = done.stdout.split()
    return {"ms": float(ms), "mib": float(kib) / child.KIB}


def _lookups(asked: list[dict[str, list[float]]], events: int) -> list[Figure]:
    floor = [percentile(each["floor"], 50) for each in asked]
    floored = Floor("one row by its key, raw apsw", Spread.of(floor))
    figures: list[Figure] = []
    for name in QUESTIONS:
        figure = _median(f"lookup-{name}", name, asked, name, events, 10)
        ratio = ratio_of([percentile(each[name], 50) for each in asked], floor)
        figures.append(msgspec.structs.replace(figure, floor=floored, ratio=ratio))
    return figures


def _median(
    figure: str, title: str, asked: list[dict[str, list[float]]], name: str, events: int, bar_ms: float
) -> Figure:
    ours = [percentile(each[name], 50) for each in asked]
    worst = max(percentile(each[name], 99) for each in asked)
    bar = Target("99 of 100", "at most", bar_ms, worst, "ms")
    return Figure(figure, f"{title} of any task of {events:,} events, median", "ms", Spread.of(ours), targets=(bar,))


def _rebuild(rates: list[float], size: float, events: int) -> Figure:
    spread = Spread.of(rates)
    targets = (Target("rate", "at least", 200_000, spread.median, "events/s"),)
    title = f"making the task index of {events:,} events"
    return Figure("index-rebuild", title, "events/s", spread, targets=targets, facts={"index_bytes_per_task": size})


def _first(answers: list[dict[str, float]], events: int) -> Figure:
    spread, memory = (Spread.of([each[what] for each in answers]) for what in ("ms", "mib"))
    targets = (
        Target("median", "at most", 50, spread.median, "ms"),
        Target("memory", "at most", 45, memory.greatest, "MiB"),
    )
    title = f"first status in a new process, {events:,} events"
    return Figure("first-status", title, "ms", spread, targets=targets, facts={"peak_mib": memory.greatest})
