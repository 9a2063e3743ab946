"""Every record of the file has a checksum, and every reader compares it; older files are upgraded when opened."""

import contextlib
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from zlib import adler32

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.journal import Cursor, DamagedRecord, Journal
from journeyman.journal.damage import is_damaged
from journeyman.journal.event_decoding import decode
from journeyman.journal.limits import PAGE_EVENTS
from journeyman.journal.runtime import blocking
from journeyman.journal.sqlite import pages
from journeyman.journal.sqlite.checksum import Stored, chained, is_whole, judged
from journeyman.journal.sqlite.file import SCHEMA_VERSION
from journeyman.journal.sqlite.log import SqliteLog
from support.old_journal import VERSION_1_EVENTS, append_as_version_1, write_version_1

READ_AT_ONCE = 10


def written(path: Path, events: int) -> str:
    """The URL of a new journal with that many events."""
    url = f"sqlite:///{path}"
    with Journal(url) as journal:
        journal.append_all([("thing.made", {"number": number}) for number in range(events)])
    return url


def rows_of(path: Path, *, limit: int = PAGE_EVENTS) -> list[bytes]:
    """The records that a log hands out from its beginning on."""
    log = SqliteLog(str(path))
    blocking.run(log.open(create=False))
    try:
        page = log.page(0, limit)
        return list(page.rows) if page is not None else []
    finally:
        blocking.run(log.aclose())


