"""The cost of a waiting task to a worker that could run it: memory, and the start of a worker."""

import asyncio
import time
from typing import Any, Final

from journeyman.bench import child, drain
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, ratio_of
from journeyman.bench.tasks import broker, nap, noop
from journeyman.tasks.message import new_id
from journeyman.workers import Settings, WorkerLoop, work

WAITING_BYTES_MAX: Final = 350
SETTLE_SECONDS: Final = 2.0
NAP_SECONDS: Final = 600
DRAIN_SECONDS: Final = 0.1


def memory(bench: Bench) -> list[Figure]:
    """A worker that is busy while a million tasks wait, beside one for which none does, and beside a plain dictionary.

    Each worker starts twice: it replays the history, and the next one begins with its snapshot.
    """
    tasks = bench.size.waiting_tasks
    replayed: list[float] = []
    restored: list[float] = []
    floor: list[float] = []
    starts: list[float] = []
    for number in range(bench.size.few_rounds):
        bench.progress(f"waiting tasks: round {number + 1} of {bench.size.few_rounds}")
        with bench.file("queue") as path:
            idle = _worker(sqlite_url(path), 0)
        with bench.file("queue") as path:
            first, then = _worker(sqlite_url(path), tasks), _worker(sqlite_url(path), 0)
        replayed.append((first["resident"] - idle["resident"]) / tasks)
        restored.append((then["resident"] - idle["resident"]) / tasks)
        starts.append(then["start_seconds"])
        floor.append(child.run("waiting:dictionary", tasks=tasks) / tasks)
    ours = Spread.of(replayed)
    restarted, started = Spread.of(restored).median, Spread.of(starts).median
    return [
        Figure(
            "waiting",
            f"memory of a waiting task, {tasks:,} of them",
            "B",
            ours,
            Floor("a dictionary of their ids and positions", Spread.of(floor)),
            ratio_of(replayed, floor),
            (
                Target("memory", "at most", WAITING_BYTES_MAX, ours.median, "B"),
                Target("after a restart", "at most", WAITING_BYTES_MAX, restarted, "B"),
            ),
            {"start_from_snapshot_seconds": started},
        )
    ]


def _worker(url: str, tasks: int) -> dict[str, float]:
    """The cost of a worker whose single thread naps, while so many more tasks wait."""
    broker.bind(url)
    nap.generate(args=[NAP_SECONDS])
    broker.journal.close()
    if tasks:
        drain.submit(url, tasks)
    answer: dict[str, float] = child.run("waiting:busy", url=url)
    return answer


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def busy(url: str) -> dict[str, float]:
    """Run a worker until it has claimed all it has room for; return its memory once that has settled."""
    begun = time.perf_counter()
    answer: dict[str, float] = {}
    beside: list[asyncio.Task[None]] = []

    async def note(worker_loop: WorkerLoop) -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        answer["resident"] = child.resident_bytes()
        worker_loop.stop()

    def started(worker_loop: WorkerLoop) -> None:
        answer["start_seconds"] = time.perf_counter() - begun
        beside.append(asyncio.get_running_loop().create_task(note(worker_loop)))

    tasks: dict[str, Any] = {task.name: task for task in (nap, noop)}
    asyncio.run(work(tasks, url, Settings(threads=1, drain_seconds=DRAIN_SECONDS), started))
    return answer


def dictionary(tasks: int) -> int:
    """The memory of a dictionary that holds the position of each task by its id."""
    before = child.resident_bytes()
    positions = {new_id(): position for position in range(tasks)}
    after = child.resident_bytes()
    assert len(positions) == tasks
    return after - before
