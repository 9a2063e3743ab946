"""One reader of a journal: what it is handed, and where it stands, by a tail of its own and by the shared one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from journeyman.journal import AsyncJournal, Draft, JournalClosed, JournalUnavailable
from journeyman.journal.log import Page, Tail
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.journal.tails.subscriber import Subscriber
from support.shop import RepeatingLog, Shop


class Desk:
    """A journal in memory, and its readers."""

    def __init__(self, partitions: int = 1, *, needs_loop: bool = False) -> None:
        log = MemoryLog(MemoryStore(partitions))
        log.needs_loop = needs_loop
        self.journal = AsyncJournal(log)
        self.readers: list[Subscriber] = []

    async def append(self, count: int, partition: int = 0) -> None:
        await self.journal.append_drafts([Draft("order.paid", b"{}", partition=partition) for _ in range(count)])

    async def reader(self, *begin: int) -> Subscriber:
        """A reader that begins there, in each partition."""
        self.readers.append(await self.journal.follow(dict(enumerate(begin))))
        return self.readers[-1]

    async def sharing(self, *begin: int) -> Subscriber:
        """A reader that stands at the end, and so reads by the shared tail."""
        reader = await self.reader(*begin)
        while await reader.page(timeout=0) is not None:
            pass
        assert reader.shares
        return reader


@asynccontextmanager
async def desk(partitions: int = 1, *, needs_loop: bool = False) -> AsyncIterator[Desk]:
    here = Desk(partitions, needs_loop=needs_loop)
    yield here
    for reader in here.readers:
        await reader.aclose()


def offsets(page: Page | None) -> list[int]:
    return [] if page is None else list(page.offsets)


def place(reader: Subscriber) -> dict[int, int]:
    return dict(reader.cursor)


needing_a_loop = pytest.mark.parametrize("needs_loop", [False, True], ids=["any thread", "in a loop"])


# -- a glance --------------------------------------------------------------------------------------------------------


@needing_a_loop
@pytest.mark.anyio
async def test_glance_returns_what_is_there(needs_loop: bool) -> None:
    async with desk(needs_loop=needs_loop) as here:
        await here.append(3)
        reader = await here.reader(0)
        assert [offsets(await reader.glance(2)) for _ in range(3)] == [[0, 1], [2], []], "behind the others"
        await here.sharing(0)
        assert await reader.page(timeout=0) is None
        assert reader.shares
        await here.append(3)
        assert [offsets(await reader.glance(2)) for _ in range(3)] == [[3, 4], [5], []]


@needing_a_loop
@pytest.mark.anyio
async def test_glance_beside_a_waiting_reader_returns_what_that_has_read(needs_loop: bool) -> None:
    async with desk(needs_loop=needs_loop) as here:
        leader, other = await here.sharing(0), await here.sharing(0)
        waiting = asyncio.ensure_future(leader.page())
        await asyncio.sleep(0)
        assert await other.glance() is None
        await here.append(1)
        page = await waiting
        assert await other.glance() is page is not None


@pytest.mark.anyio
async def test_glance_of_one_partition_leaves_the_others() -> None:
    async with desk(2) as here:
        await here.append(1, 1)
        behind = await here.reader(0, 0)
        assert await behind.glance(partition=0) is None
        assert offsets(await behind.glance(partition=1)) == [0]
        reader, _ = await here.sharing(0, 0), await here.sharing(0, 0)
        await here.append(2, 1)
        assert await reader.glance(partition=0) is None
        assert offsets(await reader.glance(partition=1)) == [1, 2]


# -- places ----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_reader_behind_skips_by_its_own_tail() -> None:
    async with desk() as here:
        await here.append(5)
        reader = await here.reader(0)
        assert place(reader) == {0: 0}
        reader.skip(0, 3)
        assert place(reader) == {0: 3}
        reader.skip(0, 1)
        assert (offsets(await reader.page(timeout=0)), place(reader)) == ([3, 4], {0: 5})


@pytest.mark.anyio
async def test_sharing_reader_skips_for_itself_alone() -> None:
    async with desk() as here:
        one, other = await here.sharing(0), await here.sharing(0)
        await here.append(4)
        one.skip(0, 3)
        one.skip(0, 1)
        assert offsets(await one.page(timeout=0)) == [3]
        assert offsets(await other.page(timeout=0)) == [0, 1, 2, 3]
        assert place(one) == place(other) == {0: 4}


@pytest.mark.anyio
async def test_reader_that_lost_its_place_skips_before_it_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.tails.window.SHARED_TAIL_EVENTS_MAX", 2)
    async with desk() as here:
        slow, fast = await here.sharing(0), await here.sharing(0)
        for _ in range(6):
            await here.append(1)
            assert await fast.page(timeout=0) is not None
        assert await slow.glance() is None, "what it has not taken was dropped"
        assert (slow.shares, place(slow)) == (False, {0: 0})
        slow.skip(0, 3)
        slow.skip(0, 1)
        assert place(slow) == {0: 3}
        assert offsets(await slow.page(timeout=0)) == [3, 4, 5]
        assert await slow.page(timeout=0) is None
        assert slow.shares


@pytest.mark.anyio
async def test_reader_is_moved_on_and_never_back() -> None:
    async with desk(2) as here:
        await here.append(4, 0)
        reader = await here.reader(2, 0)
        position = reader.cursor
        assert not reader.moved_on(position.advanced(0, 1).advanced(1, 5))
        assert reader.cursor == position
        assert reader.moved_on(position.advanced(0, 3))
        assert offsets(await reader.page(timeout=0)) == [3]


@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.anyio
async def test_closed_reader_knows_where_it_stood(shares: bool) -> None:
    async with desk() as here:
        await here.append(2)
        reader = await here.reader(0)
        assert offsets(await reader.page(1, timeout=0)) == [0]
        if shares:
            assert offsets(await reader.page(timeout=0)) == [1]
            assert await reader.page(timeout=0) is None
        await reader.aclose()
        await reader.aclose()
        assert place(reader) == {0: 2 if shares else 1}
        with pytest.raises(JournalClosed):
            await reader.page(timeout=0)
        with pytest.raises(JournalClosed):
            await reader.glance()


@pytest.mark.anyio
async def test_reader_without_a_tail_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk() as here:

        async def away(cursor: object) -> Tail:
            raise JournalUnavailable("the journal is away")

        with monkeypatch.context() as patch:
            patch.setattr(here.journal.log, "tail", away)
            with pytest.raises(JournalUnavailable):
                await here.journal.follow({0: 0})
        reader = await here.sharing(0)
        await here.append(2)
        assert offsets(await reader.page(1, timeout=0)) == [0]
        assert reader._shared.readers == 1, "the other is not counted, so no page is kept for it"


# -- one tail for all ------------------------------------------------------------------------------------------------


@needing_a_loop
@pytest.mark.anyio
async def test_reader_at_the_end_joins_without_a_tail_of_its_own(
    needs_loop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(needs_loop=needs_loop) as here:
        await here.sharing(0)
        monkeypatch.setattr(here.journal.log, "tail", None)
        late = await here.reader(0)
        assert late.shares
        await here.append(1)
        assert offsets(await late.page(timeout=0)) == [0]


@needing_a_loop
@pytest.mark.anyio
async def test_reader_that_cannot_wait_gets_what_has_come(needs_loop: bool) -> None:
    """Another reader leads, and waits in this loop or in another thread."""
    async with desk(needs_loop=needs_loop) as here:
        leader, other = await here.sharing(0), await here.sharing(0)
        waiting = asyncio.ensure_future(leader.page())
        await asyncio.sleep(0)
        await here.append(2)
        assert offsets(await other.page(timeout=0)) == [0, 1]
        assert place(other) == {0: 2}
        assert await other.page(timeout=0) is None
        assert offsets(await waiting) == [0, 1]


@pytest.mark.anyio
async def test_looks_at_the_log_take_turns_among_partitions() -> None:
    async with desk(2) as here:
        leader, other = await here.sharing(0, 0), await here.sharing(0, 0)
        waiting = asyncio.ensure_future(leader.page())
        await asyncio.sleep(0)
        for partition in (0, 1):
            await here.append(4, partition)
        seen = list[tuple[int, list[int]]]()
        for _ in range(4):
            page = await other.page(2, timeout=0)
            assert page is not None
            seen.append((page.partition, offsets(page)))
        assert sorted(seen) == [(0, [0, 1]), (0, [2, 3]), (1, [0, 1]), (1, [2, 3])]
        assert await waiting is not None


@pytest.mark.anyio
async def test_look_at_one_partition_leaves_the_others() -> None:
    async with desk(2) as here:
        leader, other = await here.sharing(0, 0), await here.sharing(0, 0)
        waiting = asyncio.ensure_future(leader.page())
        await asyncio.sleep(0)
        await here.append(1, 1)
        assert await other.page(partition=0, timeout=0) is None
        assert offsets(await other.page(partition=1, timeout=0)) == [0]
        assert await waiting is not None


@pytest.mark.anyio
async def test_records_that_are_left_out_are_passed_by_all() -> None:
    shop = Shop()
    journal = AsyncJournal(RepeatingLog(shop.store))
    readers = [await journal.follow({0: 0}) for _ in range(2)]
    for reader in readers:
        assert await reader.page(timeout=0) is None
        assert reader.shares
    await shop.say("repeated")
    for reader in readers:
        assert await reader.page(timeout=0) is None
        assert place(reader) == {0: 1}
    await shop.say("thing.made")
    for reader in readers:
        assert offsets(await reader.page(timeout=0)) == [1]
        await reader.aclose()


@needing_a_loop
@pytest.mark.anyio
async def test_reader_that_leaves_passes_the_lead_on(needs_loop: bool) -> None:
    async with desk(needs_loop=needs_loop) as here:
        leader, other = await here.sharing(0), await here.sharing(0)
        leading = asyncio.ensure_future(leader.page())
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(other.page())
        await asyncio.sleep(0)
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)
        await leader.aclose()
        await here.append(1)
        assert offsets(await asyncio.wait_for(waiting, 60)) == [0]
