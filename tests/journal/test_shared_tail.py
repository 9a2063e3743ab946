"""All readers of a journal in one process share one tail of its log."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.consumers import AsyncJournalConsumer, JournalConsumer, JournalEventBase, Replica
from journeyman.journal import AsyncJournal, Draft, HistoryTruncated, Journal, JournalClosed, JournalUnavailable
from journeyman.journal.log import Page, Tail
from journeyman.journal.memory.log import MemoryLog, MemoryStore, MemoryTail
from journeyman.journal.runtime import blocking
from journeyman.journal.tails.subscriber import Subscriber
from journeyman.journal.tails.window import Window, WindowPlace
from journeyman.journal.testing.faults import Fault, FaultyLog
from support.journals import OnHttp, OnKafka, OnMemory, OnMemoryPartitions, OnSqlite
from support.waiting import reached, wait_until

PATIENCE = 30.0  # seconds; a test that waits so long has failed
FOLLOWERS = 6


class Tails:
    """Watches the tails that a log is asked for."""

    def __init__(self, journal: AsyncJournal, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = 0
        self.open: list[Tail] = []
        self._tail: Callable[[Mapping[int, int]], Awaitable[Tail]] = journal.log.tail
        monkeypatch.setattr(journal.log, "tail", self._open)

    async def _open(self, cursor: Mapping[int, int]) -> Tail:
        tail = await self._tail(cursor)
        close = tail.aclose

        async def closed() -> None:
            if tail in self.open:
                self.open.remove(tail)
            await close()

        setattr(tail, "aclose", closed)  # noqa: B010 - a method of this object alone
        self.opened += 1
        self.open.append(tail)
        return tail


class Follower:
    """A consumer whose callback keeps the numbers of the events."""

    def __init__(self, journal: Journal, **options: Any) -> None:
        self.seen: list[int] = []
        self.errors: list[BaseException] = []
        self.consumer = JournalConsumer(journal, on_error=self.errors.append, **options)
        self.consumer.set_callback(self._see).start()

    def _see(self, event: JournalEventBase | None) -> None:
        if event is not None:
            self.seen.append(event.context["n"])

    def wait_for_some(self) -> None:
        wait_until(lambda: self.seen, "an event at a follower", PATIENCE)

    def wait_for(self, numbers: Sequence[int]) -> None:
        wait_until(lambda: len(self.seen) >= len(numbers), f"{len(numbers)} events at a follower", PATIENCE)
        assert sorted(self.seen) == list(numbers)


def fill(journal: Journal, numbers: range) -> None:
    """One append for each number, all of one key: they have an order."""
    for n in numbers:
        journal.append("order.paid", {"n": n}, "7")


class SharingConformance:
    """Subclass it and supply `url`."""

    def url(self, directory: Path) -> str:
        raise NotImplementedError

    @pytest.fixture
    def journal(self, tmp_path: Path) -> Iterator[Journal]:
        with Journal(self.url(tmp_path)) as journal:
            yield journal

    @pytest.fixture
    def tails(self, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> Tails:
        return Tails(journal.asynchronous, monkeypatch)

    def test_followers_share_a_tail_and_see_all_events_in_order(self, journal: Journal, tails: Tails) -> None:
        fill(journal, range(20))
        with ExitStack() as stack:
            followers = [Follower(journal) for _ in range(FOLLOWERS)]
            for each in followers:
                stack.callback(each.consumer.close)
                each.wait_for(range(20))
            wait_until(lambda: len(tails.open) == 1, "one tail for all")
            opened = tails.opened
            fill(journal, range(20, 60))
            for each in followers:
                each.wait_for(range(60))
                assert each.seen == list(range(60))
            assert (len(tails.open), tails.opened) == (1, opened)
        assert tails.open == []

    def test_lone_consumer_has_one_tail_for_history_and_live(self, journal: Journal, tails: Tails) -> None:
        fill(journal, range(5))
        with JournalConsumer(journal) as consumer:
            fill(journal, range(5, 10))
            for n in range(10):
                event = consumer.poll(PATIENCE)
                assert event is not None
                assert event.context == {"n": n}
            assert tails.opened == 1
        assert tails.open == []

    def test_last_closing_consumer_releases_the_tail(self, journal: Journal, tails: Tails) -> None:
        followers = [Follower(journal, full=False) for _ in range(FOLLOWERS)]
        for count in range(FOLLOWERS):
            fill(journal, range(count, count + 1))
            for each in followers:
                each.wait_for(range(count + 1))
            assert tails.open != []
            followers.pop(0).consumer.close()
        assert tails.open == []

    def test_stopping_consumer_gets_all_available_events(self, journal: Journal) -> None:
        followers = [Follower(journal, full=False) for _ in range(3)]
        for count in range(3):
            fill(journal, range(count, count + 1))
            stopped = followers.pop(0)
            stopped.consumer.stop()
            stopped.consumer.join(PATIENCE)
            assert stopped.seen == list(range(count + 1))

    def test_slow_consumer_catches_up_and_delays_no_other(
        self, journal: Journal, tails: Tails, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("journeyman.journal.tails.window.SHARED_TAIL_EVENTS_MAX", 8)
        slow = JournalConsumer(journal, full=False).start()
        fast = Follower(journal, full=False)
        fill(journal, range(1))
        assert slow.poll(PATIENCE) is not None
        fast.wait_for(range(1))
        with pytest.raises(TimeoutError):
            slow.poll(0.1)
        wait_until(lambda: len(tails.open) == 1, "one tail for both")
        opened = tails.opened
        for n in range(1, 30):
            fill(journal, range(n, n + 1))
            fast.wait_for(range(n + 1))
        assert fast.seen == list(range(30)), "the slow one delays no other"
        events = [slow.poll(PATIENCE) for _ in range(29)]
        assert [event.context["n"] for event in events if event is not None] == list(range(1, 30))
        assert tails.opened > opened, "it read by itself what the others had let go of"
        with pytest.raises(TimeoutError):
            slow.poll(0.1)
        assert len(tails.open) == 1, "it follows with the other again"
        fill(journal, range(30, 31))
        event = slow.poll(PATIENCE)
        assert event is not None
        assert event.context == {"n": 30}
        slow.close()
        fast.consumer.close()

    def test_nonblocking_poll_gets_events_beside_a_waiting_one(self, journal: Journal) -> None:
        waiting = Follower(journal, full=False)
        consumer = JournalConsumer(journal, full=False).start()
        for n in range(10):
            fill(journal, range(n, n + 1))
            event = consumer.poll(0)
            assert event is not None, "what was appended before is there"
            assert event.context == {"n": n}
        with pytest.raises(TimeoutError):
            consumer.poll(0)
        waiting.wait_for(range(10))
        consumer.close()
        waiting.consumer.close()

    def test_closed_journal_reaches_all_consumers(self, tmp_path: Path) -> None:
        journal = Journal(self.url(tmp_path))
        followers = [Follower(journal, full=False) for _ in range(3)]
        fill(journal, range(1))
        for each in followers:
            each.wait_for(range(1))
        journal.close()
        for each in followers:
            wait_until(lambda errors=each.errors: errors, "the error at a follower")  # type: ignore[misc]
            with pytest.raises(JournalClosed):
                each.consumer.close()

    def test_consumers_join_while_others_write(self, journal: Journal) -> None:
        written = threading.Event()

        def write() -> None:
            fill(journal, range(150))
            written.set()

        writer = threading.Thread(target=write)
        with ExitStack() as stack:
            followers = []
            writer.start()
            while not written.is_set():
                follower = Follower(journal)
                stack.callback(follower.consumer.close)
                followers.append(follower)
                follower.wait_for_some()
                if len(followers) >= FOLLOWERS:
                    followers.pop(0).consumer.close()
            writer.join()
            for each in followers:
                each.wait_for(range(150))
                assert each.seen == list(range(150))

    def test_async_consumers_share_a_tail_despite_cancellation(self, tmp_path: Path) -> None:
        asyncio.run(self._in_asyncio(tmp_path))

    async def _in_asyncio(self, directory: Path) -> None:
        async with AsyncJournal(self.url(directory)) as journal:
            with pytest.MonkeyPatch.context() as monkeypatch:
                tails = Tails(journal, monkeypatch)
                consumers = [await AsyncJournalConsumer(journal, full=False).start() for _ in range(FOLLOWERS)]
                seen: list[list[int]] = [[] for _ in consumers]

                async def follow(number: int) -> None:
                    while True:
                        event = await consumers[number].poll()
                        assert event is not None
                        seen[number].append(event.context["n"])

                tasks = [asyncio.create_task(follow(number)) for number in range(FOLLOWERS)]
                for n in range(40):
                    await journal.append("order.paid", {"n": n}, "7")
                    number = n % FOLLOWERS
                    tasks[number].cancel()
                    await asyncio.wait([tasks[number]])
                    tasks[number] = asyncio.create_task(follow(number))
                await reached(lambda: all(len(each) == 40 for each in seen), "all events everywhere", PATIENCE)
                assert seen == [list(range(40))] * FOLLOWERS
                assert len(tails.open) == 1
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                for consumer in consumers:
                    await consumer.aclose()
                assert tails.open == []


class TestOnMemory(OnMemory, SharingConformance):
    pass


class TestOnMemoryPartitions(OnMemoryPartitions, SharingConformance):
    pass


class TestOnSqlite(OnSqlite, SharingConformance):
    pass


class TestOnHttp(OnHttp, SharingConformance):
    pass


class TestOnKafka(OnKafka, SharingConformance):
    pass


# --- errors ---------------------------------------------------------------------------------------------------------


def test_shared_tail_error_reaches_all_and_all_continue() -> None:
    coming: list[Fault] = []
    log = FaultyLog(MemoryLog(MemoryStore()), lambda what: coming.pop() if what == "page" and coming else None)
    with Journal(log) as journal:
        consumers = [JournalConsumer(journal, full=False).start() for _ in range(FOLLOWERS)]
        for each in consumers:  # each comes to the end of the log, so all share
            with pytest.raises(TimeoutError):
                each.poll(0)
        fill(journal, range(1))
        for each in consumers:
            assert each.poll(PATIENCE) is not None
        coming.append(Fault.UNAVAILABLE)  # once: of those who share, only one asks the log
        for each in consumers:
            with pytest.raises(JournalUnavailable):
                each.poll(PATIENCE)
        fill(journal, range(1, 2))
        for each in consumers:
            event = each.poll(PATIENCE)
            assert event is not None
            assert event.context == {"n": 1}, "nothing was skipped"
            each.close()


def test_removed_history_is_reported_to_affected_readers_only() -> None:
    with Journal("memory://") as journal:
        slow = [JournalConsumer(journal, full=False).start() for _ in range(3)]
        for each in slow:
            with pytest.raises(TimeoutError):
                each.poll(0)
        fill(journal, range(10))
        journal.run(journal.asynchronous.log.trim({0: 9}))
        late = JournalConsumer(journal, full=False).start()
        with pytest.raises(TimeoutError):
            late.poll(0)
        for each in slow:
            with pytest.raises(HistoryTruncated) as refused:
                each.poll(PATIENCE)
            assert (refused.value.asked_offset, refused.value.first_offset) == (0, 9)
        fill(journal, range(10, 11))
        event = late.poll(PATIENCE)
        assert event is not None
        assert event.context == {"n": 10}
        for each in [*slow, late]:
            each.close()


# --- readers of the log port ------------------------------------------------------------------------------------------


class Reading:
    """A subscriber, and what it has been handed of each partition."""

    def __init__(self, subscriber: Subscriber, begin: Mapping[int, int]) -> None:
        self.subscriber = subscriber
        self.begin = dict(begin)
        self.rows: dict[int, list[bytes]] = {partition: [] for partition in begin}

    def take(self, page: Page | None) -> bool:
        if page is None:
            return False
        expected = self.begin[page.partition] + len(self.rows[page.partition])
        assert list(page.offsets) == list(range(expected, expected + len(page.rows))), "no gap and no repeat"
        self.rows[page.partition] += page.rows
        return True

    def agrees_with(self, store: MemoryStore) -> None:
        for partition, rows in self.rows.items():
            records = store.partitions[partition].records[self.begin[partition] :]
            assert rows == [record.row for record in records]


APPEND = st.tuples(st.just("append"), st.integers(0, 1), st.integers(1, 12))
JOIN = st.tuples(st.just("join"), st.floats(0, 1), st.floats(0, 1))
PAGE = st.tuples(st.just("page"), st.integers(0, 9), st.tuples(st.integers(1, 15), st.sampled_from([None, None, 0, 1])))
GLANCE = st.tuples(st.just("glance"), st.integers(0, 9), st.integers(1, 15))
CLOSE = st.tuples(st.just("close"), st.integers(0, 9), st.none())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(APPEND, APPEND, JOIN, PAGE, PAGE, PAGE, GLANCE, CLOSE), max_size=60))
def test_reader_gets_everything_from_where_it_joins(steps: list[tuple[str, Any, Any]]) -> None:
    store = MemoryStore(2)
    journal = AsyncJournal(MemoryLog(store))
    readings: list[Reading] = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("journeyman.journal.tails.window.SHARED_TAIL_EVENTS_MAX", 20)
        tails = Tails(journal, monkeypatch)
        for what, one, other in steps:
            if what == "append":
                drafts = [Draft("order.paid", b"{}", partition=one) for _ in range(other)]
                blocking.run(journal.append_drafts(drafts))
            elif what == "join":
                ends = [each.end for each in store.partitions]
                begin = {0: round(one * ends[0]), 1: round(other * ends[1])}
                readings.append(Reading(blocking.run(journal.follow(begin)), begin))
            elif not readings:
                continue
            elif what == "page":
                reading = readings[one % len(readings)]
                reading.take(blocking.run(reading.subscriber.page(other[0], 0, other[1])))
            elif what == "glance":
                reading = readings[one % len(readings)]
                reading.take(blocking.run(reading.subscriber.glance(other)))
            else:
                blocking.run(readings.pop(one % len(readings)).subscriber.aclose())
        for reading in readings:
            while reading.take(blocking.run(reading.subscriber.page(timeout=0))):
                pass
            reading.agrees_with(store)
            assert reading.subscriber.cursor == blocking.run(journal.bounds()).end
        assert len(tails.open) <= 1, "all are at the end, and share"
        for reading in readings:
            blocking.run(reading.subscriber.aclose())
        assert tails.open == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=6),
    st.lists(st.integers(0, 4), min_size=1, max_size=10),
    st.booleans(),
)
def test_readers_join_and_are_cancelled_while_others_write(
    starts: list[tuple[int, int, int]], pauses: list[int], needs_loop: bool
) -> None:
    """Each reader starts after some turns of the loop, pauses between pages, and is cancelled now and then."""
    store = MemoryStore()
    log = MemoryLog(store)
    log.needs_loop = needs_loop  # as a log on the network: who may not wait takes the lead from one who does
    asyncio.run(_read_and_write(store, AsyncJournal(log), starts, pauses))


async def _read_and_write(
    store: MemoryStore, journal: AsyncJournal, starts: list[tuple[int, int, int]], pauses: list[int]
) -> None:

    async def write() -> None:
        for n in range(60):
            await journal.append("order.paid", {"n": n})
            await turns(pauses[n % len(pauses)])

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("journeyman.journal.tails.window.SHARED_TAIL_EVENTS_MAX", 5)
        tails = Tails(journal, monkeypatch)
        readers = [_read(store, journal, *each) for each in starts]
        await asyncio.wait_for(asyncio.gather(write(), *readers), PATIENCE)
        assert tails.open == []


async def _read(store: MemoryStore, journal: AsyncJournal, after: int, slowness: int, patience: int) -> None:
    await turns(after)
    begin = {0: store.partitions[0].end // 2}
    reading = Reading(await journal.follow(begin), begin)
    count = 0
    while reading.subscriber.cursor[0] < 60:
        count += 1
        task = asyncio.ensure_future(reading.subscriber.page(3, 0 if count % 7 == 6 else None))
        if patience and count % (patience + 1) == 0:
            await turns(patience)
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            reading.take(task.result())
        await turns(slowness)
    reading.agrees_with(store)
    await reading.subscriber.aclose()


async def turns(count: int) -> None:
    """Let the loop turn so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("cancelled", [False, True])
