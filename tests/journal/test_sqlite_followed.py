"""A lone append behind the records of others, which notices brought, takes one statement and continues their chain."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from journeyman.journal import EventConflict, Journal
from journeyman.journal.event_decoding import decode
from journeyman.journal.log import Tail
from journeyman.journal.runtime.blocking import run
from journeyman.journal.sqlite.insert import Inserter
from journeyman.journal.sqlite.limits import FOLLOWED_ROWS
from journeyman.journal.sqlite.log import SqliteLog


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/a.db?sync=normal"


@pytest.fixture
def other(url: str) -> Iterator[Journal]:
    with Journal(url) as journal:
        yield journal


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[Inserter]:
    """The inserter of each transaction of several statements."""
    insert, seen = Inserter.insert_all, list[Inserter]()

    def noted(inserter: Inserter, *args: object, **options: object) -> None:
        seen.append(inserter)
        insert(inserter, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Inserter, "insert_all", noted)
    return seen


@pytest.fixture
def journal(url: str, other: Journal, transactions: list[Inserter]) -> Iterator[Journal]:
    """A journal that has appended before, and then follows the log by a tail that waits for notices."""
    with Journal(url) as mine:
        mine.append("mine.begun")
        yield mine
        assert run(mine.asynchronous.log.verify(lambda *_: None)).is_sound  # type: ignore[attr-defined]


@pytest.fixture
def tail(journal: Journal, transactions: list[Inserter]) -> Iterator[Tail]:
    tail = run(journal.asynchronous.log.tail(journal.bounds().end))
    assert run(tail.page(timeout=0.01)) is None  # it listens from now on
    transactions.clear()
    yield tail
    run(tail.aclose())


def inserter(journal: Journal) -> Inserter:
    log = journal.asynchronous.log
    assert isinstance(log, SqliteLog)
    assert log._opened is not None
    return log._opened.inserter


def follow(tail: Tail, events: int) -> None:
    """Have the tail read so many events."""
    while events > 0:
        page = run(tail.page(timeout=60))
        assert page is not None
        events -= len(page.rows)


def test_append_behind_followed_records_is_one_statement(
    journal: Journal, other: Journal, tail: Tail, transactions: list[Inserter]
) -> None:
    for number in range(3):
        for _ in range(number + 1):
            other.append("other.made", {"number": number})
        follow(tail, number + 1)
        mine = journal.append("mine.made")
        assert mine.offset == journal.bounds().end[0] - 1
        follow(tail, 1)
    assert inserter(journal) not in transactions


def test_append_reads_the_end_where_records_are_missing(
    journal: Journal, other: Journal, tail: Tail, transactions: list[Inserter]
) -> None:
    other.append_all([("other.made", {}), ("other.made", {})])  # a notice brings lone records only
    follow(tail, 2)
    other.append("other.made")
    follow(tail, 1)
    assert journal.append("mine.made").offset == journal.bounds().end[0] - 1
    assert inserter(journal) in transactions
    for _ in range(FOLLOWED_ROWS + 1):
        other.append("other.made")
    follow(tail, FOLLOWED_ROWS + 1)
    assert journal.append("mine.made").offset == journal.bounds().end[0] - 1


def test_append_reads_the_end_where_a_record_was_not_followed(
    journal: Journal, other: Journal, tail: Tail, transactions: list[Inserter]
) -> None:
    other.append("other.made")
    follow(tail, 1)
    other.append("other.made")
    assert journal.append("mine.made").offset == journal.bounds().end[0] - 1
    assert inserter(journal) in transactions


def test_record_that_is_not_in_the_file_is_not_continued(
    journal: Journal, other: Journal, tail: Tail, transactions: list[Inserter]
) -> None:
    for change in (b"other.made", b'"timestamp"'):
        offset = other.append("other.made").offset
        record = run(journal.asynchronous.log.read({0: offset}))[0].rows[0]
        journal.asynchronous.log.accept(offset, [record.replace(change, b"other.fake")])  # type: ignore[attr-defined]
        transactions.clear()
        assert journal.append("mine.made").offset == offset + 1
        assert inserter(journal) in transactions


def test_record_beyond_the_end_is_not_continued(journal: Journal, tail: Tail) -> None:
    end = journal.bounds().end[0]
    record = run(journal.asynchronous.log.read({0: end - 1}))[0].rows[0]
    journal.asynchronous.log.accept(end, [record])  # type: ignore[attr-defined]
    assert journal.append("mine.made").offset == end


def test_times_rise_behind_followed_records(journal: Journal, other: Journal, tail: Tail) -> None:
    clock, now = inserter(other)._clock, 0.9
    inserter(other)._clock = lambda: clock() + now
    times: list[float] = []
    for _ in range(3):
        times.append(other.append("other.made").timestamp)
        page = run(tail.page(timeout=60))
        assert page is not None
        assert [decode(row, 0, at).name for row, at in zip(page.rows, page.offsets, strict=True)] == ["other.made"]
        times.append(journal.append("mine.made").timestamp)
        follow(tail, 1)
    assert times == sorted(set(times))


def test_condition_holds_behind_followed_records(
    journal: Journal, other: Journal, tail: Tail, transactions: list[Inserter]
) -> None:
    seen = journal.append("mine.made", key="k").position
    follow(tail, 1)
    foreign = other.append("other.made", key="k").position
    follow(tail, 1)
    with pytest.raises(EventConflict):
        journal.append("mine.made", key="k", expected=seen)
    assert journal.append("mine.made", key="k", expected=foreign).offset == foreign.offset + 1
