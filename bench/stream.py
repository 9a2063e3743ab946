"""A stream of tasks submitted one by one: the rate that a submitter loses to a worker, and how soon tasks are done.

The floor is the same submitter with no worker beside it; the floor of the worker's CPU time is a loop by hand
(`raw_pace`) that has to do with as many tasks a second. The sides of a round are measured one right after the other,
each on a journal of its own, and each task is submitted in a durable append of its own.
"""

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from journeyman.bench import child, drain, raw_pace
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.kafka import made
from journeyman.bench.keeping_up import Stay, stays_in
from journeyman.bench.tasks import broker, noop
from journeyman.workers import WorkerLoop, work

TASKS_PER_LONE_APPEND: Final = 10
KAFKA_TASKS_PER_LONE_APPEND: Final = 3
SUBMITTERS: Final = 4
WORKERS: Final = 2
KEPT_RATE_MIN: Final = 0.55
STAY_P50_MS_MAX: Final = 5
STAY_P99_MS_MAX: Final = 15
CPU_US_MAX: Final = 60
MICROSECONDS: Final = 1e6
MILLISECONDS: Final = 1e3

# A journal of its own for each run: a context that gives its URL.
NewJournal = Callable[[str], contextlib.AbstractContextManager[str]]


class Run(NamedTuple):
    """The times of the tasks of one run, and the CPU time of all its workers, in µs a task."""

    stay: Stay
    cpu_us: float


def embedded(bench: Bench) -> list[Figure]:
    """One submitter alone, beside one worker, and four of them beside two workers, on files of their own."""

    @contextlib.contextmanager
    def journal(name: str) -> Iterator[str]:
        with bench.file(name) as path:
            yield sqlite_url(path)

    def by_hand(tasks: int, rate: float) -> float:
        with bench.file("raw") as path:
            return raw_pace.measured(path, tasks, rate)

    tasks = TASKS_PER_LONE_APPEND * bench.size.lone_appends
    return _measured(bench, "stream", "", journal, tasks, bench.size.few_rounds, by_hand)


def kafka(bench: Bench) -> list[Figure]:
    """The same on Kafka, where an append waits for the broker and not for a lock."""

    @contextlib.contextmanager
    def journal(name: str) -> Iterator[str]:
        yield made(bench.kafka_url(name))

    tasks = KAFKA_TASKS_PER_LONE_APPEND * bench.size.lone_appends
    return _measured(bench, "kafka-stream", "Kafka: ", journal, tasks, bench.size.few_rounds)


def _measured(
    bench: Bench,
    name: str,
    where: str,
    journal: NewJournal,
    tasks: int,
    rounds: int,
    by_hand: Callable[[int, float], float] | None = None,
) -> list[Figure]:
    bare: list[float] = []
    hand_us: list[float] = []
    one: list[Run] = []
    several: list[Run] = []
    for number in range(rounds):
        bench.progress(f"{name}: round {number + 1} of {rounds}")
        with journal("alone") as url:
            bare.append(alone(url, tasks))
        with journal("one") as url:
            one.append(beside(url, tasks, submitters=1, workers=1))
        if by_hand is not None:
            hand_us.append(by_hand(tasks, one[-1].stay.done) / tasks * MICROSECONDS)
        with journal("several") as url:
            several.append(beside(url, tasks, submitters=SUBMITTERS, workers=WORKERS))
    return [_one(name, where, one, bare, hand_us), _several(name, where, several, one)]


