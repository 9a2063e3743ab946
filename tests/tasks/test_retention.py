"""Retention removes only what no worker needs: the queue goes on as before."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import journeyman as jm
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.consumers.checkpoint import JournalCheckpoint
from journeyman.consumers.views.as_of import as_of
from journeyman.consumers.views.replica import Replica
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.journal.event import Draft
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.journal.memory.snapshots import MemorySnapshots
from journeyman.tasks import TaskView
from journeyman.tasks.retention import compact, plan
from journeyman.tasks.state import names
from support.counting import Counting
from support.ledger import picture

NOW = 1_700_000_000.0  # the past of any clock: retention trusts the log where it says that an event is older
DAY = 86_400.0


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = uuid.uuid4()
    if request.param == "kafka":
        return f"kafka://{request.getfixturevalue('kafka_bootstrap')}/test-{name}"
    return f"memory://{name}" if request.param == "memory" else f"sqlite:///{tmp_path}/{name}.db"


class Past:
    """Writes events into the past, one a day, the last of them today."""

    def __init__(self, journal: jm.AsyncJournal, days: int) -> None:
        self.journal = journal
        self.days = days

    async def write(self, name: str, key: str | None = None, /, **context: Any) -> jm.Event:
        self.days -= 1
        stamp = NOW - self.days * DAY
        drafted = Draft(name, msgspec.json.encode(context), key, timestamp=stamp)
        return (await self.journal.append_drafts([drafted]))[0]

    async def done(self, task: str) -> None:
        """A task from its submission to its success, in three days."""
        await self.write(names.SUBMITTED, task, task=task, task_name="work")
        claim = await self.write(names.CLAIMED, task, task=task, worker="w")
        await self.write(names.SUCCEEDED, task, task=task, worker="w", claim=claim.offset)


async def removed(journal: jm.AsyncJournal, days: float, **options: Any) -> int:
    planned = await plan(journal, NOW - days * DAY + 1, **options)
    if planned.events:
        await compact(journal, planned, **options)
    return planned.before[0]


def test_late_reader_starts_from_the_snapshot_after_compaction(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            past = Past(journal, 10)
            await past.write(names.JOINED, "w", worker="w", lease_ms=1_000)
            for task in ("a", "b"):
                await past.done(task)
            await past.write(names.SUBMITTED, "c", task="c", task_name="work")
            await past.write(names.CLAIMED, "c", task="c", worker="w")
            whole = Replica(journal, TaskView())
            await whole.catch_up()
            assert await removed(journal, 6) == 4
            assert (await journal.bounds()).first[0] == 4
            (snapshot,) = await journal.log.snapshots().listed()
            assert (snapshot.view, snapshot.reach) == ("tasks", 4)
            late = Replica(journal, TaskView())
            await late.catch_up()
            assert picture(late.view) == picture(whole.view)
            assert late.view.session(0, "w") is not None
            for replica in (whole, late):
                await replica.aclose()
            with pytest.raises(jm.HistoryTruncated) as refused:
                await journal.read({0: 3})
            assert (refused.value.first_offset, refused.value.first_time) == (4, NOW - 5 * DAY)
            with pytest.raises(jm.HistoryTruncated, match="from the cursor 0:4 on"):
                await as_of(journal, TaskView, NOW - 7 * DAY)
            assert (await as_of(journal, TaskView, NOW - 5 * DAY + 1)).live["b"].name == "work"
            assert await removed(journal, 6) == 4, "a second time there is nothing to remove"

    asyncio.run(test())


def test_live_task_retains_its_history_and_is_named(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            past = Past(journal, 12)
            await past.write(names.JOINED, "w", worker="w", lease_ms=1_000)
            await past.done("a")
            held = await past.write(names.SUBMITTED, "held", task="held", task_name="work", args=[1])
            await past.done("b")
            await past.write(names.SUBMITTED, "later", task="later", task_name="work")
            await past.done("c")
            planned = await plan(journal, NOW - 3 * DAY + 1)
            assert (planned.old[0], planned.before[0], planned.events) == (9, 4, 4)
            (hold,) = planned.holds
            assert (hold.partition, hold.offset) == (0, 4)
            assert hold.task is not None
            assert hold.task.id == "held"
            await compact(journal, planned)
            late = Replica(journal, TaskView())
            await late.catch_up()
            task = late.view.live["held"]
            assert (await journal.read({0: task.submitted}, 1)).events[0] == held
            await late.aclose()

    asyncio.run(test())


def test_dead_letters_retain_no_history_and_are_counted() -> None:
    async def test() -> None:
        async with jm.AsyncJournal("memory://") as journal:
            past = Past(journal, 8)
            await past.write(names.JOINED, worker="w", lease_ms=1_000)
            for task in ("old", "new"):
                await past.write(names.SUBMITTED, task=task, task_name="work")
                claim = await past.write(names.CLAIMED, task=task, worker="w")
                await past.write(names.FAILED, task=task, worker="w", claim=claim.offset)
            planned = await plan(journal, NOW - 4 * DAY + 1)
            assert (planned.before[0], planned.lost_letters, list(planned.holds)) == (4, 1, [])

    asyncio.run(test())


def test_user_view_retains_uncovered_history_until_forgotten(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            past = Past(journal, 10)
            for _ in range(10):
                await past.write("thing.made")
            state = await as_of(journal, Counting, {0: 3})
            await SnapshotKeeper(journal.log, state).take({0: 3})
            planned = await plan(journal, NOW - 4 * DAY + 1)
            assert [(hold.view, hold.offset) for hold in planned.holds] == [("counting", 3)]
            assert (planned.old[0], planned.before[0]) == (6, 3)
            await compact(journal, planned)
            late = Replica(journal, Counting())
            await late.catch_up()
            assert late.view.counts == {"thing.made": 10}
            await late.aclose()
            assert await removed(journal, 4, forget=["counting"]) == 6
            assert {label.view for label in await journal.log.snapshots().listed()} == {"tasks"}

    asyncio.run(test())


def test_sole_checkpoints_are_carried_forward(url: str) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            past = Past(journal, 12)
            for name, cursor in (("silent", "0:1"), ("busy", "0:1"), ("silent", "0:2")):
                await past.write("consumer.checkpointed", name, name=name, cursor=cursor)
            for _ in range(8):
                await past.write("thing.made")
            await past.write("consumer.checkpointed", "busy", name="busy", cursor="0:9")
            done = await compact(journal, await plan(journal, NOW - 5 * DAY + 1))
            assert list(done.carried) == ["silent"]
            assert (await journal.bounds()).first[0] == 7
            for name, place in (("silent", 2), ("busy", 9)):
                assert await JournalCheckpoint(name).load(journal) == jm.Cursor({0: place})

    asyncio.run(test())


def test_unreadable_snapshot_covers_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose(*_: object) -> None:
        return None

    async def test() -> None:
        async with jm.AsyncJournal("memory://") as journal:
            past = Past(journal, 6)
            for _ in range(6):
                await past.write("thing.made")
            monkeypatch.setattr(MemorySnapshots, "save", lose)
            with pytest.raises(jm.JournalError, match="nothing was removed"):
                await removed(journal, 2)
            assert (await journal.bounds()).first[0] == 0

    asyncio.run(test())


def test_quiet_partition_is_answered_for_all_that_time() -> None:
    async def test() -> None:
        async with jm.AsyncJournal("memory://?partitions=2") as journal:
            for place, days in ((0, 40), (1, 40), (0, 35), (0, 20), (0, 10), (1, 5)):
                stamp = NOW - days * DAY
                await journal.append_drafts([Draft("thing.made", partition=place, timestamp=stamp)])
            planned = await plan(journal, NOW - 30 * DAY)
            assert dict(planned.before) == {0: 2, 1: 1}
            await compact(journal, planned)
            for days in (30, 25, 6):  # of partition 1 nothing is left from before the fifth day
                assert not (await as_of(journal, TaskView, NOW - days * DAY)).live
            with pytest.raises(jm.HistoryTruncated):
                await as_of(journal, TaskView, NOW - 31 * DAY)

    asyncio.run(test())


steps = st.lists(
    st.tuples(
        st.sampled_from(
            [names.SUBMITTED, names.CLAIMED, names.SUCCEEDED, names.FAILED, names.JOINED, names.LEFT, "x.y"]
        ),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from(["v", "w"]),
        st.integers(0, 1),
    ),
    max_size=40,
)


@given(steps, st.lists(st.integers(0, 45), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_later_moments_are_answered_as_without_retention(
    taken: list[tuple[str, str, str, int]], ages: list[int]
) -> None:
    async def test() -> None:
        whole, trimmed = (jm.AsyncJournal(MemoryLog(MemoryStore(2))) for _ in range(2))
        seen = TaskView()
        for number, (name, task, worker, partition) in enumerate([(names.JOINED, "", "w", 0), *taken]):
            state = seen.find(f"{task}{partition}")
            claim = state.claim if state is not None else -1
            said = {"task": f"{task}{partition}", "task_name": "work", "worker": worker, "claim": claim, "lease_ms": 1}
            for journal in (whole, trimmed):
                drafted = Draft(name, msgspec.json.encode(said), partition=partition, timestamp=NOW + number)
                (event,) = await journal.append_drafts([drafted])
            seen.apply(event)
        for age in sorted(ages, reverse=True):
            await compact(trimmed, await plan(trimmed, NOW + len(taken) - age))
        bounds = await trimmed.bounds()
        for at in range(max(bounds.end.values()) + 1):
            cursor = {place: min(max(at, bounds.first[place]), bounds.end[place]) for place in (0, 1)}
            assert picture(await as_of(trimmed, TaskView, cursor)) == picture(await as_of(whole, TaskView, cursor))
        for back in range(min(ages) + 1):
            moment = NOW + len(taken) - back
            assert picture(await as_of(trimmed, TaskView, moment)) == picture(await as_of(whole, TaskView, moment))
        now = await as_of(trimmed, TaskView, bounds.end)
        for live in now.live.values():
            (page,) = await trimmed.log.read({live.partition: live.submitted}, 1)
            assert page.offsets[0] == live.submitted

    asyncio.run(test())
