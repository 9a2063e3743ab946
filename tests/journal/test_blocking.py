"""One coroutine for both worlds: the same waits in a loop and in a plain thread, ended by the same things."""

import asyncio
import concurrent.futures
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from journeyman.journal.runtime import blocking
from support.alarm import Alarm, begun_or_not
from support.waiting import wait_until

Future = concurrent.futures.Future


@pytest.fixture(params=["loop", "thread"])
def drive(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return asyncio.run if request.param == "loop" else blocking.run


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


def later(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_run_returns_the_value_or_raises_the_error(drive: Any) -> None:
    async def value() -> int:
        return 7

    async def error() -> None:
        raise LookupError("mine")

    assert drive(value()) == 7
    with pytest.raises(LookupError, match="mine"):
        drive(error())


def test_finished_future_is_not_waited_for(drive: Any) -> None:
    future: Future[int] = Future()
    future.set_result(1)
    assert drive(blocking.settled(future))
    assert drive(blocking.settled(future, 0.0))


def test_future_settled_by_another_thread_ends_the_wait(drive: Any) -> None:
    for outcome in ("set_result", "set_exception", "cancel"):
        future: Future[int] = Future()
        work = {
            "set_result": lambda each=future: each.set_result(1),
            "set_exception": lambda each=future: each.set_exception(LookupError()),
            "cancel": lambda each=future: each.cancel(),
        }[outcome]
        thread = later(work)
        assert drive(blocking.settled(future)), outcome
        thread.join()


def test_unsettled_future_times_out(drive: Any) -> None:
    future: Future[int] = Future()
    assert not drive(blocking.settled(future, 0.01))
    assert not drive(blocking.settled(future, 0.0))
    future.set_result(1)  # after its waiter, and its waiter's loop, have gone


def test_unobserved_future_failure_is_not_reported_twice() -> None:
    """Code that reads the future itself has seen its error; the loop must not report it again."""
    reports: list[Any] = []

    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
        future: Future[int] = Future()
        thread = later(lambda: future.set_exception(LookupError()))
        assert await blocking.settled(future)
        thread.join()
        late: Future[int] = Future()
        assert not await blocking.settled(late, 0.0)
        late.set_exception(LookupError())
        await asyncio.sleep(0)

    asyncio.run(test())
    assert reports == []


def test_timeout_raised_into_a_wait_is_not_its_own_timeout() -> None:
    """As by `signal.alarm` and a handler that raises: it belongs to who has set the alarm."""
    future: Future[int] = Future()

    def raises(*_: object) -> None:
        raise TimeoutError("mine")

    def strike() -> None:
        wait_until(lambda: future._waiters or future._condition._waiters, "the main thread waits")  # type: ignore[attr-defined]
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)  # type: ignore[arg-type]

    before = signal.signal(signal.SIGUSR1, raises)
    try:
        thread = later(strike)
        with pytest.raises(TimeoutError, match="mine"):
            blocking.run(blocking.settled(future, 30.0))
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)


@begun_or_not
def test_interrupt_reaches_the_coroutine_at_once(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Between two waits, too: otherwise it would be closed only once no reference to the error is left."""
    for moment in count(1):
        reached: list[type[BaseException]] = []

        async def test(reached: list[type[BaseException]] = reached) -> None:
            try:
                for _ in range(2):
                    await blocking.settled(Future(), 0.0)
                    await blocking.readable(pair[0], 0.0)
                    await blocking.Latch().settled(0.0)
            except BaseException as error:
                reached.append(type(error))
                raise

        alarm = Alarm(moment, KeyboardInterrupt, within=Path(blocking.__file__).parent)
        alarm.call(lambda test=test: blocking.run(test()))  # type: ignore[misc]
        assert reached in ([], [KeyboardInterrupt])
        if not alarm.rang:
            assert moment > 50
            return


def test_blocking_run_drives_a_socket(drive: Any, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    assert not drive(blocking.readable(one, 0.0))
    assert not drive(blocking.readable(one, 0.01))
    thread = later(lambda: other.send(b"!"))
    assert drive(blocking.readable(one))
    thread.join()
    assert drive(blocking.readable(one, 0.0))


def test_cancelled_wait_leaves_nothing_in_the_loop(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    future: Future[int] = Future()

    async def test() -> None:
        for wait in (blocking.readable(one, 3_600.0), blocking.settled(future, 3_600.0)):
            task = asyncio.ensure_future(wait)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not asyncio.get_running_loop().remove_reader(one), "no reader is left"
        other.send(b"!")
        assert await blocking.readable(one)
        assert not future.cancelled(), "the thread that settles it does not see that a waiter has left"

    asyncio.run(test())


def test_is_driven_holds_only_inside_blocking_run() -> None:
    async def inside() -> bool:
        return blocking.is_driven()

    async def within_a_loop() -> tuple[bool, bool, bool]:
        return blocking.is_driven(), blocking.run(inside()), blocking.is_driven()

    assert blocking.run(inside())
    assert not asyncio.run(inside())
    assert asyncio.run(within_a_loop()) == (False, True, False), "a synchronous call made from a loop blocks"
    assert not blocking.is_driven()


def test_synchronous_call_inside_a_loop_waits_by_blocking() -> None:
    future: Future[int] = Future()

    async def test() -> bool:
        thread = later(lambda: future.set_result(1))
        settled = blocking.run(blocking.settled(future))
        thread.join()
        return settled

    assert asyncio.run(test())


def test_turn_lets_other_tasks_go_first() -> None:
    order: list[str] = []

    async def polite() -> None:
        await blocking.turn()
        order.append("polite")

    async def quick() -> None:
        order.append("quick")

    async def both() -> None:
        await asyncio.gather(polite(), quick())

    asyncio.run(both())
    assert order == ["quick", "polite"]
    blocking.run(polite())
    assert order == ["quick", "polite", "polite"]


def test_blocking_run_works_in_its_own_thread(drive: Any) -> None:
    async def call(work: Callable[[], Any]) -> Any:
        future = blocking.in_thread(work)
        assert await blocking.settled(future)
        return future.result()

    assert drive(call(lambda: threading.current_thread().name)) == "journeyman-wait"
    with pytest.raises(LookupError):
        drive(call(lambda: dict[str, str]()["absent"]))


def test_cleanup_may_wait_as_well(drive: Any) -> None:
    future: Future[int] = Future()

    async def test() -> None:
        try:
            raise LookupError
        finally:
            thread = later(lambda: future.set_result(1))
            assert await blocking.settled(future)
            thread.join()

    with pytest.raises(LookupError):
        drive(test())


@pytest.mark.parametrize("what", ["future", "socket"])
def test_interrupt_ends_the_wait_of_another_thread(what: str, pair: tuple[socket.socket, socket.socket]) -> None:
    future: Future[int] = Future()
    interrupt = blocking.Interrupt()
    outcomes: list[str] = []

    def wait() -> Awaitable[bool]:
        return blocking.settled(future) if what == "future" else blocking.readable(pair[0])

    async def test() -> None:
        try:
            await wait()
        except asyncio.CancelledError:
            outcomes.append("cancelled")
            raise

    def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            blocking.run(test(), interrupt)

    waiting = later(run)
    wait_until(lambda: interrupt._wake is not None, "the other thread waits")
    interrupt.request()
    waiting.join(60)
    assert outcomes == ["cancelled"]
    run()  # the request stands until it is cleared: the next wait ends at once
    assert outcomes == ["cancelled", "cancelled"]
    interrupt.clear()
    future.set_result(1)
    pair[1].send(b"!")
    assert blocking.run(wait(), interrupt)  # type: ignore[arg-type]
