"""The worker loop at the edges of its waits: on a log without notices, during an append, at the end of a drain."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from journeyman.journal import AsyncJournal
from journeyman.journal.errors import AppendInDoubt, JournalGone, JournalUnavailable
from journeyman.journal.event import Draft, Event
from journeyman.journal.log import Page
from journeyman.journal.memory.log import MemoryLog
from journeyman.tasks import State, TaskView
from journeyman.tasks.failure_detector import FailureDetector
from journeyman.tasks.state import names
from journeyman.workers import Settings, WorkerLoop
from journeyman.workers.limits import WAIT_ROUNDING_SECONDS
from journeyman.workers.loop.reader import JournalReader
from support.shop import LEASE_MS, RepeatingLog, Shop, named
from support.waiting import reached, wait_until

QUICK = Settings(threads=2, lease_ms=LEASE_MS)


class Watched(MemoryLog):
    """A log that awaits `during(drafts)` within each append, before it lands."""

    def __init__(self, floor: Shop) -> None:
        super().__init__(floor.store)
        self.during: Callable[[Sequence[Draft]], Awaitable[None]] | None = None

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        if self.during is not None:
            await self.during(drafts)
        return await super().append(drafts)


class Forgetful(Watched):
    """A log that appends the first outcome and does not say so."""

    forgot = False

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        events = await super().append(drafts)
        if drafts[0].name == names.SUCCEEDED and not self.forgot:
            self.forgot = True
            raise AppendInDoubt("was it?")
        return events


class Doors:
    """A task's body that waits until the test lets it through."""

    def __init__(self) -> None:
        self.entered = 0
        self.open = threading.Event()

    def __call__(self) -> None:
        self.entered += 1
        assert self.open.wait(60), "the test forgot to open"


def in_hand(worker: WorkerLoop) -> list[int]:
    """How many jobs run and how many outcomes wait, in its threads."""
    executor = worker._lanes["thread"].executor
    return [executor.running, executor.outcomes]


@pytest.mark.anyio
async def test_page_arriving_during_an_append_is_applied() -> None:
    floor, doors = Shop(), Doors()
    tasks = named(work=doors, late=lambda: 1)
    for _ in range(2):  # of two none is alone, so the loop writes the outcomes
        await floor.submit(tasks["work"])
    log = Watched(floor)
    async with floor.worker(tasks, QUICK, log=log) as worker:
        await reached(lambda: doors.entered == 2, "both to run")
        await reached(lambda: worker._reader.waits, "it to wait for the next page")

        async def submit_another(drafts: Sequence[Draft]) -> None:
            if drafts[0].name == names.SUCCEEDED and floor.count(names.SUBMITTED) == 2:
                waiting = worker._reader._page_task
                assert waiting is not None
                await floor.submit(tasks["late"])
                await reached(waiting.done, "the page to come while the append lasts")

        log.during = submit_another
        doors.open.set()
        await floor.succeeded(3)


@pytest.mark.anyio
async def test_idle_worker_takes_over_on_a_log_without_notifier() -> None:
    floor, doors = Shop(), Doors()
    async with floor.worker(named(work=lambda: 1), Settings(threads=1, lease_ms=LEASE_MS)) as idle:
        idle._lanes["thread"].ready.steal_delay = 1_000.0  # the other takes the task first
        _, running = await floor.start(named(work=doors), QUICK)
        tasks = named(work=doors)
        for _ in range(20):  # until one of them is the other's, by its id
            await floor.submit(tasks["work"])
        await reached(lambda: doors.entered == 2, "the other to run two")
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        doors.open.set()
        await floor.finished(names.EXPIRED)
        await floor.succeeded(20)
        assert idle.counts.expired_sessions == 1


@pytest.mark.anyio
async def test_lease_counts_from_the_beginning_of_the_append() -> None:
    floor, begun = Shop(), list[float]()
    tasks, log = named(work=lambda: 1), Watched(floor)

    async def last(drafts: Sequence[Draft]) -> None:
        if drafts[0].name == names.JOINED:
            begun.append(time.monotonic())
            await reached(lambda: time.monotonic() > begun[0], "some time to pass")

    log.during = last
    async with floor.worker(tasks, QUICK, log=log) as worker:
        (own,) = worker._sessions.by_partition.values()
        assert own.acknowledged_at <= begun[0]
        assert worker._sessions[0].start_until <= begun[0] + QUICK.lease_seconds


@pytest.mark.anyio
async def test_outcome_arriving_as_the_drain_ends_is_written() -> None:
    floor, doors = Shop(), Doors()
    tasks = named(work=doors)
    message, _ = [await floor.submit(tasks["work"]) for _ in range(2)]
    async with floor.worker(tasks, Settings(threads=2, lease_ms=60_000, drain_seconds=0)) as worker:
        await reached(lambda: doors.entered == 2, "both to run")
        doors.open.set()
        # Without a turn of the loop in between: both have ended, and it is stopped with no time to wait for anything.
        wait_until(lambda: in_hand(worker) == [0, 2], "both to end")
        worker.stop()
    assert floor.count(names.SUCCEEDED) == 2
    assert floor.task(message).attempts == 1
    assert floor.task(message).state is State.SUCCEEDED


