"""A past state equals a replay of the journal up to that moment, by the rule that `as_of` states."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.consumers.views.as_of import as_of, cursor_at
from journeyman.consumers.views.replica import Replica
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.consumers.views.view import View
from journeyman.journal.event import Event, draft
from journeyman.journal.event_decoding import decode
from journeyman.journal.limits import CLOCK_SKEW_SECONDS_MAX
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.journal.runtime import blocking
from journeyman.journal.testing import ManualClock
from journeyman.tasks import TaskView
from journeyman.tasks.state import names
from support.counting import Counting
from support.ledger import picture

START = 1_800_000_000.0


class Seen(View):
    """The events themselves, partition by partition."""

    snapshot_name = "seen"

    def __init__(self) -> None:
        self.positions: dict[int, list[int]] = {}
        self.told = 0

    def apply(self, event: Event) -> Any:
        self.told += 1
        self.positions.setdefault(event.partition, []).append(event.offset)

    def snapshot(self) -> bytes:
        return repr(self.positions).encode()

    def restore(self, state: bytes) -> None:
        self.positions = eval(state)


def prefix(store: MemoryStore, moment: float) -> dict[int, list[int]]:
    """The rule, spelled out: in each partition all before the first later event that is to be believed."""
    log = MemoryLog(store)
    begin = blocking.run(log.position_at(moment - CLOCK_SKEW_SECONDS_MAX))
    stop = blocking.run(log.position_at(moment + CLOCK_SKEW_SECONDS_MAX))
    found: dict[int, list[int]] = {}
    for number, partition in enumerate(store.partitions):
        stamps = [decode(record.row, number, 0).timestamp for record in partition.records]
        later = [
            at
            for at in range(begin[number], len(stamps))
            if stamps[at] > moment and (at >= stop[number] or stamps[at] <= moment + 2 * CLOCK_SKEW_SECONDS_MAX)
        ]
        found[number] = list(range(min(later, default=len(stamps))))
    return {number: offsets for number, offsets in found.items() if offsets}


# Which writer appends, under which key, and how far the time and that writer's clock have moved meanwhile (seconds).
appends = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from("abcd"),
        st.sampled_from([0.0, 0.5, 10.0, 200.0]),
        st.sampled_from([0.0, 0.0, -3_600.0, -100.0, 100.0, 7_200.0]),
    ),
    max_size=25,
)


@given(appends, st.lists(st.integers(0, 25), max_size=3), st.integers(-400, 3_000))
@settings(max_examples=150, deadline=None)
def test_as_of_a_time_replays_the_prefix_of_the_rule(
    taken: list[tuple[int, str, float, float]], snapshots_after: list[int], seconds: int
) -> None:
    store, now, moment = MemoryStore(2), ManualClock(START), START + seconds
    skews = [0.0, 0.0, 0.0]
    writers = [MemoryLog(store, clock=lambda at=at: now() + skews[at]) for at in range(3)]  # type: ignore[misc]

    async def test() -> None:
        journal = jm.AsyncJournal(MemoryLog(store))
        for number, (writer, key, pause, skew) in enumerate(taken):
            now.advance(pause)
            skews[writer] = skew
            await writers[writer].append([draft("thing.made", {}, key)])
            if number in snapshots_after:
                one = Replica(journal, Seen())
                await SnapshotKeeper(journal.log, one.view).take(await one.catch_up())
        assert (await as_of(journal, Seen, moment)).positions == prefix(store, moment)
        everything = await as_of(journal, Seen, START + 1e9)
        assert sum(map(len, everything.positions.values())) == len(taken)

    asyncio.run(test())


@given(st.integers(0, 30), st.integers(0, 30), st.lists(st.integers(1, 30), max_size=3))
@settings(max_examples=60, deadline=None)
def test_as_of_a_cursor_replays_from_the_newest_snapshot(one: int, other: int, snapshots_after: list[int]) -> None:
    async def test() -> None:
        async with jm.AsyncJournal(MemoryLog(MemoryStore(2))) as journal:
            reaches = []
            for number in range(1, 31):
                await journal.append_drafts([jm.Draft("thing.made", partition=place) for place in (0, 1)])
                if number in snapshots_after:
                    replica = Replica(journal, Seen())
                    await SnapshotKeeper(journal.log, replica.view).take(await replica.catch_up())
                    reaches.append(number)
            seen = await as_of(journal, Seen, {0: one, 1: other})
            wanted = {0: list(range(one)), 1: list(range(other))}
            assert seen.positions == {place: offsets for place, offsets in wanted.items() if offsets}
            spared = max((reach for reach in reaches if reach <= min(one, other)), default=0)
            assert seen.told == one + other - 2 * spared

    asyncio.run(test())


def test_as_of_on_sqlite_has_the_events_up_to_that_time(tmp_path: Path) -> None:
    with jm.Journal(f"sqlite:///{tmp_path}/j.db") as journal:
        events = [journal.append(f"thing.n{number}") for number in range(20)]
        for event in events:
            for moment in (event.timestamp, event.timestamp - 1e-6, event.timestamp + 1e-6):
                seen = journal.run(as_of(journal.asynchronous, Seen, moment))
                assert len(seen.positions.get(0, ())) == len([one for one in events if one.timestamp <= moment])


def test_as_of_shows_the_queue_at_that_time(tmp_path: Path) -> None:
    """Every cursor of a queue's history, with a snapshot in the middle of it."""
    with jm.Journal(f"sqlite:///{tmp_path}/j.db") as journal:
        journal.append(names.JOINED, {"worker": "w", "lease_ms": 1_000})
        for number in range(6):
            journal.append(names.SUBMITTED, {"task": f"t{number}", "task_name": "work"})
            claim = journal.append(names.CLAIMED, {"task": f"t{number}", "worker": "w"}).offset
            journal.append(names.SUCCEEDED, {"task": f"t{number}", "worker": "w", "claim": claim})
            if number == 3:
                replica = Replica(journal.asynchronous, TaskView())
                cursor = journal.run(replica.catch_up())
                journal.run(SnapshotKeeper(journal.asynchronous.log, replica.view).take(cursor))
        for offset in range(journal.bounds().end[0] + 1):
            replayed = TaskView()
            for event in journal.read({0: 0}, offset).events if offset else []:
                replayed.apply(event)
            assert picture(journal.run(as_of(journal.asynchronous, TaskView, {0: offset}))) == picture(replayed)


