"""SAQ on Redis: ``python -m peers.saq_side submit|work PORT TASKS``, in the peers' environment, in `bench/`."""

import asyncio
import importlib
import logging
import sys
import time
from typing import Any

from .parts import Done, say, say_submitted


async def main(role: str, port: int, tasks: int) -> None:
    """One side of the stream."""
    saq: Any = importlib.import_module("saq")
    queue = saq.Queue.from_url(f"redis://127.0.0.1:{port}")
    await queue.connect()
    await (_work(saq, queue, tasks) if role == "work" else _submit(queue, tasks))
    await queue.disconnect()


async def _work(saq: Any, queue: Any, tasks: int) -> None:
    over = asyncio.Event()
    done = Done(tasks, over.set)

    async def noop(_: dict[str, Any], *, number: int, submitted_at: float) -> int:
        done.note(submitted_at)
        return number

    logging.getLogger("saq").setLevel(logging.ERROR)  # it warns that its idle takers are cancelled at the end
    worker = saq.Worker(queue, functions=[("noop", noop)])
    working = asyncio.create_task(worker.start())
    say("ready")
    await over.wait()
    worker.event.set()
    await working


async def _submit(queue: Any, tasks: int) -> None:
    await queue.redis.ping()
    say("ready")
    sys.stdin.readline()
    begun = time.time()
    for number in range(tasks):
        await queue.enqueue("noop", number=number, submitted_at=time.time())
    say_submitted(begun, time.time())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