@pytest.mark.anyio
async def test_events_between_a_repeat_and_its_append_are_applied() -> None:
    floor, doors = Shop(), Doors()
    tasks, log, came_again = named(work=doors, quick=lambda: 1), Forgetful(floor), list[str]()
    async with floor.worker(tasks, Settings(threads=1, lease_ms=60_000), log=log) as worker:
        await floor.submit(tasks["work"])
        await reached(lambda: doors.entered == 1, "the first to run, alone")
        await floor.submit(tasks["quick"])

        async def submit_another(drafts: Sequence[Draft]) -> None:
            if len(drafts) == 2 and drafts[0].seq and not came_again:
                came_again.extend(draft.name for draft in drafts)
                await floor.submit(tasks["quick"])

        log.during = submit_another
        doors.open.set()
        await floor.succeeded(3)
    assert came_again == [names.SUCCEEDED, names.CLAIMED]
    assert worker.counts.refused == 0


@pytest.mark.anyio
async def test_detector_is_notified_of_journal_outage_and_return() -> None:
    detector = FailureDetector(3.0)
    reader = JournalReader(TaskView(), detector, 3.0)
    seen: list[int] = []

    async def call() -> str:
        seen.append(detector._failing)
        if len(seen) < 3:
            raise JournalUnavailable("away")
        return "back"

    assert await reader.available(call, "is away") == "back"
    assert seen == [0, 1, 1], "told once for all attempts"
    assert detector._failing == 0

    async def broken() -> None:
        raise ValueError("of another kind")

    with pytest.raises(ValueError, match="another kind"):
        await reader.available(broken, "is away")
    assert detector._failing == 0


