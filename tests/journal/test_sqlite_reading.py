"""Reading the file beside its writers: retention in steps, announced; positions; what a reader never does."""

import asyncio
from pathlib import Path

import apsw
import pytest
from journeyman.journal import Cursor, HistoryTruncated, Journal, JournalError, draft
from journeyman.journal.limits import BATCH_EVENTS_MAX
from journeyman.journal.runtime import blocking
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.journal.sqlite.repeats import Landmarks, search
from journeyman.journal.testing import ManualClock


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


def test_retention_removes_in_steps_and_other_writers_see_it(path: str) -> None:
    with Journal(f"sqlite:///{path}") as journal, Journal(f"sqlite:///{path}") as other:
        for _ in range(3):
            journal.append_all([("thing.made", {})] * BATCH_EVENTS_MAX)
        other.append("thing.made")
        journal.run(journal.asynchronous.log.trim({0: 25_000}))
        for each in (journal, other):
            assert each.bounds().first == Cursor({0: 25_000})
            assert each.append("thing.made").offset == each.bounds().end[0] - 1
        journal.run(other.asynchronous.log.trim({0: 1_000_000}))
        assert journal.bounds() == other.bounds()
        assert journal.bounds().first == journal.bounds().end == Cursor({0: 30_003})
        assert journal.append("thing.made").offset == 30_003


def test_waiting_tail_is_notified_of_retention(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Emptied behind its back, the log has no row that would tell; the slow look asks for the end."""
    monkeypatch.setattr("journeyman.journal.sqlite.tail.NOTIFIER_POLL_SECONDS", 0.01)

    async def test() -> None:
        log, other = SqliteLog(path), SqliteLog(path)
        await log.open()
        await other.open()
        tail = await log.tail({0: 0})
        assert await tail.page(timeout=0.0) is None
        waiting = asyncio.ensure_future(tail.page())
        await asyncio.sleep(0)
        monkeypatch.setattr(other._opened.committer._notifier, "notify", lambda *_: None)  # type: ignore[union-attr]
        await other.append([draft("thing.made")])
        await other.trim({0: 1})
        with pytest.raises(HistoryTruncated) as caught:
            await asyncio.wait_for(waiting, 60)
        assert caught.value.first_offset == 1
        await tail.aclose()
        await log.aclose()
        await other.aclose()

    asyncio.run(test())


def test_positions_by_time_are_right_at_every_edge(path: str) -> None:
    clock = ManualClock(1_000.0)
    log = SqliteLog(path, clock=clock)
    blocking.run(log.open())
    times = []
    for _ in range(50):
        clock.advance(1.0)
        (event,) = blocking.run(log.append([draft("thing.made")]))
        times.append(event.timestamp)
    blocking.run(log.trim({0: 7}))
    for offset, timestamp in enumerate(times):
        assert blocking.run(log.position_at(timestamp)) == Cursor({0: max(offset, 7)})
        assert blocking.run(log.position_at(timestamp + 0.5)) == Cursor({0: max(offset + 1, 7)})
    blocking.run(log.aclose())


def test_reader_holds_no_open_transaction(path: str) -> None:
    """A long read would keep the write-ahead log from being reset, and it would grow without end."""
    with Journal(f"sqlite:///{path}") as journal, Journal(f"sqlite:///{path}") as writer:
        journal.append("thing.made")
        tail = journal.tail()
        assert next(tail).offset == 0
        for _ in range(10):  # three megabytes each; checkpoints come at four
            writer.append_all([("thing.made", {"x": "y" * 300})] * 7_000)
        assert Path(f"{path}-wal").stat().st_size < 16_000_000
        assert next(tail).offset == 1
        tail.close()  # type: ignore[attr-defined]


def test_reader_cannot_write(path: str) -> None:
    with Journal(f"sqlite:///{path}") as journal:
        log = journal.asynchronous.log
        assert isinstance(log, SqliteLog)
        with pytest.raises(Exception, match="readonly"):
            log.reading(lambda connection: connection.execute("DELETE FROM events"))


def test_readers_use_a_connection_each_and_then_share_them(path: str) -> None:
    log = SqliteLog(path)
    blocking.run(log.open())
    assert log._opened is not None
    readers = log._opened.readers
    used: list[apsw.Connection] = []

    def nested(first: apsw.Connection) -> None:
        readers.use(used.append)
        used.append(first)
        blocking.run(log.aclose())
        first.execute("SELECT 1")  # in use when the log was closed

    readers.use(used.append)
    readers.use(nested)
    assert used[0] is used[2]
    assert used[1] is not used[0]
    for connection in used:
        with pytest.raises(apsw.ConnectionClosedError):
            connection.execute("SELECT 1")


def test_landmarks_bound_the_offset_of_a_number() -> None:
    marks = Landmarks()
    assert marks.lowest_offset(1) == 0
    for number in range(5_000):
        marks.add(number * 10 + 1, number * 100)
    assert len(marks._marks) <= 2_048
    assert marks.lowest_offset(49_991) == 499_900
    assert marks.lowest_offset(49_990) == 499_800
    assert marks.lowest_offset(1) == 0
    assert all(marks.lowest_offset(seq) <= (seq - 1) // 10 * 100 for seq in range(1, 50_000, 7))


def test_search_is_not_misled_by_contexts(path: str) -> None:
    with Journal(f"sqlite:///{path}") as journal:
        event = journal.append("thing.made")
        journal.append("quote.made", {"text": f'"writer":"{event.writer}","seq":2', "writer": event.writer, "seq": 2})
        connection = apsw.Connection(path)
        found = search(connection, {(event.writer, 1), (event.writer, 3), ("x", 1)}, 0, 2)
        assert {identity: each.offset for identity, each in found.items()} == {(event.writer, 1): 0}
        connection.close()


@pytest.mark.parametrize("missing", [1, 3, 5, 6, 7])
def test_replay_notices_a_missing_event_anywhere(path: str, missing: int) -> None:
    with Journal(f"sqlite:///{path}") as journal:
        journal.append_all([("thing.made", {})] * 9)
        other = apsw.Connection(path)
        other.execute("DELETE FROM events WHERE position = ?", (missing + 1,))
        other.close()
        tail = journal.run(journal.asynchronous.log.tail({0: 0}))
        seen: list[int] = []

        def replay() -> None:
            while page := journal.run(tail.page(2, timeout=0.0)):
                seen.extend(page.offsets)

        with pytest.raises(JournalError, match="events are missing"):
            replay()
        assert seen == list(range(len(seen)))
        assert len(seen) <= missing
        journal.run(tail.aclose())