def execute(path: Path, statement: str, bindings: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Run one statement past the journal, as another program would."""
    connection = apsw.Connection(str(path))
    try:
        rows: list[tuple[object, ...]] = connection.execute(statement, bindings).fetchall()
        return rows
    finally:
        connection.close()


def test_changed_byte_of_a_record_is_always_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    url = written(path, READ_AT_ONCE)
    before = rows_of(path)
    with contextlib.closing(apsw.Connection(str(path))) as other, Journal(url) as journal:
        for changed in (0, READ_AT_ONCE - 1):
            record = before[changed]
            for index in range(len(record)):
                flipped = record[:index] + bytes([record[index] ^ 1 << index % 8]) + record[index + 1 :]
                other.execute("UPDATE events SET event = ? WHERE position = ?", (flipped, changed + 1))
                with pytest.raises(DamagedRecord) as caught:
                    journal.read(Cursor({0: changed}))
                assert (caught.value.partition, caught.value.offset) == (0, changed)
                rows = rows_of(path, limit=READ_AT_ONCE) if index == 7 else None
                if rows is not None:
                    assert [offset for offset, row in enumerate(rows) if is_damaged(row)] == [changed]
                    assert [row for row in rows if not is_damaged(row)] == before[:changed] + before[changed + 1 :]
            other.execute("UPDATE events SET event = ? WHERE position = ?", (record, changed + 1))
        assert len(journal.read().events) == READ_AT_ONCE


def test_byte_changed_on_disk_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path, READ_AT_ONCE)
    record, content = rows_of(path)[5], bytearray(path.read_bytes())
    start = content.index(record)
    for index in range(len(record)):
        content[start + index] ^= 4
        path.write_bytes(content)
        rows = rows_of(path)
        assert [offset for offset, row in enumerate(rows) if is_damaged(row)] == [5]
        content[start + index] ^= 4


def test_tail_continues_after_a_damaged_record(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    url = written(path, 4)
    execute(path, "UPDATE events SET event = replace(event, '1', '2') WHERE position = 2")
    with Journal(url) as journal:
        tail = iter(journal.tail(Cursor({0: 0})))
        assert next(tail).offset == 0
        with pytest.raises(DamagedRecord, match=r"0:1 is damaged.*journeyman verify.*continue reading at 0:2"):
            next(tail)
        events = journal.read(Cursor({0: 2})).events
    assert [event.context["number"] for event in events] == [2, 3]


def test_swapped_records_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path, 6)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        execute(path, "UPDATE events SET position = ? WHERE position = ?", (new, old))
    rows = rows_of(path, limit=6)
    assert [is_damaged(row) for row in rows[:3] + rows[4:]] == [False, True, True, False, False]


@pytest.mark.parametrize("position", [1, 3, 4])
def test_changed_checksum_damages_no_record(tmp_path: Path, position: int) -> None:
    """Not even at the edge of a page; only of the last record of all it cannot be told."""
    path = tmp_path / "a.db"
    url = written(path, 6)
    execute(path, "UPDATE events SET checksum = x'00000000' WHERE position = ?", (position,))
    rows = rows_of(path, limit=3)
    assert [is_damaged(row) for row in rows] == [False] * 3
    with Journal(url) as journal:
        assert journal.append("thing.made").offset == 6
        assert len(journal.read(Cursor({0: 3})).events) == 4


@pytest.mark.parametrize("removed", [2, 6])
def test_trimmed_file_is_checked_from_its_first_record(tmp_path: Path, removed: int) -> None:
    path = tmp_path / "a.db"
    url = written(path, 6)
    log = SqliteLog(str(path))
    blocking.run(log.open())
    blocking.run(log.trim({0: removed}))
    blocking.run(log.aclose())
    with Journal(url) as journal:
        assert journal.append("thing.made").offset == 6
        assert len(journal.read(Cursor({0: removed})).events) == 7 - removed
        execute(path, "UPDATE events SET event = replace(event, 'made', 'lost') WHERE position = ?", (removed + 1,))
        with pytest.raises(DamagedRecord, match=f"0:{removed} is damaged"):
            journal.read(Cursor({0: removed}))


@pytest.mark.parametrize("value", [None, 7, 1.5, "text"])
def test_record_of_another_type_is_damaged(tmp_path: Path, value: object) -> None:
    path = tmp_path / "a.db"
    written(path, 4)
    execute(path, "PRAGMA writable_schema = 1")
    execute(path, "UPDATE OR IGNORE events SET event = coalesce(?, x'') WHERE position = 2", (value,))
    assert [is_damaged(row) for row in rows_of(path)] == [False, True, False, False]
    assert [is_damaged(row) for row in rows_of(path, limit=4)] == [False, True, False, False]


def test_damaged_record_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.db"
    url = written(path, 4)
    execute(path, "UPDATE events SET event = replace(event, '2', '3') WHERE position = 3")
    with caplog.at_level(logging.ERROR, "journeyman"), Journal(url) as journal:
        for _ in range(2):
            with pytest.raises(DamagedRecord):
                journal.read(Cursor({0: 2}))
    said = (
        f"the journal {path} is damaged at 0:2: the checksum does not match. The other records can still be read; "
        "run `journeyman verify`"
    )
    assert [record.getMessage() for record in caplog.records] == [said]


def test_appends_continue_after_a_damaged_last_record(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    url = written(path, 4)
    execute(path, "UPDATE events SET event = x'5a' WHERE position = 4")
    with Journal(url) as journal:
        last = journal.read(Cursor({0: 2}), limit=1).events[0]
        event = journal.append("thing.made")
        assert (event.offset, event.timestamp > last.timestamp) == (4, True)
        assert journal.read(Cursor({0: 4})).events == [event]


@given(
    records=st.lists(st.binary().map(lambda each: b"{" + each), min_size=1, max_size=20),
    state=st.integers(0, 2**32 - 1).map(lambda number: adler32(b"", number)),
    data=st.data(),
)
@settings(max_examples=200)
def test_two_changed_bytes_are_always_found(records: list[bytes], state: int, data: st.DataObject) -> None:
    checksums, behind = chained(records, state)
    rows = [Stored(n + 1, record, checksums[4 * n : 4 * n + 4]) for n, record in enumerate(records)]
    assert is_whole(rows, state)
    assert judged(rows, state) == records
    assert adler32(b"".join(records), state) == behind
    index = data.draw(st.integers(0, len(rows) - 1))
    changed = bytearray(records[index])
    for _ in range(2):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    rows[index] = rows[index]._replace(record=bytes(changed))
    assert is_whole(rows, state) == (bytes(changed) == records[index])
    assert [is_damaged(each) for each in judged(rows, state)] == [
        at == index and bytes(changed) != records[index] for at in range(len(rows))
    ]


# -- older files ------------------------------------------------------------------------------------------------------


def test_file_of_version_1_is_upgraded_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    write_version_1(path)
    before = execute(path, "SELECT position, event FROM events")
    with Journal(f"sqlite:///{path}", create=False) as journal:
        assert [event.name for event in journal.read().events] == ["order.paid"] * 3 + ["order.sent"] * 9
        assert journal.append("order.sent").offset == VERSION_1_EVENTS
    assert execute(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert execute(path, "SELECT position, event FROM events")[:VERSION_1_EVENTS] == before
    sums = [stored for (stored,) in execute(path, "SELECT checksum FROM events")]
    assert [stored is not None for stored in sums] == [False] * VERSION_1_EVENTS + [True]


def test_pages_without_checksums_are_not_judged_record_by_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    write_version_1(path)
    with Journal(f"sqlite:///{path}", create=False) as journal:
        judged_pages: list[int] = []

        def counted(rows: Sequence[Stored], state: int) -> list[bytes]:
            judged_pages.append(len(rows))
            return judged(rows, state)

        monkeypatch.setattr(pages, "judged", counted)
        assert len(journal.read().events) == VERSION_1_EVENTS
        assert not judged_pages
        journal.append("order.sent")
        assert len(journal.read().events) == VERSION_1_EVENTS + 1
        assert judged_pages  # of one page that has both


def test_records_of_a_version_1_process_are_read(tmp_path: Path) -> None:
    """It has the file open since before the upgrade, and looks at the version when it opens a file only."""
    path = tmp_path / "a.db"
    write_version_1(path)
    older = apsw.Connection(str(path))
    row = older.execute("SELECT event FROM events WHERE position = 1").get
    with Journal(f"sqlite:///{path}") as journal:
        journal.append("order.sent")
        append_as_version_1(older, row)
        journal.append("order.sent")
        names = [event.name for event in journal.read().events[VERSION_1_EVENTS:]]
    older.close()
    assert names == ["order.sent", "order.paid", "order.sent"]
    rows = rows_of(path, limit=VERSION_1_EVENTS + 3)
    assert [decode(each, 0, 0).name for each in rows[VERSION_1_EVENTS:]] == names


UPGRADE_AND_DIE = """
import os, signal, sys
import apsw
from journeyman.journal import Journal

path, statements = sys.argv[1], int(sys.argv[2])
seen = 0

def count(event):
    global seen
    seen += 1
    if seen > statements:
        os.kill(os.getpid(), signal.SIGKILL)
    return True

apsw.connection_hooks.append(lambda connection: connection.trace_v2(apsw.SQLITE_TRACE_STMT, count))
with Journal(f"sqlite:///{path}") as journal:
    pass
"""


def test_killed_upgrade_is_completed_by_the_next_open(tmp_path: Path) -> None:
    path, outcomes = tmp_path / "a.db", list[int]()
    while not outcomes or outcomes[-1] != 0:
        for each in tmp_path.glob("a.db*"):
            if each.is_file():
                each.unlink()
        write_version_1(path)
        command = [sys.executable, "-c", UPGRADE_AND_DIE, str(path), str(len(outcomes))]
        outcomes.append(subprocess.run(command, check=False).returncode)
        with Journal(f"sqlite:///{path}", create=False) as journal:
            assert len(journal.read().events) == VERSION_1_EVENTS
            journal.append("order.sent")
        assert execute(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert len(outcomes) > 8
    assert set(outcomes[:-1]) == {-9}
