"""The submissions of claimed tasks: the nearest are kept, the others are read by position, in stretches."""

import asyncio
import itertools
import threading
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.journal import AsyncJournal
from journeyman.journal.errors import HistoryTruncated
from journeyman.journal.limits import PAGE_EVENTS
from journeyman.journal.log import Page
from journeyman.journal.memory.log import MemoryLog
from journeyman.tasks import TaskView
from journeyman.tasks.failure_detector import FailureDetector
from journeyman.tasks.limits import ROW_OVERHEAD_BYTES
from journeyman.tasks.message import new_id
from journeyman.tasks.message_encoding import decode_message
from journeyman.tasks.state import names, rows
from journeyman.tasks.state.rows import KeptRows
from journeyman.tasks.submitting import submission
from journeyman.workers import Settings, WorkerLoop
from journeyman.workers.loop.reader import JournalReader
from journeyman.workers.loop.submissions import Submissions, stretches
from support.ledger import Ledger
from support.shop import LEASE_MS, Shop, named
from support.waiting import reached

QUICK = Settings(threads=4, lease_ms=LEASE_MS)


class CountingLog(MemoryLog):
    """Notes what is read by position."""

    def __init__(self, floor: Shop) -> None:
        super().__init__(floor.store)
        self.reads: list[tuple[Mapping[int, int], int]] = []

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        self.reads.append((dict(cursor), limit))
        return await super().read(cursor, limit)


# -- which are kept --------------------------------------------------------------------------------------------------


def sized(patch: pytest.MonkeyPatch, oldest: int, newest: int) -> None:
    """Leave room for so many submissions of no bytes."""
    patch.setattr(rows, "KEPT_ROWS_BYTES_MAX", oldest * ROW_OVERHEAD_BYTES)
    patch.setattr(rows, "NEWEST_ROWS_BYTES_MAX", newest * ROW_OVERHEAD_BYTES)


def test_oldest_and_newest_submissions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    sized(monkeypatch, 3, 2)
    kept = KeptRows()
    for number in range(9):
        kept.keep(str(number), b"")
    assert [number for number in range(9) if str(number) in kept] == [0, 1, 2, 7, 8]
    kept.drop("0")
    kept.drop("1")
    kept.drop("5")
    for number in (9, 10, 11):
        kept.keep(str(number), b"")
    assert [number for number in range(12) if str(number) in kept] == [2, 8, 9, 10, 11]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), st.integers(0, 60))))