def test_untaken_lead_is_passed_on(cancelled: bool) -> None:
    async def run() -> bool:
        journal = AsyncJournal(MemoryLog(MemoryStore()))
        readers = [await journal.follow({0: 0}) for _ in range(3)]
        for each in readers:
            assert await each.page(timeout=0) is None
        leader = asyncio.ensure_future(readers[0].page(timeout=0.001))
        await turns(1)
        waiting = [asyncio.ensure_future(each.page()) for each in readers[1:]]
        await asyncio.wait([leader])  # it has handed over to the first who waits, which has not run since
        if cancelled:
            waiting[0].cancel()
            await asyncio.wait(waiting[:1])
        await journal.append("order.paid")
        done, _ = await asyncio.wait(waiting, timeout=PATIENCE)
        return len(done) == 2 and waiting[0].cancelled() == cancelled and waiting[1].result() is not None

    assert asyncio.run(run())


def test_page_survives_the_cancellation_of_its_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        log = MemoryLog(MemoryStore())
        log.needs_loop = True
        journal = AsyncJournal(log)
        reader = await journal.follow({0: 0})
        assert await reader.page(timeout=0) is None
        page_of_tail = MemoryTail.page
        cancelled: list[object] = []

        async def page(tail: MemoryTail, *arguments: Any) -> Page | None:
            found = await page_of_tail(tail, *arguments)
            if not cancelled:  # between the moment the tail has handed out the page and its reader's next step
                cancelled.append(asyncio.get_running_loop().call_soon(task.cancel))
            return found

        monkeypatch.setattr(MemoryTail, "page", page)
        task = asyncio.ensure_future(reader.page())
        await turns(2)
        await journal.append("order.paid")
        await asyncio.wait([task])
        assert task.cancelled()
        found = await reader.page(timeout=0)
        assert found is not None
        assert list(found.offsets) == [0]

    asyncio.run(run())


