"""Locks as programs use them: threads, processes that are killed, forks, asyncio, on each log."""

import asyncio
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.tasks import TaskView
from journeyman.tasks.limits import LOCK_NAME_CHARS_MAX
from journeyman.tasks.locking.requests import lock_requests
from journeyman.tasks.state import names
from support.waiting import wait_until

HOLDER = Path(__file__).parents[1] / "support" / "lock_holder.py"
LEASE = 0.3  # seconds, where the death of a holder is waited for


@pytest.fixture(params=["memory", "sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def journal(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[jm.Journal]:
    monkeypatch.setenv("JOURNEYMAN_STATE", str(tmp_path / "state"))
    urls = {"memory": f"memory://{uuid.uuid4().hex}?partitions=3", "sqlite": f"sqlite:///{tmp_path}/locks.db"}
    if request.param == "kafka":
        urls["kafka"] = f"kafka://{request.getfixturevalue('kafka_bootstrap')}/locks-{uuid.uuid4().hex}?partitions=2"
    with jm.Journal(urls[request.param]) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{tmp_path}/locks.db") as opened:
        yield opened


def in_thread(call: Any) -> Any:
    """Call it in a thread of its own, which ends with the call."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(timeout=60)


def said(journal: jm.Journal, lock: str) -> list[tuple[str, dict[str, Any]]]:
    """The names and contexts of the events of a lock, in the order of the log."""
    return [(event.name, event.context) for event in journal.read(limit=10_000).events if event.key == lock]


@contextmanager
def holder(journal: jm.Journal, name: str, lease: float = LEASE, owner: str = "") -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock; it is killed in the end."""
    arguments = [sys.executable, str(HOLDER), journal.url, name, str(lease), *([owner] if owner else [])]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip().isdigit()
            yield process
        finally:
            process.kill()


# -- acquiring and releasing -----------------------------------------------------------------------------------------


def test_lock_is_held_until_it_is_released(journal: jm.Journal) -> None:
    lock = jm.Lock("door", journal)
    assert (lock.held, lock.holder, lock.token) == (False, None, None)
    assert lock.acquire()
    assert (lock.held, lock.holder, lock.full_name) == (True, lock.owner_id, "lock:door")
    assert in_thread(lambda: jm.Lock("door", journal).acquire()) is False
    assert lock.release()
    assert (lock.held, lock.holder, lock.token) == (False, None, None)
    assert not lock.release()
    assert in_thread(lambda: jm.Lock("door", journal).acquire()) is True


def test_token_is_the_position_of_the_request_and_rises(journal: jm.Journal) -> None:
    lock, tokens = jm.Lock("door", journal), []
    for _ in range(3):
        assert lock.acquire()
        tokens.append(lock.token or 0)
        lock.release()
    requested = [e for e in journal.read(limit=100).events if e.name == names.LOCK_REQUESTED]
    assert tokens == [event.offset for event in requested]
    assert tokens == sorted(set(tokens))


def test_locks_of_all_partitions_are_independent(journal: jm.Journal) -> None:
    locks = [jm.Lock(f"door-{number}", journal, owner_id="a") for number in range(8)]
    assert all(lock.acquire() for lock in locks)
    assert [lock.held for lock in locks] == [True] * 8
    assert not any(jm.Lock(lock.name, journal, owner_id="b").acquire() for lock in locks)
    assert all(lock.release() for lock in locks)


def test_attempt_at_a_lock_that_is_held_appends_nothing(journal: jm.Journal) -> None:
    assert jm.Lock("door", journal, owner_id="a").acquire()
    before = len(said(journal, "door"))
    other = jm.Lock("door", journal, owner_id="b")
    assert [other.acquire() for _ in range(3)] == [False, False, False]
    assert len(said(journal, "door")) == before


def test_request_that_waits_in_vain_is_withdrawn(journal: jm.Journal) -> None:
    first, second = jm.Lock("door", journal, owner_id="a"), jm.Lock("door", journal, owner_id="b")
    assert first.acquire()
    assert not second.acquire(wait=0.01)
    assert said(journal, "door")[-1][0] == names.LOCK_WITHDRAWN
    first.release()
    assert second.acquire(wait=timedelta(seconds=30))


@pytest.mark.parametrize(("answer", "expected"), [("return_true", True), ("return_false", False)])
def test_owner_that_holds_the_lock_is_answered(journal: jm.Journal, answer: Any, expected: bool) -> None:
    lock = jm.Lock("door", journal)
    assert lock.acquire()
    assert lock.acquire(if_already_acquired=answer) is expected
    assert lock.acquire(wait=5, if_already_acquired=answer) is expected
    with pytest.raises(jm.LockAlreadyAcquiredError, match=r"'door' is held by lock:.* already"):
        lock.acquire()
    assert lock.held


def test_owner_id_of_another_process_holds_the_lock(file: jm.Journal) -> None:
    with holder(file, "door", owner="deploy"):
        lock = jm.Lock("door", file, owner_id="deploy")
        assert (lock.held, lock.token) == (True, None)
        with pytest.raises(jm.LockAlreadyAcquiredError):
            lock.acquire(wait=5)
        assert lock.release(), "an owner id that is given is the same owner everywhere"
        assert not lock.held


def test_release_of_a_lock_that_is_not_held_is_told(journal: jm.Journal) -> None:
    lock = jm.Lock("door", journal)
    assert lock.release() is False
    with pytest.raises(jm.LockNotAcquiredError, match="'door' is not held by"):
        lock.release(raise_if_not_acquired=True)


def test_with_block_releases_and_does_not_acquire(journal: jm.Journal) -> None:
    with jm.Lock("door", journal) as lock:
        assert not lock.held
        assert lock.acquire()
    assert lock.holder is None
    with jm.Lock("door", journal, auto_release=False) as lock:
        assert lock.acquire()
    assert lock.held


def test_threads_are_owners_of_their_own_and_a_process_is_one(journal: jm.Journal) -> None:
    assert jm.ThreadLock("door", journal).owner_id == jm.Lock("door", journal).owner_id
    shared, own = jm.ProcessLock("gate", journal), jm.Lock("door", journal)
    assert in_thread(lambda: shared.owner_id) == shared.owner_id
    assert in_thread(lambda: own.owner_id) != own.owner_id
    assert shared.acquire()
    assert in_thread(lambda: (shared.held, shared.release())) == (True, True)


def test_threads_that_share_a_lock_exclude_each_other(journal: jm.Journal) -> None:
    lock, inside, most = jm.Lock("door", journal), [0], [0]

    def visit() -> None:
        for _ in range(3):
            assert lock.acquire(wait=60)
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            assert lock.held
            inside[0] -= 1
            assert lock.release()

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(visit) for _ in range(4)]:
            each.result(timeout=90)
    assert most == [1]


def test_callers_that_wait_are_served_in_their_order(journal: jm.Journal) -> None:
    first = jm.Lock("door", journal, owner_id="first")
    assert first.acquire()
    served: list[str] = []

    def visit(owner: str) -> None:
        lock = jm.Lock("door", journal, owner_id=owner)
        assert lock.acquire(wait=60)
        served.append(owner)
        lock.release()

    def in_line(count: int) -> Callable[[], bool]:
        requests = lock_requests(journal.asynchronous)
        return lambda: len(journal.run(requests.look("door"))) == count

    with ThreadPoolExecutor(3) as pool:
        for number, owner in enumerate("abc", start=2):
            pool.submit(visit, owner)
            wait_until(in_line(number), f"{owner} to be in line")
        first.release()
    assert served == ["a", "b", "c"]


def test_semaphore_is_held_by_as_many_as_its_capacity(journal: jm.Journal) -> None:
    each = [jm.Semaphore("press", journal, 2, owner_id=owner) for owner in "abc"]
    assert [lock.acquire() for lock in each] == [True, True, False]
    assert each[0].holders == ("a", "b")
    each[0].release()
    assert each[2].acquire()
    assert each[2].holders == ("b", "c")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": ""}, "the name of a lock is a text of 1 to"),
        ({"name": "x" * (LOCK_NAME_CHARS_MAX + 1)}, "the name of a lock"),
        ({"ttl": 0}, "ttl is a whole number of ms"),
        ({"ttl": 1.5}, "ttl is a whole number of ms"),
        ({"owner_id": ""}, "owner_id is a text"),
        ({"lease_seconds": 0}, "lease_seconds is a number of seconds"),
        ({"capacity": 0}, "capacity is a whole number"),
    ],
)
def test_bad_argument_of_a_lock_is_refused(file: jm.Journal, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jm.Semaphore(**{"name": "door", "journal": file, "capacity": 1, **wrong})


def test_bad_argument_of_acquire_is_refused(file: jm.Journal) -> None:
    lock = jm.Lock("door", file)
    with pytest.raises(ValueError, match="if_already_acquired is one of raise_error"):
        lock.acquire(if_already_acquired="perhaps")  # type: ignore[arg-type]
    for wrong in (-1, float("nan"), "5"):
        with pytest.raises(ValueError, match="wait is a number of seconds"):
            lock.acquire(wait=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Lock\(\) takes a Journal"):
        jm.Lock("door", "memory://")  # type: ignore[arg-type]


# -- leases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lease", [LEASE, 3_600], ids=["the same lease", "a longer lease"])
def test_lock_of_a_killed_holder_is_granted_to_the_next(file: jm.Journal, lease: float) -> None:
    lock = jm.Lock("door", file, lease_seconds=lease)
    with holder(file, "door") as process:
        assert not lock.acquire()
        process.kill()
        assert lock.acquire(wait=60)
        token = lock.token
        assert token is not None
        requested = [each["token"] for name, each in said(file, "door") if name == names.LOCK_EXPIRED]
        assert requested
        assert requested[0] < token


def test_attempts_without_a_wait_expire_a_killed_holder(file: jm.Journal) -> None:
    lock = jm.Lock("door", file, lease_seconds=LEASE)
    with holder(file, "door") as process:
        process.kill()
        process.wait()
        wait_until(lock.acquire, "an attempt to succeed after the lease of the holder")


def test_lease_of_a_living_holder_is_renewed(file: jm.Journal) -> None:
    lock, other = jm.Lock("door", file, lease_seconds=1), jm.Lock("door", file, owner_id="b", lease_seconds=1)
    assert lock.acquire()

    def renewals() -> int:
        return sum(name == names.LOCK_RENEWED for name, _ in said(file, "door"))

    wait_until(lambda: other.acquire() or renewals() >= 4, "the lease to be renewed four times")
    assert lock.held
    assert lock.release()
    assert not any(name == names.LOCK_EXPIRED for name, _ in said(file, "door"))


def test_ttl_ends_the_hold_of_a_living_holder(file: jm.Journal, caplog: pytest.LogCaptureFixture) -> None:
    lock = jm.Lock("door", file, ttl=50)
    assert lock.acquire()
    wait_until(lambda: not lock.held, "the hold to end with its ttl")
    assert said(file, "door")[-1][1]["reason"] == "ttl"
    wait_until(lambda: lock.token is None, "the holder to learn that its hold has ended")
    wait_until(lambda: "has ended (ttl)" in caplog.text, "a warning")
    assert lock.release() is False
    assert lock.acquire()


def test_hold_of_a_thread_ends_with_the_thread(file: jm.Journal) -> None:
    assert in_thread(lambda: jm.Lock("door", file, lease_seconds=LEASE).acquire())
    assert jm.Lock("door", file).acquire(wait=60)
    assert "owner ended" in [context.get("reason") for _, context in said(file, "door")]


def test_process_that_only_waits_does_not_lose_its_place(file: jm.Journal) -> None:
    with holder(file, "door", lease=30.0):
        served = threading.Event()

        def wait() -> None:
            if jm.Lock("door", file, lease_seconds=LEASE).acquire(wait=60):
                served.set()

        thread = threading.Thread(target=wait)
        thread.start()

        def renewals() -> int:
            return sum(name == names.LOCK_RENEWED for name, _ in said(file, "door"))

        wait_until(lambda: renewals() >= 4, "the request to be renewed")
        assert jm.Lock("door", file, owner_id="later").acquire() is False
        assert not served.is_set()
        with jm.Journal(file.url) as other:  # the operator
            first = other.run(lock_requests(other.asynchronous).look("door"))[0]
            assert other.run(lock_requests(other.asynchronous).end("door", first.token))
        thread.join(60)
        assert served.is_set()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_child_holds_none_of_its_parents_locks(file: jm.Journal) -> None:
    read, write = os.pipe()
    with jm.Lock("door", file, owner_id="given") as given, jm.Lock("gate", file) as own:
        assert given.acquire()
        assert own.acquire()
        child = os.fork()
        if child == 0:
            answer = f"{given.token} {own.token} {own.held} {own.acquire()}"
            given.__exit__(None, None, None)
            os.write(write, answer.encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 100) == b"None None False False"
        assert given.held
        assert own.held
    os.close(read)
    os.close(write)


def test_closed_journal_leaves_the_lock_to_its_lease(file: jm.Journal) -> None:
    with jm.Journal(file.url) as other:
        assert jm.Lock("door", other, owner_id="a", lease_seconds=LEASE).acquire()
    lock = jm.Lock("door", file, owner_id="b", lease_seconds=LEASE)
    assert lock.holder is not None
    assert lock.acquire(wait=60)


def test_new_process_starts_from_the_snapshot_of_the_queue(file: jm.Journal) -> None:
    """Where history was removed, the locks are in the snapshot that was taken before."""
    assert jm.Lock("door", file, owner_id="a").acquire()
    with jm.Journal(file.url) as other:

        async def compact() -> None:
            from journeyman.consumers.views.snapshots import SnapshotKeeper

            log = await other.asynchronous.open()
            replica = jm.Replica(other.asynchronous, TaskView())
            await SnapshotKeeper(log, replica.view).take(await replica.catch_up())
            await replica.aclose()
            await log.trim((await log.bounds()).end)

        other.run(compact())
        assert jm.Lock("door", other).holder == "a"
        assert jm.Lock("door", other).acquire() is False


# -- asyncio ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_tasks_exclude_each_other(kind: str, tmp_path: Path) -> None:
    async def test() -> None:
        url = f"memory://{uuid.uuid4().hex}" if kind == "memory" else f"sqlite:///{tmp_path}/locks.db"
        async with jm.AsyncJournal(url) as journal:
            inside, most = 0, 0

            async def visit() -> None:
                nonlocal inside, most
                async with jm.AsyncLock("door", journal) as lock:
                    assert await lock.acquire(wait=60)
                    inside += 1
                    most = max(most, inside)
                    assert await lock.held()
                    assert await lock.holder() == lock.owner_id
                    inside -= 1

            await asyncio.gather(*(visit() for _ in range(6)))
            assert most == 1

    asyncio.run(test())


def test_cancelled_task_withdraws_its_request() -> None:
    async def test() -> None:
        async with jm.AsyncJournal(f"memory://{uuid.uuid4().hex}") as journal:
            first, second = jm.AsyncLock("door", journal), jm.AsyncLock("door", journal)
            assert await first.acquire()
            waiting = asyncio.create_task(second.acquire(wait=60))
            requests = lock_requests(journal)
            while len(await requests.look("door")) < 2:  # noqa: ASYNC110 - each look reads the log
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert len(await requests.look("door")) == 1
            assert await first.release()
            assert await second.acquire()

    asyncio.run(test())


def test_async_semaphore_on_a_journal_of_threads(journal: jm.Journal) -> None:
    async def test() -> None:
        one, two = (jm.AsyncSemaphore("press", journal, 2) for _ in range(2))
        assert await one.acquire()
        assert await two.acquire()
        assert await jm.AsyncSemaphore("press", journal, 2).acquire() is False
        assert len(await one.holders()) == 2
        with pytest.raises(jm.LockAlreadyAcquiredError):
            await one.acquire()
        assert await one.release()
        with pytest.raises(jm.LockNotAcquiredError):
            await one.release(raise_if_not_acquired=True)

    asyncio.run(test())
