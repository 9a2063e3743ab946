"""A worker's loop in a stream of tasks handed in one by one: its appends carry many, and news do not keep it awake."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from journeyman.journal import AsyncJournal
from journeyman.journal.event import Draft, Event
from journeyman.journal.memory.log import MemoryLog
from journeyman.journal.sqlite.notifier import Notifier, listener_directories
from journeyman.journal.sqlite.write_lock import WriteLock
from journeyman.tasks import Message
from journeyman.tasks.state import names
from journeyman.tasks.submitting import submission
from journeyman.workers import Settings, WorkerLoop
from journeyman.workers.limits import WAIT_ROUNDING_SECONDS
from journeyman.workers.scheduling import commit_pace
from support.shop import Shop, named
from support.waiting import reached

STREAM = 30
LONG_PERIOD_SECONDS = 0.5
ENDLESS_SECONDS = 600.0
PASSES = 100


@pytest.fixture
def long_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Periods so long that many tasks are submitted in one, however slow the machine."""
    monkeypatch.setattr(commit_pace, "COMMIT_PACE_SECONDS", LONG_PERIOD_SECONDS)
    monkeypatch.setattr(commit_pace, "COMMIT_PACE_SECONDS_MAX", LONG_PERIOD_SECONDS)


@pytest.fixture
def endless_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Periods longer than a test."""
    monkeypatch.setattr(commit_pace, "COMMIT_PACE_SECONDS", ENDLESS_SECONDS)
    monkeypatch.setattr(commit_pace, "COMMIT_PACE_SECONDS_MAX", ENDLESS_SECONDS)


@pytest.mark.usefixtures("long_periods")
@pytest.mark.anyio
async def test_appends_of_worker_in_stream_carry_many_tasks() -> None:
    floor, door = Shop(), threading.Event()
    tasks = named(wait=lambda: door.wait(60), work=lambda number: number)
    async with floor.worker(tasks, Settings(threads=2)) as worker:
        await floor.submit(tasks["wait"])
        await reached(lambda: worker.counts.claimed == 1, "the worker to hold a claim")
        for number in range(STREAM):  # until it knows that it is in a stream
            await floor.submit(tasks["work"], number)
        before = worker.counts.appends
        for number in range(STREAM):
            await floor.submit(tasks["work"], number)
        await floor.succeeded(2 * STREAM)
        appends = worker.counts.appends - before
        door.set()
        await floor.succeeded(2 * STREAM + 1)
    assert appends <= STREAM / 2, "a claim and an outcome for each would be four times as many"


@pytest.mark.usefixtures("long_periods")
@pytest.mark.anyio
async def test_lone_tasks_are_claimed_and_written_one_by_one() -> None:
    floor, tasks = Shop(), named(work=lambda number: number)
    async with floor.worker(tasks, Settings(threads=2)) as worker:
        for number in range(STREAM):
            await floor.submit(tasks["work"], number)
            await floor.succeeded(number + 1)
            assert not worker._pace.is_stream(time.monotonic())
        assert (worker.counts.claimed, worker.counts.lost_claims) == (STREAM, 0)
    assert floor.count(names.CLAIMED) == STREAM


class Threads(MemoryLog):
    """Notes which outcomes the threads of tasks have appended."""

    def __init__(self, floor: Shop) -> None:
        super().__init__(floor.store)
        self.apart: list[int] = []

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        events = await super().append(drafts)
        if threading.current_thread() is not threading.main_thread():
            self.apart += [event.context["result"] for event in events]
        return events


@pytest.mark.anyio
async def test_thread_of_a_lone_task_alone_writes_its_outcome() -> None:
    floor, door = Shop(), threading.Event()
    log, tasks = Threads(floor), named(wait=lambda: (door.wait(60), 1)[1], work=lambda number: number)
    async with floor.worker(tasks, Settings(threads=2), log=log) as worker:
        await floor.submit(tasks["wait"])
        await reached(lambda: worker.counts.claimed == 1, "the first to be claimed, alone")
        await floor.submit(tasks["work"], 2)
        await floor.succeeded(1)
        door.set()
        await floor.succeeded(2)
    assert log.apart == [1], "the second was not alone"


@pytest.mark.anyio
async def test_worker_rests_as_its_pace_says(monkeypatch: pytest.MonkeyPatch) -> None:
    floor, over = Shop(), asyncio.Event()

    async def wait() -> None:
        await over.wait()

    tasks, asked, rested = named(wait=wait), list[dict[str, object]](), list[float]()
    async with floor.worker(tasks, Settings(coroutines=2)) as worker:

        def pause(monotonic: float, **situation: object) -> float:
            if not worker._lanes.busy:
                return 0.0
            asked.append(situation)
            return 0.0 if situation["draining"] else 1.0

        async def ended_within(seconds: float) -> bool:
            rested.append(seconds)
            worker._has_news = True  # as a thread's outcome that came meanwhile
            return False

        monkeypatch.setattr(worker._pace, "pause", pause)
        monkeypatch.setattr(worker._rest, "_ended_within", ended_within)
        await floor.submit(tasks["wait"])
        await reached(lambda: rested and worker._is_waiting, "a rest, and the wait after it")
        assert asked[0] == {"outcomes": 0, "draining": False}
        assert rested == [1.0 - WAIT_ROUNDING_SECONDS] * len(asked)
        assert not worker._has_news, "what came in the rest was collected after it"
        worker.stop()
        await reached(lambda: asked[-1]["draining"], "a turn that drains")
        over.set()
    assert len(rested) < len(asked), "a drain does not rest"


async def both_claimed(floor: Shop, worker: WorkerLoop, task: str) -> None:
    """Have both of two tasks claimed in one append, and the worker be in a stream from then on."""
    await floor.journal.append_drafts([submission(Message(task_name=task, args=[number])) for number in (0, 1)])
    await reached(lambda: worker.counts.claimed == 2, "both to be claimed")


@pytest.mark.usefixtures("endless_periods")
@pytest.mark.anyio
async def test_outcomes_are_appended_together_when_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    floor, doors = Shop(), (threading.Event(), threading.Event())
    tasks = named(work=lambda number: doors[number].wait(60))
    async with floor.worker(tasks, Settings(threads=2)) as worker:
        await both_claimed(floor, worker, "work")
        monkeypatch.setattr(worker._pace, "is_stream", lambda _: worker.counts.succeeded < 2)
        before = worker.counts.appends
        doors[0].set()
        await reached(lambda: worker._lanes.outcomes == 1, "one to have ended")
        doors[1].set()
        await floor.succeeded(2)
        assert worker.counts.appends == before + 1


@pytest.mark.usefixtures("endless_periods")
@pytest.mark.anyio
async def test_worker_that_has_settled_rests_until_the_period_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    floor, door, rests = Shop(), threading.Event(), list[float]()
    async with floor.worker(named(work=lambda _: door.wait(60)), Settings(threads=2)) as worker:
        await both_claimed(floor, worker, "work")

        async def rest(seconds: float) -> None:
            assert worker.counts.succeeded == 2, "it settles before it rests"
            assert not worker._pace.may_settle
            rests.append(seconds)

        monkeypatch.setattr(worker._reader, "rest", rest)
        monkeypatch.setattr(worker._pace, "is_stream", lambda _: not rests)
        door.set()
        await reached(lambda: bool(rests), "it to rest")
        assert 0 < rests[0] <= ENDLESS_SECONDS


@pytest.mark.anyio
async def test_workers_of_a_stream_are_those_with_new_events(monkeypatch: pytest.MonkeyPatch) -> None:
    floor, tasks, counted = Shop(), named(work=lambda: 1), list[int]()
    async with floor.worker(tasks) as one, floor.worker(tasks):
        await reached(lambda: len(list(one.view.all_sessions())) == 2, "one to know of the other")
        monkeypatch.setattr(one._pace, "turned", lambda _, **turn: counted.append(turn["workers"]))
        one._rest._latest.clear()
        for _ in range(2):
            one._rest.note_turn(0.0, 0.0, holding=False)
        assert counted == [2, 0]


@contextmanager
def held(path: Path) -> Iterator[None]:
    """The file's lock, as another program that commits has it."""
    lock = WriteLock(f"{path}-lock")
    assert lock.acquire()
    try:
        yield
    finally:
        lock.release()
        lock.close()


