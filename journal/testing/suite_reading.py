"""Test reading and tailing: history, live events, start positions, and removed history."""

import asyncio
import time

from ..cursor import Cursor
from ..errors import HistoryTruncated
from ..event import Event
from ..log import Log, Page
from .suite import PATIENCE_SECONDS, Suite, drafts, events_of, history, numbers, received, refused, same_history


async def _fill(log: Log, count: int) -> list[Event]:
    """Append `count` events, spread over the partitions."""
    return [event for number in range(count) for event in await log.append(drafts(f"step.n{number}", 1, f"k{number}"))]


def _by_position(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: event.position)


class ReadingConformance(Suite):
    """Tests of the events that readers and tails receive."""

    def test_new_log_has_empty_bounds(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                bounds = await log.bounds()
                assert set(bounds.first) == set(bounds.end) == set(range(log.partitions))
                assert log.partitions == self.partitions
                assert bounds.first == bounds.end
                await log.append(drafts("thing.made", 4, "key"))
                partition = log.partition_of("key")
                assert (await log.bounds()).end[partition] == bounds.end[partition] + 4

        self.drive(test())

    def test_reader_continues_in_bounded_steps(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                appended = await _fill(log, 25)
                cursor, read = (await log.bounds()).first, []
                while pages := await log.read(cursor, 4):
                    events = events_of(pages)
                    assert 0 < len(events) <= 4
                    read += events
                    for page in pages:
                        assert page.offsets[0] == cursor[page.partition], "pages are consecutive"
                        cursor = cursor.advanced(page.partition, page.next_offset)
                assert same_history(_by_position(read), _by_position(appended))
                assert await log.read(cursor) == []
                assert await log.read(Cursor({})) == []

        self.drive(test())

    def test_reader_reads_only_the_named_partitions(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                appended = await _fill(log, 20)
                for partition in range(log.partitions):
                    read = events_of(await log.read(Cursor({partition: 0})))
                    assert same_history(read, [event for event in appended if event.partition == partition])

        self.drive(test())

    def test_tail_gives_history_and_then_live_events(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                appended = await _fill(log, 10)
                tail = await log.tail((await log.bounds()).first)
                events = await received(tail, 10)
                assert await tail.page(timeout=0.0) is None
                appended += await _fill(log, 5)
                events += await received(tail, 5)
                assert same_history(_by_position(events), _by_position(appended))
                assert tail.cursor == (await log.bounds()).end
                await tail.aclose()

        self.drive(test())

    def test_tail_waits_and_is_woken(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                tail = await log.tail((await log.bounds()).end)
                waiting = asyncio.ensure_future(tail.page())
                assert await tail_is_waiting(waiting)
                await log.append(drafts("thing.made", 1))
                page = await asyncio.wait_for(waiting, PATIENCE_SECONDS)
                assert page is not None
                assert numbers(events_of([page])) == [0]
                await tail.aclose()

        asyncio.run(test())

    def test_two_tails_each_get_all_events(self) -> None:
        async def test() -> None:
            url = self.url(self.partitions)
            async with self.opened(url) as log, self.opened(url) as other:
                start = (await log.bounds()).first
                tails = [await log.tail(start), await log.tail(start), await other.tail(start)]
                appended = _by_position(await _fill(log, 9))
                for tail in tails:
                    assert same_history(_by_position(await received(tail, 9)), appended)
                    await tail.aclose()

        self.drive(test())

    def test_tail_keeps_to_its_limit_and_resumes_at_its_cursor(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                appended = await _fill(log, 12)
                tail = await log.tail((await log.bounds()).first)
                page = await tail.page(3, PATIENCE_SECONDS)
                assert page is not None
                assert len(page.rows) <= 3
                cursor = tail.cursor
                await tail.aclose()
                again = await log.tail(Cursor.parse(str(cursor)))
                rest = await received(again, 12 - len(page.rows))
                assert same_history(_by_position(events_of([page]) + rest), _by_position(appended))
                await again.aclose()

        self.drive(test())

    def test_tail_can_be_read_one_partition_at_a_time(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                appended = await _fill(log, 20)
                tail = await log.tail((await log.bounds()).first)
                for partition in reversed(range(log.partitions)):
                    here = [event for event in appended if event.partition == partition]
                    assert same_history(await received(tail, len(here), partition), here)
                    assert await tail.page(timeout=0.0, partition=partition) is None
                await tail.aclose()

        self.drive(test())

    def test_tail_follows_only_the_partitions_of_its_cursor(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                await _fill(log, 20)
                last = log.partitions - 1
                tail = await log.tail(Cursor({last: 0}))
                end = (await log.bounds()).end[last]
                assert {event.partition for event in await received(tail, end)} == {last}
                assert await tail.page(timeout=0.0) is None
                await tail.aclose()

        self.drive(test())

    def test_tail_of_no_partition_waits(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                await _fill(log, 3)
                tail = await log.tail(Cursor({}))
                assert await tail.page(timeout=0.0) is None
                assert tail.cursor == Cursor({})
                await tail.aclose()

        self.drive(test())

    def test_cursor_of_another_journal_is_refused(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                foreign = Cursor({0: 0, log.partitions: 0})
                with refused(ValueError):
                    await log.read(foreign)
                with refused(ValueError):
                    await log.tail(foreign)
                with refused(ValueError):
                    await log.trim(foreign)

        self.drive(test())

    def test_no_partition_starves(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                await _fill(log, 60)
                tail = await log.tail((await log.bounds()).first)
                seen = set()
                for _ in range(4 * log.partitions):
                    page = await tail.page(2, 0.0)
                    if page is not None:
                        seen.add(page.partition)
                assert seen == set(range(log.partitions))
                await tail.aclose()

        self.drive(test())

    def test_tail_can_skip_what_its_reader_has_applied(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                tail = await log.tail(Cursor({0: 0}))
                await log.append(drafts("thing.made", 5))
                tail.skip(0, 3)
                assert numbers(await received(tail, 2)) == [3, 4]
                tail.skip(0, 1)  # never back
                assert tail.cursor == Cursor({0: 5})
                await tail.aclose()

        self.drive(test())

    def test_cancelled_wait_loses_no_event(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                tail = await log.tail((await log.bounds()).first)
                total = 0
                for turns in range(8):
                    waiting = asyncio.ensure_future(tail.page())
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    await log.append(drafts("thing.made", 2, "key"))
                    total += 2
                    waiting.cancel()
                    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
                    if not isinstance(outcome, BaseException):
                        assert outcome is not None
                        total -= len(outcome.rows)
                rest = await received(tail, total) if total else []
                assert len(rest) == total
                assert tail.cursor == (await log.bounds()).end
                await tail.aclose()

        asyncio.run(test())

    def test_tail_returns_none_after_its_timeout(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                tail = await log.tail((await log.bounds()).end)
                assert await tail.page(timeout=0.01) is None
                assert await tail.page(timeout=0.0) is None
                await log.append(drafts("thing.made", 1))
                assert len(await received(tail, 1)) == 1
                await tail.aclose()

        self.drive(test())

    def test_cursor_beyond_the_end_waits_for_it(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                await log.append(drafts("thing.made", 2))
                assert await log.read(Cursor({0: 4})) == []
                tail = await log.tail(Cursor({0: 4}))
                assert await tail.page(timeout=0.0) is None
                await log.append(drafts("thing.made", 3))
                assert numbers(await received(tail, 1)) == [2]
                await tail.aclose()

        self.drive(test())

    def test_position_at_returns_the_first_event_from_a_time(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                (early,) = await log.append(drafts("early.thing", 1))
                between = later_than(early)
                late = await log.append(drafts("late.thing", 3))
                assert await log.position_at(between) == Cursor({0: late[0].offset})
                assert await log.position_at(0.0) == Cursor({0: 0})
                assert await log.position_at(later_than(late[-1]) + 1_000.0) == (await log.bounds()).end
                if self.one_clock:
                    for event in (early, *late):
                        assert await log.position_at(event.timestamp) == Cursor({0: event.offset})

        self.drive(test())

    def test_position_at_of_an_empty_log_is_its_end(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                assert await log.position_at(time.time()) == (await log.bounds()).end

        self.drive(test())

    def test_removed_history_is_announced(self) -> None:
        """A reader below the start of the log gets an error with the new start, and never skips events silently."""

        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                events = await log.append(drafts("thing.made", 10))
                stale = await log.tail(Cursor({0: 0}))
                await self.trim(log, {0: 6})
                assert (await log.bounds()).first == Cursor({0: 6})
                with refused(HistoryTruncated) as read:
                    await log.read(Cursor({0: 5}))
                with refused(HistoryTruncated) as tailed:
                    await stale.page(timeout=PATIENCE_SECONDS)
                for refusal in (read, tailed):
                    assert (refusal.error.partition, refusal.error.first_offset) == (0, 6)
                    assert refusal.error.first_time == events[6].timestamp
                assert same_history(events_of(await log.read(Cursor({0: 6}))), events[6:])
                (new,) = await log.append(drafts("thing.made", 1))
                assert new.offset == 10
                await stale.aclose()

        self.drive(test())

    def test_emptied_log_continues_its_offsets(self) -> None:
        async def test() -> None:
            url = self.url(1)
            async with self.opened(url) as log:
                events = await log.append(drafts("thing.made", 5))
                await self.trim(log, {0: 5})
                bounds = await log.bounds()
                assert bounds.first == bounds.end == Cursor({0: 5})
                assert await history(log) == []
                with refused(HistoryTruncated):
                    await log.read(Cursor({0: 4}))
            async with self.opened(url) as log:
                assert (await log.bounds()).end == Cursor({0: 5})
                (new,) = await log.append(drafts("thing.made", 1))
                assert new.offset == 5
                assert new.timestamp > events[-1].timestamp

        self.drive(test())


async def tail_is_waiting(waiting: "asyncio.Future[Page | None]") -> bool:
    """Let the loop run until a tail that was asked for a page waits; return False if the tail has returned one."""
    for _ in range(100):
        await asyncio.sleep(0)
    return not waiting.done()


def later_than(event: Event) -> float:
    """Wait until a time after the event's own has passed and return it: the next event will be later."""
    moment = max(event.timestamp, time.time()) + 0.005
    while time.time() <= moment:
        pass
    return moment
