"""A lock that is linked to a message outlives its producer, and is released when the task has ended."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal.memory.log import MemoryLog
from journeyman.tasks.linked_lock import Link, link_in, release_link
from journeyman.tasks.locking.requests import lock_requests
from journeyman.tasks.message_encoding import encode_message
from journeyman.tasks.state import names
from journeyman.tasks.submitting import submission
from journeyman.workers import Settings
from support.shop import LEASE_MS, Shop, named
from support.waiting import reached


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db") as opened:
        yield opened


@pytest.mark.anyio
@pytest.mark.parametrize(("fails", "status"), [(False, names.SUCCEEDED), (True, names.FAILED)])
@pytest.mark.parametrize("partitions", [1, 4])
async def test_linked_lock_is_released_as_the_task_ends(fails: bool, status: str, partitions: int) -> None:
    shop = Shop(partitions)
    held: list[bool] = []

    def paint(message: jm.Message) -> None:
        held.append(not shop.events(names.LOCK_RELEASED))
        if fails:
            raise ValueError("no such colour")

    journal = jm.Journal(MemoryLog(shop.store))
    lock = jm.Lock("door", journal, owner_id="shop")
    tasks = named(paint=paint)
    message = jm.Message("paint", max_retries=0)
    assert await asyncio.to_thread(lock.acquire)
    token = lock.token
    await asyncio.to_thread(message.link_lock, lock)
    async with shop.worker(tasks, Settings(threads=1, lease_ms=LEASE_MS)):
        await shop.journal.append_drafts([submission(message)])
        await reached(lambda: shop.events(names.LOCK_RELEASED), "the lock to be released")
    (released,) = shop.events(names.LOCK_RELEASED)
    assert released.context == {"lock": "door", "token": token, "task": message.uuid}
    assert (held, len(shop.events(status))) == ([True], 1)
    assert not await asyncio.to_thread(lambda: lock.held)
    await asyncio.to_thread(journal.close)


def test_linked_lock_outlives_the_process_that_linked_it(journal: jm.Journal) -> None:
    with jm.Journal(journal.url) as producer:
        lock = jm.Lock("door", producer, ttl=60_000, owner_id="shop", lease_seconds=0.05)
        assert lock.acquire()
        jm.Message("work").link_lock(lock)
        assert lock.token is None, "this process renews it no more"
    (request,) = journal.run(lock_requests(journal.asynchronous).look("door"))
    assert (request.holds, request.lease_ms) == (True, 60_000)


def test_message_links_and_releases_one_lock(journal: jm.Journal) -> None:
    lock, other = jm.Lock("door", journal, owner_id="a"), jm.Lock("gate", journal, owner_id="a")
    message = jm.Message("work")
    with pytest.raises(AttributeError, match="no lock is linked"):
        message.release_lock()
    assert message.release_lock(not_linked_ok=True) is False
    assert lock.acquire()
    token = lock.token
    assert message.link_lock(lock) is message
    assert message.linked_lock == {"name": "door", "owner_id": "a", "token": token}
    with pytest.raises(AttributeError, match="'door' is linked to this message already"):
        message.link_lock(other)
    with pytest.raises(TypeError, match="target_journal"):
        message.release_lock()
    assert message.release_lock(target_journal=journal)
    assert message.data["linked_lock"] is None
    assert not lock.held
    message.link_lock(other).link_lock(lock, override=True)
    assert message.release_lock(target_journal=journal) is False, "it was not acquired"
    assert message.linked_lock == {"name": "door", "owner_id": "a"}


def test_link_is_found_in_the_record_of_a_submission(journal: jm.Journal) -> None:
    lock = jm.Lock("door", journal, owner_id="a")
    free, plain = jm.Message("work").link_lock(lock), jm.Message("work", kwargs={"linked_lock": {"name": "x"}})
    assert lock.acquire()
    token = lock.token
    linked = jm.Message("work").link_lock(lock)
    rows = [b'{"context":%b}' % encode_message(each) for each in (linked, free, plain)]
    assert [link_in(row) for row in rows] == [Link("door", "a", token or 0), Link("door", "a"), None]


@pytest.mark.anyio
async def test_link_without_a_token_is_released_by_its_owner() -> None:
    journal = jm.AsyncJournal(f"memory://{uuid.uuid4().hex}")
    async with journal, jm.AsyncLock("door", journal) as lock:
        assert await lock.acquire()
        message = jm.Message("work")
        with pytest.raises(TypeError, match=r"await its hand_over\(\) before"):
            message.link_lock(lock)
        assert await lock.hand_over()
        link = link_in(b'{"context":%b}' % encode_message(message.link_lock(lock)))
        assert link == Link("door", lock.owner_id)
        await release_link(journal, link, message.uuid)
        assert not await lock.held()
