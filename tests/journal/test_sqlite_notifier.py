"""Notices: sent after the commit by the writer; never waited for, never piling up, never relied on alone."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from journeyman.consumers import JournalConsumer
from journeyman.journal import AsyncJournal, Cursor, Journal, JournalClosed, JournalUnavailable, draft
from journeyman.journal.event_decoding import decode_all
from journeyman.journal.log import Page, Tail
from journeyman.journal.runtime import blocking
from journeyman.journal.sqlite import notifier
from journeyman.journal.sqlite.limits import NOTICE_ROW_BYTES_MAX
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.journal.sqlite.notifier import FARTHEST, SILENCE, Listener, Notices, Notifier, listener_directories
from journeyman.journal.sqlite.tail import SqliteTail
from journeyman.journal.testing.suite_processes import child, line_from
from ordinary import IS_ROOT, open_directory, ordinary, run_as_ordinary
from support.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


def listening(path: str) -> Listener:
    listener = Listener.bind(listener_directories(path))
    assert listener is not None
    return listener


def listeners(path: str) -> list[str]:
    directories = [Path(directory) for directory in listener_directories(path)]
    return [each.name for directory in directories if directory.is_dir() for each in directory.iterdir()
            if each.name != "mark"]  # fmt: skip


def is_rung(listener: Listener) -> bool:
    return blocking.run(blocking.readable(listener.sock, 0.0)) and listener.drain().end > 0


def test_listeners_are_all_notified_and_only_on_notify(path: str) -> None:
    first = listening(path)
    sender = Notifier(listener_directories(path))
    assert not is_rung(first)
    sender.notify()
    assert is_rung(first)
    assert not is_rung(first)
    second = listening(path)  # bound when the notifier had listed the listeners already
    sender.notify()
    assert is_rung(first)
    assert is_rung(second)
    for listener in (first, second):
        listener.take_down()
    sender.notify()
    assert listeners(path) == []
    sender.close()


def test_listener_of_a_dead_reader_is_removed(path: str) -> None:
    listener = listening(path)
    listener.sock.close()  # as SIGKILL does: the name stays, no process listens
    assert len(listeners(path)) == 1
    sender = Notifier(listener_directories(path))
    sender.notify()
    assert listeners(path) == []
    sender.close()


def test_unanswered_listener_stops_no_writer(path: str) -> None:
    listener = listening(path)
    sender = Notifier(listener_directories(path))
    for _ in range(2_000):  # far more than a socket holds
        sender.notify()
    assert is_rung(listener)
    listener.take_down()
    sender.close()


def test_only_sockets_are_ever_removed(path: str) -> None:
    listener = listening(path)
    stranger = Path(listener_directories(path)[0]) / ("f" * 12)
    stranger.write_text("mine")
    sender = Notifier(listener_directories(path))
    sender.notify()
    assert stranger.read_text() == "mine"
    assert is_rung(listener)
    listener.take_down()
    sender.close()


def test_removed_listener_directory_is_made_again(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "NOTIFIER_POLL_SECONDS", 0.0)
    directory = Path(listener_directories(path)[0])
    sender = Notifier(listener_directories(path))
    sender.notify()
    (directory / "mark").unlink()
    directory.rmdir()
    listener = listening(path)
    sender.notify()
    assert is_rung(listener)
    listener.take_down()
    sender.close()


def test_long_path_puts_listeners_in_the_users_directory(tmp_path: Path) -> None:
    long = tmp_path / ("d" * 100) / "a.db"
    long.parent.mkdir()
    (corner,) = listener_directories(str(long))
    assert Path(corner).parent == Path(tempfile.gettempdir())
    listener = listening(str(long))
    try:
        assert stat.S_IMODE(Path(corner).stat().st_mode) == 0o700
        with Journal(f"sqlite:///{long}") as journal:
            journal.append("thing.made")
        assert is_rung(listener)
        assert Path(corner).is_dir(), "a listener is still bound there"
    finally:
        listener.take_down()
    with Journal(f"sqlite:///{long}") as journal:
        journal.append("thing.made")
    assert not Path(corner).exists(), "nothing is left in the temporary directory"


def test_two_names_of_one_file_share_listeners(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert listener_directories(str(tmp_path / "link" / "a.db")) == listener_directories(
        str(tmp_path / "real" / "a.db")
    )


def test_linked_fallback_directory_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory where any user may write, a link could point at files that a writer would then touch."""
    with open_directory() as temporary:  # pytest's own paths may be too long for a socket
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        (corner,) = listener_directories(str(tmp_path / ("d" * 100) / "a.db"))
        victim = tmp_path / "victim"
        victim.mkdir()
        Path(corner).symlink_to(victim)
        assert Listener.bind([corner]) is None
        sender = Notifier([corner])
        sender.notify()
        assert list(victim.iterdir()) == []
        sender.close()


