"""A replica stays current, can be shared by threads and asyncio tasks, and waits for nothing that is there already."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from journeyman.consumers.views.replica import Replica
from journeyman.consumers.views.view import View
from journeyman.journal import AsyncJournal, Journal
from journeyman.journal.cursor import Cursor, Position
from journeyman.journal.errors import JournalUnavailable
from journeyman.journal.event import Event
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.journal.testing.faults import Fault, FaultyLog
from support.shop import RepeatingLog
from support.waiting import reached, wait_until


class Names(View):
    """The names of all events, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def apply(self, event: Event) -> None:
        self.seen.append(event.name)


def appended(journal: Journal, count: int, first: int = 0) -> list[str]:
    wanted = [f"event.n{number}" for number in range(first, first + count)]
    journal.append_all([(name, {}) for name in wanted])
    return wanted


@pytest.fixture
def journal() -> Iterator[Journal]:
    with Journal("memory://") as opened:
        yield opened


def test_replica_catches_up_with_existing_history(journal: Journal) -> None:
    wanted = appended(journal, 1_234)
    replica = Replica(journal.asynchronous, Names())
    cursor = journal.run(replica.catch_up())
    assert replica.view.seen == wanted
    assert cursor == replica.cursor == journal.bounds().end


def test_second_catch_up_does_not_wait(journal: Journal) -> None:
    appended(journal, 3)
    replica = Replica(journal.asynchronous, Names())
    journal.run(replica.catch_up())
    journal.run(replica.catch_up())
    assert len(replica.view.seen) == 3


@pytest.mark.timeout(20)
def test_replica_starting_at_the_end_has_caught_up_at_once(journal: Journal) -> None:
    appended(journal, 3)
    replica = Replica(journal.asynchronous, Names(), cursor=journal.bounds().end)
    journal.run(replica.catch_up())
    assert replica.view.seen == []
    assert replica.cursor == journal.bounds().end


@pytest.mark.timeout(20)
def test_empty_or_trimmed_journal_is_caught_up_with_at_once() -> None:
    log = MemoryLog(MemoryStore())
    with Journal(log) as journal:
        replica = Replica(journal.asynchronous, Names())
        journal.run(replica.catch_up())
        appended(journal, 5)
        journal.run(log.trim({0: 5}))
        late = Replica(journal.asynchronous, Names(), cursor=journal.bounds().first)
        journal.run(late.catch_up())
        assert (replica.view.seen, late.view.seen) == ([], [])


@pytest.mark.timeout(20)
def test_repeats_at_the_end_of_the_log_are_not_waited_for() -> None:
    with Journal(RepeatingLog(MemoryStore())) as journal:
        appended(journal, 2)
        journal.append("repeated")
        replica = Replica(journal.asynchronous, Names())
        journal.run(replica.catch_up())
        assert len(replica.view.seen) == 2
        assert replica.cursor == journal.bounds().end


def test_replica_reads_its_own_writes(journal: Journal) -> None:
    replica = Replica(journal.asynchronous, Names())
    for number in range(5):
        event = journal.append(f"event.n{number}")
        journal.run(replica.wait_for(event.position, timeout=60))
        assert replica.view.seen[-1] == event.name


def test_wait_for_a_missing_position_times_out_with_a_sentence(journal: Journal) -> None:
    replica = Replica(journal.asynchronous, Names())
    with pytest.raises(TimeoutError, match=r"waited 0\.01 s for the journal to be read up to"):
        journal.run(replica.wait_for(Position(0, 7), timeout=0.01))
    with pytest.raises(TimeoutError, match=r"waited 0\.01 s for a sign"):
        journal.run(replica.wait_until(lambda _: False, 0.01, describe="a sign"))


def test_wait_for_an_unknown_partition_is_refused(journal: Journal) -> None:
    replica = Replica(journal.asynchronous, Names())
    with pytest.raises(ValueError, match=r"cursor 7:1 is not one of this journal, which has the partition 0 only"):
        journal.run(replica.wait_for(Position(7, 0)))


def test_replica_resumes_from_a_cursor(journal: Journal) -> None:
    appended(journal, 4)
    wanted = appended(journal, 3, first=4)
    replica = Replica(journal.asynchronous, Names(), cursor=Cursor({0: 4}))
    journal.run(replica.catch_up())
    assert replica.view.seen == wanted


