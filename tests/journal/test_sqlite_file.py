"""A path that holds no journal gets an error in one sentence; files that a crash left are recovered or replaced."""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from journeyman.consumers import JournalConsumer
from journeyman.journal import (
    AppendInDoubt,
    Cursor,
    Journal,
    JournalGone,
    JournalNotFound,
    JournalUnavailable,
    NotAJournal,
    draft,
)
from journeyman.journal.runtime import blocking
from journeyman.journal.sqlite.file import APPLICATION_ID, SCHEMA_VERSION
from journeyman.journal.sqlite.limits import SQLITE_PAGE_BYTES
from journeyman.journal.sqlite.log import SqliteLog
from support.waiting import wait_until


def opened(path: Path) -> None:
    with Journal(f"sqlite:///{path}") as journal:
        journal.append("thing.made")


def refusal(path: Path) -> str:
    with pytest.raises(NotAJournal) as caught:
        opened(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("content", [None, b""])
def test_missing_file_without_create_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A file that is still empty is no journal yet: each new journal begins like that."""
    path = tmp_path / "a.db"
    if content is not None:
        path.write_bytes(content)
    with (
        pytest.raises(JournalNotFound, match=f"there is no journal at {path}"),
        Journal(f"sqlite:///{path}", create=False),
    ):
        pass
    assert [each.stat().st_size for each in tmp_path.iterdir()] == ([] if content is None else [0])


def test_directory_is_refused(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


def test_missing_parent_directory_is_refused(tmp_path: Path) -> None:
    assert f"there is no directory {tmp_path / 'absent'}" in refusal(tmp_path / "absent" / "a.db")


def test_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "there is no directory" in refusal(tmp_path / "file" / "a.db")


def test_irregular_file_is_refused() -> None:
    assert "not a regular file" in refusal(Path("/dev/null"))


def test_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    opened(path)
    monkeypatch.setattr("os.access", lambda *_: False)  # tests may run as the superuser, who is refused nothing
    assert "no permission to read and write" in refusal(path)


def test_uncreatable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert f"no permission to write in {tmp_path}" in refusal(tmp_path / "a.db")


@pytest.mark.parametrize("content", [b"hello", b"name,size\n" * 1_000])
def test_foreign_file_type_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    assert "not an SQLite database" in refusal(path)
    assert path.read_bytes() == content, "it is left as it was"


def test_foreign_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    before = path.read_bytes()
    assert "the SQLite database of another program" in refusal(path)
    assert path.read_bytes() == before, "it is left as it was"


def test_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    opened(path)
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", SCHEMA_VERSION + 1)
    connection.close()
    assert f"schema version {SCHEMA_VERSION + 1}" in refusal(path)


def test_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    opened(path)
    connection = apsw.Connection(str(path))
    assert connection.pragma("application_id") == APPLICATION_ID
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("page_size") == SQLITE_PAGE_BYTES
    connection.close()


def test_damaged_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Journal(f"sqlite:///{path}") as journal:
        journal.append_all([("thing.made", {"number": number}) for number in range(2_000)])
    content = bytearray(path.read_bytes())
    content[SQLITE_PAGE_BYTES:] = b"\x5a" * (
        len(content) - SQLITE_PAGE_BYTES
    )  # every page but the first, which says what it is
    path.write_bytes(content)
    with Journal(f"sqlite:///{path}") as journal, pytest.raises(NotAJournal, match=r"is damaged.*journeyman verify"):
        journal.read({0: 0})


def test_missing_events_are_reported_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Journal(f"sqlite:///{path}") as journal:
        journal.append_all([("thing.made", {"number": number}) for number in range(10)])
        connection = apsw.Connection(str(path))
        connection.execute("DELETE FROM events WHERE position = 5")
        connection.close()
        with pytest.raises(NotAJournal, match="events are missing"):
            journal.read({0: 0})


def test_file_names_with_quoted_characters_work(tmp_path: Path) -> None:
    path = tmp_path / "what is 100% this? #1 é.db"
    with Journal("sqlite:///" + str(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")) as journal:
        journal.append("thing.made")
        again = journal.url
    assert path.exists()
    with Journal(again) as journal:
        assert journal.bounds().end == Cursor({0: 1})


def test_relative_path_is_resolved_when_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = Journal("sqlite:///a.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with journal:
        journal.append("thing.made")
    assert (tmp_path / "a.db").exists()


def _remove(path: Path) -> None:
    """As `rm a.db*` does."""
    for each in path.parent.glob(f"{path.name}*"):
        if each.is_file():
            each.unlink()


def _replace(path: Path) -> None:
    """Another program makes a new journal in its place."""
    _remove(path)
    opened(path)


taken_away = pytest.mark.parametrize("take_away", [_remove, _replace])


@taken_away
@pytest.mark.parametrize(
    "use",
    [
        lambda journal: journal.append("thing.made"),
        lambda journal: journal.bounds(),
        lambda journal: journal.read(),
        lambda journal: journal.run(journal.asynchronous.log.position_at(0.0)),
        lambda journal: journal.run(journal.asynchronous.log.snapshots().listed()),
    ],
)
def test_removed_or_replaced_file_refuses_appends_and_reads(
    tmp_path: Path, take_away: Callable[[Path], None], use: Callable[[Journal], object]
) -> None:
    """Events appended to a file without a name are lost with the last process that has it open."""
    path = tmp_path / "a.db"
    with Journal(f"sqlite:///{path}") as journal:
        use(journal)
        take_away(path)
        for _ in range(2):
            with pytest.raises(JournalGone, match=r"removed or replaced.*open it again"):
                use(journal)
    assert path.exists() == (take_away is _replace), "a closed journal leaves no new file behind"


@taken_away
def test_waiting_tail_learns_of_a_removed_or_replaced_file(tmp_path: Path, take_away: Callable[[Path], None]) -> None:
    path = tmp_path / "a.db"
    with Journal(f"sqlite:///{path}") as journal:
        journal.append("thing.made")
        consumers = [JournalConsumer(journal).start() for _ in range(2)]  # one reads for both
        for each in consumers:
            assert each.poll(60.0)
        ended: list[str] = []

        def wait(consumer: JournalConsumer) -> None:
            try:
                consumer.poll(60.0)
            except JournalGone as error:
                ended.append(str(error))

        waiting = [threading.Thread(target=wait, args=[each]) for each in consumers]
        for thread in waiting:
            thread.start()
        wait_until(lambda: list(Path(f"{path}-bells").glob("[!m]*")), "a reader to bind its listener")
        take_away(path)
        for thread in waiting:
            thread.join()
        assert len(ended) == 2
        for each in consumers:
            each.close()


def test_listener_of_a_replaced_file_gets_no_new_records(tmp_path: Path) -> None:
    """Listeners belong to the path, so a writer of the new file notifies the readers of the old one too."""
    path = tmp_path / "a.db"
    with Journal(f"sqlite:///{path}") as journal:
        journal.append("thing.made")
        tail = journal.run(journal.asynchronous.log.tail({0: 0}))
        assert blocking.run(tail.page(timeout=20.0))
        while blocking.run(tail.page(timeout=0.001)):
            pass  # its listener is bound now, and it has polled once more
        _replace(path)
        with Journal(f"sqlite:///{path}") as new:
            new.append("thing.made", {"in": "the new file"})  # at the offset that comes next in the old one
        with pytest.raises(JournalGone):
            blocking.run(tail.page(timeout=20.0))
        blocking.run(tail.aclose())


def test_replacing_file_is_never_connected_to(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    log = SqliteLog(str(path))
    blocking.run(log.open())
    assert blocking.run(log.bounds()).end == Cursor({0: 0})

    def read(_: apsw.Connection) -> None:  # while the one connection is in use another one is needed
        _replace(path)
        with pytest.raises(JournalGone):
            blocking.run(log.bounds())

    with pytest.raises(JournalGone):  # nor is anything handed out that was read from the old one meanwhile
        log.reading(read)
    blocking.run(log.aclose())


def _unreadable(_: str) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_unreadable_file_takes_no_append_and_may_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.sqlite.writer_connection.FILE_CHECK_SECONDS", 0.0)
    with Journal(f"sqlite:///{tmp_path / 'a.db'}") as journal:
        journal.append("thing.made")
        with monkeypatch.context() as failing:
            failing.setattr("journeyman.journal.sqlite.file_identity.inode_at", _unreadable)
            with pytest.raises(JournalUnavailable, match="cannot be checked") as caught:
                journal.append("thing.made")
        assert not isinstance(caught.value, JournalGone)
        assert journal.append("thing.made").offset == 1


def test_append_is_in_doubt_if_the_file_is_unreadable_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.sqlite.writer_connection.FILE_CHECK_SECONDS", 3600.0)
    with Journal(f"sqlite:///{tmp_path / 'a.db'}") as journal:
        journal.append("thing.made")
        drafts = [draft("thing.sent")]
        with monkeypatch.context() as failing:
            failing.setattr("journeyman.journal.sqlite.file_identity.inode_at", _unreadable)
            with pytest.raises(AppendInDoubt, match="cannot be checked"):
                journal.append_drafts(drafts)
        assert journal.append_drafts(drafts)[0].offset == 1
        assert journal.bounds().end == Cursor({0: 2})


def test_writer_syncs_as_the_url_says(tmp_path: Path) -> None:
    for option, level in (("", 2), ("?sync=full", 2), ("?sync=normal", 1)):
        with Journal(f"sqlite:///{tmp_path}/a.db{option}") as journal:
            journal.append("thing.made")
            log = journal.asynchronous.log
            assert isinstance(log, SqliteLog)
            assert log._opened is not None
            assert log._opened.inserter.connected().pragma("synchronous") == level


def test_sqlite_version_lacks_the_wal_reset_bug() -> None:
    """From 3.7.0 to 3.51.2 a commit could be lost when two connections checkpointed meanwhile: sqlite.org/wal.html."""
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)


@pytest.mark.parametrize("page_bytes", [1_024, SQLITE_PAGE_BYTES])
def test_copy_by_vacuum_into_is_switched_to_wal(tmp_path: Path, page_bytes: int) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    opened(path)
    connection = apsw.Connection(str(path))
    connection.pragma("page_size", page_bytes)
    connection.execute("VACUUM INTO ?", [str(copy)])
    connection.close()
    with Journal(f"sqlite:///{copy}") as journal, Journal(f"sqlite:///{copy}") as second:
        assert journal.append("thing.made").offset == 1
        assert second.append("thing.made").offset == 2
    connection = apsw.Connection(str(copy))
    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("page_size") == page_bytes
    connection.close()
