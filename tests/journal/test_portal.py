"""The loop in a thread: an interrupt of its waiting callers, and the end of its coroutines when it is closed."""

import asyncio
import concurrent.futures
import signal
import sys
import threading
from collections.abc import Iterator

import pytest
from journeyman.journal import JournalClosed
from journeyman.journal.runtime.portal import Portal
from support.waiting import wait_until

TURNS = 1_000


@pytest.fixture
def portal() -> Iterator[Portal]:
    made = Portal()
    yield made
    made.close()


def interrupt() -> None:
    """Ctrl-C, while the main thread waits."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


async def value() -> int:
    return 7


def test_interrupt_is_raised_after_the_cancelled_coroutine_ended(portal: Portal) -> None:
    """Otherwise the coroutine would act while the program goes on."""
    did: list[str] = []

    async def waits() -> None:
        interrupt()
        try:
            await asyncio.sleep(60)
        finally:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            did.append("ended")

    with pytest.raises(KeyboardInterrupt):
        portal.run(waits())
    assert did == ["ended"]
    assert portal.run(value()) == 7


def test_value_present_at_an_interrupt_is_returned(portal: Portal) -> None:
    """And the interrupt is not forgotten: the next wait is interrupted, once."""

    async def ends_all_the_same() -> str:
        interrupt()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "a page"
        return "none"

    assert portal.run(ends_all_the_same()) == "a page"
    with pytest.raises(KeyboardInterrupt):
        portal.run(asyncio.sleep(60))
    assert portal.run(value()) == 7


def test_second_interrupt_does_not_wait(portal: Portal) -> None:
    stays, over = asyncio.Event(), threading.Event()

    async def does_not_end() -> None:
        interrupt()
        try:
            await asyncio.sleep(60)
        finally:
            interrupt()
            await stays.wait()
            over.set()

    async def release() -> None:
        stays.set()

    with pytest.raises(KeyboardInterrupt):
        portal.run(does_not_end())
    assert not over.is_set()
    portal.run(release())
    wait_until(over.is_set, "the coroutine ends")


def test_closed_portal_releases_waiting_callers(portal: Portal) -> None:
    waits, told = threading.Event(), []

    async def for_ever() -> None:
        waits.set()
        await asyncio.get_running_loop().create_future()

    def wait() -> None:
        try:
            portal.run(for_ever())
        except concurrent.futures.CancelledError:
            told.append("cancelled")

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert waits.wait(60)
    portal.close()
    wait_until(lambda: told, "the thread that waits is told")
    with pytest.raises(JournalClosed):
        portal.run(value())


def test_system_exit_in_a_coroutine_does_not_end_the_loop(portal: Portal) -> None:
    async def leaves() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit):
        portal.run(leaves())
    assert portal.run(value()) == 7
