"""A lock that is linked to a message outlives its producer, and is released when the task has ended."""

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal.event import Draft, Event, encode_context
from journeyman.journal.memory.log import MemoryLog
from journeyman.tasks import TaskView
from journeyman.tasks.linked_lock import LockLink, link_in, release_link
from journeyman.tasks.locking.requests import lock_requests
from journeyman.tasks.message_encoding import encode_message
from journeyman.tasks.state import names
from journeyman.tasks.submitting import submission
from journeyman.workers import Settings
from journeyman.workers.executors.pipeline import Job, Outcome, SessionLease
from journeyman.workers.loop.bound_release import alone, guarded, has_release
from journeyman.workers.loop.drafts import WorkerDraft, outcome_entries
from support.journals import OnKafka, OnMemoryPartitions
from support.ledger import Ledger
from support.shop import LEASE_MS, Shop, named
from support.states import claimed_task
from support.waiting import reached


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db") as opened:
        yield opened


@pytest.mark.anyio
@pytest.mark.parametrize(("fails", "status"), [(False, names.SUCCEEDED), (True, names.FAILED)])
@pytest.mark.parametrize("task_id", ["door", None], ids=["same partition", "any partition"])
async def test_linked_lock_is_released_as_the_task_ends(fails: bool, status: str, task_id: str | None) -> None:
    shop = Shop(partitions=4)
    held: list[bool] = []

    def paint(message: jm.Message) -> None:
        held.append(not shop.events(names.LOCK_RELEASED))
        if fails:
            raise ValueError("no such colour")

    journal = jm.Journal(MemoryLog(shop.store))
    lock = jm.Lock("door", journal, owner_id="shop")
    tasks = named(paint=paint)
    message = jm.Message("paint", max_retries=0, uuid=task_id)
    assert await asyncio.to_thread(lock.acquire)
    token = lock.token
    await asyncio.to_thread(message.link_lock, lock)
    async with shop.worker(tasks, Settings(threads=1, lease_ms=LEASE_MS)):
        await shop.journal.append_drafts([submission(message)])
        await reached(lambda: shop.events(names.LOCK_RELEASED), "the lock to be released")
    (released,), (ended,) = shop.events(names.LOCK_RELEASED), shop.events(status)
    assert released.context == {"lock": "door", "token": token, "task": message.uuid}
    if released.partition == ended.partition:
        assert released.offset == ended.offset + 1, "one append holds both"
    assert (held, len(shop.events(status))) == ([True], 1)
    assert not await asyncio.to_thread(lambda: lock.held)
    await asyncio.to_thread(journal.close)


class Routed:
    """What holds on every log of several partitions for tasks that are routed by their locks."""

    def test_release_shares_the_append_with_the_end(self, tmp_path: Path) -> None:
        names_of_locks = [f"lock-{number}" for number in range(6)]
        with jm.Journal(self.url(tmp_path)) as journal:  # type: ignore[attr-defined]
            broker = jm.Broker(journal)
            paint = jm.Task(lambda: 1, broker, "paint")
            messages = []
            for name in names_of_locks:
                lock = jm.Lock(name, journal, owner_id="shop")
                assert lock.acquire(wait=60)
                chain = paint.generate(callback=paint.generate(submit=False), submit=False)
                messages.append(chain.link_lock(lock, route=True))
                broker.submit(chain)
            worker = jm.Worker([paint], journal, Settings(threads=2))
            running = threading.Thread(target=worker.run)
            running.start()
            try:
                for message in messages:
                    last = (message.descendant_uuids or [""])[-1]
                    assert jm.ResultStore(journal).get(last, timeout=60_000) == 1
            finally:
                worker.stop()
                running.join(60)
            events = journal.read(None, 10_000).events
        by_place = {(event.partition, event.offset): event for event in events}
        released = [event for event in events if event.name == names.LOCK_RELEASED]
        assert sorted(event.context["lock"] for event in released) == names_of_locks
        assert len({event.partition for event in released}) > 1
        for event in released:
            link, end = (by_place[event.partition, event.offset - before] for before in (1, 2))
            assert (link.name, end.name) == (names.SUBMITTED, names.SUCCEEDED)
            assert end.context["task"] == event.context["task"]
            assert link.context["task"] == f"{end.context['task']}@1"


