"""An interrupt, Control-C or a task's timeout, strikes between any two steps: it ends what it strikes, and no more."""

import asyncio
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import apsw
import pytest
from journeyman.journal import Draft, Event, Journal, draft
from journeyman.journal.runtime import blocking
from journeyman.journal.sqlite import insert, write_lock
from journeyman.journal.sqlite.insert import Inserter
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.journal.sqlite.pending_append import PendingAppend
from journeyman.journal.sqlite.repeats import Landmarks
from journeyman.journal.sqlite.write_lock import WriteLock
from journeyman.journal.writer import Writer
from support.alarm import Alarm, begun_or_not
from support.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


@pytest.fixture
def log(path: str) -> Iterator[SqliteLog]:
    log = SqliteLog(path)
    blocking.run(log.open())
    append(log)
    yield log
    blocking.run(log.aclose())


@pytest.fixture
def another(path: str, log: SqliteLog) -> Iterator[SqliteLog]:
    """The same file, as another process has it."""
    log = SqliteLog(path)
    blocking.run(log.open())
    yield log
    blocking.run(log.aclose())


def append(log: SqliteLog) -> None:
    blocking.run(log.append([draft("thing.made")]))


def append_in_a_loop(log: SqliteLog) -> None:
    asyncio.run(log.append([draft("thing.made")]))


def trim(log: SqliteLog) -> None:
    blocking.run(log.trim({0: 1}))


def everything(log: SqliteLog) -> list[Event]:
    return Journal(log).read({0: 0}, 100_000).events


def count(log: SqliteLog) -> int:
    return len(everything(log))


@pytest.mark.parametrize("write", [append, append_in_a_loop, trim])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeoutError])
def test_interrupt_during_lock_acquisition_releases_it(
    path: str, log: SqliteLog, monkeypatch: pytest.MonkeyPatch, write: Callable[[SqliteLog], None], kind: type
) -> None:

    def interrupted(descriptor: int, how: int) -> int:
        fcntl.flock(descriptor, how)
        monkeypatch.undo()
        raise kind

    monkeypatch.setattr(write_lock, "_flock", interrupted)
    with pytest.raises(kind):
        write(log)
    other = WriteLock(f"{path}-lock")
    assert other.try_acquire(), "the lock is free"
    other.close()
    write(log)


def test_timeout_during_the_file_check_is_no_file_loss(
    log: SqliteLog, another: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.stat

    def interrupted(path: str) -> None:
        status(path)
        monkeypatch.undo()
        raise TimeoutError("mine")

    monkeypatch.setattr("journeyman.journal.sqlite.file_identity.os.stat", interrupted)
    with pytest.raises(TimeoutError, match="mine"):
        append(another)
    append(another)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeoutError])
def test_interrupt_inside_a_commit_leaves_no_open_statement(
    log: SqliteLog, another: SqliteLog, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    """SQLite refuses a write to a connection that still reads the log as it was before another's commit."""

    def interrupted(_: Inserter, cursor: apsw.Cursor) -> None:
        cursor.execute("SELECT position FROM events")
        raise kind

    monkeypatch.setattr(Inserter, "insert_next", lambda *_: None)
    monkeypatch.setattr(Inserter, "catch_up", interrupted)
    with pytest.raises(kind) as raised:  # which holds on to the cursor
        append(log)
    monkeypatch.undo()
    append(another)
    append(log)
    assert raised.value.__traceback__ is not None
    assert count(log) == 3


@pytest.mark.parametrize("where", [(Writer, "record_one"), (Landmarks, "add")])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, TimeoutError])
def test_interrupted_lone_append_repeated_is_one_event(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch, where: tuple[object, str], kind: type
) -> None:
    """On the way to its one statement, and just after it."""
    done = getattr(*where)

    def interrupted(*given: object) -> None:
        done(*given)
        raise kind

    mine = draft("thing.sent")
    with monkeypatch.context() as patch:
        patch.setattr(*where, interrupted)
        with pytest.raises(kind):
            blocking.run(log.append([mine]))
    append(log)
    (event,) = blocking.run(log.append([mine]))
    assert event.name == "thing.sent"
    assert count(log) == 3


Write = Callable[[Sequence[Draft]], object]


def append_as_others_do(log: SqliteLog, drafts: Sequence[Draft]) -> None:
    blocking.run(log.append(drafts))


def append_from_a_loop(log: SqliteLog, drafts: Sequence[Draft]) -> None:
    asyncio.run(log.append(drafts))


def through_one_journal(log: SqliteLog) -> Write:
    """A journal that is there already, and goes on after each interrupt."""
    return Journal(log).append_drafts


def through_a_new_journal(log: SqliteLog) -> Write:
    """A journal that each append makes, so that an interrupt strikes its first steps too: there are hundreds."""
    return lambda drafts: Journal(log).append_drafts(drafts)


def waited_for(log: SqliteLog) -> Write:
    return partial(append_as_others_do, log)


def from_a_loop(log: SqliteLog) -> Write:
    return partial(append_from_a_loop, log)