def test_news_do_not_wake_a_loop_waiting_for_its_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, door = tmp_path / "a.db", threading.Event()
    woken: list[None] = []
    wake = WorkerLoop._wake

    def counted(worker: WorkerLoop) -> None:
        woken.append(None)
        wake(worker)

    monkeypatch.setattr(WorkerLoop, "_wake", counted)

    async def test() -> None:
        async with AsyncJournal(f"sqlite:///{path}") as journal:
            worker = WorkerLoop(journal, named(work=lambda: door.wait(60)), Settings(threads=2))
            running = asyncio.ensure_future(worker.run())
            await journal.append_drafts([submission(Message(task_name="work")) for _ in range(2)])
            await reached(lambda: worker.counts.claimed == 2, "both to be claimed in one append")
            with held(path):
                door.set()
                ended = [lane.executor for lane in worker._lanes]
                await reached(
                    lambda: worker._is_committing and not any(executor.running for executor in ended),
                    "both to have ended, and the append of an outcome to be under way",
                )
                notifier = Notifier(listener_directories(str(path)))
                notifier.notify()
                notifier.close()
                before = len(woken)
                for _ in range(PASSES):
                    await asyncio.sleep(0)
                assert len(woken) - before < PASSES / 10, "it is woken once by news that it cannot read yet"
            await reached(lambda: worker.counts.succeeded == 2, "both to be done")
            worker.stop()
            await running

    asyncio.run(test())
