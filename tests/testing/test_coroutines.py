"""Coroutines of tasks run in virtual time: they sleep without a wait, and meet their timeouts at the very moment."""

import asyncio
import threading
from collections.abc import Iterator

import journeyman as jm
import pytest
from journeyman.testing import Workbench, event_loop
from task_modules import bakery


@pytest.fixture
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


def test_sleep_of_a_coroutine_moves_the_clock(bench: Workbench) -> None:
    begin = bench.now
    message = bakery.rise.generate([4.5])
    bench.run_until_idle()
    assert bench.result(message) == 4.5
    assert (bench.now - begin).total_seconds() == pytest.approx(4.5, abs=0.01)


def test_coroutine_stays_suspended_between_two_advances(bench: Workbench) -> None:
    message = bakery.rise.generate([4.5])
    bench.advance(seconds=4)
    bench.assert_running(message)
    assert [each.uuid for each in bench.unfinished] == [message.uuid]
    bench.advance(seconds=1)
    bench.assert_succeeded(message)


def test_coroutine_meets_its_timeout_at_the_very_moment(bench: Workbench) -> None:
    message = bakery.rise.generate([3_600])
    bench.advance(seconds=4, milliseconds=999)
    bench.assert_running(message)
    bench.advance(milliseconds=1)
    bench.assert_failed(message, match="TaskTimeoutError: rise ran for longer than its 5 s")


def test_long_sleeps_overlap_as_in_a_loop(bench: Workbench) -> None:
    ended: list[int] = []

    @jm.task(bakery.broker)
    async def nap(hours: int) -> None:
        await asyncio.sleep(hours * 600)
        ended.append(hours)

    bench.add(nap)
    begin = bench.now
    for hours in (3, 1, 2):
        nap.generate([hours])
    bench.run_until_idle()
    assert ended == [1, 2, 3]
    assert (bench.now - begin).total_seconds() == pytest.approx(1_800, abs=0.1)
    bench.assert_all_succeeded()


def test_revoked_coroutine_is_cancelled_where_it_waits(bench: Workbench) -> None:
    cancelled: list[bool] = []

    @jm.task(bakery.broker)
    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    bench.add(wait)
    message = wait.generate()
    bench.advance(seconds=1)
    bench.assert_running(message)
    bakery.broker.revoke(message)
    bench.run_until_idle()
    bench.assert_revoked(message)
    assert cancelled == [True]


def test_coroutine_awaits_threads_and_sockets_for_real(bench: Workbench) -> None:
    @jm.task(bakery.broker)
    async def ask() -> list[str]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            writer.close()

        async with asyncio.timeout(60), await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"hello\n")
            line = (await reader.readline()).decode()
            writer.close()
            await writer.wait_closed()
        return [line, await asyncio.to_thread(str.upper, "there")]

    bench.add(ask)
    message = ask.generate()
    bench.run_until_idle()
    assert bench.result(message) == ["HELLO\n", "THERE"]


def test_coroutine_that_waits_for_nothing_meets_its_timeout(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "OUTSIDE_SECONDS_MAX", 0.01)

    @jm.task(bakery.broker, timeout=1_000, max_retries=0)
    async def wait() -> None:
        await asyncio.Event().wait()

    bench.add(wait)
    message = wait.generate()
    bench.run_until_idle()
    bench.assert_failed(message, match="TaskTimeoutError")


def test_coroutine_hears_from_a_thread_of_its_own(bench: Workbench) -> None:
    @jm.task(bakery.broker)
    async def listen() -> str:
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        threading.Thread(target=loop.call_soon_threadsafe, args=[heard.set]).start()
        await heard.wait()
        return "heard"

    bench.add(listen)
    message = listen.generate()
    bench.run_until_idle()
    assert bench.result(message) == "heard"


def test_coroutine_reads_from_a_child_process(bench: Workbench) -> None:
    @jm.task(bakery.broker)
    async def read() -> str:
        child = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
        out, _ = await child.communicate()
        return out.decode()

    bench.add(read)
    message = read.generate()
    bench.run_until_idle()
    assert bench.result(message) == "hello\n"