def test_unwritable_directory_puts_listeners_in_the_fallback(tmp_path: Path) -> None:
    beside, corner = listener_directories(str(tmp_path / "a.db"))
    Path(beside).write_text("in the way")
    listener = listening(str(tmp_path / "a.db"))
    try:
        sender = Notifier([beside, corner])
        sender.notify()
        assert is_rung(listener)
    finally:
        listener.take_down()
    sender.close()
    assert not Path(corner).exists()


# Of several users


_HANGS = """
import sys
from journeyman.journal.sqlite.notifier import Listener, Notifier, listener_directories
directories = listener_directories(sys.argv[1])
listener = Listener.bind(directories)
notifier = Notifier(directories)
notifier.notify()
print(listener.drain().end > 0)
listener.take_down()
notifier.close()
"""


def test_mark_of_a_former_owner_is_replaced() -> None:
    """As `chown` of the journal's files leaves it, which does not reach into the directory."""
    with open_directory() as directory:
        path = directory / "a.db"
        path.touch()
        beside = Path(listener_directories(str(path))[0])
        beside.mkdir()
        mark = beside / "mark"
        mark.write_bytes(b"of root")
        mark.chmod(0o400)
        if IS_ROOT:
            for each in (directory, path, beside):
                os.chown(each, *ordinary())
        done = run_as_ordinary("-c", _HANGS, str(path))
        assert (done.stdout, done.stderr) == ("True\n", "")
        assert mark.read_bytes() != b"of root"
        assert mark.stat().st_uid == ordinary()[0]


def test_foreign_listener_directory_is_warned_of_once() -> None:
    with open_directory() as directory:
        path = directory / "a.db"
        path.touch()
        beside = Path(listener_directories(str(path))[0])
        beside.mkdir()
        (beside / "mark").write_bytes(b"8 bytes.")
        beside.chmod(0o500 if not IS_ROOT else 0o755)
        done = run_as_ordinary("-c", _HANGS, str(path))
        beside.chmod(0o755)
        assert done.stdout == "True\n"
        assert len(done.stderr.splitlines()) == 1
        assert f"chown -R --reference={path} {beside}" in done.stderr


@pytest.mark.skipif(not IS_ROOT, reason="only the superuser looks at the journals of others")
def test_files_made_by_root_belong_to_the_journal_owner() -> None:
    with open_directory() as directory:
        path = directory / "a.db"
        path.touch(0o664)
        path.chmod(0o664)
        os.chown(path, 12_345, 54_321)
        listener = listening(str(path))
        sender = Notifier(listener_directories(str(path)))
        sender.notify()
        assert is_rung(listener)
        beside = Path(listener_directories(str(path))[0])
        found = {each: each.stat() for each in (beside, *beside.iterdir())}
        assert len(found) == 3
        assert {(each.st_uid, each.st_gid) for each in found.values()} == {(12_345, 54_321)}
        modes = {each.name: stat.S_IMODE(status.st_mode) for each, status in found.items()}
        assert modes[beside.name] & 0o070 == 0o070
        assert modes["mark"] & 0o060 == 0o060
        (socket_mode,) = (mode for name, mode in modes.items() if name not in (beside.name, "mark"))
        assert socket_mode == 0o760, "what a ring brings is believed, so others than writers cannot ring"
        listener.take_down()
        sender.close()


