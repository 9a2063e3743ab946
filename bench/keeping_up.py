"""A worker beside a submitter: whether tasks are done as fast as one process submits them."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from journeyman.journal import Journal

from . import child
from .context import Bench, sqlite_url
from .figure import Figure, Floor, Spread, Target, percentile, ratio_of
from .tasks import broker, noop

# A task is one durable append of its own; in threads as many as that wait for the disk together.
THREADS: Final[Mapping[str, int]] = {"one by one": 1, "one by one in 8 threads": 8}
TASKS_PER_LONE_APPEND: Final = 5
KEPT_UP_MIN: Final = 0.95
PATIENCE_SECONDS: Final = 60.0


class Stay(NamedTuple):
    """What became of the tasks of one round: how many a second came in, and were done, and how long each stayed."""

    submitted: float
    done: float
    seconds: list[float]


def embedded(bench: Bench) -> list[Figure]:
    """Each kind of submitter beside a worker on a file of their own; tasks done in the same time as came in."""
    tasks = TASKS_PER_LONE_APPEND * bench.size.lone_appends
    stays: dict[str, list[Stay]] = {how: [] for how in THREADS}
    bulk: list[Stay] = []
    for number in range(bench.size.few_rounds):
        bench.tell(f"keeping up: round {number + 1} of {bench.size.few_rounds}")
        for how, threads in THREADS.items():
            stays[how].append(_stay(bench, tasks, threads))
        bulk.append(_stay(bench, bench.size.backlog_tasks, 0))
    facts = {
        "bulk_submitted_per_s": Spread.of([each.submitted for each in bulk]).median,
        "bulk_done_per_s": Spread.of([each.done for each in bulk]).median,
    }
    return [_figure(how, rounds, facts if number == 0 else {}) for number, (how, rounds) in enumerate(stays.items())]


def _stay(bench: Bench, tasks: int, threads: int) -> Stay:
    with bench.file("queue") as path:
        url = sqlite_url(path)
        with child.partner("latency:worker", url=url):
            child.run("keeping_up:submit", url=url, tasks=tasks, threads=threads)
            return stays_in(url, tasks)


def _figure(how: str, rounds: list[Stay], facts: dict[str, float]) -> Figure:
    ours, submitted = [each.done for each in rounds], [each.submitted for each in rounds]
    ratio = ratio_of(ours, submitted)
    stays = [seconds * 1_000 for each in rounds for seconds in each.seconds]
    spread = {"stay_p50_ms": percentile(stays, 50), "stay_p99_ms": percentile(stays, 99), "stay_max_ms": max(stays)}
    return Figure(
        f"keeping-up-{THREADS[how]}",
        f"no-op tasks done while they are submitted {how}",
        "tasks/s",
        Spread.of(ours),
        Floor("tasks submitted", Spread.of(submitted)),
        ratio,
        (Target("ratio", "at least", KEPT_UP_MIN, ratio.median, ""),),
        spread | facts,
    )


def stays_in(url: str, tasks: int) -> Stay:
    """By the times in the journal: from each submission to its outcome, once all have one."""
    came: dict[str | None, float] = {}
    done: dict[str | None, float] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    with Journal(url) as journal:
        for event in journal.tail():
            if event.name == "task.submitted":
                came[event.key] = event.timestamp
            elif event.name == "task.succeeded":
                done[event.key] = event.timestamp
                if len(done) == tasks:
                    break
            assert time.monotonic() < deadline, f"{len(done)} of {tasks} tasks were done in {PATIENCE_SECONDS:g} s"
    first = min(came.values())
    return Stay(
        tasks / (max(came.values()) - first),
        tasks / (max(done.values()) - first),
        [done[key] - moment for key, moment in came.items()],
    )


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def submit(url: str, tasks: int, threads: int) -> int:
    """Submit so many tasks: each in an append of its own, by that many threads; 0: in batches."""
    broker.bind(url)

    def submit_one(number: int) -> None:
        noop.generate(args=[number])

    if threads == 0:
        broker.submit_all(noop.generate(args=[number], submit=False) for number in range(tasks))
    elif threads == 1:
        for number in range(tasks):
            submit_one(number)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(submit_one, range(tasks)))
    broker.journal.close()
    return tasks
