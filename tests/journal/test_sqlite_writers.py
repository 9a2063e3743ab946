"""Many writers of one file: which commits, which wait, what they are told; nothing is lost or doubled."""

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from journeyman.journal import (
    AppendInDoubt,
    AsyncJournal,
    Draft,
    Event,
    EventConflict,
    Journal,
    JournalClosed,
    JournalUnavailable,
    draft,
)
from journeyman.journal.limits import CLOCK_STEP_SECONDS_MAX
from journeyman.journal.runtime import blocking
from journeyman.journal.sqlite.commit import Committer
from journeyman.journal.sqlite.insert import Inserter
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.journal.sqlite.write_lock import WriteLock
from journeyman.journal.testing import ManualClock
from support.waiting import reached, wait_until


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.db")


@pytest.fixture
def log(path: str) -> Iterator[SqliteLog]:
    log = SqliteLog(path)
    blocking.run(log.open())
    yield log
    blocking.run(log.aclose())


@pytest.fixture
def queue_lock(path: str, log: SqliteLog) -> Iterator[WriteLock]:
    """The lock in which the writers' processes queue, held by the test as if it were another process."""
    lock = WriteLock(f"{path}-lock")
    assert lock.acquire()
    yield lock
    lock.close()


def inserter(log: SqliteLog) -> Inserter:
    return committer(log).inserter


def committer(log: SqliteLog) -> Committer:
    assert log._opened is not None
    return log._opened.committer


def append(log: SqliteLog, *drafts: Draft) -> list[Event]:
    return blocking.run(log.append(drafts))


def names(log: SqliteLog, start: int = 0) -> list[str]:
    return [event.name for event in Journal(log).read({0: start}, 10_000).events]