def test_journal_needs_no_temporary_directory(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose root is read-only, with a volume for the journal alone."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)
    with pytest.raises(FileNotFoundError):
        tempfile.gettempdir()
    assert len(listener_directories(path)) == 1
    long = Path(path).parent / ("d" * 100) / "a.db"
    long.parent.mkdir()
    assert listener_directories(str(long)) == []
    for each in (path, str(long)):
        with Journal(f"sqlite:///{each}") as journal:
            journal.append("thing.made")
            with JournalConsumer(journal) as consumer:
                event = consumer.poll(30.0)
                assert event is not None
                assert event.name == "thing.made"


# With the log around them


def patience_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on only a notice wakes a tail in this process: it looks by itself once an hour."""
    monkeypatch.setattr("journeyman.journal.sqlite.tail.NOTIFIER_POLL_SECONDS", 3_600.0)


@pytest.mark.parametrize("world", ["loop", "thread"])
def test_notification_alone_wakes_a_tail(path: str, monkeypatch: pytest.MonkeyPatch, world: str) -> None:
    patience_without_looking(monkeypatch)
    with Journal(f"sqlite:///{path}") as journal:
        log = journal.asynchronous.log
        seen: list[str] = []

        async def follow() -> None:
            tail = await log.tail({0: 0})
            for _ in range(3):
                page = await tail.page()
                assert page is not None
                seen.extend(["page"] * len(page.rows))
            await tail.aclose()

        run: Any = asyncio.run if world == "loop" else blocking.run
        follower = threading.Thread(target=run, args=(follow(),))
        follower.start()
        for number in range(3):
            wait_until(lambda: len(listeners(path)) == 1, "the tail waits")
            journal.append("thing.made")
            wait_until(lambda: len(seen) > number, "the tail has seen it")  # noqa: B023 - called at once
        follower.join(60)
        assert not follower.is_alive()
        assert listeners(path) == [], "a closed tail has removed its listener"


_PATIENT_FOLLOWER = """
import sys
from journeyman.journal.sqlite import tail
from journeyman.journal.testing.child import main
tail.NOTIFIER_POLL_SECONDS = 3600.0
main(sys.argv[1:])
"""


def test_notification_alone_wakes_a_tail_of_another_process(path: str) -> None:
    url = f"sqlite:///{path}"
    with Journal(url) as journal:
        journal.append("thing.made")
        follower = subprocess.Popen(
            [sys.executable, "-c", _PATIENT_FOLLOWER, "follow", url, "3"], stdout=subprocess.PIPE, text=True
        )
        try:
            assert line_from(follower) == ["waiting"]
            for offset in (1, 2, 3):
                journal.append("thing.made")
                assert line_from(follower) == ["0", str(offset), "thing.made"]
            assert follower.wait(60) == 0
        finally:
            follower.kill()
            follower.communicate()


def test_killed_tail_leaves_no_socket(path: str) -> None:
    url = f"sqlite:///{path}"
    with Journal(url) as journal:
        for _ in range(3):
            with child("follow", url, 1) as follower:
                assert line_from(follower) == ["waiting"]
                wait_until(lambda: len(listeners(path)) == 1, "the reader to bind its listener")
                follower.send_signal(signal.SIGKILL)
                follower.wait()
                assert len(listeners(path)) == 1
                # It may have been killed before it changed the mark; then the slow poll finds its listener.
                wait_until(lambda: journal.append("thing.made") and not listeners(path), "the listener to be removed")


def test_lost_notification_is_covered_by_slow_polling(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.sqlite.tail.NOTIFIER_POLL_SECONDS", 0.02)
    monkeypatch.setattr(Notifier, "notify", lambda *_: None)
    assert tailed_from(path)


def test_tail_without_listener_polls(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.sqlite.tail.NOTIFIER_POLL_SECONDS", 0.02)
    monkeypatch.setattr(Listener, "bind", lambda directories: None)
    assert tailed_from(path)


def tailed_from(path: str) -> bool:
    async def test() -> bool:
        log = SqliteLog(path)
        await log.open()
        tail = await log.tail({0: 0})
        waiting = asyncio.ensure_future(tail.page())
        await asyncio.sleep(0)
        await log.append([draft("thing.made")])
        page = await asyncio.wait_for(waiting, 60)
        await tail.aclose()
        await log.aclose()
        return page is not None and len(page.rows) == 1

    return asyncio.run(test())


def test_close_ends_the_waits_of_other_threads(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patience_without_looking(monkeypatch)
    log = SqliteLog(path)
    blocking.run(log.open())
    errors: list[BaseException] = []

    def follow(tail: Tail) -> None:
        try:
            blocking.run(tail.page())
        except JournalClosed as error:
            errors.append(error)
        blocking.run(tail.aclose())

    threads = [threading.Thread(target=follow, args=(blocking.run(log.tail({0: 0})),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(listeners(path)) == 3, "all wait")
    blocking.run(log.aclose())
    for thread in threads:
        thread.join(60)
    assert len(errors) == 3
    assert listeners(path) == []


def test_notification_gives_the_end_and_many_give_none(path: str) -> None:
    directories = listener_directories(path)
    listener = Listener.bind(directories)
    assert listener is not None
    sender = Notifier(directories)
    assert listener.drain() == SILENCE
    sender.notify(7)
    sender.notify(9)
    sender.notify(8)
    assert listener.drain() == Notices(9, [])
    for end in range(1, 20):
        sender.notify(end)
    assert listener.drain().end == FARTHEST
    listener.notify()
    assert listener.drain().end == FARTHEST
    sender.close()
    listener.take_down()


def looks_of(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets from which tails of this log look at the file, as they do."""
    offsets: list[int] = []
    look = log.page

    def counted(offset: int, limit: int, *, suspicious: bool) -> Page | None:
        offsets.append(offset)
        return look(offset, limit, suspicious=suspicious)

    monkeypatch.setattr(log, "page", counted)
    return offsets


@pytest.fixture
def tailed(path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Journal, Tail, list[int]]]:
    """A journal, a tail at its end whose listener is bound, and the polls of the file from here on."""
    patience_without_looking(monkeypatch)
    with Journal(f"sqlite:///{path}") as journal:
        log = journal.asynchronous.log
        assert isinstance(log, SqliteLog)
        tail = journal.run(log.tail({0: 0}))
        assert isinstance(tail, SqliteTail)
        wakeup = tail.wakeup_socket()
        assert wakeup is not None
        wakeup.close()
        assert journal.run(tail.page(timeout=0.0)) is None
        yield journal, tail, looks_of(log, monkeypatch)
        journal.run(tail.aclose())