def test_readers_of_other_partitions_have_their_own_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = AsyncJournal(MemoryLog(MemoryStore(3)))
    tails = Tails(journal, monkeypatch)
    subscribers = [blocking.run(journal.follow({each: 0})) for each in (1, 1, 2)]
    for each in subscribers:
        assert blocking.run(each.page(timeout=0)) is None
    assert len(tails.open) == 2
    blocking.run(journal.append_drafts([Draft("order.paid", b"{}", partition=2)]))
    assert [blocking.run(each.page(timeout=0)) is not None for each in subscribers] == [False, False, True]
    for each in subscribers:
        blocking.run(each.aclose())
        with pytest.raises(JournalClosed):
            blocking.run(each.page(timeout=0))
    assert tails.open == []


def test_readers_share_one_page_without_copies() -> None:
    journal = AsyncJournal(MemoryLog(MemoryStore()))
    subscribers = [blocking.run(journal.follow({0: 0})) for _ in range(3)]
    for each in subscribers:
        assert blocking.run(each.page(timeout=0)) is None
    blocking.run(journal.append("order.paid"))
    pages = [blocking.run(each.page(timeout=0)) for each in subscribers]
    assert pages[0] is not None
    assert all(page is pages[0] for page in pages)
    for each in subscribers:
        blocking.run(each.aclose())