def test_kept_submissions_stay_within_their_bytes(steps: list[tuple[bool, int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        sized(patch, 4, 2)
        kept, sizes = KeptRows(), dict[str, int]()
        for keep, number, size in steps:
            task = str(number)
            if not keep:
                kept.drop(task)
            elif task not in kept:
                kept.keep(task, b"x" * size)
                sizes[task] = size + ROW_OVERHEAD_BYTES
            assert kept.size == sum(size for task, size in sizes.items() if task in kept)
            assert kept.size <= 7 * ROW_OVERHEAD_BYTES + 60, "the limits of `sized`, and one submission"


def test_view_keeps_submissions_within_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Ledger()
    for number in range(9):
        log.submit(f"t{number}")
    size = len(log.rows[0]) + ROW_OVERHEAD_BYTES
    monkeypatch.setattr(rows, "KEPT_ROWS_BYTES_MAX", 3 * size)
    monkeypatch.setattr(rows, "NEWEST_ROWS_BYTES_MAX", 2 * size)
    view = TaskView(keeps=lambda name, queue: True)
    view.apply_page(log.page())
    assert sorted(view.rows.rows) == ["t0", "t1", "t2", "t7", "t8"]
    assert view.rows.room == 0
    view.rows.drop("t5")  # it is not kept
    view.rows.drop("t0")
    assert view.rows.room == size


# -- stretches -------------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 300), min_size=1), st.integers(0, 40))
def test_stretches_hold_all_and_bridge_only_short_gaps(offsets: set[int], gap: int) -> None:
    found = stretches(offsets, gap)
    assert {offset for stretch in found for offset in stretch} >= offsets
    assert all({stretch.start, stretch.stop - 1} <= offsets for stretch in found)
    between = [after.start - before.stop for before, after in itertools.pairwise(found)]
    assert all(each > gap for each in between)
    inside = sorted(offsets)
    for stretch in found:
        own = [offset for offset in inside if offset in stretch]
        assert all(later - earlier - 1 <= gap for earlier, later in itertools.pairwise(own))


# -- a worker --------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_drain_reads_no_submission_twice() -> None:
    floor = Shop()
    tasks = named(work=lambda number: number)
    for number in range(50):
        await floor.submit(tasks["work"], number)
    log = CountingLog(floor)
    async with floor.worker(tasks, QUICK, log=log):
        await floor.succeeded(50)
        for number in range(50):
            await floor.submit(tasks["work"], number)
        await floor.succeeded(100)
    assert not log.reads


@pytest.mark.anyio
async def test_submissions_that_are_not_kept_are_read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    sized(monkeypatch, 10, 2)
    floor = Shop()
    tasks = named(work=lambda number: number)
    for number in range(400):
        await floor.submit(tasks["work"], number)
    log = CountingLog(floor)
    async with floor.worker(tasks, QUICK, log=log):
        await floor.succeeded(400)
    assert sorted(event.context["result"] for event in floor.events(names.SUCCEEDED)) == list(range(400))
    assert 0 < len(log.reads) <= 120, "each reading brings the tasks that are claimed together and some of the next"


@pytest.mark.anyio
async def test_tasks_claimed_one_by_one_are_read_ahead() -> None:
    floor, gate = Shop(), threading.Event()

    def work(number: int) -> int:
        gate.wait(60)
        return number

    tasks = named(work=work)
    for number in range(300):
        await floor.submit(tasks["work"], number)
    await take_snapshot(floor)
    log = CountingLog(floor)
    async with floor.worker(tasks, Settings(threads=1, lease_ms=LEASE_MS), log=log) as worker:
        await reached(lambda: worker.counts.claimed > 0, "the first claim")
        gate.set()
        await floor.succeeded(300)
    submissions = [(cursor, limit) for cursor, limit in log.reads if limit > 1]
    assert len(submissions) == 1, "the first claim reads the page in which the others stand"
    assert worker.counts.succeeded == 300


async def take_snapshot(floor: Shop) -> None:
    """Store a snapshot of all that is in the log."""
    end = (await floor.log.bounds()).end
    await SnapshotKeeper(floor.log, floor.view()).take(end)


@pytest.mark.anyio
async def test_worker_from_snapshot_reads_submissions_by_position() -> None:
    floor = Shop(partitions=2)
    tasks = named(work=lambda number: number)
    for number in range(60):
        await floor.submit(tasks["work"], number, queue="ab"[number % 2])
    await take_snapshot(floor)
    for number in range(60, 80):
        await floor.submit(tasks["work"], number)
    async with floor.worker(tasks, QUICK):
        await floor.succeeded(80)
    assert sorted(event.context["result"] for event in floor.events(names.SUCCEEDED)) == list(range(80))


@pytest.mark.anyio
async def test_submission_behind_a_trimmed_one_is_found() -> None:
    floor = Shop()
    tasks = named(bad=lambda: 1 / 0, work=lambda number: number)
    tasks["bad"].max_retries = 0
    async with floor.worker(tasks, QUICK):
        dead = await floor.submit(tasks["bad"])
        await floor.finished(names.FAILED)
    kept = await floor.submit(tasks["work"], 7)
    await floor.say(names.REQUEUED, key=dead.uuid, task=dead.uuid)
    await take_snapshot(floor)
    await floor.log.trim({0: floor.task(kept).submitted})
    async with floor.worker(tasks, QUICK):
        await floor.finished(names.FAILED)
        await floor.succeeded(1)
    (failed,) = floor.events(names.FAILED)
    assert "removed by retention" in failed.context["exception"]["text"]
    assert [event.context["result"] for event in floor.events(names.SUCCEEDED)] == [7]


@pytest.mark.kafka
@pytest.mark.anyio
async def test_submissions_are_read_by_position_from_kafka(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sized(monkeypatch, 5, 1)
    tasks = named(work=lambda number: number)
    async with AsyncJournal(f"kafka://{kafka_bootstrap}/submissions-{new_id()}?partitions=2") as journal:
        messages = [tasks["work"].generate(args=[number], submit=False) for number in range(150)]
        await journal.append_drafts([submission(message) for message in messages])
        worker_loop = WorkerLoop(journal, tasks, Settings(threads=4))
        running = asyncio.ensure_future(worker_loop.run())
        try:
            await reached(lambda: worker_loop.counts.succeeded == 150, "all tasks to succeed", 60)
        finally:
            worker_loop.stop()
            await asyncio.wait_for(running, 60)
        found = (await journal.read({0: 0, 1: 0}, 10_000)).events
    results = [event.context["result"] for event in found if event.name == names.SUCCEEDED]
    assert sorted(results) == list(range(150))


class Truncated(MemoryLog):
    """A log whose history begins at an offset, according to its refusals."""

    first = 0

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        if cursor[0] < self.first or cursor[0] == 5:
            raise HistoryTruncated(0, cursor[0], self.first)
        return await super().read(cursor, limit)


@pytest.mark.parametrize(("first", "found"), [(0, [0, 1, 2, 3, 4]), (3, [3, 4]), (5, []), (9, [])])
@pytest.mark.anyio
async def test_rows_are_read_from_where_history_begins(first: int, found: list[int]) -> None:
    floor = Shop()
    for _ in range(8):
        await floor.say("thing.made")
    log = Truncated(floor.store)
    reader = JournalReader(TaskView(), FailureDetector(1.0), 1.0)
    await reader.open(AsyncJournal(log))
    log.first = first
    rows = await Submissions(reader, TaskView())._rows(0, range(8))
    assert [offset for offset, _ in rows if offset < 5] == found
    await reader.aclose()


@pytest.mark.anyio
async def test_rows_end_with_the_log() -> None:
    floor = Shop()
    for _ in range(8):
        await floor.say("thing.made")
    reader = JournalReader(TaskView(), FailureDetector(1.0), 1.0)
    await reader.open(floor.journal)
    rows = await Submissions(reader, TaskView())._rows(0, range(6, 20))
    assert [offset for offset, _ in rows] == [6, 7]
    rows = await Submissions(reader, TaskView())._rows(0, range(3, 6))
    assert [offset for offset, _ in rows] == [3, 4, 5]
    await reader.aclose()


@pytest.mark.parametrize("gone", ["amendment", "submission", "neither"])
@pytest.mark.anyio
async def test_amendment_without_its_submission_changes_nothing(gone: str) -> None:
    floor, view = Shop(), TaskView()
    tasks = named(work=lambda number: number)
    reader = JournalReader(view, FailureDetector(1.0), 1.0)
    await reader.open(floor.journal)
    message = await floor.submit(tasks["work"], 1)
    await floor.say(names.AMENDED, message.uuid, task=message.uuid, metadata={"step": 2})
    await reader.read_what_came(look=True)
    task = view.live[message.uuid]
    assert view.amendments == {message.uuid: 1}
    page = await reader.page_at(0, 0, 1)
    assert page is not None
    found = [None if gone == "submission" else page.rows[0]]
    if gone == "amendment":
        await floor.log.trim({0: 2})
    (row,) = await Submissions(reader, view)._amended(found, [task])
    if gone == "submission":
        assert row is None
    else:
        assert row is not None
        assert decode_message(row).metadata == (None if gone == "amendment" else {"step": 2})
    await reader.aclose()