@begun_or_not
@pytest.mark.parametrize(
    ("way", "twice", "many", "others_append"),
    [
        *product([through_one_journal, waited_for], [False, True], [1, 2], [False, True]),
        # Not twice: the second would strike the loop as it cleans up after the first.
        *product([from_a_loop], [False], [1, 2], [False, True]),
        # What a journal does before its first append knows neither how many events there are nor other processes.
        *product([through_a_new_journal], [False, True], [2], [True]),
    ],
)
def test_interrupted_append_repeated_is_one_event_and_frees_lock(
    log: SqliteLog,
    another: SqliteLog,
    way: Callable[[SqliteLog], Write],
    twice: bool,
    many: int,
    others_append: bool,
) -> None:
    write = way(log)
    moments = appended = silent = 0
    while silent < 3:  # how many moments there are differs from one time to the next
        moments += 1
        alarm = Alarm(moments, KeyboardInterrupt, within=Path(insert.__file__).parents[2], twice=twice)
        drafts = [draft("thing.sent") for _ in range(many)]
        if others_append:
            append(another)
        alarm.call(partial(write, drafts))
        lock = WriteLock(f"{log.path}-lock")
        assert lock.try_acquire(), "other processes can write"
        lock.close()
        write(drafts)
        appended += many
        silent += not alarm.rang
    assert moments > 20
    assert [event.name for event in everything(log)].count("thing.sent") == appended


@begun_or_not
def test_append_interrupted_while_waiting_blocks_no_other(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is struck, in the standard library's locks too, other threads go on."""
    monkeypatch.setattr("journeyman.journal.sqlite.log.QUEUE_CHECK_SECONDS", 0.02)
    assert log._opened is not None
    queue = log._opened.committer._queue
    moments = silent = 0
    while silent < 3:
        moments += 1
        alarm, over = Alarm(moments, KeyboardInterrupt), threading.Event()
        lock = WriteLock(f"{log.path}-lock")
        assert lock.acquire()

        def release(lock: WriteLock = lock, over: threading.Event = over) -> None:
            wait_until(lambda: bool(queue) or over.is_set(), "it has queued, or was struck before")
            lock.close()

        releasing = threading.Thread(target=release)
        releasing.start()
        mine = draft("thing.sent")
        alarm.call(partial(append_as_others_do, log, [mine]))
        over.set()
        releasing.join()
        others = threading.Thread(target=append, args=(log,), daemon=True)
        others.start()
        others.join(60)
        assert not others.is_alive(), "another thread can append"
        append_as_others_do(log, [mine])
        silent += not alarm.rang
    assert moments > 50
    assert [event.name for event in everything(log)].count("thing.sent") == moments


@pytest.mark.parametrize("others", [1, 2])
def test_handler_error_in_a_group_commit_stays_with_its_caller(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    assert log._opened is not None
    committer, insert_all = log._opened.committer, Inserter.insert_all
    entries = [PendingAppend((draft("thing.made"),), plain=True) for _ in range(others)]
    for entry in entries:
        committer.enqueue(entry)

    def interrupted(*given: Any) -> None:
        monkeypatch.undo()
        insert_all(*given)
        raise TimeoutError("mine")

    monkeypatch.setattr(Inserter, "insert_all", interrupted)
    with pytest.raises(TimeoutError, match="mine"):
        committer.combine()
    for entry in entries:
        assert blocking.run(entry.settled(30.0))
        assert entry.outcome()
    assert count(log) == 1 + others


def test_failing_clock_is_reported_to_each_affected_append(path: str) -> None:
    def clock() -> float:
        raise LookupError("no time")

    log = SqliteLog(path, clock=clock)
    blocking.run(log.open())
    assert log._opened is not None
    left = PendingAppend((draft("thing.made"),), plain=True)
    log._opened.committer.enqueue(left)
    with pytest.raises(LookupError, match="no time"):
        append(log)
    assert blocking.run(left.settled(30.0))
    with pytest.raises(LookupError, match="no time"):
        left.outcome()
    blocking.run(log.aclose())


def test_first_append_after_a_trim_is_found_again(
    log: SqliteLog, another: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trimming has told it where the log ends, so its first append is one statement already."""
    mine = draft("thing.sent")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    append(log)
    blocking.run(another.trim({0: 1}))
    with monkeypatch.context() as patch:
        patch.setattr(Landmarks, "add", interrupted)  # no mark without an event, and no event without a mark
        with pytest.raises(KeyboardInterrupt):
            blocking.run(another.append([mine]))
    append(another)
    blocking.run(another.append([mine]))
    assert [event.name for event in Journal(log).read({0: 1}).events].count("thing.sent") == 1


def test_interrupt_inside_other_writes_leaves_no_open_statement(log: SqliteLog, another: SqliteLog) -> None:
    def interrupted(connection: apsw.Connection) -> None:
        opened = connection.execute("SELECT position FROM events")
        raise KeyboardInterrupt(opened)

    with pytest.raises(KeyboardInterrupt) as raised:
        blocking.run(log.writing(interrupted))
    append(another)
    append(log)
    assert raised.value.args
    assert count(log) == 3


def test_interrupt_inside_a_read_leaves_no_open_statement(log: SqliteLog, another: SqliteLog) -> None:
    """That connection would go on to show the log as it was then."""

    def interrupted(connection: apsw.Connection) -> Any:
        opened = connection.execute("SELECT position FROM events")
        raise KeyboardInterrupt(opened)

    with pytest.raises(KeyboardInterrupt) as raised:
        log.reading(interrupted)
    append(another)
    assert raised.value.args
    assert count(log) == 2