def test_reader_far_ahead_does_not_wait_for_sleeping_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.tails.shared_tail.PAGE_EVENTS", 3)
    store = MemoryStore()
    journal = AsyncJournal(MemoryLog(store))
    tails = Tails(journal, monkeypatch)
    asleep = Reading(blocking.run(journal.follow({0: 0})), {0: 0})
    assert blocking.run(asleep.subscriber.page(timeout=0)) is None
    for _ in range(50):
        blocking.run(journal.append("order.paid"))
    late = Reading(blocking.run(journal.follow({0: 50})), {0: 50})
    assert blocking.run(late.subscriber.page(timeout=0)) is None
    blocking.run(journal.append("order.paid"))
    page = blocking.run(late.subscriber.page(timeout=0))
    assert page is not None
    assert list(page.offsets) == [50]
    assert len(tails.open) == 1, "the tail that stood far behind was let go"
    while asleep.take(blocking.run(asleep.subscriber.page(timeout=0))):
        pass
    asleep.agrees_with(store)
    for each in (asleep, late):
        blocking.run(each.subscriber.aclose())
    assert tails.open == []


def test_replicas_and_consumers_share_a_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    class Count:
        snapshot_name = None

        def __init__(self) -> None:
            self.rows = 0

        def apply_page(self, page: Page) -> None:
            self.rows += len(page.rows)

    with Journal("memory://") as journal:
        tails = Tails(journal.asynchronous, monkeypatch)
        replicas = [Replica(journal.asynchronous, Count()) for _ in range(3)]  # type: ignore[type-var]
        follower = Follower(journal)
        fill(journal, range(3))
        follower.wait_for(range(3))
        for each in replicas:
            journal.run(each.catch_up())
            assert each.view.rows == 3
            assert journal.run(each.advance(0)) is False
        assert len(tails.open) == 1
        fill(journal, range(3, 4))
        for each in replicas:
            journal.run(each.wait_until(lambda view: view.rows == 4, PATIENCE))
            journal.run(each.aclose())
        follower.consumer.close()
        assert tails.open == []


