"""Callbacks that are coroutine functions: awaited by asynchronous consumers, refused by the others."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from journeyman.consumers import AsyncJournalConsumer, JournalConsumer
from journeyman.journal import AsyncJournal, Journal
from support.journals import OnKafka, OnMemoryPartitions, OnSqlite
from support.waiting import reached

PATIENCE = 30.0
Body = Callable[[AsyncJournal], Awaitable[None]]


async def coroutine_function(event: Any, *extra: Any) -> None:
    raise AssertionError("it is never called")


async def asynchronous_generator(event: Any) -> Any:
    yield


def generator(event: Any) -> Any:
    yield


class Awaited:
    async def __call__(self, event: Any) -> None:
        raise AssertionError("it is never called")

    async def method(self, event: Any) -> None:
        raise AssertionError("it is never called")


class Inherits(Awaited):
    pass


@functools.wraps(coroutine_function)
def wrapper(event: Any) -> Any:
    return coroutine_function(event)


@pytest.mark.parametrize(
    "callback",
    [
        coroutine_function,
        functools.partial(coroutine_function, None),
        functools.partial(functools.partial(Awaited().method)),
        Awaited(),
        Inherits(),
        Awaited().method,
    ],
)
def test_synchronous_consumer_refuses_coroutine_function(callback: Any) -> None:
    with Journal("memory://") as journal, pytest.raises(TypeError, match="AsyncJournalConsumer, whose set_callback"):
        JournalConsumer(journal).set_callback(callback)


@pytest.mark.parametrize("callback", [asynchronous_generator, generator, functools.partial(generator)])
def test_generator_function_is_refused_as_callback(callback: Any) -> None:
    with Journal("memory://") as journal, pytest.raises(TypeError, match="remove the yield"):
        JournalConsumer(journal).set_callback(callback)
    with pytest.raises(TypeError, match="remove the yield"):
        AsyncJournalConsumer(AsyncJournal("memory://")).set_callback(callback)


@pytest.mark.parametrize("callback", [wrapper, lambda event: coroutine_function(event, 1)])
def test_callback_that_returns_a_coroutine_fails(callback: Any) -> None:
    with Journal("memory://") as journal:
        journal.append("order.paid", {"n": 1})
        consumer = JournalConsumer(journal).set_callback(callback).start()
        with pytest.raises(TypeError, match="returned an awaitable"):
            consumer.join(PATIENCE)
        event = consumer.poll(PATIENCE)
        assert event is not None
        assert event.context == {"n": 1}, "the event was not delivered"
        consumer.close()


def test_plain_callback_may_return_anything_else() -> None:
    with Journal("memory://") as journal:
        journal.append("order.paid", {"n": 1})
        consumer = JournalConsumer(journal).set_callback(lambda event: [event]).start()
        consumer.stop()
        consumer.join(PATIENCE)


class Suite:
    def url(self, directory: Path) -> str:
        raise NotImplementedError

    @pytest.fixture
    def run(self, tmp_path: Path) -> Callable[[Body], None]:
        """Runs a coroutine function with an open journal."""

        async def opened(body: Body) -> None:
            async with AsyncJournal(self.url(tmp_path)) as journal:
                await body(journal)

        return lambda body: asyncio.run(opened(body))

    def test_asynchronous_consumer_awaits_its_callback(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            await journal.append_all([("order.paid", {"n": n}, "one") for n in range(600)])
            seen: list[Any] = []

            async def callback(event: Any, *args: Any, **kwargs: Any) -> None:
                await asyncio.sleep(0)
                seen.append(event and event.context.get("n"))
                assert (args, kwargs) == ((1,), {"two": 2})

            consumer = AsyncJournalConsumer(journal).set_callback(callback, 1, two=2)
            await consumer.start()
            await reached(lambda: len(seen) == 600, "history in the callback")
            await journal.append("order.paid", {"n": 600}, "one")
            await reached(lambda: len(seen) == 601, "what happens in the callback")
            await consumer.stop()
            await consumer.join(PATIENCE)
            assert seen == [*range(601), None]
            assert await consumer.poll() is None
            await consumer.aclose()

        run(body)

    def test_callback_of_every_kind_is_called_and_awaited(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            await journal.append("order.paid", {"n": 1})
            seen: list[Any] = []

            class Keeper:
                async def __call__(self, event: Any) -> None:
                    await asyncio.sleep(0)
                    seen.append(event)

                async def more(self, event: Any, word: str) -> None:
                    await asyncio.sleep(0)
                    seen.append(event)

            for callback in (Keeper(), functools.partial(Keeper().more, word="x"), seen.append):
                seen.clear()
                consumer = await AsyncJournalConsumer(journal).set_callback(callback).start()
                await consumer.stop()
                await consumer.join(PATIENCE)
                assert [event and event.name for event in seen] == ["order.paid", None]
                await consumer.aclose()

        run(body)

    @pytest.mark.parametrize("call", ["poll", "stop", "join", "aclose"])
    def test_error_in_an_awaited_callback_reaches_the_caller_once(self, run: Callable[[Body], None], call: str) -> None:
        async def body(journal: AsyncJournal) -> None:
            await journal.append_all([("order.paid", {"n": n}, "one") for n in (1, 6)])
            errors: list[BaseException] = []

            async def callback(event: Any) -> None:
                await asyncio.sleep(0)
                raise ValueError("the callback failed")

            async def on_error(error: BaseException) -> None:
                await asyncio.sleep(0)
                errors.append(error)

            consumer = AsyncJournalConsumer(journal, on_error=on_error).set_callback(callback)
            await consumer.start()
            await reached(lambda: errors, "on_error is called with the callback's error")
            with pytest.raises(ValueError, match="the callback failed"):
                await getattr(consumer, call)()
            if call != "aclose":
                polled = [await consumer.poll(PATIENCE) for _ in range(2)]
                assert [event and event.context for event in polled] == [{"n": 1}, {"n": 6}]
            await consumer.aclose()

        run(body)

    def test_close_waits_for_the_callback_and_cancel_loses_nothing(self, run: Callable[[Body], None]) -> None:
        async def body(journal: AsyncJournal) -> None:
            await journal.append_all([("order.paid", {"n": n}, "one") for n in range(5)])
            entered, go_on, done = asyncio.Event(), asyncio.Event(), []

            async def callback(event: Any) -> None:
                entered.set()
                await go_on.wait()
                done.append(event.context["n"])

            consumer = await AsyncJournalConsumer(journal, checkpoint="a").set_callback(callback).start()
            await entered.wait()
            closing = asyncio.create_task(consumer.aclose())
            await asyncio.sleep(0)
            assert not closing.done()
            go_on.set()
            await closing
            assert done == [0]

        run(body)


class TestOnMemoryPartitions(OnMemoryPartitions, Suite):
    pass


class TestOnSqlite(OnSqlite, Suite):
    pass


class TestOnKafka(OnKafka, Suite):
    pass
