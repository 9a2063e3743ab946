"""Workers beyond the plain drain: mechanisms, rival workers, backlogs, idleness, the death of a worker."""

import asyncio
import contextlib
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from journeyman.bench import child, drain
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, ratio_of
from journeyman.bench.tasks import broker, nap
from journeyman.journal import Journal
from journeyman.workers import Settings, WorkerLoop, work

# The bars of each mechanism: tasks/s, and µs of CPU time a task; of processes only the rate has one.
MECHANISM_BARS: Final[dict[str, tuple[float, float | None]]] = {
    "async": (25_000, 35),
    "thread": (25_000, 35),
    "process": (15_000, None),
}
RIVALS: Final = 2
LOST_CLAIMS_PERCENT_MAX: Final = 1
SHORT_BACKLOG_SHARE: Final = 100
START_SECONDS_MAX: Final = 1
COST_GROWTH_MAX: Final = 1.15
BACKLOGS: Final = 10
ENDURANCE_GROWTH_MAX: Final = 1.05
IDLE_CPU_PERCENT_MAX: Final = 0.5
LEASE_MS: Final = 1_000
TAKEOVER_SECONDS_MAX: Final = 0.5
NAP_SECONDS: Final = 600
CLAIM_SECONDS_MAX: Final = 20.0


def mechanisms(bench: Bench) -> list[Figure]:
    """The same backlog as coroutines, in threads, in processes, in turns."""
    tasks = bench.size.backlog_tasks
    runs: dict[str, list[dict[str, float]]] = {mechanism: [] for mechanism in MECHANISM_BARS}
    for number in range(bench.size.few_rounds):
        for mechanism, answers in runs.items():
            bench.progress(f"mechanisms: {mechanism}, round {number + 1} of {bench.size.few_rounds}")
            with bench.file("queue") as path:
                url = sqlite_url(path)
                drain.submit(url, tasks, mechanism)
                answers.append(child.run("drain:worker", url=url, tasks=tasks, mechanism=mechanism))
    return [_mechanism(mechanism, tasks, answers) for mechanism, answers in runs.items()]


def _mechanism(mechanism: str, tasks: int, answers: list[dict[str, float]]) -> Figure:
    rates, cpu = Spread.of([each["rate"] for each in answers]), Spread.of([each["cpu_us"] for each in answers])
    rate_bar, cpu_bar = MECHANISM_BARS[mechanism]
    targets = [Target("rate", "at least", rate_bar, rates.median, "tasks/s")]
    if cpu_bar is not None:
        targets.append(Target("worker CPU", "at most", cpu_bar, cpu.median, "µs a task"))
    return Figure(
        f"mechanism-{mechanism}",
        f"no-op tasks, backlog of {tasks:,}, mechanism {mechanism}",
        "tasks/s",
        rates,
        targets=tuple(targets),
        facts={"worker_cpu_us_per_task": cpu.median},
    )


def rivals(bench: Bench) -> list[Figure]:
    """Two workers on one backlog, beside one worker on another."""
    tasks = bench.size.backlog_tasks
    together: list[float] = []
    alone: list[float] = []
    lost, claimed = 0, 0
    for number in range(bench.size.few_rounds):
        bench.progress(f"rivals: round {number + 1} of {bench.size.few_rounds}")
        with bench.file("queue") as path, ThreadPoolExecutor(RIVALS) as threads:
            url = sqlite_url(path)
            drain.submit(url, tasks)
            part = [threads.submit(child.run, "workforce:rival", url=url, tasks=tasks) for _ in range(RIVALS)]
            for answer in [each.result() for each in part]:
                lost, claimed = lost + answer["lost_claims"], claimed + answer["claimed"]
            together.append(tasks / drain.seconds_from_join_to_last_outcome(url, tasks))
        with bench.file("queue") as path:
            url = sqlite_url(path)
            drain.submit(url, tasks)
            alone.append(child.run("drain:worker", url=url, tasks=tasks)["rate"])
    ratio = ratio_of(together, alone)
    percent = 100 * lost / (lost + claimed)
    return [
        Figure(
            "rivals",
            f"no-op tasks, backlog of {tasks:,}, two workers",
            "tasks/s",
            Spread.of(together),
            Floor("one worker", Spread.of(alone)),
            ratio,
            (
                Target("ratio", "at least", 1.0, ratio.median, ""),
                Target("lost claims", "at most", LOST_CLAIMS_PERCENT_MAX, percent, "%"),
            ),
        )
    ]


