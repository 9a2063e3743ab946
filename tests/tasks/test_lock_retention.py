"""Locks after old history was removed: a hold survives it, and no call begins with a part of what was decided."""

import journeyman as jm
import pytest
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.journal.event import Draft, encode_context
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.tasks.locking.view import LockView, is_lock_view
from journeyman.tasks.retention import compact, plan
from journeyman.tasks.state import names

NOW = 1_700_000_000.0  # the past of any clock
DAY = 86_400.0
DOORS = ("door", "gate")  # of different partitions


async def request(journal: jm.AsyncJournal, lock: str, days: float) -> jm.Event:
    context = {"lock": lock, "owner": "shop", "lease_ms": 60_000}
    draft = Draft(names.LOCK_REQUESTED, encode_context(names.LOCK_REQUESTED, context), lock, timestamp=NOW - days * DAY)
    return (await journal.append_drafts([draft]))[0]


@pytest.mark.anyio
async def test_snapshots_of_locks_retain_no_history() -> None:
    store = MemoryStore(2)
    async with jm.AsyncJournal(MemoryLog(store)) as journal:
        log = journal.log
        assert {log.partition_of(lock) for lock in DOORS} == {0, 1}
        event = await request(journal, "door", 9)
        view = LockView(event.partition)
        view.apply(event)
        await SnapshotKeeper(log, view).take({event.partition: 1}, NOW - 9 * DAY)
        for days in (8, 7, 0):
            for lock in DOORS:
                await request(journal, lock, days)
        planned = await plan(journal, NOW - 5 * DAY)
        assert (planned.holds, dict(planned.before)) == ([], {event.partition: 3, 1 - event.partition: 2})
        await compact(journal, planned)
    async with jm.AsyncJournal(MemoryLog(store)) as late:
        assert [await jm.AsyncLock(lock, late).holders() for lock in DOORS] == [("shop",), ("shop",)]


@pytest.mark.anyio
async def test_lock_is_refused_where_holders_are_unknown() -> None:
    async with jm.AsyncJournal(MemoryLog(MemoryStore(1))) as journal:
        for days in (9, 8):
            await request(journal, "door", days)
        await journal.log.trim({0: 1})
        lock = jm.AsyncLock("door", journal)
        for call in (lock.acquire, lock.holders, lock.release):
            with pytest.raises(jm.HistoryTruncated, match="nothing says who holds a lock"):
                await call()


@pytest.mark.parametrize(
    ("name", "expected"), [("locks.0", True), ("locks.12", True), ("locks", False), ("locks.x", False), ("my.0", False)]
)
def test_snapshots_of_locks_are_known_by_their_names(name: str, expected: bool) -> None:
    assert is_lock_view(name) is expected
