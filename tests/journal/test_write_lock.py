"""The queue of the writers' processes: who has the lock, who waits, and that waiting is served in turn."""

import gc
import os
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from journeyman.journal import Journal, JournalUnavailable
from journeyman.journal.sqlite import write_lock
from journeyman.journal.sqlite.write_lock import WriteLock
from journeyman.journal.testing.suite_processes import child, line_from


def test_write_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    one, other = WriteLock(f"{tmp_path}/lock"), WriteLock(f"{tmp_path}/lock")
    assert one.try_acquire()
    assert not other.try_acquire()
    waiting = threading.Thread(target=other.acquire)
    waiting.start()
    one.release()
    waiting.join(60)
    assert not waiting.is_alive()
    assert not one.try_acquire()
    other.close()  # gives it back as well
    assert one.try_acquire()
    one.close()


def test_closed_lock_cannot_be_acquired(tmp_path: Path) -> None:
    lock = WriteLock(f"{tmp_path}/lock")
    lock.close()
    lock.close()
    assert not lock.try_acquire()
    assert not lock.acquire()
    lock.release()


def test_unreferenced_lock_releases_its_file(tmp_path: Path) -> None:
    lock = WriteLock(f"{tmp_path}/lock")
    descriptor = lock._descriptor
    os.fstat(descriptor)
    del lock
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_unusable_lock_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JournalUnavailable, match="cannot be opened"):
        WriteLock(f"{tmp_path}/absent/lock")
    lock = WriteLock(f"{tmp_path}/file")

    def refuses(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(write_lock, "_flock", lambda *_: -1)  # as some network file systems do
    monkeypatch.setattr("fcntl.flock", refuses)
    with pytest.raises(JournalUnavailable, match=r"No locks available.*on a local disk"):
        lock.try_acquire()
    monkeypatch.undo()
    lock.close()


def test_lock_holder_is_unknown_without_the_systems_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = WriteLock(f"{tmp_path}/lock")
    assert lock.holder() == "another process", "no thread here holds it"
    monkeypatch.setattr(write_lock, "_pid_holding", lambda path: 2**22 + 1)  # has ended meanwhile
    assert lock.holder() == f"process {2**22 + 1}"
    lock.close()


def test_concurrent_writing_processes_take_turns(tmp_path: Path) -> None:
    """SQLite alone lets one process have it all: measured, 2,234 commits of one against 1 each of three others.

    A process without a processor cannot take its turn either (with four busy programs beside them the least share was
    between 0.002 and 0.26), so one of five times is enough: without the queue the greatest of five was 0.034.
    """
    shares: list[float] = []
    while not shares or (shares[-1] < 0.1 and len(shares) < 5):
        shares.append(_least_share_of_three(tmp_path / f"{len(shares)}.db"))
    assert shares[-1] >= 0.1, shares


def _least_share_of_three(path: Path) -> float:
    """What part of the commits made while three processes were at it was the least one's."""
    url, names, count = f"sqlite:///{path}", ["writer.a", "writer.b", "writer.c"], 400
    with Journal(url) as journal, ExitStack() as stack:
        lock = WriteLock(f"{path}-lock")
        assert lock.acquire()
        processes = [stack.enter_context(child("append", url, name, count, 1)) for name in names]
        for process in processes:
            assert line_from(process) == ["ready"]
        lock.close()  # all are there: now they begin
        for process in processes:
            for _ in range(count):
                line_from(process)
        order = [event.name for event in journal.read({0: 0}, 3 * count).events]
    assert Counter(order) == dict.fromkeys(names, count)
    # While all three were at it, which they should have been for a while: a busy machine may start one of them late.
    begun = max(order.index(name) for name in names)
    ended = min(len(order) - order[::-1].index(name) for name in names)
    shares = Counter(order[begun:ended])
    return min(shares[name] for name in names) / max(count, ended - begun)
