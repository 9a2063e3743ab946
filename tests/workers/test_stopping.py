"""How long a worker that is told to stop tries to leave: as long as it owes the journal something, else briefly."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from journeyman.journal import AsyncJournal
from journeyman.journal.event import Draft, Event
from journeyman.journal.memory.log import MemoryLog
from journeyman.tasks import Message, State
from journeyman.tasks.state import names
from journeyman.workers import Settings, WorkerLoop
from journeyman.workers.errors import OutcomesUnwritten
from journeyman.workers.executors import HandOver
from journeyman.workers.limits import STOP_IDLE_SECONDS, STOP_UNSTARTED_SECONDS, TASK_NAMES_SHOWN
from journeyman.workers.loop.hand_over import HandOverLoop
from support.shop import Shop, Tasks, named
from support.waiting import reached

SETTINGS = Settings(coroutines=2, lease_ms=60_000, drain_seconds=40)
LONG = SETTINGS.drain_seconds + SETTINGS.lease_seconds


class Held(MemoryLog):
    """A log on which the appends that begin with an event named `held` wait until the test lets them land."""

    def __init__(self, shop: Shop, held: str) -> None:
        super().__init__(shop.store)
        self.held = held
        self.waits = False
        self.landing = asyncio.Event()

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        if drafts[0].name == self.held:
            self.waits = True
            await self.landing.wait()
            self.waits = False
        return await super().append(drafts)


class Works:
    """Coroutines that run until the test ends them."""

    def __init__(self) -> None:
        self.running = 0
        self.over = asyncio.Event()

    async def __call__(self) -> None:
        self.running += 1
        await self.over.wait()


def work_until(works: Works) -> Tasks:
    async def work() -> None:
        await works()

    return named(work=work)


@asynccontextmanager
async def started(shop: Shop, tasks: Tasks, log: MemoryLog | None = None) -> AsyncIterator[WorkerLoop]:
    """A worker that runs, which need not have joined; it is cancelled if it has not ended."""
    worker = WorkerLoop(AsyncJournal(log or MemoryLog(shop.store)), tasks, SETTINGS)
    running = asyncio.ensure_future(worker.run())
    try:
        yield worker
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def patience_of(worker: WorkerLoop) -> float:
    """Stop it; return how many seconds it will try to leave, to the precision of one call."""
    before = worker._loop.time()
    worker.stop()
    after, until = worker._loop.time(), worker._patience.when()
    assert until is not None
    for seconds in (STOP_UNSTARTED_SECONDS, STOP_IDLE_SECONDS, LONG):
        if before + seconds <= until <= after + seconds:
            return seconds
    return until - before


@pytest.mark.anyio
async def test_idle_worker_leaves_within_moments() -> None:
    async with Shop().worker(work_until(Works()), SETTINGS) as worker:
        assert patience_of(worker) == STOP_IDLE_SECONDS
        until = worker._patience.when()
        worker.stop()
        assert worker._patience.when() == until, "the second call changes nothing"


@pytest.mark.anyio
async def test_worker_with_a_task_waits_for_drain_and_lease() -> None:
    shop, works = Shop(), Works()
    tasks = work_until(works)
    async with shop.worker(tasks, SETTINGS) as worker:
        await shop.submit(tasks["work"])
        await reached(lambda: works.running, "the task to run")
        assert patience_of(worker) == LONG == worker.patience_seconds
        works.over.set()


@pytest.mark.parametrize(("held", "seconds"), [(names.JOINED, STOP_UNSTARTED_SECONDS), (names.CLAIMED, LONG)])
@pytest.mark.anyio
async def test_append_under_way_is_waited_for_once_started(held: str, seconds: float) -> None:
    shop = Shop()
    log, tasks = Held(shop, held), work_until(Works())
    await shop.submit(tasks["work"])
    async with started(shop, tasks, log) as worker:
        await reached(lambda: log.waits, "the append to be under way")
        assert patience_of(worker) == seconds


@pytest.mark.anyio
async def test_task_without_its_claim_is_still_waited_for() -> None:
    shop, works = Shop(), Works()
    tasks = work_until(works)
    async with shop.worker(tasks, Settings(coroutines=1, lease_ms=60_000, drain_seconds=40)) as worker:
        await shop.submit(tasks["work"])
        await reached(lambda: works.running, "the task to run")
        (session,) = shop.view().all_sessions()
        await shop.say(names.EXPIRED, worker=session.worker, last=session.last, by="another")
        await reached(lambda: worker._sessions.claims == 0, "its session to have ended")
        assert patience_of(worker) == LONG
        works.over.set()


@pytest.mark.anyio
async def test_outcome_that_cannot_be_written_is_an_error() -> None:
    shop, works = Shop(), Works()
    log, tasks = Held(shop, names.SUCCEEDED), work_until(works)
    worker, running = await shop.start(tasks, SETTINGS, log=log)
    for _ in range(2):
        await shop.submit(tasks["work"])
    await reached(lambda: works.running == 2, "the tasks to run")
    works.over.set()
    await reached(lambda: log.waits, "an outcome to be under way")
    worker.stop()
    worker._patience.reschedule(worker._loop.time())
    with pytest.raises(OutcomesUnwritten, match="2 outcomes could not be written to the journal, and 0 tasks still"):
        await running
    assert worker.gave_up


@pytest.mark.parametrize(
    ("held", "said"), [(names.LEFT, "did not take its last event"), (names.JOINED, "stopped before it was ready")]
)
@pytest.mark.anyio
async def test_worker_that_owes_nothing_leaves_with_a_line(
    held: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    log, tasks = Held(shop, held), work_until(Works())
    async with started(shop, tasks, log) as worker:
        if held == names.JOINED:
            await reached(lambda: log.waits, "it to join")
        else:
            await reached(lambda: worker._started, "it to have joined")
        worker.stop()
        if held == names.LEFT:
            await reached(lambda: log.waits, "it to leave")
        worker._patience.reschedule(worker._loop.time())
        await reached(lambda: worker.gave_up and not worker._entered, "it to give up")
    assert said in caplog.text


@pytest.mark.anyio
async def test_timeout_of_another_kind_is_raised() -> None:
    class Broken(MemoryLog):
        async def append(self, drafts: Sequence[Draft]) -> list[Event]:
            raise TimeoutError("of another kind")

    shop = Shop()
    with pytest.raises(TimeoutError, match="another kind"):
        await shop.start(work_until(Works()), SETTINGS, log=Broken(shop.store))


@pytest.mark.anyio
async def test_worker_stopped_before_it_runs_leaves_no_trace() -> None:
    shop = Shop()
    worker = WorkerLoop(AsyncJournal(MemoryLog(shop.store)), work_until(Works()), SETTINGS)
    worker.stop()
    await asyncio.wait_for(worker.run(), 60)
    assert not shop.events()


@pytest.mark.anyio
async def test_health_tells_of_a_drain_and_of_claims() -> None:
    shop, works = Shop(), Works()
    tasks = work_until(works)
    assert WorkerLoop(AsyncJournal(MemoryLog(shop.store)), tasks, SETTINGS).health() is None, "it does not run"
    async with shop.worker(tasks, SETTINGS) as worker:
        idle = worker.health()
        assert idle is not None
        assert (idle.worker, idle.draining, idle.claims, idle.acknowledged_at) == (worker.worker, False, 0, None)
        await shop.submit(tasks["work"])
        await reached(lambda: works.running, "the task to run")
        worker.stop()
        busy = worker.health()
        assert busy is not None
        assert (busy.draining, busy.claims, busy.lease_seconds) == (True, 1, SETTINGS.lease_seconds)
        assert busy.acknowledged_at == worker._sessions[0].acknowledged_at
        works.over.set()


@pytest.mark.parametrize(("count", "more"), [(TASK_NAMES_SHOWN, ""), (TASK_NAMES_SHOWN + 2, " and 2 more")])
@pytest.mark.anyio
async def test_tasks_in_the_loop_are_named_up_to_a_limit(count: int, more: str) -> None:
    shop, works = Shop(), Works()
    tasks = work_until(works)
    async with shop.worker(tasks, Settings(coroutines=count, lease_ms=60_000)) as worker:
        assert worker.in_loop() == ""
        messages = [await shop.submit(tasks["work"]) for _ in range(count)]
        await reached(lambda: works.running == count, "the tasks to run")
        said = worker.in_loop()
        assert said.endswith(more)
        told = set(said.removesuffix(more).split(", "))
        assert told <= {f"work {message.uuid}" for message in messages}
        assert len(told) == TASK_NAMES_SHOWN
        works.over.set()


@pytest.mark.anyio
async def test_end_of_the_drain_cancels_what_still_runs() -> None:
    shop, ended = Shop(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    tasks = named(work=work)
    async with shop.worker(tasks, Settings(coroutines=1, lease_ms=60_000, drain_seconds=0)) as worker:
        message = await shop.submit(tasks["work"])
        await reached(lambda: worker.counts.claimed, "the task to run")
    await asyncio.wait_for(ended.wait(), 60)
    assert (shop.task(message).state, worker.counts.left_running) == (State.READY, 1)


@pytest.mark.anyio
async def test_worker_that_has_left_waits_for_nothing() -> None:
    shop = Shop()
    async with shop.worker(work_until(Works()), SETTINGS) as worker:
        await reached(lambda: worker._reader.waits, "it to wait for a page")
        waiting = worker._reader._page_task
    assert waiting is not None
    assert waiting.done()


@pytest.mark.anyio
async def test_question_about_health_causes_a_turn() -> None:
    async with Shop().worker(work_until(Works()), SETTINGS) as worker:
        await reached(lambda: worker._is_waiting, "it to wait")
        turned = worker._turned_at
        for _ in range(2):
            assert worker.health() is not None
        await reached(lambda: worker._turned_at > turned, "a turn")


@pytest.mark.anyio
async def test_loop_waits_again_after_news_of_a_thread() -> None:
    shop, tasks = Shop(), named(work=lambda: 1)
    async with shop.worker(tasks, Settings(threads=2, lease_ms=60_000)) as worker:
        await reached(lambda: worker._is_waiting, "it to wait")
        worker._wake_from_thread()
        await reached(lambda: worker._is_waiting and not worker._has_news, "it to have looked, and to wait again")


@pytest.mark.anyio
async def test_kinds_of_tasks_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.workers.loop.lanes.READY_KINDS_REMEMBERED", 2)
    shop, tasks = Shop(), named(work=lambda: 1)
    async with shop.worker(tasks, Settings(threads=2, lease_ms=60_000)) as worker:
        for number in range(5):
            await shop.submit_message(Message(task_name="work", queue=f"queue-{number}"))
        await shop.succeeded(5)
        assert len(worker._lanes._ready_of) <= 2


@pytest.mark.anyio
async def test_worker_tells_of_other_functions_as_it_joins(caplog: pytest.LogCaptureFixture) -> None:
    shop, tasks = Shop(), named(work=lambda: 1)
    theirs = {"work": {"functions": ["other:work"]}}
    await shop.say(names.JOINED, "other", worker="other", lease_ms=60_000, tasks=["work"], accepts=theirs)
    async with shop.worker(tasks, Settings(threads=2, lease_ms=60_000)):
        pass
    assert "has other:work under the name work" in caplog.text


@pytest.mark.anyio
async def test_tasks_left_with_their_callers_are_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    shop, tasks, hand_over = Shop(), named(work=lambda: 1), HandOver()
    message = await shop.submit(tasks["work"])
    loop = HandOverLoop(shop.journal, Settings(lease_ms=60_000, drain_seconds=0), hand_over)
    running = asyncio.ensure_future(loop.run())
    held = await asyncio.wait_for(asyncio.wrap_future(hand_over.ask()), 60)
    assert held is not None
    assert held.job.state.id == message.uuid
    loop.stop()
    await asyncio.wait_for(running, 60)
    assert shop.task(message).state is State.READY
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.anyio
async def test_health_tells_of_the_oldest_lease() -> None:
    shop, works = Shop(partitions=2), Works()
    tasks = work_until(works)
    async with shop.worker(tasks, Settings(coroutines=64, lease_ms=60_000)) as worker:
        while len(worker._sessions.acknowledged()) < 2:
            count = worker.counts.claimed
            await shop.submit(tasks["work"])
            await reached(lambda count=count: worker.counts.claimed > count, "it to be claimed")  # type: ignore[misc]
        worker._sessions[1].acknowledged_at -= 5
        health = worker.health()
        assert health is not None
        assert health.acknowledged_at == worker._sessions[1].acknowledged_at
        works.over.set()