class TestRoutedInMemory(OnMemoryPartitions, Routed):
    pass


class TestRoutedOnKafka(OnKafka, Routed):
    partitions = 4


def test_message_is_routed_by_its_lock_once_and_only_with_its_own_id(journal: jm.Journal) -> None:
    lock = jm.Lock("door", journal, owner_id="shop")
    message = jm.Message("paint")
    routed = message.link_lock(lock, route=True).uuid
    assert routed.startswith("door@")
    assert message.link_lock(lock, override=True, route=True).uuid == routed
    assert jm.Broker(journal).submit(message).key == "door"
    with pytest.raises(jm.MessageAlreadyExistsError):
        jm.Broker(journal).submit(jm.Message("paint", uuid=routed, linked_lock=message.linked_lock))
    with pytest.raises(jm.ValidationError, match="has chosen the id 'mine'"):
        jm.Message("paint", uuid="mine").link_lock(lock, route=True)
    with pytest.raises(jm.ValidationError, match="at most 160 characters"):
        jm.Message("paint").link_lock(jm.Lock("d" * 161, journal), route=True)
    with pytest.raises(jm.ValidationError, match="does not end with"):
        jm.Message("paint").link_lock(jm.Lock("door@7", journal), route=True)
    with pytest.raises(jm.ValidationError, match="of a link of a chain"):
        jm.Broker(journal).submit(jm.Message("paint", uuid=routed))


class ExpiringLog(MemoryLog):
    """A log in which the first release of a lock is under way for so long that the worker's session is expired."""

    expired = False

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        if any(draft.name == names.LOCK_RELEASED for draft in drafts) and not self.expired:
            self.expired = True
            view = TaskView()
            for number, records in enumerate(self._store.partitions):
                page = self.slice(number, records.first, len(records.records))
                assert page is not None
                view.apply_page(page)
            (session,) = view.all_sessions()
            said = {"worker": session.worker, "last": session.last, "by": "another"}
            expiry = Draft(names.EXPIRED, encode_context(names.EXPIRED, said), session.worker, session.partition)
            await super().append([expiry])
        return await super().append(drafts)


@pytest.mark.anyio
async def test_end_of_a_lost_claim_keeps_the_linked_lock() -> None:
    shop = Shop()
    journal = jm.Journal(MemoryLog(shop.store))
    lock = jm.Lock("door", journal, owner_id="shop")
    message = jm.Message("paint")
    assert await asyncio.to_thread(lock.acquire)
    await asyncio.to_thread(message.link_lock, lock)
    settings = Settings(threads=1, lease_ms=LEASE_MS)
    async with shop.worker(named(paint=lambda: None), settings, log=ExpiringLog(shop.store)):
        await shop.journal.append_drafts([submission(message)])
        await reached(lambda: shop.events(names.LOCK_RELEASED), "the lock to be released")
    (released,) = shop.events(names.LOCK_RELEASED)
    former, ended = shop.events(names.SUCCEEDED)
    assert len(shop.events(names.EXPIRED)) == 1
    assert former.offset < ended.offset == released.offset - 1, "the lock ends with the accepted attempt"
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
    assert [link_in(row) for row in rows] == [LockLink("door", "a", token or 0), LockLink("door", "a"), None]


@pytest.mark.anyio
async def test_link_without_a_token_is_released_by_its_owner() -> None:
    journal = jm.AsyncJournal(f"memory://{uuid.uuid4().hex}")
    async with journal, jm.AsyncLock("door", journal) as lock:
        assert await lock.acquire()
        message = jm.Message("work")
        with pytest.raises(TypeError, match=r"await its hand_over\(\), then link it"):
            message.link_lock(lock)
        assert await lock.hand_over()
        link = link_in(b'{"context":%b}' % encode_message(message.link_lock(lock)))
        assert link == LockLink("door", lock.owner_id)
        await release_link(journal, link, message.uuid)
        assert not await lock.held()