def backlog(bench: Bench) -> list[Figure]:
    """A long backlog beside a hundredth of it: start of a worker, and CPU time of a task."""
    long = bench.size.long_backlog_tasks
    short = max(1, long // SHORT_BACKLOG_SHARE)
    runs: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    waiting: list[dict[str, float]] = []
    for number in range(bench.size.few_rounds):
        bench.progress(f"long backlog: round {number + 1} of {bench.size.few_rounds}")
        for tasks, answers in zip((long, short), runs, strict=True):
            with bench.file("queue") as path:
                url = sqlite_url(path)
                drain.submit(url, tasks)
                if tasks == long:
                    waiting.append(child.run("workforce:waiting", url=url))
                answers.append(child.run("drain:worker", url=url, tasks=tasks))
    cpu, short_cpu = ([each["cpu_us"] for each in answers] for answers in runs)
    growth = ratio_of(cpu, short_cpu)
    start = Spread.of([each["start_seconds"] for each in waiting])
    return [
        Figure(
            "backlog",
            f"a task of a backlog of {long:,}",
            "µs CPU",
            Spread.of(cpu),
            Floor(f"a task of a backlog of {short:,}", Spread.of(short_cpu)),
            growth,
            (
                Target("ratio", "at most", COST_GROWTH_MAX, growth.median, ""),
                Target("start", "at most", START_SECONDS_MAX, start.median, "s"),
            ),
        )
    ]


def endurance(bench: Bench) -> list[Figure]:
    """One worker, and one backlog after the other: its memory in the second half, beside that at the end of the first.

    By then it keeps as many tombstones as it ever will, and the allocator's arenas have reached their size.
    """
    tasks = bench.size.long_backlog_tasks // 2
    resident: list[float] = []
    with bench.file("queue") as path:
        url = sqlite_url(path)
        with child.partner("workforce:enduring", url=url, tasks=tasks) as worker:
            for number in range(1, BACKLOGS + 1):
                bench.progress(f"endurance: {number * tasks:,} of {BACKLOGS * tasks:,} tasks")
                drain.submit(url, tasks)
                resident.append(int(worker.ask()) / child.MIB)
    half, later = resident[BACKLOGS // 2 - 1], resident[BACKLOGS // 2 :]
    return [
        Figure(
            "endurance",
            f"memory of a worker after {BACKLOGS * tasks:,} tasks",
            "MiB",
            Spread.of(later),
            Floor(f"after {BACKLOGS // 2 * tasks:,}", Spread.of([half] * len(later))),
            Spread.of([each / half for each in later]),
            (Target("at the end", "at most", ENDURANCE_GROWTH_MAX, later[-1] / half, ""),),
            {f"mib_after_{(number + 1) * tasks:,}": each for number, each in enumerate(resident)},
        )
    ]


def idle(bench: Bench) -> list[Figure]:
    """A worker with nothing to do, for a while."""
    bench.progress("idle worker")
    seconds = bench.size.idle_seconds
    with bench.file("queue") as path, Journal(sqlite_url(path)) as journal:
        answers = [child.run("workforce:resting", url=sqlite_url(path), seconds=seconds)]
        appended = sum(1 for event in journal.read().events if event.name not in ("worker.joined", "worker.left"))
    share = Spread.of([each["cpu_percent"] for each in answers])
    return [
        Figure(
            "idle",
            f"a worker without work, for {seconds:g} s",
            "% of a core",
            share,
            targets=(
                Target("CPU", "at most", IDLE_CPU_PERCENT_MAX, share.median, "% of a core"),
                Target("appended", "at most", 0, appended, "events"),
            ),
        )
    ]


def takeover(bench: Bench) -> list[Figure]:
    """A worker is killed while it runs a task; another one, with nothing else to do, claims it."""
    delays = []
    for number in range(bench.size.few_rounds):
        bench.progress(f"takeover: round {number + 1} of {bench.size.few_rounds}")
        with bench.file("queue") as path, contextlib.ExitStack() as stack:
            delays.append(_takeover(sqlite_url(path), stack) - LEASE_MS / 1_000)
    ours = Spread.of(delays)
    return [
        Figure(
            "takeover",
            f"claim of a killed worker's task, beyond its lease of {LEASE_MS:,} ms",
            "s",
            ours,
            targets=(Target("median", "at most", TAKEOVER_SECONDS_MAX, ours.median, "s"),),
        )
    ]


def _takeover(url: str, stack: contextlib.ExitStack) -> float:
    """Seconds from the kill to the other's claim, by this process's clock and the journal's, which are the same."""
    journal = stack.enter_context(Journal(url))
    events = journal.tail()
    stack.callback(events.close)  # type: ignore[attr-defined]
    claims = (event for event in events if event.name == "task.claimed")
    workers = [stack.enter_context(child.partner("workforce:leased", url=url)) for _ in range(RIVALS)]
    broker.bind(url)
    stack.callback(broker.journal.close)
    nap.generate(args=[NAP_SECONDS])
    owner = next(claims).context["worker"]
    pids = {event.context["worker"]: event.context["pid"] for event in _joined(journal)}
    killed = time.time()
    for worker in workers:
        if worker.pid == pids[owner]:
            worker.kill()
    taken = next(claims)
    for worker in workers:
        worker.kill()
    assert taken.context["worker"] != owner
    return taken.timestamp - killed


def _joined(journal: Journal) -> Any:
    return (event for event in journal.read().events if event.name == "worker.joined")


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def rival(url: str, tasks: int) -> dict[str, float]:
    """Run a worker until all tasks of the journal are done, by any worker."""

    async def until_done(worker_loop: WorkerLoop) -> None:
        while worker_loop.view.succeeded < tasks:  # noqa: ASYNC110 - nothing announces the last one
            await asyncio.sleep(drain.LOOK_SECONDS)
        worker_loop.stop()

    counts = asyncio.run(work(drain.known("thread"), url, None, _started(until_done)))
    return {"lost_claims": counts.lost_claims, "claimed": counts.claimed}


def enduring(url: str, tasks: int) -> int:
    """A worker that prints, at each line, its memory once it has done so many more tasks."""

    def answer(loop: asyncio.AbstractEventLoop, worker_loop: WorkerLoop) -> None:
        for number, _ in enumerate(sys.stdin, start=1):
            while worker_loop.counts.succeeded < number * tasks:
                time.sleep(drain.LOOK_SECONDS)
            child.say(str(child.resident_bytes()))
        loop.call_soon_threadsafe(worker_loop.stop)

    def started(worker_loop: WorkerLoop) -> None:
        threading.Thread(target=answer, args=(asyncio.get_running_loop(), worker_loop), daemon=True).start()
        child.say_ready()

    return asyncio.run(work(drain.known("thread"), url, None, started)).succeeded


def waiting(url: str) -> dict[str, float]:
    """Start a worker that knows other tasks than those that wait, and measure its start."""
    begun = time.perf_counter()
    answer: dict[str, float] = {}

    async def note(worker_loop: WorkerLoop) -> None:
        answer["start_seconds"] = time.perf_counter() - begun
        worker_loop.stop()

    asyncio.run(work({nap.name: nap}, url, None, _started(note)))
    return answer


def resting(url: str, seconds: float) -> dict[str, float]:
    """A worker that is stopped after a while without work."""
    answer: dict[str, float] = {}

    async def note(worker_loop: WorkerLoop) -> None:
        await asyncio.sleep(1.0)  # once it has settled
        cpu = child.cpu_seconds()
        await asyncio.sleep(seconds)
        answer["cpu_percent"] = 100 * (child.cpu_seconds() - cpu) / seconds
        worker_loop.stop()

    asyncio.run(work(drain.known("thread"), url, None, _started(note)))
    return answer


def leased(url: str) -> None:
    """A worker with a short lease, until it is killed."""
    settings = Settings(lease_ms=LEASE_MS)
    asyncio.run(work({nap.name: nap}, url, settings, lambda _: child.say_ready()))


def _started(then: Any) -> Any:
    """The function that `work` calls when the worker has started: runs `then(worker_loop)` beside it."""
    beside: set[asyncio.Task[None]] = set()

    def started(worker_loop: WorkerLoop) -> None:
        beside.add(asyncio.get_running_loop().create_task(then(worker_loop)))

    return started