def test_notification_carries_the_record_and_saves_a_read(tailed: tuple[Journal, Tail, list[int]]) -> None:
    journal, tail, looks = tailed
    for number in range(3):
        event = journal.append("thing.made", {"number": number}, "key")
        page = journal.run(tail.page(timeout=0.0))
        assert page is not None
        assert decode_all(page.rows, 0, page.offsets) == [event]
    first, second = journal.append("thing.made"), journal.append("thing.lost")
    page = journal.run(tail.page(timeout=0.0))
    assert page is not None
    assert decode_all(page.rows, 0, page.offsets) == [first, second], "what several rings brought is one page"
    assert tail.cursor == Cursor({0: 5})
    assert looks == []


def test_records_not_in_a_notification_are_read(tailed: tuple[Journal, Tail, list[int]], path: str) -> None:
    journal, tail, looks = tailed
    journal.append_all([("thing.made", {})] * 2)  # not one record
    journal.append("thing.made")  # one that does not come next
    journal.append("thing.made", {"text": "x" * NOTICE_ROW_BYTES_MAX})  # too large
    with Journal(f"sqlite:///{path}") as other:  # another writer, and a ring that says nothing
        other.append("thing.made")
    sender = Notifier(listener_directories(path))
    sender.notify()
    sender.close()
    seen = []
    while page := journal.run(tail.page(timeout=0.0)):
        seen += list(page.offsets)
    assert seen == [0, 1, 2, 3, 4]
    assert looks[0] == 0


def test_page_may_be_smaller_than_the_notified_records(tailed: tuple[Journal, Tail, list[int]]) -> None:
    journal, tail, _ = tailed
    for _ in range(3):
        journal.append("thing.made")
    pages = [journal.run(tail.page(1, timeout=0.0)) for _ in range(4)]
    assert [list(page.offsets) if page is not None else None for page in pages] == [[0], [1], [2], None]


def test_notification_before_a_skip_brings_nothing(tailed: tuple[Journal, Tail, list[int]]) -> None:
    journal, tail, looks = tailed
    for _ in range(2):
        journal.append("thing.made")
    tail.skip(0, 2)
    assert journal.run(tail.page(timeout=0.0)) is None
    assert looks == []
    journal.append("thing.made")
    page = journal.run(tail.page(timeout=0.0))
    assert page is not None
    assert list(page.offsets) == [2]


def test_failed_commit_sends_no_record(
    tailed: tuple[Journal, Tail, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, tail, looks = tailed
    log = journal.asynchronous.log
    assert isinstance(log, SqliteLog)
    assert log._opened is not None
    journal.append("thing.made")
    assert journal.run(tail.page(timeout=0.0)) is not None

    def fails(*_: object) -> None:
        raise apsw.IOError("the disk says no")

    with monkeypatch.context() as patch:
        patch.setattr(log._opened.inserter, "insert_next", lambda *_: None)
        patch.setattr(log._opened.inserter, "_insert", fails)
        with pytest.raises(JournalUnavailable):
            journal.append("thing.made")
    assert journal.run(tail.page(timeout=0.0)) is None
    assert looks == [1], "it was rung, and it looked"


@pytest.mark.anyio
async def test_subscriber_is_still_notified_after_the_tail_waited(path: str) -> None:
    """A loop knows one reader of a socket: the wait of a page took the place of a worker that listened for news."""
    async with AsyncJournal(f"sqlite:///{path}") as journal:
        log = journal.log
        assert isinstance(log, SqliteLog)
        tail = await log.tail({0: 0})
        assert isinstance(tail, SqliteTail)
        heard, loop = asyncio.Event(), asyncio.get_running_loop()
        wakeup = tail.wakeup_socket()
        assert wakeup is not None
        loop.add_reader(wakeup, heard.set)
        assert await tail.page(timeout=0.02) is None
        await journal.append("thing.made")
        await asyncio.wait_for(heard.wait(), 60)
        assert await tail.page(timeout=0.0) is not None
        loop.remove_reader(wakeup)
        wakeup.close()
        await tail.aclose()
