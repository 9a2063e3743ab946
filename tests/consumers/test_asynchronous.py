"""The contract of every asynchronous consumer, on every journal."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from journeyman.consumers import (
    AsyncJournalConsumer,
    AsyncJournalConsumerBase,
    JournalEventBase,
    Response,
    SqliteCheckpoint,
)
from journeyman.journal import AsyncJournal, Journal, JournalClosed
from support.journals import OnHttp, OnKafka, OnMemory, OnMemoryPartitions, OnSqlite

PATIENCE = 30.0
Body = Callable[[AsyncJournal], Awaitable[None]]


def numbers(events: Iterable[Any]) -> list[Any]:
    return [None if event is None else "|" if event.is_empty() else event.context["n"] for event in events]


async def fill(journal: AsyncJournal, *contents: int, name: str = "order.paid") -> None:
    await journal.append_all([(name, {"n": n}, str(n % 5)) for n in contents])


async def polled(consumer: AsyncJournalConsumerBase, count: int) -> list[Any]:
    return [await consumer.poll(PATIENCE) for _ in range(count)]


class AsyncConsumerConformance:
    """Subclass it and supply `url`."""

    def url(self, directory: Path) -> str:
        raise NotImplementedError

    @pytest.fixture
    def run(self, tmp_path: Path) -> Callable[[Body], None]:
        """Runs a coroutine function with an open journal."""

        async def opened(body: Body) -> None:
            async with AsyncJournal(self.url(tmp_path)) as journal:
                await body(journal)

        return lambda body: asyncio.run(opened(body))

    def test_async_poll_gives_history_sentinel_live_events_then_none(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            await fill(journal, *range(1_200))
            consumer = await AsyncJournalConsumer(journal, "order", include_sentinel=True).start()
            history = await polled(consumer, 1_200)
            assert [event.timestamp for event in history] == sorted(event.timestamp for event in history)
            assert sorted(numbers(history)) == list(range(1_200))
            assert await consumer.poll(PATIENCE) == consumer.SENTINEL_EVENT
            await fill(journal, 1_200)
            assert numbers(await polled(consumer, 1)) == [1_200]
            await fill(journal, 1_201)
            await consumer.stop()
            assert numbers(await polled(consumer, 3)) == [1_201, None, None]

        run(body)

    def test_async_for_and_async_with_are_supported(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            await fill(journal, 1, 6, 11)
            async with AsyncJournalConsumer(journal) as consumer:
                async for event in consumer:
                    assert numbers([event]) == [1]
                    break
                await consumer.stop()
                assert numbers([event async for event in consumer]) == [6, 11]
            assert await consumer.poll() is None
            consumer = AsyncJournalConsumer(journal)
            async for _ in consumer:
                await consumer.aclose()
            assert await consumer.poll() is None

        run(body)

    def test_timeouts_are_total_and_lose_nothing(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            async with AsyncJournalConsumer(journal, "order") as consumer:
                noise = asyncio.create_task(make_noise(journal))
                with pytest.raises(TimeoutError):
                    await consumer.poll(0.2)
                noise.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await noise
                with pytest.raises(TimeoutError):
                    await consumer.poll_batch(timeout=0)
                await fill(journal, 1)
                assert numbers(await consumer.poll_batch(timeout=PATIENCE)) == [1]

        async def make_noise(journal: AsyncJournal) -> None:
            while True:
                await fill(journal, 1, name="noise.made")
                await asyncio.sleep(0)

        run(body)

    def test_stop_ends_a_poll_that_waits_in_another_task(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            async with AsyncJournalConsumer(journal) as consumer:
                waiting = asyncio.create_task(consumer.poll())
                await asyncio.sleep(0)  # it waits now
                await consumer.stop()
                assert await waiting is None

        run(body)

    def test_cancelled_poll_loses_nothing(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            async with AsyncJournalConsumer(journal) as consumer:
                got: list[Any] = []
                for n in range(0, 200, 5):
                    waiting = asyncio.create_task(consumer.poll())
                    await asyncio.sleep(0)
                    appending = asyncio.create_task(fill(journal, n))
                    for _ in range(n % 7):
                        await asyncio.sleep(0)
                    waiting.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        got.append(await waiting)
                    await appending
                await consumer.stop()
                got += [event async for event in consumer]
                assert numbers(got) == list(range(0, 200, 5))

        run(body)

    def test_restart_begins_from_the_start_position(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            await fill(journal, 1, 6)
            consumer = AsyncJournalConsumer(journal, include_sentinel=True)
            with pytest.raises(RuntimeError, match="before start"):
                await consumer.poll()
            with pytest.raises(RuntimeError, match="before start"):
                await consumer.stop()
            await consumer.start()
            await polled(consumer, 1)
            await consumer.start()
            await consumer.stop()
            assert numbers(await polled(consumer, 4)) == [1, 6, "|", None]

        run(body)

    def test_async_consumer_resumes_by_cursor_and_by_checkpoint(
        self, run: Callable[[Body], None], tmp_path: Path
    ) -> None:
        async def body(journal: AsyncJournal) -> None:
            await fill(journal, *range(30))
            async with AsyncJournalConsumer(journal, checkpoint="billing") as consumer:
                assert (await consumer.statistics()).lag == 30
                head = await polled(consumer, 11)
                await consumer.commit()
                await consumer.commit()
                cursor = consumer.cursor
                assert consumer.progress == pytest.approx(11 / 30)
                statistics = await consumer.statistics()
                assert (statistics.delivered, statistics.lag) == (11, 19), "its own save is not counted"
            for options in ({"cursor": cursor}, {"checkpoint": "billing"}):
                async with AsyncJournalConsumer(journal, "order", **options) as consumer:
                    await consumer.stop()
                    rest = [event async for event in consumer]
                assert sorted(numbers(head + rest)) == list(range(30))

        run(body)

    def test_closed_journal_is_an_error_for_an_async_consumer(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            consumer = await AsyncJournalConsumer(journal).start()
            await journal.aclose()
            with pytest.raises(JournalClosed, match="is closed"):
                await consumer.poll(PATIENCE)
            await consumer.aclose()

        run(body)

    def test_consumers_of_one_loop_each_get_everything(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            async def collect(consumer: AsyncJournalConsumer) -> list[Any]:
                return [event async for event in consumer]

            consumers = [await AsyncJournalConsumer(journal, key="0").start() for _ in range(5)]
            collecting = [asyncio.create_task(collect(consumer)) for consumer in consumers]
            await fill(journal, *range(0, 100, 5))
            for consumer in consumers:
                await consumer.stop()
            for collected in await asyncio.gather(*collecting):
                assert numbers(collected) == list(range(0, 100, 5))

        run(body)


class TestOnMemory(OnMemory, AsyncConsumerConformance):
    pass


class TestOnMemoryPartitions(OnMemoryPartitions, AsyncConsumerConformance):
    pass


class TestOnSqlite(OnSqlite, AsyncConsumerConformance):
    pass


class TestOnHttp(OnHttp, AsyncConsumerConformance):
    pass


class TestOnKafka(OnKafka, AsyncConsumerConformance):
    pass


def test_async_consumer_refuses_a_synchronous_journal() -> None:
    with Journal("memory://") as journal, pytest.raises(TypeError, match="JournalConsumer"):
        AsyncJournalConsumer(journal)  # type: ignore[arg-type]


def test_async_hooks_equal_those_of_the_sync_consumer() -> None:
    class Counting(AsyncJournalConsumerBase):
        responses = 0

        def process_response(self, resp: Response) -> dict[str, Any]:
            self.responses += 1
            return {"seen": len(resp["events"])}

        def create_event(self, entry: Any, **kwargs: Any) -> JournalEventBase | None:
            return JournalEventBase(entry) if kwargs["seen"] else None

    async def body() -> None:
        async with AsyncJournal("memory://") as journal:
            await fill(journal, 1, 2)
            async with Counting(journal, "order") as consumer:
                await consumer.stop()
                assert numbers([event async for event in consumer]) == [1, 2]
                assert consumer.responses == 1

    asyncio.run(body())


def test_commit_needs_a_checkpoint_and_may_use_a_user_database(tmp_path: Path) -> None:
    async def body() -> None:
        connection = sqlite3.connect(tmp_path / "effects.db")
        checkpoint = SqliteCheckpoint(connection, "totals")
        async with AsyncJournal("memory://") as journal:
            await fill(journal, 1)
            async with AsyncJournalConsumer(journal) as without:
                with pytest.raises(RuntimeError, match="no checkpoint"):
                    await without.commit()
            async with AsyncJournalConsumer(journal, checkpoint=checkpoint) as consumer:
                await polled(consumer, 1)
                await consumer.commit()
                assert checkpoint.load() == consumer.cursor
        connection.close()

    asyncio.run(body())


def test_callback_may_close_its_own_consumer() -> None:
    async def body() -> None:
        async with AsyncJournal("memory://") as journal:
            await fill(journal, 1, 2)
            seen = list[Any]()
            consumer = AsyncJournalConsumer(journal)

            async def close(event: Any) -> None:
                seen.append(event)
                await consumer.join()  # in the delivery itself, so there is nothing to wait for
                await consumer.aclose()

            consumer.set_callback(close)
            await consumer.start()
            await consumer.join(60)
            assert numbers(seen) == [1]

    asyncio.run(body())