def test_replica_follows_all_partitions() -> None:
    with Journal(MemoryLog(MemoryStore(partitions=3))) as journal:
        journal.append_all([("event.x", {}, str(number)) for number in range(60)])
        replica = Replica(journal.asynchronous, Names())
        journal.run(replica.catch_up())
        assert len(replica.view.seen) == 60
        assert len([end for end in replica.cursor.values() if end]) == 3


def test_threads_share_one_replica_and_each_is_woken(journal: Journal) -> None:
    replica = Replica(journal.asynchronous, Names())
    begun = threading.Barrier(9)

    def wait(count: int) -> int:
        begun.wait(60)
        view = journal.run(replica.wait_until(lambda view: len(view.seen) >= count, 20, describe=f"{count} events"))
        return len(view.seen)

    with ThreadPoolExecutor(8) as pool:
        waits = [pool.submit(wait, 5 * (number + 1)) for number in range(8)]
        begun.wait(60)
        wanted: list[str] = []
        for number in range(40):
            wanted += appended(journal, 1, first=number)
        assert all(wait.result(20) >= 5 * (number + 1) for number, wait in enumerate(waits))
    assert replica.view.seen == wanted


@pytest.mark.anyio
async def test_cancelled_task_delays_no_other_user_of_the_replica() -> None:
    async with AsyncJournal("memory://") as journal:
        replica = Replica(journal, Names())
        reader = asyncio.ensure_future(replica.wait_until(lambda _: False))
        await reached(lambda: replica._reading and replica._tail is not None, "the first one to read for all")
        other = asyncio.ensure_future(replica.wait_until(lambda view: bool(view.seen), 60))
        await reached(lambda: replica._waiting, "the second one to wait for what the first one reads")
        reader.cancel()
        await asyncio.wait({reader})
        await journal.append("event.x")
        assert (await other).seen == ["event.x"]


def test_failed_reader_passes_reading_on_to_the_next() -> None:
    faults = [Fault.UNAVAILABLE]
    faulty = FaultyLog(MemoryLog(MemoryStore()), lambda name: faults.pop() if faults and name == "page" else None)
    with Journal(faulty) as journal:
        appended(journal, 1)
        replica = Replica(journal.asynchronous, Names())
        with pytest.raises(JournalUnavailable):
            journal.run(replica.catch_up())
        journal.run(replica.catch_up())
        assert len(replica.view.seen) == 1


def test_failed_start_of_a_replica_is_repeated() -> None:
    faults = [Fault.UNAVAILABLE]
    faulty = FaultyLog(MemoryLog(MemoryStore()))
    with Journal(faulty) as journal:
        appended(journal, 1)
        replica = Replica(journal.asynchronous, Names())
        faulty.choose = lambda name: faults.pop() if faults and name == "bounds" else None
        with pytest.raises(JournalUnavailable):
            journal.run(replica.advance(0))
        journal.run(replica.catch_up())
        assert len(replica.view.seen) == 1


def test_waiting_thread_is_woken_by_an_append_without_polling(journal: Journal) -> None:
    replica = Replica(journal.asynchronous, Names())
    done = threading.Event()

    def wait() -> None:
        journal.run(replica.wait_until(lambda view: bool(view.seen)))
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: replica._reading and replica._tail is not None, "the thread to wait")
    assert not done.is_set()
    journal.append("event.x")
    wait_until(done.is_set, "the thread to be woken by the append")
    thread.join()


def test_replica_continues_in_a_forked_child(tmp_path: Path) -> None:
    """A thread of the parent is in the midst of a page, and is not there in the child."""
    program = f"""
import os, threading
from journeyman.consumers import Replica, View
from journeyman.journal import Journal
inside, over = threading.Event(), threading.Event()
class Names(View):
    def __init__(self):
        self.seen = []
    def apply(self, event):
        self.seen.append(event.name)
        if len(self.seen) == 2 and threading.current_thread() is not threading.main_thread():
            inside.set()
            over.wait(60)
journal = Journal("sqlite:///{tmp_path}/journal.db")
journal.append_all([("event.x", {{}})] * 3)
replica = Replica(journal.asynchronous, Names(), renew=Names)
threading.Thread(target=lambda: journal.run(replica.catch_up()), daemon=True).start()
assert inside.wait(60)
child = os.fork()
if not child:
    journal.append("event.y")
    journal.run(replica.catch_up())
    os._exit(0 if replica.view.seen == ["event.x"] * 3 + ["event.y"] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
over.set()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "0", done.stderr
