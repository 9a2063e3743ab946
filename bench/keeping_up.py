"""Workers beside a submitter: whether they finish tasks as fast as it submits them, and how many claims they lose."""

import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from journeyman.bench import child
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.tasks import broker, noop
from journeyman.journal import Journal
from journeyman.tasks import TaskView


class Setting(NamedTuple):
    """How many threads submit, each task in a durable append of its own, and how many workers there are."""

    threads: int
    workers: int = 1


BULK: Final = Setting(threads=0)
SETTINGS: Final[Mapping[str, Setting]] = {
    "one by one": Setting(1),
    "in 8 threads": Setting(8),
    "in 64 threads": Setting(64),
    "in 8 threads, two workers": Setting(8, workers=2),
}
TASKS_PER_LONE_APPEND: Final = 5
KEPT_UP_MIN: Final = 0.95
LOST_CLAIMS_PERCENT_MAX: Final = 1
PATIENCE_SECONDS: Final = 60.0


class Stay(NamedTuple):
    """The results of one round: tasks submitted and done a second, and the time from submission to outcome.

    `lost` of all claims were lost to another worker, in percent.
    """

    submitted: float
    done: float
    seconds: list[float]
    lost: float


def embedded(bench: Bench) -> list[Figure]:
    """Each kind of submitter beside a worker on a file of their own; tasks done in the same time as came in."""
    tasks = TASKS_PER_LONE_APPEND * bench.size.lone_appends
    stays: dict[str, list[Stay]] = {how: [] for how in SETTINGS}
    bulk: list[Stay] = []
    for number in range(bench.size.few_rounds):
        bench.progress(f"keeping up: round {number + 1} of {bench.size.few_rounds}")
        for how, setting in SETTINGS.items():
            stays[how].append(_stay(bench, tasks, setting))
        bulk.append(_stay(bench, bench.size.backlog_tasks, BULK))
    facts = {
        "bulk_submitted_per_s": Spread.of([each.submitted for each in bulk]).median,
        "bulk_done_per_s": Spread.of([each.done for each in bulk]).median,
    }
    return [_figure(how, rounds, facts if number == 0 else {}) for number, (how, rounds) in enumerate(stays.items())]


def _stay(bench: Bench, tasks: int, setting: Setting) -> Stay:
    with bench.file("queue") as path, contextlib.ExitStack() as workers:
        url = sqlite_url(path)
        for _ in range(setting.workers):
            workers.enter_context(child.partner("latency:worker", url=url))
        child.run("keeping_up:submit", url=url, tasks=tasks, threads=setting.threads)
        return stays_in(url, tasks)


def _figure(how: str, rounds: list[Stay], facts: dict[str, float]) -> Figure:
    ours, submitted = [each.done for each in rounds], [each.submitted for each in rounds]
    ratio = ratio_of(ours, submitted)
    stays = [seconds * 1_000 for each in rounds for seconds in each.seconds]
    spread = {"stay_p50_ms": percentile(stays, 50), "stay_p99_ms": percentile(stays, 99), "stay_max_ms": max(stays)}
    lost = Spread.of([each.lost for each in rounds]).median
    targets = [Target("ratio", "at least", KEPT_UP_MIN, ratio.median, "")]
    if SETTINGS[how].workers > 1:
        targets.append(Target("lost claims", "at most", LOST_CLAIMS_PERCENT_MAX, lost, "%"))
    return Figure(
        f"keeping-up-{SETTINGS[how].threads}-{SETTINGS[how].workers}",
        f"no-op tasks done while they are submitted {how}",
        "tasks/s",
        Spread.of(ours),
        Floor("tasks submitted", Spread.of(submitted)),
        ratio,
        tuple(targets),
        spread | facts,
    )


def stays_in(url: str, tasks: int) -> Stay:
    """Compute the results from the times in the journal, once every submission has its outcome."""
    came: dict[str | None, float] = {}
    done: dict[str | None, float] = {}
    view = TaskView()
    deadline = time.monotonic() + PATIENCE_SECONDS
    with Journal(url) as journal:
        for event in journal.tail():
            view.apply(event)
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
        100 * view.lost_claims / (view.lost_claims + tasks),
    )


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def submit(url: str, tasks: int, threads: int) -> int:
    """Submit so many tasks: each in an append of its own, by that many threads; 0: in batches."""
    broker.bind(url)

    def submit_one(number: int) -> None:
        noop.generate(args=[number])

    if threads == 0:
        broker.submit_all((noop.generate(args=[number], submit=False) for number in range(tasks)), new=True)
    elif threads == 1:
        for number in range(tasks):
            submit_one(number)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(submit_one, range(tasks)))
    broker.journal.close()
    return tasks