@pytest.mark.anyio
async def test_news_of_a_thread_just_before_the_wait_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread does not wake the loop as it is not waiting yet; the loop then does not wait."""
    async with Shop().worker(named(work=lambda: 1), QUICK) as worker:
        pauses = list[float]()

        def late() -> float | None:
            pauses.append(worker._turned_at)
            if len(pauses) == 1:
                worker._wake_from_thread()
            return None  # no timer wakes it

        monkeypatch.setattr(worker, "_pause", late)
        worker._wake()
        await reached(lambda: len(pauses) > 1, "the turn after the news")
        assert pauses[1] > pauses[0]
        monkeypatch.undo()
        worker._wake()


@pytest.mark.anyio
async def test_notice_wakes_once_until_it_is_read(tmp_path: Path) -> None:
    async with AsyncJournal(f"sqlite:///{tmp_path}/a.db?sync=normal") as journal:
        reader, woken = JournalReader(TaskView(), FailureDetector(1.0), 1.0), list[int]()
        await reader.open(journal)
        await reader.read_what_came(look=True)
        reader.listen(lambda: woken.append(1))
        for count in (1, 2):
            reader.start_waiting(lambda: None)
            await journal.append("thing.made")
            await reached(lambda count=count: len(woken) >= count, "the notice")  # type: ignore[misc]
            for _ in range(5):
                await asyncio.sleep(0)
            await reader.read_what_came(look=True)
            reader.start_waiting(lambda: None)
            assert reader._wakeup_socket is not None
            reader._notified(
                reader._wakeup_socket
            )  # as a pass of the event loop does that began before the notice was read
            assert len(woken) == count
        await reader.aclose()


@pytest.mark.anyio
async def test_closed_reader_waits_for_no_page() -> None:
    floor, woken = Shop(), list[int]()
    reader = JournalReader(TaskView(), FailureDetector(1.0), 1.0)
    await reader.open(floor.journal)
    reader.start_waiting(lambda: woken.append(1))
    task = reader._page_task
    assert task is not None
    assert reader.waits
    reader.start_waiting(lambda: woken.append(2))
    assert reader._page_task is task, "one wait at a time"
    await reader.aclose()
    assert task.done()


@pytest.mark.anyio
async def test_reader_stops_waiting_and_keeps_what_came() -> None:
    floor = Shop()
    reader = JournalReader(TaskView(), FailureDetector(1.0), 1.0)
    await reader.open(floor.journal)
    await reader.stop_waiting()
    reader.start_waiting(lambda: None)
    await reader.stop_waiting()
    assert (reader.waits, reader.position) == (False, {0: 0})
    reader.start_waiting(lambda: None)
    await floor.say("thing.made")
    page_task = reader._page_task
    assert page_task is not None
    await reached(page_task.done, "the page")
    await reader.stop_waiting()
    assert (reader.waits, reader.position) == (False, {0: 1})
    await reader.aclose()


@pytest.mark.anyio
async def test_reader_reads_a_page_of_a_wait_and_no_more() -> None:
    floor, view = Shop(), TaskView()
    tasks = named(work=lambda: 1)
    reader = JournalReader(view, FailureDetector(1.0), 1.0)
    await reader.open(floor.journal)
    reader.start_waiting(lambda: None)
    await reader.read_what_came(look=True)
    assert reader.waits, "the wait has not ended"
    await floor.submit(tasks["work"])
    page_task = reader._page_task
    assert page_task is not None
    await reached(page_task.done, "the page")
    await floor.submit(tasks["work"])
    await reader.read_what_came(look=True)
    assert (reader.waits, len(view.live)) == (False, 1)
    await reader.read_what_came(look=False)
    assert len(view.live) == 1, "a wait comes next, and begins with reading"
    await reader.read_what_came(look=True)
    assert len(view.live) == 2
    await reader.aclose()


@pytest.mark.anyio
async def test_reader_reads_all_pages_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.workers.loop.reader.PAGE_EVENTS", 2)
    floor, view = Shop(), TaskView()
    tasks = named(work=lambda: 1)
    reader = JournalReader(view, FailureDetector(1.0), 1.0)
    await reader.open(floor.journal)
    for count in (4, 3):
        for _ in range(count):
            await floor.submit(tasks["work"])
        await reader.read_what_came(look=True)
        assert len(view.live) == len(floor.events())
    await floor.submit(tasks["work"])
    await reader.read_again({0: 8})
    assert (len(view.live), reader.position) == (8, {0: 8})
    await reader.aclose()


@pytest.mark.anyio
async def test_own_events_applied_by_position_are_not_applied_again() -> None:
    floor, view = Shop(), TaskView()
    tasks = named(work=lambda: 1)
    reader = JournalReader(view, FailureDetector(1.0), 1.0)
    await reader.open(floor.journal)
    for _ in range(3):
        await floor.submit(tasks["work"])
    page = floor.log.slice(0, 0, 3)
    assert page is not None
    reader._applied[0] = 2  # the first two were our own
    reader.apply(page)
    assert ([*view.live], reader._applied) == ([floor.events()[2].context["task"]], {0: 3})
    reader.apply(page)
    assert view.submitted == 1
    await reader.aclose()


@pytest.mark.anyio
async def test_journal_that_is_gone_ends_the_attempts(caplog: pytest.LogCaptureFixture) -> None:
    reader, calls = JournalReader(TaskView(), FailureDetector(1.0), 1.0), list[int]()

    async def call() -> None:
        calls.append(1)
        raise JournalGone("the file was removed")

    with pytest.raises(JournalGone):
        await reader.available(call, "is away")
    assert (len(calls), caplog.records) == (1, [])


@pytest.mark.anyio
async def test_pauses_between_attempts_grow_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses, calls = list[float](), list[int]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def call() -> int:
        calls.append(1)
        if len(calls) < 6:
            raise JournalUnavailable("away")
        return 7

    monkeypatch.setattr("journeyman.workers.loop.reader.asyncio.sleep", sleep)
    monkeypatch.setattr("journeyman.workers.loop.reader.random.uniform", lambda low, high: (low, high)[1])
    assert await JournalReader(TaskView(), FailureDetector(60.0), 60.0).available(call, "cannot be read") == 7
    assert pauses == [0.05, 0.1, 0.125, 0.125, 0.125]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "the journal cannot be read, trying again until it is back: away"
    assert [line.split(" after")[0] for line in said[1:]] == ["the journal is back"]
    calls.clear()
    pauses.clear()
    await JournalReader(TaskView(), FailureDetector(0.5), 0.5).available(call, "cannot be read")
    assert pauses == [0.025] * 5, "a short lease allows short pauses alone"


@pytest.mark.anyio
async def test_unreadable_record_is_told_of_as_it_is_read(caplog: pytest.LogCaptureFixture) -> None:
    floor, view = Shop(), TaskView()
    reader = JournalReader(view, FailureDetector(1.0), 1.0)
    await reader.open(floor.journal)
    await floor.say("thing.made")
    await reader.read_what_came(look=True)
    assert not caplog.records
    reader.apply(Page(0, [1], [b"{"]))
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["the record at 0"]
    await reader.aclose()


@pytest.mark.anyio
async def test_position_is_behind_what_was_left_out() -> None:
    floor = Shop()
    reader = JournalReader(TaskView(), FailureDetector(1.0), 1.0)
    await reader.open(AsyncJournal(RepeatingLog(floor.store)))
    await floor.say("repeated")
    await reader.read_what_came(look=True)
    assert reader.position == {0: 1}
    await reader.aclose()


@pytest.mark.anyio
async def test_rest_is_slept_through(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("journeyman.workers.loop.reader.asyncio.sleep", sleep)
    await JournalReader(TaskView(), FailureDetector(1.0), 1.0).rest(0.25)
    assert slept == [0.25 - WAIT_ROUNDING_SECONDS]
