"""Tasks that do not let their worker leave: they sit in threads, refuse to be cancelled, or block the loop."""

import asyncio
import time

import journeyman as jm
from task_modules.daemon_tasks import YARD, broker, mark


def _wait() -> None:
    while not (YARD / "go").exists():
        time.sleep(0.01)


@jm.task(broker)
async def in_a_thread() -> None:
    """Waits for a thread of the loop's."""
    mark("in_a_thread")
    await asyncio.to_thread(_wait)


@jm.task(broker)
async def refuses() -> None:
    """Goes on in spite of each cancellation."""
    mark("refuses")
    while not (YARD / "go").exists():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            mark("refused")


@jm.task(broker)
async def refuses_everything() -> None:
    """Goes on whatever befalls it."""
    mark("refuses_everything")
    while not (YARD / "go").exists():
        try:
            await asyncio.sleep(0.01)
        except BaseException:  # as a bare `except:` does
            mark("refused")


@jm.task(broker)
async def blocks() -> None:
    """Lets nothing else in the loop have its turn."""
    mark("blocks")
    _wait()


@jm.task(broker)
def thread() -> None:
    """Sits in a thread."""
    mark("thread")
    _wait()


@jm.task(broker)
async def stops_the_loop() -> None:
    """Stops the loop of its worker, and ends."""
    mark("stops_the_loop")
    asyncio.get_running_loop().stop()


@jm.task(broker)
async def stops_the_loop_and_waits() -> None:
    """Stops the loop of its worker, and would go on."""
    mark("stops_the_loop_and_waits")
    asyncio.get_running_loop().stop()
    await asyncio.sleep(3_600)
