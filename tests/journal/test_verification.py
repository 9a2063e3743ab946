"""Verifying a journal: what is wrong is named by its position, on every log, and what is right is not."""

import contextlib
from pathlib import Path

import apsw
import pytest
from journeyman.journal import Cursor, Draft, Journal
from journeyman.journal.limits import FINDINGS_MAX, PAGE_EVENTS
from journeyman.journal.log import Log
from journeyman.journal.memory.log import MemoryLog
from journeyman.journal.runtime import blocking
from journeyman.journal.sqlite.limits import SQLITE_PAGE_BYTES
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.journal.verification import Verification, verify
from support.old_journal import VERSION_1_EVENTS, write_version_1

EVENTS = PAGE_EVENTS + 20


def written(path: Path, events: int = EVENTS) -> None:
    with Journal(f"sqlite:///{path}") as journal:
        journal.append_all([("thing.made", {"number": number}, str(number % 7)) for number in range(events)])


def verified(log: Log) -> Verification:
    blocking.run(log.open())
    try:
        return blocking.run(verify(log, lambda _done, _all: None))
    finally:
        blocking.run(log.aclose())


def said(path: Path) -> list[tuple[str, str]]:
    return [(each.kind, each.where) for each in verified(SqliteLog(str(path))).findings]


def execute(path: Path, statement: str, bindings: tuple[object, ...] = ()) -> None:
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        connection.execute(statement, bindings)


def test_sound_file_has_no_findings(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path)
    reports: list[tuple[int, int]] = []
    log = SqliteLog(str(path))
    blocking.run(log.open())
    found = blocking.run(verify(log, lambda done, all_: reports.append((done, all_))))
    blocking.run(log.aclose())
    assert (found.is_sound, found.records, found.end, found.unchecked) == (True, EVENTS, Cursor({0: EVENTS}), 0)
    with Journal(f"sqlite:///{path}") as journal:
        assert found.until == journal.read(Cursor({0: EVENTS - 1})).events[0].timestamp
    assert reports == [(PAGE_EVENTS, EVENTS), (EVENTS, EVENTS)]


def test_empty_file_is_sound(tmp_path: Path) -> None:
    found = verified(SqliteLog(str(tmp_path / "a.db")))
    assert (found.is_sound, found.records, found.until) == (True, 0, None)


def test_changed_byte_is_always_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path, 6)
    log = SqliteLog(str(path))
    blocking.run(log.open())
    rows = log.page(0, 6)
    assert rows is not None
    with contextlib.closing(apsw.Connection(str(path))) as other:
        for offset, row in enumerate(rows.rows):
            for index in range(0, len(row), 1 if offset == 3 else 13):
                changed = row[:index] + bytes([row[index] ^ 2]) + row[index + 1 :]
                other.execute("UPDATE events SET event = ? WHERE position = ?", (changed, offset + 1))
                found = blocking.run(verify(log, lambda _done, _all: None))
                assert [(each.kind, each.where) for each in found.findings] == [("damaged", f"0:{offset}")]
            other.execute("UPDATE events SET event = ? WHERE position = ?", (row, offset + 1))
    assert blocking.run(verify(log, lambda _done, _all: None)).is_sound
    blocking.run(log.aclose())


def test_damaged_records_on_both_sides_of_a_page_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path)
    for position in (PAGE_EVENTS, PAGE_EVENTS + 1):
        execute(path, "UPDATE events SET event = replace(event, 'made', 'lost') WHERE position = ?", (position,))
    assert said(path) == [("damaged", f"0:{PAGE_EVENTS - 1}"), ("damaged", f"0:{PAGE_EVENTS}")]


def test_missing_positions_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path)
    execute(path, "DELETE FROM events WHERE position <= 2 OR position BETWEEN 10 AND 12 OR position = 503")
    assert said(path) == [("missing", "0:0 to 0:1"), ("missing", "0:9 to 0:11"), ("missing", "0:502")]


def test_records_removed_by_retention_are_not_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path)
    log = SqliteLog(str(path))
    blocking.run(log.open())
    blocking.run(log.trim({0: 300}))
    found = blocking.run(verify(log, lambda _done, _all: None))
    assert (found.is_sound, found.first, found.records) == (True, Cursor({0: 300}), EVENTS - 300)
    blocking.run(log.trim({0: EVENTS}))
    found = blocking.run(verify(log, lambda _done, _all: None))
    assert (found.is_sound, found.first, found.records) == (True, Cursor({0: EVENTS}), 0)
    blocking.run(log.aclose())


def test_damaged_pages_of_the_file_hide_only_their_records(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path, 5_000)
    content = bytearray(path.read_bytes())
    start = len(content) // SQLITE_PAGE_BYTES // 2 * SQLITE_PAGE_BYTES
    content[start : start + SQLITE_PAGE_BYTES] = b"\x5a" * SQLITE_PAGE_BYTES
    path.write_bytes(content)
    found = verified(SqliteLog(str(path)))
    (unreachable,) = [each for each in found.findings if each.first >= 0]
    assert unreachable.kind == "structure"
    assert 10 < unreachable.last - unreachable.first < 200
    assert found.records == 5_000 - (unreachable.last - unreachable.first + 1)
    assert any(each.kind == "structure" and not each.where for each in found.findings)


def test_records_without_checksums_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    write_version_1(path)
    found = verified(SqliteLog(str(path)))
    assert (found.is_sound, found.records, found.unchecked) == (True, VERSION_1_EVENTS, VERSION_1_EVENTS)


def test_findings_are_counted_beyond_those_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    written(path)
    execute(path, "UPDATE events SET event = replace(event, 'made', 'lost') WHERE position % 4 = 0")
    found = verified(SqliteLog(str(path)))
    assert (len(found.findings), found.found) == (FINDINGS_MAX, EVENTS // 4)


@pytest.mark.parametrize("log_of", [lambda path: MemoryLog(), lambda path: SqliteLog(str(path / "a.db"))])
def test_repeated_numbers_of_a_writer_are_found(tmp_path: Path, log_of: "object") -> None:
    log: Log = log_of(tmp_path)  # type: ignore[operator]
    blocking.run(log.open())
    for seq in (1, 2, 2, 3):
        blocking.run(log.append([Draft("thing.made", origin=("elsewhere", seq))]))
    found = blocking.run(verify(log, lambda _done, _all: None))
    assert [(each.kind, each.where) for each in found.findings] == [("repeated", "0:2")]
    assert found.records == 4
    blocking.run(log.aclose())