@pytest.fixture
def linked(journal: jm.Journal) -> jm.Message:
    lock = jm.Lock("door", journal, owner_id="shop")
    assert lock.acquire()
    return jm.Message("work", uuid="door").link_lock(lock)


def claim(journal: jm.Journal, message: jm.Message) -> int:
    journal.append(names.JOINED, {"worker": "w", "lease_ms": 60_000})
    return journal.append(names.CLAIMED, {"task": message.uuid, "worker": "w"}, "door").offset


def is_held(journal: jm.Journal) -> bool:
    return jm.Lock("door", journal, owner_id="shop").held


@pytest.mark.parametrize("act", ["revoke", "remove", "ack", "fail"])
def test_act_on_a_task_that_waits_releases_its_lock(journal: jm.Journal, linked: jm.Message, act: str) -> None:
    broker = jm.Broker(journal)
    broker.submit(linked)
    assert is_held(journal)
    assert getattr(broker, act)(linked.uuid)
    assert not is_held(journal)


def test_task_revoked_while_it_runs_keeps_its_lock(journal: jm.Journal, linked: jm.Message) -> None:
    broker = jm.Broker(journal)
    broker.submit(linked)
    token = claim(journal, linked)
    assert broker.revoke(linked.uuid)
    assert is_held(journal), "it runs until its worker has stopped it"
    assert not broker.ack(linked.uuid), "who does not hold it knows nothing of its run"
    assert is_held(journal)
    assert not broker.ack(linked.uuid, claim=token)
    assert not is_held(journal), "its holder has stopped"


def test_refused_ack_of_a_former_holder_releases_nothing(journal: jm.Journal, linked: jm.Message) -> None:
    broker = jm.Broker(journal)
    broker.submit(linked)
    token = claim(journal, linked)
    journal.append(names.LEFT, {"worker": "w"})
    assert not broker.ack(linked.uuid, claim=token)
    assert is_held(journal), "the task waits for its next run"


def test_lapse_found_by_a_look_releases_the_lock(journal: jm.Journal, linked: jm.Message) -> None:
    jm.Broker(journal).submit(linked.update(expires=time.time() - 1))
    assert jm.StatusTracker(journal).get(linked).status is jm.TaskStatus.FAILED
    assert not is_held(journal)