def test_idle_connection_does_not_stop_the_clock(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "OUTSIDE_SECONDS_MAX", 0.01)

    @jm.task(bakery.broker)
    async def sleep() -> None:
        async with await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0):
            await asyncio.sleep(600)

    bench.add(sleep)
    message = sleep.generate()
    bench.run_until_idle()
    bench.assert_succeeded(message)


def test_coroutine_that_ignores_its_timeout_is_abandoned(bench: Workbench) -> None:
    @jm.task(bakery.broker, timeout=1_000, max_retries=0)
    async def stay() -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    bench.add(stay)
    message = stay.generate()
    bench.run_until_idle()
    bench.assert_failed(message, match="cannot be stopped")


def test_hooks_of_a_task_decide_after_its_timeout(bench: Workbench) -> None:
    class Once(jm.Task[..., object]):
        def do_retry(self, message: jm.Message, exception: BaseException) -> bool:
            return isinstance(exception, TimeoutError) and message.retries < 1

        def retry_at(self, message: jm.Message) -> float:
            return bench.now.timestamp() + 100

    @jm.task(bakery.broker, timeout=1_000, base_task=Once)
    async def sleep() -> None:
        await asyncio.sleep(60)

    bench.add(sleep)
    message = sleep.generate()
    bench.run_until_idle()
    bench.assert_waiting(message)
    assert bench.attempts(message) == 1
    bench.advance(seconds=100)
    bench.assert_running(message)
    with pytest.raises(AssertionError, match=r"it is running\nrun_until_idle\(\) lets it run"):
        bench.assert_succeeded(message)
    bench.run_until_idle()
    bench.assert_failed(message, match="TaskTimeoutError")


def test_sleep_of_months_takes_few_steps(bench: Workbench) -> None:
    @jm.task(bakery.broker, timeout=365 * 86_400_000)
    async def hibernate() -> None:
        await asyncio.sleep(100 * 86_400)

    bench.add(hibernate)
    message = hibernate.generate()
    bench.advance(days=99)
    bench.assert_running(message)
    bench.advance(days=1)
    bench.assert_succeeded(message)
    assert len(bench.journal.read().events) < 500


def test_workbench_is_called_by_a_coroutine_as_by_any_test(bench: Workbench) -> None:
    async def main() -> tuple[object, object]:
        task = asyncio.current_task()
        first = await bakery.rise.generate_async([1])
        second = bakery.bake.generate(["rye"])
        bench.run_until_idle()
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
        return bench.result(first), bench.result(second)

    assert asyncio.run(main()) == (1, "1 × rye")


def test_task_is_served_by_the_loop_of_its_test(bench: Workbench) -> None:
    @jm.task(bakery.broker)
    async def ask(port: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        line = (await reader.readline()).decode()
        writer.close()
        await writer.wait_closed()
        return line

    bench.add(ask)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        writer.close()

    async def main() -> object:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            message = await ask.generate_async([server.sockets[0].getsockname()[1]])
            await asyncio.to_thread(bench.run_until_idle)
        return bench.result(message)

    assert asyncio.run(main()) == "hello\n"


def test_synchronous_task_runs_a_loop_of_its_own(bench: Workbench) -> None:
    @jm.task(bakery.broker)
    def run() -> int:
        async def one() -> int:
            await asyncio.sleep(0)
            return 1

        return asyncio.run(one())

    bench.add(run)

    async def main() -> object:
        message = await run.generate_async()
        bench.run_until_idle()
        return bench.result(message)

    assert asyncio.run(main()) == 1


def test_workbench_ends_with_coroutines_suspended(bench: Workbench) -> None:
    ended: list[str] = []

    @jm.task(bakery.broker)
    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    with Workbench(wait) as inner:
        wait.generate()
        inner.advance(seconds=1)
    assert ended == ["cancelled"]
