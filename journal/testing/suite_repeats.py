"""Test idempotent appends: the same drafts appended again, after a cancelled or doubtful append, or without cause."""

import asyncio

from ..event import Draft
from .suite import Suite, drafts, history, numbers, same_history


class RepeatsConformance(Suite):
    """A draft becomes one event, however often it is appended."""

    def test_append_repeated_at_once_is_one_append(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                handed_in = drafts("thing.made", 5, "key")
                events = await log.append(handed_in)
                assert same_history(await log.append(handed_in), events)
                assert same_history(await history(log), events)

        self.drive(test())

    def test_append_repeated_after_many_others_is_one_append(self) -> None:
        async def test() -> None:
            url = self.url(self.partitions)
            async with self.opened(url) as log, self.opened(url) as other:
                handed_in = drafts("thing.made", 3, "key")
                events = await log.append(handed_in)
                for _ in range(30):
                    await log.append(drafts("noise.made", 2, "key"))
                    await other.append(drafts("noise.made", 2, "key"))
                assert same_history(await log.append(handed_in), events)
                assert len([event for event in await history(log) if event.name == "thing.made"]) == 3

        self.drive(test())

    def test_repeated_and_new_drafts_in_one_append(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                old = drafts("old.thing", 2, "key")
                first = await log.append(old)
                new = drafts("new.thing", 2, "key")
                mixed = await log.append([new[0], old[1], new[1], old[0]])
                assert [event.name for event in mixed] == ["new.thing", "old.thing", "new.thing", "old.thing"]
                assert same_history([mixed[3], mixed[1]], first)
                assert [event.name for event in await history(log)] == ["old.thing"] * 2 + ["new.thing"] * 2

        self.drive(test())

    def test_draft_given_twice_in_an_append_is_one_event(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                (one, two) = drafts("thing.made", 2, "key")
                events = await log.append([one, two, one])
                assert numbers(events) == [0, 1, 0]
                assert events[0].position == events[2].position
                assert numbers(await history(log)) == [0, 1]

        self.drive(test())

    def test_cancelled_append_repeated_lands_once(self) -> None:
        """Cancelling may come before or after the write, unknown to the caller: repeating is always safe."""

        async def test() -> None:
            async with self.opened() as log:
                for turns in range(12):
                    handed_in = drafts(f"thing.n{turns}", 3, "key")
                    task = asyncio.ensure_future(log.append(handed_in))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    events = await log.append(handed_in)
                    stored = [event for event in await history(log) if event.name == f"thing.n{turns}"]
                    assert same_history(stored, events), f"cancelled after {turns} turns of the loop"

        asyncio.run(test())

    def test_cancelled_appends_among_others_land_at_most_once(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                handed_in = [drafts(f"thing.n{number}", 2, f"key-{number % 5}") for number in range(60)]
                tasks = [asyncio.ensure_future(log.append(each)) for each in handed_in]
                for number, task in enumerate(tasks):
                    if number % 3 == 0:
                        task.cancel()
                    if number % 10 == 0:
                        await asyncio.sleep(0)
                await asyncio.gather(*tasks, return_exceptions=True)
                repeated = await asyncio.gather(*[log.append(each) for each in handed_in])
                stored = await history(log)
                assert len(stored) == 120
                assert {event.position for event in stored} == {e.position for events in repeated for e in events}

        asyncio.run(test())

    def test_same_drafts_appended_twice_at_once_land_once(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                handed_in = drafts("thing.made", 3, "key")
                first, second = await asyncio.gather(log.append(handed_in), log.append(handed_in))
                assert same_history(first, second)
                assert same_history(await history(log), first)

        asyncio.run(test())

    def test_append_cancelled_while_it_is_repeated_lands_once(self) -> None:
        """If an older append is written after a newer one, numbers still ascend, so no reader drops it as a repeat."""

        async def test() -> None:
            async with self.opened() as log:
                older: list[Draft] = drafts("older.thing", 1, "key")
                task = asyncio.ensure_future(log.append(older))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await log.append(drafts("newer.thing", 1, "key"))
                await log.append(older)
                names = [event.name for event in await history(log)]
                assert sorted(names) == ["newer.thing", "older.thing"]

        asyncio.run(test())