def test_reader_continues_in_a_forked_child(tmp_path: Path) -> None:
    """The leader is a thread of the parent, and is not there in the child."""
    program = f"""
import os, threading
from journeyman.journal import Journal
from journeyman.journal.runtime import blocking
journal = Journal("sqlite:///{tmp_path}/journal.db")
journal.run(journal.asynchronous.open())
readers = [journal.run(journal.asynchronous.follow({{0: 0}})) for _ in range(2)]
for reader in readers:
    assert journal.run(reader.page(timeout=0)) is None
entered = threading.Event()
shared = readers[0]._shared
lead = shared.lead
async def leading(*arguments):
    entered.set()
    return await lead(*arguments)
shared.lead = leading
threading.Thread(target=lambda: journal.run(readers[0].page()), daemon=True).start()
assert entered.wait(60)
shared.lead = lead
child = os.fork()
if not child:
    journal.append("order.paid")
    page = journal.run(readers[1].page(timeout=30))
    os._exit(0 if page is not None and list(page.offsets) == [0] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.strip() == "0", done.stderr


# --- the window -----------------------------------------------------------------------------------------------------


def page_of(partition: int, first: int, rows: int, size: int = 1) -> Page:
    return Page(partition, range(first, first + rows), [b"x" * size] * rows)


def test_window_is_bounded_in_events_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.tails.window.SHARED_TAIL_EVENTS_MAX", 10)
    monkeypatch.setattr("journeyman.journal.tails.window.SHARED_TAIL_BYTES_MAX", 100)
    window = Window({0: 0})
    for number in range(50):
        window.add(page_of(0, 3 * number, 3))
        assert sum(len(page.rows) for page in window.pages) <= 10
    assert (window.begin, window.head) == ({0: 141}, {0: 150})
    window.add(page_of(0, 150, 1, size=99))
    assert [page.offsets[0] for page in window.pages] == [150]
    window.add(page_of(0, 151, 1, size=500))
    assert [page.offsets[0] for page in window.pages] == [151], "the newest stays however large it is"


def test_place_is_lost_only_if_untaken_events_are_gone() -> None:
    window = Window({0: 0, 1: 0})
    place, other = WindowPlace(window, {0: 0, 1: 0}), WindowPlace(window, {0: 2, 1: 0})
    window.add(page_of(0, 0, 2))
    window.add(page_of(1, 0, 2))
    window.forget(1)
    assert place.is_lost()
    assert place.cursor() == {0: 0, 1: 0}
    assert not other.is_lost()
    assert other.take(1, None) == page_of(1, 0, 1)
    assert other.take(9, 0) is None
    assert other.take(9, None) == page_of(1, 1, 1)
    assert other.cursor() == {0: 2, 1: 2}
