"""The tasks of the benchmark: one that does nothing, by each mechanism, and one that takes long."""

import time
from typing import Any, Final

from journeyman.tasks import Broker, Task
from journeyman.tasks.decorator import task

broker = Broker()


@task(broker, max_retries=0)
def noop(number: int) -> int:
    """Give the number back."""
    return number


@task(broker, max_retries=0)
async def noop_coroutine(number: int) -> int:
    """Give the number back, in the worker's loop."""
    return number


@task(broker, max_retries=0, mechanism="process")
def noop_process(number: int) -> int:
    """Give the number back, in a child process."""
    return number


@task(broker, max_retries=None)
def nap(seconds: float) -> None:
    """Keep a thread busy for so long."""
    time.sleep(seconds)


NOOPS: Final[dict[str, Task[Any, Any]]] = {"thread": noop, "async": noop_coroutine, "process": noop_process}
