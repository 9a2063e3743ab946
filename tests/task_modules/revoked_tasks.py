"""Tasks that run until they are stopped, and one that does not, for each mechanism."""

import asyncio
import time

import journeyman as jm
from task_modules.daemon_tasks import mark

broker = jm.Broker()


@jm.task(broker)
def held_by_thread() -> None:
    mark("held")
    while True:
        time.sleep(0.01)


@jm.task(broker)
def after_thread() -> int:
    return 1


@jm.task(broker, mechanism="process")
def held_by_process() -> None:
    mark("held")
    time.sleep(600)


@jm.task(broker, mechanism="process")
def after_process() -> int:
    return 1


@jm.task(broker)
async def held_by_async() -> None:
    mark("held")
    await asyncio.sleep(600)


@jm.task(broker)
async def after_async() -> int:
    return 1