@pytest.mark.anyio
@pytest.mark.parametrize("ends", ["lapse", "revocation"])
async def test_worker_releases_the_lock_of_a_task_ended_early(ends: str) -> None:
    shop, begun, revoked = Shop(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert revoked.wait(60)

    tasks = named(work=work)
    await shop.say(names.LOCK_REQUESTED, "door", lock="door", owner="shop", lease_ms=60_000)
    message = jm.Message("work")
    message.linked_lock = {"name": "door", "owner_id": "shop", "token": 0}
    if ends == "lapse":
        message.update(expires=time.time() - 1)
    await shop.submit_message(message)
    async with shop.worker(tasks, Settings(threads=1, lease_ms=LEASE_MS)):
        if ends == "revocation":
            await asyncio.to_thread(begun.wait, 30)
            await shop.say(names.REVOKED, message.uuid, task=message.uuid)
            assert not shop.events(names.LOCK_RELEASED)
            revoked.set()
        await shop.finished(names.LOCK_RELEASED)
    assert not shop.view().locks


@pytest.mark.parametrize(
    ("lock", "outcome", "loses", "bound"),
    [
        ("door", names.SUCCEEDED, False, True),
        ("door", names.FAILED, False, True),
        ("gate", names.SUCCEEDED, False, False),
        ("door", names.SUCCEEDED, True, False),
        ("door", names.RETRIED, False, False),
    ],
    ids=["succeeded", "failed", "another partition", "lost claim", "retried"],
)
def test_release_is_bound_to_an_outcome_that_is_certain(lock: str, outcome: str, loses: bool, bound: bool) -> None:
    message = jm.Message("work")
    message.linked_lock = {"name": lock, "owner_id": "shop", "token": 3}
    job = Job(claimed_task(message.uuid, 4, 5), SessionLease("w", 1), 5, b'{"context":%b}' % encode_message(message), 0)
    job.lease.renew(time.monotonic(), -1 if loses else 60)
    entries = outcome_entries(Outcome(job, outcome, b""), {"door": 1, "gate": 2}.__getitem__)
    assert [entry.draft.name for entry in entries] == ([outcome, names.LOCK_RELEASED] if bound else [outcome])
    assert [entry.bound for entry in entries[1:]] == [True] * bound
    assert entries[0].link == (None if bound else LockLink(lock, "shop", 3))


class _Failing(MemoryLog):
    """A log that does not take the first release of a lock."""

    failed = False

    async def append(self, drafts: Sequence[Draft]) -> list[jm.Event]:
        if not self.failed and [draft.name for draft in drafts] == [names.LOCK_RELEASED]:
            self.failed = True
            raise jm.JournalUnavailable("it is away")
        return await super().append(drafts)


@pytest.mark.anyio
async def test_release_that_failed_is_tried_again() -> None:
    shop, tasks = Shop(partitions=2), named(paint=lambda: None)
    log = _Failing(shop.store)
    await shop.say(names.LOCK_REQUESTED, "door", lock="door", owner="shop", lease_ms=60_000)
    messages = (jm.Message("paint", uuid=f"work-{number}") for number in range(100))
    message = next(each for each in messages if log.partition_of(each.uuid) != log.partition_of("door"))
    message.linked_lock = {"name": "door", "owner_id": "shop", "token": 0}
    await shop.submit_message(message)
    async with shop.worker(tasks, Settings(threads=1, lease_ms=LEASE_MS), log=log):
        await shop.finished(names.LOCK_RELEASED)
    assert log.failed
    assert not shop.view().locks


def guarded_outcome() -> tuple[Ledger, Job, list[WorkerDraft]]:
    """A claimed task with a linked lock, and what is to be appended as it ends."""
    log, message = Ledger(), jm.Message("work", uuid="t")
    message.linked_lock = {"name": "door", "owner_id": "shop", "token": 3}
    log.join("w")
    log.submit("t")
    job = Job(log.task("t"), SessionLease("w", 0), log.claim("t", "w"), b'{"context":%b}' % encode_message(message), 0)
    job.lease.renew(time.monotonic(), 60)
    return log, job, outcome_entries(Outcome(job, names.SUCCEEDED), lambda _: 0)


def test_bound_release_is_guarded_by_what_was_read() -> None:
    log, _, entries = guarded_outcome()
    assert has_release(entries)
    together = guarded(entries, log.view, log.end - 1)
    assert together is not None
    assert [entry.draft.name for entry in together] == [names.BEAT, names.SUCCEEDED, names.LOCK_RELEASED]
    assert [entry.draft.expected for entry in together] == [log.end - 1, log.end - 1, None]


@pytest.mark.parametrize("how", ["claimed anew", "ended"])
def test_release_is_not_bound_once_the_claim_is_over(how: str) -> None:
    log, _, entries = guarded_outcome()
    log.end_attempt(names.INTERRUPTED if how == "claimed anew" else names.SUCCEEDED, "t", "w")
    if how == "claimed anew":
        log.claim("t", "w")
    assert guarded(entries, log.view, log.end - 1) is None


def test_outcome_alone_has_its_release_behind_it() -> None:
    log, _, entries = guarded_outcome()
    guarded(entries, log.view, log.end - 1)
    (outcome,) = alone(entries)
    assert not has_release([outcome])
    assert outcome.link == LockLink("door", "shop", 3)
    assert (outcome.draft.name, outcome.draft.expected) == (names.SUCCEEDED, None)
