"""The memory log keeps every promise of the port, in a loop and in a plain thread."""

import asyncio
import uuid

from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.journal.runtime import blocking
from journeyman.journal.testing.conformance import LogConformance


class TestInLoop(LogConformance):
    always_there = True
    partitions = 4

    def url(self, partitions: int) -> str:
        return f"memory://{uuid.uuid4()}?partitions={partitions}"


class TestInThread(TestInLoop):
    drive = staticmethod(blocking.run)


def test_polling_tail_leaves_no_waiter() -> None:
    async def test() -> None:
        log = MemoryLog(store := MemoryStore())
        tail = await log.tail({0: 0})
        for _ in range(20):
            assert await tail.page(timeout=0.0001) is None
            waiting = asyncio.ensure_future(tail.page())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert store._waiting == []

    asyncio.run(test())