def _one(name: str, where: str, runs: list[Run], bare: list[float], hand_us: list[float]) -> Figure:
    done, stays = [each.stay.done for each in runs], _milliseconds(runs)
    cpu = Spread.of([each.cpu_us for each in runs])
    ratio = ratio_of(done, bare)
    p50, p99 = percentile(stays, 50), percentile(stays, 99)
    facts = {"stay_p50_ms": p50, "stay_p99_ms": p99, "worker_cpu_us_per_task": cpu.median}
    if hand_us:
        facts["floor_cpu_us_per_task"] = Spread.of(hand_us).median
    return Figure(
        name,
        f"{where}no-op tasks done while one program submits them one by one",
        "tasks/s",
        Spread.of(done),
        Floor("tasks submitted with no worker beside", Spread.of(bare)),
        ratio,
        (
            Target("ratio", "at least", KEPT_RATE_MIN, ratio.median, ""),
            Target("submission to success, p50", "at most", STAY_P50_MS_MAX, p50, "ms"),
            Target("p99", "at most", STAY_P99_MS_MAX, p99, "ms"),
            Target("worker CPU", "at most", CPU_US_MAX, cpu.median, "µs a task"),
        ),
        facts,
    )


def _several(name: str, where: str, runs: list[Run], one: list[Run]) -> Figure:
    done, stays = [each.stay.done for each in runs], _milliseconds(runs)
    bare = [each.stay.done for each in one]
    ratio = ratio_of(done, bare)
    return Figure(
        f"{name}-{SUBMITTERS}-{WORKERS}",
        f"{where}no-op tasks done while {SUBMITTERS} programs submit them, {WORKERS} workers",
        "tasks/s",
        Spread.of(done),
        Floor("one program, one worker", Spread.of(bare)),
        ratio,
        (Target("ratio", "at least", 1.0, ratio.median, ""),),
        {
            "stay_p50_ms": percentile(stays, 50),
            "stay_p99_ms": percentile(stays, 99),
            "worker_cpu_us_per_task": Spread.of([each.cpu_us for each in runs]).median,
            "lost_claims_percent": Spread.of([each.stay.lost for each in runs]).median,
        },
    )


def _milliseconds(runs: list[Run]) -> list[float]:
    return [seconds * MILLISECONDS for each in runs for seconds in each.stay.seconds]


def alone(url: str, tasks: int) -> float:
    """Tasks submitted in a second with no worker beside."""
    with child.partner("stream:submitter", url=url, tasks=tasks) as submitting:
        return tasks / float(submitting.ask())


def beside(url: str, tasks: int, submitters: int, workers: int) -> Run:
    """Submitters beside workers that were idle, until every task is done."""
    share = max(1, tasks // submitters)
    with contextlib.ExitStack() as stack:
        working = [stack.enter_context(child.partner("stream:worker", url=url)) for _ in range(workers)]
        submitting = [
            stack.enter_context(child.partner("stream:submitter", url=url, tasks=share)) for _ in range(submitters)
        ]
        before = sum(float(each.ask()) for each in working)
        with ThreadPoolExecutor(submitters) as threads:
            list(threads.map(child.Partner.ask, submitting))
        stay = stays_in(url, share * submitters)
        used = sum(float(each.ask()) for each in working) - before
    return Run(stay, used / (share * submitters) * MICROSECONDS)


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def submitter(url: str, tasks: int) -> None:
    """At each line: submit so many tasks one by one, and print how many seconds that took."""
    broker.bind(url)
    broker.journal.bounds()  # opens it before the first line
    child.say_ready()
    for _ in sys.stdin:
        begun = time.perf_counter()
        for number in range(tasks):
            noop.generate(args=[number])
        child.say(str(time.perf_counter() - begun))
    broker.journal.close()


def worker(url: str) -> None:
    """A worker that prints, at each line, the seconds of CPU time it has used, and leaves after the last one."""

    def answer(loop: asyncio.AbstractEventLoop, worker_loop: WorkerLoop) -> None:
        for _ in sys.stdin:
            child.say(str(child.cpu_seconds()))
        loop.call_soon_threadsafe(worker_loop.stop)

    def started(worker_loop: WorkerLoop) -> None:
        threading.Thread(target=answer, args=(asyncio.get_running_loop(), worker_loop), daemon=True).start()
        child.say_ready()

    asyncio.run(work(drain.known("thread"), url, None, started))