def in_threads(count: int, work: Callable[[int], Any]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


# Which writer commits


def test_lone_append_needs_no_thread(log: SqliteLog) -> None:
    before = threading.active_count()
    append(log, draft("thing.made"))
    asyncio.run(log.append([draft("thing.made")]))
    assert threading.active_count() == before
    assert committer(log)._helper is None


def test_lone_append_of_synchronous_code_needs_no_coroutine(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delattr(SqliteLog, "append")
        journal = Journal(log)
        journal.run(journal.asynchronous.open())
        assert journal.append("thing.made", {"n": 1}, "a").offset == 0
        (event,) = journal.append_drafts([draft("thing.made", {"n": 2})])
    assert (event.offset, event.context) == (1, {"n": 2})
    assert names(log) == ["thing.made"] * 2


@pytest.mark.parametrize(
    "more",
    [
        Draft("thing.made", timestamp=1.0),
        Draft("thing.made", partition=1),
        Draft("thing.made", writer="w", seq=1),
        Draft("thing.made", timestamp=1.0, origin=("w", 1)),
    ],
)
def test_only_new_plain_drafts_are_appended_at_once(log: SqliteLog, more: Draft) -> None:
    assert log.try_append(more) is None
    assert names(log) == []


def test_append_conditioned_on_the_end_goes_at_once(path: str, log: SqliteLog) -> None:
    assert log.try_append(Draft("thing.made", key="a", expected=-1)) is None, "the first append looks at the log"
    append(log, draft("thing.made"))
    assert log.try_append(Draft("thing.made", key="a", expected=7)) is None, "another process may have appended"
    for expected in (0, 1):
        event = log.try_append(Draft("thing.made", key="a", expected=expected))
        assert event is not None
        assert event.offset == expected + 1
    assert log.try_append(Draft("thing.made", key="a", expected=1)) is None, "an event stands behind it"
    whole = log.try_append(Draft("thing.made", expected=2, whole_partition=True))
    assert whole is not None
    other = SqliteLog(path)
    blocking.run(other.open())
    append(other, draft("thing.made"))
    blocking.run(other.aclose())
    late = Draft("thing.made", key="a", expected=3)
    assert log.try_append(late) is None, "another log has appended"
    assert (late.writer, late.seq) == ("", 0)
    (landed,) = append(log, late)
    assert landed.offset == 5
    with pytest.raises(EventConflict):
        append(log, Draft("thing.made", key="a", expected=3))
    assert len(names(log)) == 6


def test_try_append_declines_where_it_would_wait(path: str, log: SqliteLog, queue_lock: WriteLock) -> None:
    assert log.try_append(draft("thing.made")) is None, "another process commits"
    queue_lock.release()
    assert committer(log)._writer_mutex.take(False)
    results: list[Event | None] = []
    (thread,) = in_threads(1, lambda _: results.append(log.try_append(draft("thing.made"))))
    thread.join()
    assert results == [None], "another thread commits"
    assert log.try_append(draft("thing.made")) is None, "this thread does, and was interrupted"
    committer(log)._writer_mutex.leave()
    assert SqliteLog(path).try_append(draft("thing.made")) is None, "it is not open"
    assert names(log) == []


def test_try_append_in_doubt_can_be_repeated(log: SqliteLog) -> None:
    journal = Journal(log)
    journal.append("first.thing")
    connection = inserter(log).connected()

    def fails(*_: object) -> int:  # called when the commit is in the log already
        connection.set_wal_hook(None)
        raise apsw.IOError("the disk says no")

    connection.set_wal_hook(fails)
    with pytest.raises(AppendInDoubt, match="not doubled") as raised:
        journal.append("thing.made", {"n": 1})
    (handed_in,) = raised.value.drafts
    assert isinstance(handed_in, Draft)
    (event,) = journal.append_drafts([handed_in])
    assert event.context == {"n": 1}
    assert names(log) == ["first.thing", "thing.made"]


def test_appends_that_wait_together_share_one_commit(log: SqliteLog, queue_lock: WriteLock) -> None:
    append_in_background = in_threads(20, lambda number: append(log, draft(f"thing.n{number}"), draft("thing.end")))
    wait_until(lambda: len(committer(log)._queue) == 20, "all have queued")
    queue_lock.release()
    for thread in append_in_background:
        thread.join()
    assert len(inserter(log).landmarks._marks) == 1, "one transaction"
    found = names(log)
    assert len(found) == 40
    assert found[1::2] == ["thing.end"] * 20, "each append is contiguous"


def test_tasks_of_a_loop_share_one_commit(log: SqliteLog) -> None:
    """The first one that ever appends does not know yet that it has company."""

    async def test(start: int) -> None:
        await asyncio.gather(*[log.append([draft(f"thing.n{number}")]) for number in range(start, start + 100)])

    commits = inserter(log).landmarks._marks
    asyncio.run(test(0))
    assert len(commits) == 2
    asyncio.run(test(100))
    assert len(commits) == 3
    assert names(log) == [f"thing.n{number}" for number in range(200)]


def test_lone_task_of_a_loop_commits_at_once_and_yields(log: SqliteLog) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def test() -> None:
        first = log.append([draft("thing.made")])
        with pytest.raises(StopIteration):  # it has not waited for anything
            first.send(None)
        counting = asyncio.create_task(count())
        for _ in range(10):
            await log.append([draft("thing.made")])
        assert turns >= 4
        counting.cancel()

    asyncio.run(test())
    assert names(log) == ["thing.made"] * 11


def test_lone_append_finds_its_place_after_others_and_retention(path: str, log: SqliteLog) -> None:
    append(log, draft("thing.made"))
    other = SqliteLog(path)
    blocking.run(other.open())
    for _ in range(3):
        append(other, draft("other.thing"))
    (between,) = append(log, draft("thing.sent"))
    assert between.offset == 4
    (latest, *_) = append(other, draft("other.thing"), draft("other.thing"))
    blocking.run(other.trim({0: 7}))
    (last,) = append(log, draft("thing.kept"))
    assert last.offset == 7
    assert last.timestamp > latest.timestamp
    blocking.run(other.aclose())
    assert names(log, 7) == ["thing.kept"]


def test_threads_and_tasks_append_concurrently(log: SqliteLog) -> None:
    async def tasks() -> None:
        for round_ in range(10):
            await asyncio.gather(*[log.append([draft(f"task.n{number}-{round_}")]) for number in range(10)])

    threads = in_threads(4, lambda number: [append(log, draft(f"thread.n{number}-{each}")) for each in range(40)])
    asyncio.run(tasks())
    for thread in threads:
        thread.join()
    found = names(log)
    assert len(found) == len(set(found)) == 100 + 160
    for number in range(4):
        own = [name for name in found if name.startswith(f"thread.n{number}-")]
        assert own == [f"thread.n{number}-{each}" for each in range(40)]


# Which writers wait, and what their callers are told


def test_long_lock_wait_names_the_lock_holder(path: str, log: SqliteLog, monkeypatch: Any) -> None:
    """A process stopped inside the lock stops every writer: they say so, and nothing of theirs lands afterwards."""
    monkeypatch.setattr("journeyman.journal.sqlite.log.WRITE_LOCK_SECONDS_MAX", 0.05)
    program = (
        "import sys, os, signal; from journeyman.journal.sqlite.write_lock import WriteLock\n"
        "lock = WriteLock(sys.argv[1]); lock.acquire(); print('held', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, f"{path}-lock"], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        wait_until(lambda: "stopped" in committer(log).lock.holder(), "the holder has stopped")
        refused = draft("refused.thing")
        with pytest.raises(JournalUnavailable, match=f"held by process {holder.pid}, which is stopped"):
            append(log, refused)
        with pytest.raises(JournalUnavailable, match=f"held by process {holder.pid}, which is stopped"):
            asyncio.run(log.append([refused]))
        holder.kill()
        holder.wait()
        append(log, draft("other.thing"))
        assert names(log) == ["other.thing"]
        append(log, refused)
        assert names(log) == ["other.thing", "refused.thing"]
    finally:
        holder.kill()
        holder.communicate()


def test_unqueued_lock_holder_is_waited_for_and_then_named(path: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("journeyman.journal.sqlite.file.FOREIGN_LOCK_SECONDS_MAX", 0.05)
    with Journal(f"sqlite:///{path}") as journal:
        shell = apsw.Connection(path)
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnavailable, match="locked by another program"):
            journal.append("thing.made")
        shell.execute("ROLLBACK")
        shell.close()
        journal.append("thing.made")
        assert journal.bounds().end[0] == 1


@pytest.fixture
def shell(path: str, log: SqliteLog) -> Iterator[apsw.Connection]:
    """Another program, inside a transaction: it does not queue."""
    append(log, draft("first.thing"))
    shell = apsw.Connection(path)
    shell.execute("BEGIN IMMEDIATE")
    yield shell
    shell.close()


def test_loop_runs_on_while_an_append_waits_for_the_lock(log: SqliteLog, shell: apsw.Connection) -> None:
    async def test() -> None:
        waiting = asyncio.ensure_future(log.append([draft("thing.made")]))
        await reached(lambda: committer(log)._helper is not None, "the helping thread waits, and the loop goes on")
        assert not waiting.done()
        shell.execute("ROLLBACK")
        await waiting

    asyncio.run(test())
    assert names(log) == ["first.thing", "thing.made"]


def test_loop_runs_on_while_other_writes_wait_for_the_lock(log: SqliteLog, shell: apsw.Connection) -> None:
    async def test() -> None:
        written = [asyncio.ensure_future(log.trim({0: 1})), asyncio.ensure_future(log.writing(lambda _: None))]
        await asyncio.sleep(0)
        shell.execute("ROLLBACK")
        await asyncio.gather(*written)

    asyncio.run(test())
    assert blocking.run(log.bounds()).first[0] == 1


def test_close_in_a_loop_commits_appends_waiting_for_the_lock(log: SqliteLog, shell: apsw.Connection) -> None:
    async def test() -> None:
        waiting = asyncio.ensure_future(log.append([draft("thing.made")]))
        await reached(lambda: committer(log)._helper is not None, "the helping thread waits")
        closing = asyncio.ensure_future(log.aclose())
        await asyncio.sleep(0)
        shell.execute("ROLLBACK")
        await asyncio.gather(waiting, closing)

    asyncio.run(test())


def test_reported_time_is_that_of_the_whole_wait(log: SqliteLog, shell: apsw.Connection, monkeypatch: Any) -> None:
    """Also of an append that others were before, which waited for the same program."""
    monkeypatch.setattr("journeyman.journal.sqlite.file.FOREIGN_LOCK_SECONDS_MAX", 0.05)
    errors: list[JournalUnavailable] = []

    def work(_: int) -> None:
        with pytest.raises(JournalUnavailable) as raised:
            append(log, draft("thing.made"))
        errors.append(raised.value)

    began = time.monotonic()
    assert committer(log)._writer_mutex.take(False)  # as if a commit were under way
    threads = in_threads(1, work)
    wait_until(lambda: committer(log)._queue, "the append to be in the queue")
    queued = time.monotonic()
    wait_until(lambda: time.monotonic() - queued > 0.5, "the append to have waited a while")
    committer(log)._writer_mutex.leave()
    committer(log).combine()
    for thread in threads:
        thread.join()
    (error,) = errors
    said = re.search(r"locked by another program, and has been for ([0-9.]+) s", str(error))
    assert said is not None
    assert 0.5 <= float(said[1]) <= time.monotonic() - began + 0.05
    shell.execute("ROLLBACK")


def test_group_commit_waits_once_for_the_lock(log: SqliteLog, shell: apsw.Connection, monkeypatch: Any) -> None:
    monkeypatch.setattr("journeyman.journal.sqlite.file.FOREIGN_LOCK_SECONDS_MAX", 0.05)
    begun: list[str] = []
    inserter(log).connected().exec_trace = lambda _, statement, __: not begun.append(statement)  # type: ignore[func-returns-value]
    errors: list[JournalUnavailable] = []

    def work(number: int) -> None:
        with pytest.raises(JournalUnavailable, match="locked by another program") as raised:
            append(log, draft(f"thing.n{number}"))
        errors.append(raised.value)

    assert committer(log)._writer_mutex.take(False)  # as if a commit were under way
    threads = in_threads(4, work)
    wait_until(lambda: len(committer(log)._queue) == 4, "all have queued")
    committer(log)._writer_mutex.leave()
    committer(log).combine()
    for thread in threads:
        thread.join()
    assert len({id(error) for error in errors}) == 4, "each has an error of its own"
    assert begun.count("BEGIN IMMEDIATE") <= 2, "one look, one wait"
    shell.execute("ROLLBACK")


def test_append_cancelled_in_the_queue_does_not_land(log: SqliteLog, queue_lock: WriteLock) -> None:
    async def test() -> None:
        cancelled, kept = draft("cancelled.thing"), draft("kept.thing")
        tasks = [asyncio.ensure_future(log.append([each])) for each in (cancelled, kept)]
        await reached(lambda: len(committer(log)._queue) == 2, "both have queued")
        await reached(committer(log)._writer_mutex.is_locked, "the helping thread waits for the lock")
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        queue_lock.release()
        await tasks[1]
        assert names(log) == ["kept.thing"]
        await log.append([cancelled])
        assert names(log) == ["kept.thing", "cancelled.thing"]

    asyncio.run(test())


def test_append_cancelled_inside_its_commit_is_found_again(path: str) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def clock() -> float:  # read inside the transaction
        inside.set()
        go_on.wait(60)
        return time.time()

    async def test() -> None:
        log = SqliteLog(path, clock=clock)
        await log.open()
        handed_in = draft("thing.made")
        lock = WriteLock(f"{path}-lock")
        assert lock.acquire()
        task = asyncio.ensure_future(log.append([handed_in]))
        await reached(committer(log)._writer_mutex.is_locked, "the helping thread waits for the lock")
        lock.close()  # now it commits, and stands still at the clock
        await reached(inside.is_set, "the commit is under way")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        repeated = asyncio.ensure_future(log.append([handed_in]))
        await asyncio.sleep(0)
        go_on.set()
        (event,) = await repeated
        assert names(log) == ["thing.made"]
        assert event.offset == 0
        await log.aclose()

    asyncio.run(test())


def test_append_being_committed_by_another_thread_is_in_doubt(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def clock() -> float:  # read inside the transaction
        inside.set()
        go_on.wait(60)
        return time.time()

    async def too_late(_log: SqliteLog, _committer: Committer, _entry: object) -> bool:
        await reached(inside.is_set, "another thread to be at the commit")
        return False

    async def test() -> None:
        log = SqliteLog(path, clock=clock)
        await log.open()
        handed_in, lock = draft("thing.made"), WriteLock(f"{path}-lock")
        assert lock.acquire()
        with monkeypatch.context() as patch:
            patch.setattr(SqliteLog, "_settled", too_late)
            task = asyncio.ensure_future(log.append([handed_in]))
            await reached(committer(log)._writer_mutex.is_locked, "the helping thread waits for the lock")
            lock.close()  # now that commits, and stands still at the clock
            with pytest.raises(AppendInDoubt, match="has not finished a commit"):
                await task
        go_on.set()
        await log.append([handed_in])
        assert names(log) == ["thing.made"]
        await log.aclose()

    asyncio.run(test())


def test_own_and_foreign_repeats_in_one_append_are_found(path: str) -> None:
    foreign, own = draft("thing.made"), draft("thing.sent")
    with Journal(f"sqlite:///{path}") as journal:
        journal.append_drafts([foreign])
    with Journal(f"sqlite:///{path}") as journal:
        journal.append_all([("noise.made", {}) for _ in range(100)])
        first = journal.append_drafts([own])
        for drafts in ([own, foreign], [foreign, own]):
            offsets = {event.name: event.offset for event in journal.append_drafts(drafts)}
            assert offsets == {"thing.made": 0, "thing.sent": first[0].offset}
        assert journal.bounds().end[0] == 102


def test_close_works_while_others_hold_the_file(path: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("journeyman.journal.sqlite.log.WRITE_LOCK_SECONDS_MAX", 0.05)
    log = SqliteLog(path)
    blocking.run(log.open())
    append(log, draft("thing.made"))
    lock = WriteLock(f"{path}-lock")
    assert lock.acquire()
    with pytest.raises(JournalUnavailable):
        append(log, draft("thing.refused"))
    blocking.run(log.aclose())  # gives up waiting, and does not fail
    with pytest.raises(JournalClosed):
        append(log, draft("thing.made"))
    lock.close()
    with Journal(f"sqlite:///{path}") as journal:
        assert [event.name for event in journal.read().events] == ["thing.made"]


# Whose commit fails


def test_failing_append_fails_no_other(log: SqliteLog, queue_lock: WriteLock) -> None:
    queue_lock.release()
    append(log, draft("first.thing"))
    connection = inserter(log).connected()
    connection.pragma("max_page_count", connection.pragma("page_count") + 20)  # SQLite's own full disk
    assert queue_lock.acquire()
    outcomes: dict[int, object] = {}

    def work(number: int) -> None:
        size = 500_000 if number == 3 else 100
        try:
            outcomes[number] = append(log, Draft(f"thing.n{number}", b'{"x":"' + b"x" * size + b'"}'))
        except JournalUnavailable as error:
            outcomes[number] = error

    threads = in_threads(8, work)
    wait_until(lambda: len(committer(log)._queue) == 8, "all have queued")
    queue_lock.release()
    for thread in threads:
        thread.join()
    assert isinstance(outcomes.pop(3), JournalUnavailable)
    assert all(isinstance(outcome, list) for outcome in outcomes.values()), outcomes
    assert sorted(names(log)) == ["first.thing", *sorted(f"thing.n{number}" for number in outcomes)]


def test_full_disk_is_named_and_the_append_can_be_repeated(log: SqliteLog) -> None:
    append(log, draft("first.thing"))
    connection = inserter(log).connected()
    connection.pragma("max_page_count", connection.pragma("page_count"))
    big = Draft("big.thing", b'{"x":"' + b"x" * 100_000 + b'"}')
    with pytest.raises(JournalUnavailable, match="is full"):
        append(log, big)
    assert big.seq == 0, "it has no number: it did not land and never will under one"
    connection.pragma("max_page_count", 1_000_000)
    append(log, draft("small.thing"))
    append(log, big)
    events = Journal(log).read({0: 0}).events
    assert [event.name for event in events] == ["first.thing", "small.thing", "big.thing"]
    assert [event.seq for event in events] == sorted(event.seq for event in events), "numbers rise along the log"


@pytest.mark.parametrize("things", [["thing.made"], ["thing.made", "thing.sent"]])
def test_failed_commit_not_landed_is_in_doubt_and_repeatable(log: SqliteLog, things: list[str]) -> None:
    append(log, draft("first.thing"))
    handed_in = [draft(thing) for thing in things]
    inserter(log).connected().set_commit_hook(lambda: True)  # SQLite rolls back and reports an error from COMMIT
    with pytest.raises(AppendInDoubt, match="not doubled"):
        append(log, *handed_in)
    assert names(log) == ["first.thing"]
    append(log, draft("between.thing"))
    append(log, *handed_in)
    append(log, *handed_in)
    assert names(log) == ["first.thing", "between.thing", *things]


def test_failed_commit_that_landed_is_in_doubt_and_found(log: SqliteLog) -> None:
    append(log, draft("first.thing"))
    handed_in = [draft("thing.made"), draft("thing.sent")]

    def fails(*_: object) -> int:
        raise apsw.IOError("the disk is gone, after the commit")

    inserter(log).connected().set_wal_hook(fails)  # called when the commit is in the log already
    with pytest.raises(AppendInDoubt):
        append(log, *handed_in)
    events = append(log, *handed_in)
    assert [event.offset for event in events] == [1, 2]
    assert names(log) == ["first.thing", "thing.made", "thing.sent"]


def test_failed_commit_gives_each_append_its_own_error(log: SqliteLog, queue_lock: WriteLock) -> None:
    queue_lock.release()
    append(log, draft("first.thing"))
    inserter(log).connected().set_commit_hook(lambda: True)
    assert queue_lock.acquire()
    journal = AsyncJournal(log)
    journal._opened = True
    errors: list[AppendInDoubt] = []

    def work(number: int) -> None:
        try:
            blocking.run(journal.append(f"thing.n{number}"))
        except AppendInDoubt as error:
            errors.append(error)

    threads = in_threads(4, work)
    wait_until(lambda: len(committer(log)._queue) == 4, "all have queued")
    queue_lock.release()
    for thread in threads:
        thread.join()
    assert len(errors) == 4
    drafts = [error.drafts[0] for error in errors]
    assert {each.name for each in drafts if isinstance(each, Draft)} == {f"thing.n{number}" for number in range(4)}
    for error in errors:
        Journal(log).append_drafts(error.drafts)  # type: ignore[arg-type]
    assert len(names(log)) == 5


@pytest.mark.parametrize("landed", [False, True])
def test_interrupt_inside_a_commit_affects_no_other_append(log: SqliteLog, landed: bool) -> None:
    """Control-C in the thread that commits for all: the others' appends land, its own can be repeated."""
    append(log, draft("first.thing"))
    interrupted = draft("interrupted.thing")
    connection = inserter(log).connected()

    def interrupt(*_: object) -> Any:
        connection.set_wal_hook(None)
        inserter(log)._clock = time.time
        raise KeyboardInterrupt

    assert committer(log)._writer_mutex.take(False)  # as if a commit were under way
    others = in_threads(3, lambda number: append(log, draft(f"other.n{number}")))
    wait_until(lambda: len(committer(log)._queue) == 3, "the others have queued")
    if landed:
        connection.set_wal_hook(interrupt)  # called when the commit is in the log already
    else:
        inserter(log)._clock = interrupt  # read inside the transaction
    committer(log)._writer_mutex.leave()
    with pytest.raises(KeyboardInterrupt):
        append(log, interrupted)
    for thread in others:
        thread.join()
    append(log, interrupted)
    assert sorted(names(log)) == sorted(["first.thing", "interrupted.thing", *[f"other.n{n}" for n in range(3)]])


# Times


def test_times_rise_with_a_standing_clock(path: str) -> None:
    clock = ManualClock()
    log = SqliteLog(path, clock=clock)
    blocking.run(log.open())
    events = append(log, draft("a.b"), draft("a.b"))
    clock.advance(-CLOCK_STEP_SECONDS_MAX / 2)
    events += append(log, draft("a.b"))
    clock.advance(3_600.0 + CLOCK_STEP_SECONDS_MAX / 2)
    events += append(log, draft("a.b"))
    times = [event.timestamp for event in events]
    assert times[:3] == [pytest.approx(1_800_000_000.0 + each * 1e-6, abs=1e-7) for each in range(3)]
    assert times[3] == 1_800_003_600.0
    blocking.run(log.aclose())


def test_times_rise_over_writers_whose_clocks_differ(path: str) -> None:
    fast, slow = SqliteLog(path, clock=ManualClock(2_000.0)), SqliteLog(path, clock=ManualClock(1_999.5))
    for log in (fast, slow):
        blocking.run(log.open())
    events = [event for _ in range(3) for log in (fast, slow) for event in append(log, draft("a.b"))]
    times = [event.timestamp for event in events]
    assert times == sorted(set(times))
    assert times[0] == 2_000.0
    for log in (fast, slow):
        blocking.run(log.aclose())


def test_times_rise_over_an_emptied_log(path: str) -> None:
    for seconds in (2_000.0, 1_999.5):
        log = SqliteLog(path, clock=ManualClock(seconds))
        blocking.run(log.open())
        (event,) = append(log, draft("a.b"))
        blocking.run(log.trim({0: event.offset + 1}))
        blocking.run(log.aclose())
    assert event.timestamp == pytest.approx(2_000.000001, abs=1e-7)
    assert event.offset == 1


# Repeats beyond one opening


def test_drafts_repeated_in_a_reopened_journal_are_found(path: str) -> None:
    handed_in = [draft("thing.made"), draft("thing.sent")]
    with Journal(f"sqlite:///{path}") as journal:
        first = journal.append_drafts(handed_in)
        journal.append_all([("noise.made", {}) for _ in range(100)])
    with Journal(f"sqlite:///{path}") as journal:
        again = journal.append_drafts(handed_in)
        assert [event.position for event in again] == [event.position for event in first]
        assert journal.bounds().end[0] == 102
        unknown = Draft("thing.made", writer="f" * 32, seq=7)  # numbered by a writer that never got to append it
        (event,) = journal.append_drafts([unknown])
        assert (event.offset, event.writer == "f" * 32) == (102, False)


def test_repeats_are_found_beyond_the_remembered_ones(path: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("journeyman.journal.sqlite.repeats.TRANSACTIONS_REMEMBERED", 4)
    monkeypatch.setattr("journeyman.journal.sqlite.repeats.SEARCH_STEP_POSITIONS", 3)
    with Journal(f"sqlite:///{path}") as journal:
        handed_in = [draft(f"thing.n{number}") for number in range(40)]
        events = [journal.append_drafts([each])[0] for each in handed_in]
        assert len(journal.asynchronous.log._opened.inserter.landmarks._marks) < 10  # type: ignore[attr-defined]
        for each, event in zip(handed_in, events, strict=True):
            assert journal.append_drafts([each])[0].position == event.position
        again = journal.append_drafts(handed_in)
        assert [event.position for event in again] == [event.position for event in events]


# Forks

_FORKING = """
import os, sys, threading
from journeyman.journal import Journal

journal = Journal(sys.argv[1])
journal.append("parent.before")
if sys.argv[2] == "busy":  # a thread commits while the process forks
    threading.Thread(target=lambda: [journal.append("parent.beside") for _ in range(100)], daemon=True).start()
tail = journal.tail()
assert next(tail).name == "parent.before"
children = []
for number in range(3):
    child = os.fork()
    if not child:
        for each in range(5):
            event = journal.append(f"child.n{number}", {"each": each})
        assert len({event.writer for event in journal.read({0: 0}, 1_000).events}) >= 1
        journal.close()
        sys.exit(0)  # not _exit: what was inherited must survive the end of the interpreter, too
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
journal.append("parent.after")
events = journal.read({0: 0}, 1_000).events
names = [event.name for event in events]
writers = {event.name: event.writer for event in events}
assert all(names.count(f"child.n{number}") == 5 for number in range(3)), names
assert len({writers[name] for name in ("parent.before", "child.n0", "child.n1", "child.n2")}) == 4, writers
assert names.count("parent.before") == names.count("parent.after") == 1
assert writers["parent.before"] == writers["parent.after"]
identities = [(event.writer, event.seq) for event in events]
assert len(set(identities)) == len(identities)
print("well")
"""


@pytest.mark.parametrize("how", ["idle", "busy"])
@pytest.mark.skipif(sys.version_info >= (3, 12) and sys.platform == "darwin", reason="forking beside threads")
def test_forked_child_appends_as_its_own_writer(path: str, how: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _FORKING, f"sqlite:///{path}", how],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "well\n"), ended.stderr


_FORKING_TOO_EARLY = """
import os, sys, threading
from journeyman.journal import Journal, JournalUnavailable
from journeyman.journal.sqlite import connections
connections.FORK_SECONDS_MAX = 0.05
journal = Journal(sys.argv[1])
journal.append("parent.before")
inserter = journal.asynchronous.log._opened.inserter
inserter.engine.acquire()  # a commit that takes longer than a fork waits
child = os.fork()
if not child:
    try:
        journal.append("child.made")
    except JournalUnavailable as error:
        assert "forked while a statement ran" in str(error) and "'spawn'" in str(error), error
        sys.exit(0)
    sys.exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
inserter.engine.release()
journal.append("parent.after")
assert [event.name for event in journal.read().events] == ["parent.before", "parent.after"]
journal.close()
print("well")
"""


def test_child_forked_inside_a_commit_is_refused(path: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _FORKING_TOO_EARLY, f"sqlite:///{path}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "well\n"), ended.stderr


def test_forked_child_releases_the_lock_of_a_killed_parent(path: str) -> None:
    program = (
        "import os, sys; from journeyman.journal.sqlite.write_lock import WriteLock\n"
        "lock = WriteLock(sys.argv[1]); lock.acquire()\n"
        "if os.fork() == 0:\n    print('forked', flush=True); sys.stdin.read()\n"
        "else:\n    os.kill(os.getpid(), 9)\n"
    )
    with Journal(f"sqlite:///{path}") as journal:
        parent = subprocess.Popen(
            [sys.executable, "-c", program, f"{path}-lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert parent.stdout is not None
        assert parent.stdin is not None
        assert parent.stdout.readline() == b"forked\n"
        parent.wait()
        journal.append("thing.made")  # the child lives still, and waits for its input to end
        parent.stdin.close()
        assert parent.stdout.read() == b""
        parent.stdout.close()


def test_draft_committed_by_others_during_a_repeat_is_one_event(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an interrupt its entry may still be in the hands of the helping thread."""
    append(log, draft("first.thing"))
    again = draft("thing.made")
    under_both = committer(log)._under_both

    def late(work: Callable[[], Any]) -> Any:  # between the look whether it is new and the locks
        monkeypatch.undo()
        append(log, again)
        return under_both(work)

    monkeypatch.setattr(committer(log), "_under_both", late)
    assert log.try_append(again) is None
    assert append(log, again)[0].offset == 1
    assert names(log) == ["first.thing", "thing.made"]
