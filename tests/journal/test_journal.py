"""`Journal` and `AsyncJournal` are thin shells with the same behaviour."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from journeyman.journal import (
    AppendInDoubt,
    AsyncJournal,
    BadJournalURL,
    Cursor,
    Draft,
    Event,
    EventTooLarge,
    InvalidEvent,
    Journal,
    JournalClosed,
    draft,
)
from journeyman.journal.limits import EVENT_BYTES_MAX
from journeyman.journal.memory.log import MemoryLog
from journeyman.journal.testing import FaultyLog
from journeyman.journal.testing.faults import Fault


class LoopBoundLog(FaultyLog):
    """A memory log whose every operation waits on the loop it runs on, as one with network connections does."""

    needs_loop = True

    def __init__(self) -> None:
        super().__init__(MemoryLog(), delay=self._hop)
        self.loops: set[asyncio.AbstractEventLoop] = set()

    async def _hop(self, operation: str) -> None:
        await asyncio.sleep(0)
        self.loops.add(asyncio.get_running_loop())


@pytest.fixture(params=["memory", "sqlite", "loop"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    kinds = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/a.db", "loop": LoopBoundLog()}
    with Journal(kinds[request.param]) as journal:  # type: ignore[arg-type]
        yield journal


def test_journal_appends_and_reads(journal: Journal) -> None:
    first = journal.append("order.paid", {"order": 7}, "7", version=2)
    assert (first.name, first.context, first.key, first.version, first.position) == (
        "order.paid",
        {"order": 7},
        "7",
        2,
        (0, 0),
    )
    rest = journal.append_all([("order.sent", {"order": 7}, "7"), ("order.seen", {})])
    assert [event.offset for event in rest] == [1, 2]
    assert [event.key for event in rest] == ["7", None]
    reading = journal.read()
    assert [event.name for event in reading.events] == ["order.paid", "order.sent", "order.seen"]
    assert reading.cursor == journal.bounds().end == Cursor({0: 3})
    assert journal.read(reading.cursor).events == []
    assert [event.name for event in journal.read({0: 1}, limit=1).events] == ["order.sent"]
    assert journal.position_at(rest[0].timestamp - 1_000) == Cursor({0: 0})


def test_invalid_events_are_not_appended(journal: Journal) -> None:
    with pytest.raises(InvalidEvent):
        journal.append("two words")
    with pytest.raises(InvalidEvent):
        journal.append("order.paid", {"when": object()})
    with pytest.raises(InvalidEvent):
        journal.append("order.paid", [1])  # type: ignore[arg-type]
    with pytest.raises(EventTooLarge):
        journal.append("order.paid", {"x": "y" * EVENT_BYTES_MAX})
    with pytest.raises(InvalidEvent):
        journal.append_all([("order.paid", {}), ("order.sent", {}, 7)])  # type: ignore[list-item]
    assert journal.bounds().end == Cursor({0: 0})


def test_tail_works_from_another_thread(journal: Journal) -> None:
    seen: list[Event] = []
    journal.append("thing.n0")

    def follow() -> None:
        for event in journal.tail():
            seen.append(event)
            if len(seen) == 5:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    for number in range(1, 5):
        journal.append(f"thing.n{number}")
    follower.join(60)
    assert [event.name for event in seen] == [f"thing.n{number}" for number in range(5)]


def test_threads_share_a_journal(journal: Journal) -> None:
    threads = [
        threading.Thread(target=lambda n=n: [journal.append(f"thing.n{n}", {"each": each}) for each in range(20)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    events = journal.read().events
    assert len(events) == 80
    for n in range(4):
        assert [event.context["each"] for event in events if event.name == f"thing.n{n}"] == list(range(20))


def test_closed_journal_refuses_use(journal: Journal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(JournalClosed, match="open it again"):
        journal.append("thing.made")
    with pytest.raises(JournalClosed):
        journal.bounds()


def test_journal_opens_at_first_use(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    journal = Journal(f"sqlite:///{path}")
    assert not path.exists()
    journal.append("thing.made")
    assert path.exists()
    journal.close()
    never_used = Journal(f"sqlite:///{tmp_path}/b.db")
    never_used.close()
    assert not (tmp_path / "b.db").exists()
    with pytest.raises(BadJournalURL):
        Journal("nonsense")


def test_log_that_needs_a_loop_gets_exactly_one() -> None:
    log = LoopBoundLog()
    with Journal(log) as journal:
        threads = [threading.Thread(target=journal.append, args=("thing.made",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert journal.bounds().end == Cursor({0: 8})
    assert len(log.loops) == 1
    assert log.loops.pop().is_closed()


def test_append_in_doubt_carries_its_drafts() -> None:
    faults = iter([Fault.LOST_ACKNOWLEDGEMENT])
    with Journal(FaultyLog(MemoryLog(), lambda operation: next(faults, None))) as journal:
        with pytest.raises(AppendInDoubt) as caught:
            journal.append_all([("thing.made", {"a": 1}), ("thing.sent", {})])
        drafts = [each for each in caught.value.drafts if isinstance(each, Draft)]
        assert [each.name for each in drafts] == ["thing.made", "thing.sent"]
        assert [event.offset for event in journal.append_drafts(drafts)] == [0, 1]
        assert journal.bounds().end == Cursor({0: 2})


def test_async_journal_appends_and_reads(tmp_path: Path) -> None:
    async def test() -> None:
        async with AsyncJournal(f"sqlite:///{tmp_path}/a.db") as journal:
            await journal.append("thing.n0")
            seen = []

            async def follow() -> None:
                async for event in journal.tail():
                    seen.append(event.name)
                    if len(seen) == 4:
                        return

            follower = asyncio.ensure_future(follow())
            await asyncio.gather(*[journal.append(f"thing.n{number}") for number in range(1, 4)])
            await asyncio.wait_for(follower, 60)
            assert seen == [f"thing.n{number}" for number in range(4)]
            assert (await journal.append_drafts([draft("thing.n4")]))[0].offset == 4
            assert (await journal.read({0: 4})).cursor == (await journal.bounds()).end == Cursor({0: 5})
        with pytest.raises(JournalClosed):
            await journal.append("thing.made")

    asyncio.run(test())


def test_synchronous_journal_works_inside_a_loop(tmp_path: Path) -> None:
    """Not a thing to do at length, as it blocks the loop; but it must not break it."""

    async def test() -> None:
        with Journal(f"sqlite:///{tmp_path}/a.db") as journal:
            journal.append("thing.made")
            assert journal.bounds().end == Cursor({0: 1})

    asyncio.run(test())
