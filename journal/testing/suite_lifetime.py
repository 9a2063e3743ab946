"""Test opening, reopening and closing."""

import asyncio

from ..errors import JournalClosed, JournalNotFound
from .suite import PATIENCE_SECONDS, Suite, drafts, history, numbers, refused, same_history
from .suite_reading import tail_is_waiting


class LifetimeConformance(Suite):
    """The life of a log from `open` to `aclose`."""

    def test_reopened_log_has_all_events(self) -> None:
        async def test() -> None:
            url = self.url(self.partitions)
            async with self.opened(url) as log:
                first = await log.append(drafts("thing.made", 5, "key"))
                again = log.url
            async with self.opened(again) as log:
                assert same_history(await history(log), first)
                second = await log.append(drafts("thing.made", 2, "key"))
                assert second[0].offset == first[-1].offset + 1
                assert second[0].writer != first[0].writer, "each opening has its own writer"
                assert len(await history(log)) == 7

        self.drive(test())

    def test_missing_log_is_created_only_if_allowed(self) -> None:
        async def test() -> None:
            url = self.url(1)
            if not self.always_there:
                for _ in range(2):  # the first attempt must not create it, either
                    with refused(JournalNotFound):
                        await self.log(url).open(create=False)
            async with self.opened(url) as log:
                made = await log.append(drafts("thing.made", 1))
                again = self.log(log.url)
                await again.open(create=False)
                assert same_history(await history(again), made)
                await again.aclose()

        self.drive(test())

    def test_closed_log_can_be_closed_again_and_refuses_calls(self) -> None:
        async def test() -> None:
            log = self.log(self.url(self.partitions))
            await log.open()
            await log.append(drafts("thing.made", 1))
            bounds = await log.bounds()
            await log.aclose()
            await log.aclose()
            with refused(JournalClosed):
                await log.append(drafts("thing.made", 1))
            with refused(JournalClosed):
                await log.read(bounds.first)
            with refused(JournalClosed):
                await log.tail(bounds.first)
            with refused(JournalClosed):
                await log.bounds()
            with refused(JournalClosed):
                await log.position_at(0.0)

        self.drive(test())

    def test_closing_finishes_accepted_appends(self) -> None:
        async def test() -> None:
            url = self.url(1)
            log = self.log(url)
            await log.open()
            appends = [asyncio.ensure_future(log.append(drafts(f"thing.n{n}", 1))) for n in range(20)]
            await asyncio.sleep(0)
            await log.aclose()
            outcomes = await asyncio.gather(*appends, return_exceptions=True)
            acknowledged = [outcome[0].name for outcome in outcomes if not isinstance(outcome, BaseException)]
            assert all(isinstance(each, (list, JournalClosed)) for each in outcomes)
            async with self.opened(url) as again:
                assert {event.name for event in await history(again)} >= set(acknowledged)

        asyncio.run(test())

    def test_closing_ends_the_wait_of_a_tail(self) -> None:
        async def test() -> None:
            log = self.log(self.url(self.partitions))
            await log.open()
            tail = await log.tail((await log.bounds()).end)
            waiting = asyncio.ensure_future(tail.page())
            assert await tail_is_waiting(waiting)
            await log.aclose()
            with refused(JournalClosed):
                await asyncio.wait_for(waiting, PATIENCE_SECONDS)
            await tail.aclose()

        asyncio.run(test())

    def test_two_logs_on_the_same_storage_see_each_other(self) -> None:
        async def test() -> None:
            url = self.url(1)
            async with self.opened(url) as one, self.opened(url) as other:
                await one.append(drafts("thing.made", 1))
                await other.append(drafts("thing.made", 2))
                for log in (one, other):
                    assert numbers(await history(log)) == [0, 0, 1]

        self.drive(test())
