"""No append is acknowledged that is not in the file that others see, whatever happens to the file while it is open."""

import fcntl
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from journeyman.journal import Journal, JournalGone, UnsafeAccess
from journeyman.journal.runtime import blocking
from journeyman.journal.sqlite.file_identity import FileIdentity
from journeyman.journal.sqlite.foreign_access import unwatched
from journeyman.journal.sqlite.log import SqliteLog
from support.waiting import wait_until

needs_description_locks = pytest.mark.skipif(
    not hasattr(fcntl, "F_OFD_SETLK"), reason="this system has no locks of open file descriptions"
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


@pytest.fixture
def journal(path: str) -> Iterator[Journal]:
    with Journal(f"sqlite:///{path}") as journal:
        journal.append("thing.made", {"number": 0})
        yield journal


def numbers(path: str) -> list[int]:
    with Journal(f"sqlite:///{path}") as journal:
        return [event.context["number"] for event in journal.read(None, 100_000).events]


def remove(*paths: str) -> None:
    for each in paths:
        Path(each).unlink()


def elsewhere(program: str, *arguments: str) -> str:
    """The output of a program in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# A process that is disturbed, and killed


@pytest.mark.parametrize("disturbance", ["second-library", "descriptors", "wal-removed", "shm-removed", "both-removed"])
def test_acknowledged_events_outlive_disturbance_and_kill(path: str, disturbance: str) -> None:
    rounds = 5 if disturbance == "descriptors" else 30
    script = str(Path(__file__).with_name("disturbed.py"))
    with subprocess.Popen(
        [sys.executable, script, path, disturbance, str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: list[str] = []
        while (line := process.stdout.readline()) not in ("done\n", ""):
            lines.append(line)
        process.kill()
        said = process.stderr.read()
    assert line == "done\n", said
    acknowledged = [tuple(map(int, each.split())) for each in lines]
    with Journal(f"sqlite:///{path}") as journal:
        events = journal.read(None, 100_000).events
    assert [(event.context["number"], event.offset) for event in events] == acknowledged
    with apsw.Connection(path) as connection:
        assert connection.pragma("integrity_check") == "ok"


# What keeps the `-wal`


@needs_description_locks
def test_wal_outlives_close_by_second_library(path: str, journal: Journal) -> None:
    before = Path(f"{path}-wal").stat()
    with unwatched():
        connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM events").fetchall() == [(1,)]
    connection.close()
    assert os.path.samestat(Path(f"{path}-wal").stat(), before)
    journal.append("thing.made", {"number": 1})
    assert elsewhere(
        f"import sqlite3; print(sqlite3.connect({path!r}).execute('SELECT count(*) FROM events').fetchone())"
    )


@needs_description_locks
def test_wal_outlives_closed_descriptor_and_close_elsewhere(path: str, journal: Journal) -> None:
    before = Path(f"{path}-wal").stat()
    for each in (path, f"{path}-shm"):
        with Path(each).open("rb"):
            pass
    elsewhere(
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM events'); c.close()", path
    )
    assert os.path.samestat(Path(f"{path}-wal").stat(), before)


def test_last_close_removes_wal(path: str) -> None:
    first, second = Journal(f"sqlite:///{path}"), Journal(f"sqlite:///{path}")
    with first:
        first.append("thing.made")
        with second:
            second.append("thing.made")
        assert Path(f"{path}-wal").exists()
    assert not Path(f"{path}-wal").exists()
    assert not Path(f"{path}-shm").exists()


# Files removed while they were open


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
@pytest.mark.parametrize(
    "use",
    [
        lambda journal: journal.append("thing.made", {"number": 2}),
        lambda journal: journal.append_all([("thing.made", {"number": 2}), ("thing.made", {"number": 3})]),
        lambda journal: journal.read(),
        lambda journal: journal.run(journal.asynchronous.log.trim({0: 0})),
    ],
)
def test_companions_removed_while_open_lose_nothing(
    path: str, journal: Journal, suffixes: list[str], use: Callable[[Journal], object]
) -> None:
    with Journal(f"sqlite:///{path}") as second:
        second.append("thing.made", {"number": 1})
        remove(*(path + suffix for suffix in suffixes))
        use(journal)
        second.append("thing.made", {"number": 9})
        found = elsewhere(
            "import sqlite3, sys\n"
            "for row in sqlite3.connect(sys.argv[1]).execute('SELECT event FROM events'): print(row[0].decode())",
            path,
        ).splitlines()
    assert [f'"number":{number}' in line for number, line in enumerate(found[:2])] == [True, True]
    assert '"number":9' in found[-1]
    assert len(numbers(path)) == len(found)


def test_rewritten_events_are_reported(path: str, journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    remove(f"{path}-wal")
    event = journal.append("thing.made", {"number": 1})
    assert event.offset == 1
    assert "events that stood in them alone were written again" in caplog.text
    assert numbers(path) == [0, 1]


def test_lost_events_are_an_error(path: str, journal: Journal) -> None:
    """Another process appended to the new `-wal` before this one noticed that the old one was removed."""
    journal.append_all([("thing.made", {"number": number}) for number in (1, 2)])
    remove(f"{path}-wal", f"{path}-shm")
    elsewhere(
        "import sys; from journeyman.journal import Journal\n"
        "with Journal(sys.argv[1]) as journal: journal.append('thing.made', {'number': 7})",
        f"sqlite:///{path}",
    )
    for _ in range(2):
        with pytest.raises(JournalGone, match="3 acknowledged events are no longer in it"):
            journal.append("thing.made", {"number": 3})
    assert numbers(path) == [7]


@pytest.mark.parametrize("quiet", [False, True])
def test_removal_is_noticed_at_once(path: str, quiet: bool) -> None:
    directory = Path(path).parent
    Path(path).touch()
    identity = FileIdentity(path)
    identity.companions = identity.found_companions()
    if quiet:
        os.utime(directory, (0, 0))  # then an unchanged time of the directory is proof enough
    for _ in range(3):
        assert identity.is_current()
    Path(f"{path}-wal").touch()
    assert not identity.is_current()
    Path(f"{path}-wal").unlink()
    assert identity.is_current()
    Path(path).rename(f"{path}-moved")
    with pytest.raises(JournalGone):
        identity.is_current()
    Path(f"{path}-moved").rename(path)
    assert identity.is_current()


def test_removal_is_noticed_without_directory_times(path: str) -> None:
    directory = Path(path).parent
    Path(path).touch()
    identity = FileIdentity(path)
    identity.companions = identity.found_companions()
    os.utime(directory, (0, 0))
    assert identity.is_current()
    Path(f"{path}-wal").touch()
    os.utime(directory, (0, 0))
    wait_until(lambda: not identity.is_current(), "the names are compared one by one")


def test_restored_copy_takes_no_appends_of_old_file(path: str, journal: Journal, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    elsewhere(
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('VACUUM INTO ?', sys.argv[2:])", path, str(copy)
    )
    copy.rename(path)
    with pytest.raises(JournalGone):
        journal.append("thing.made", {"number": 1})


# Access past the journal


def _uri(path: str) -> str:
    return Path(path).as_uri() + "?mode=ro"


@pytest.mark.parametrize(
    "named",
    [str, Path, os.fsencode, _uri, os.path.relpath, lambda path: f"file:{path}", lambda path: f"{path}-link"],
)
def test_sqlite3_on_open_journal_is_refused(path: str, journal: Journal, named: Callable[[str], str]) -> None:
    Path(f"{path}-link").symlink_to(path)
    name = named(path)
    with pytest.raises(UnsafeAccess, match="journeyman backup"):
        sqlite3.connect(name, uri=str(name).startswith("file:"))
    journal.append("thing.made", {"number": 1})


def test_sqlite3_on_other_files_is_allowed(path: str, journal: Journal, tmp_path: Path) -> None:
    for each in (":memory:", tmp_path / "other.db", tmp_path / "a.db-other"):
        sqlite3.connect(each).close()


def test_sqlite3_is_allowed_once_all_journals_are_closed(path: str) -> None:
    with Journal(f"sqlite:///{path}") as first:
        first.append("thing.made")
        with Journal(f"sqlite:///{path}"):
            pass
        with pytest.raises(UnsafeAccess):
            sqlite3.connect(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM events").fetchall() == [(1,)]
    connection.close()


def test_forked_child_may_use_sqlite3_and_journal(path: str) -> None:
    program = """
import os, sqlite3, sys
from journeyman.journal import Journal, UnsafeAccess
path = sys.argv[1]
journal = Journal(f"sqlite:///{path}")
journal.append("thing.made", {"number": 0})
child = os.fork()
if not child:
    sqlite3.connect(path).close()
    journal.append("thing.made", {"number": 1})
    try:
        sqlite3.connect(path)
    except UnsafeAccess:
        os._exit(0)
    os._exit(1)
_, status = os.waitpid(child, 0)
journal.append("thing.made", {"number": 2})
sys.exit(os.waitstatus_to_exitcode(status))
"""
    elsewhere(program, path)
    assert numbers(path) == [0, 1, 2]


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_copy_by_open_is_warned_of_once(
    path: str, journal: Journal, tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            shutil.copyfile(path + suffix, tmp_path / "copy")
    assert [record.message.count("journeyman backup") for record in caplog.records] == [1]
    journal.append("thing.made", {"number": 1})


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_writing_to_open_journal_is_refused(path: str, journal: Journal, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "copy").write_bytes(b"")
    with pytest.raises(UnsafeAccess):
        shutil.copyfile(tmp_path / "copy", path + suffix)
    journal.append("thing.made", {"number": 1})
    assert numbers(path) == [0, 1]


# Several names


def test_symbolic_link_shares_lock_and_listeners_of_its_file(path: str, journal: Journal, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    with Journal(f"sqlite:///{link}") as second:
        second.append("thing.made", {"number": 1})
        assert [each.name for each in link.parent.iterdir()] == ["link.db"]
        log = second.asynchronous.log
        assert isinstance(log, SqliteLog)
        assert log.path == path
        link.unlink()
        link.symlink_to(tmp_path / "other.db")
        assert numbers(str(link)) == []
        with pytest.raises(JournalGone):
            second.append("thing.made", {"number": 2})
    assert numbers(path)[:2] == [0, 1]


def test_reader_active_during_removal_is_answered(path: str, journal: Journal) -> None:
    log = journal.asynchronous.log
    assert isinstance(log, SqliteLog)
    reads: list[int] = []

    def read(connection: apsw.Connection) -> int:
        if not reads:
            remove(f"{path}-wal", f"{path}-shm")
        reads.append(connection.execute("SELECT count(*) FROM events").get)
        return reads[-1]

    assert log.reading(read) == 1
    assert reads == [1, 1], "it reads once more in the file that others see"
    assert blocking.run(log.bounds()).end[0] == 1