@pytest.mark.parametrize("kind", ["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def test_as_of_removed_history_needs_a_snapshot(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    name = uuid.uuid4()
    if kind == "kafka":
        url = f"kafka://{request.getfixturevalue('kafka_bootstrap')}/test-{name}"
    else:
        url = f"memory://{name}" if kind == "memory" else f"sqlite:///{tmp_path}/j.db"

    async def test() -> None:
        async with jm.AsyncJournal(url) as journal:
            events = [await journal.append("thing.made") for _ in range(10)]
            state = Counting()
            state.counts = {"thing.made": 6}
            await SnapshotKeeper(journal.log, state).take({0: 6})
            await journal.log.trim({0: 5})
            for moment in ({0: 5}, {0: 3}, events[4].timestamp):
                with pytest.raises(jm.HistoryTruncated, match=r"from the cursor 0:6 on") as refused:
                    await as_of(journal, Counting, moment)
                assert (refused.value.first_offset, refused.value.first_time) == (5, events[5].timestamp)
            with pytest.raises(jm.HistoryTruncated, match="No snapshot of the view 'seen'"):
                await as_of(journal, Seen, {0: 7})
            for moment in ({0: 8}, events[7].timestamp):
                told = await as_of(journal, Counting, moment)
                assert (told.counts, told.told) == ({"thing.made": 8}, 2)
            assert (await as_of(journal, Counting, {})).counts == {}, "of no partition: nothing"

    asyncio.run(test())


def test_cursor_that_is_not_in_the_past_is_refused() -> None:
    async def test() -> None:
        async with jm.AsyncJournal("memory://") as journal:
            await journal.append("thing.made")
            with pytest.raises(jm.JournalDiverged, match="partition 0 ends at offset 1"):
                await as_of(journal, Counting, {0: 2})
            with pytest.raises(ValueError, match="is not one of this journal, which has the partition 0 only"):
                await as_of(journal, Counting, {1: 1})

    asyncio.run(test())


def test_records_that_are_no_events_have_no_time() -> None:
    async def test() -> None:
        store = MemoryStore()
        log = MemoryLog(store, clock=ManualClock(START))
        await log.append([draft("thing.made")])
        store.partitions[0].records.append(store.partitions[0].records[0]._replace(row=b"not an event"))
        assert dict(await cursor_at(log, START + 1)) == {0: 2}

    asyncio.run(test())
