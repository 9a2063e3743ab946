"""Traffic on a real Kafka whose brokers are hurt: writers, a reader that follows, and what must hold at the end."""

import asyncio
import gc
import itertools
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from journeyman.deploy.kafka import KafkaCluster
from journeyman.journal import Draft, Event, Log, Tail, draft
from journeyman.journal.event_decoding import decode_all

PATIENCE_SECONDS = 120.0
T = TypeVar("T")


def run(test: Coroutine[Any, Any, T]) -> T:
    async def alone() -> T:
        async with asyncio.timeout(PATIENCE_SECONDS):
            outcome = await test
        for _ in range(10):
            await asyncio.sleep(0)  # connections just closed take a turn of the loop to be gone
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"still running: {left}"
        return outcome

    try:
        return asyncio.run(alone())
    finally:
        gc.collect()


def new_url(cluster: KafkaCluster, partitions: int = 1) -> str:
    return f"kafka://{cluster.bootstrap}/test-{uuid.uuid4()}?partitions={partitions}"


def drafts(name: str, count: int) -> list[Draft]:
    return [draft(name, {"number": number}) for number in range(count)]


async def follow(tail: Tail, seen: list[Event], grown: asyncio.Event) -> None:
    while True:
        page = await tail.page()
        if page is not None:
            seen += decode_all(page.rows, page.partition, page.offsets)
            grown.set()


async def until(what: str, condition: Callable[[], bool], changed: asyncio.Event) -> None:
    """Wait until the condition holds, looking whenever something has changed."""
    while not condition():
        changed.clear()
        try:
            await asyncio.wait_for(changed.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"never happened: {what}") from None


class Writers:
    """Several tasks that append batch after batch until told to stop; what was acknowledged is kept."""

    def __init__(self, log: Log, count: int) -> None:
        self.acknowledged: list[list[Event]] = []
        self.grown = asyncio.Event()
        self._stopped = False
        self._tasks = [asyncio.ensure_future(self._write(log, number)) for number in range(count)]

    async def _write(self, log: Log, writer: int) -> None:
        for batch in itertools.count():
            if self._stopped:
                return
            partition = (writer + batch) % log.partitions
            handed_in = [Draft(f"writer.n{writer}", b'{"number":%d}' % batch, None, partition) for _ in range(3)]
            self.acknowledged.append(await log.append(handed_in))
            self.grown.set()

    async def more(self, count: int) -> None:
        """Wait for so many more acknowledgements."""
        wanted = len(self.acknowledged) + count
        await until(f"{count} more appends", lambda: len(self.acknowledged) >= wanted, self.grown)

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)


def check(writers: Writers, seen: list[Event], partitions: int) -> None:
    acknowledged = list(itertools.chain(*writers.acknowledged))
    positions = [event.position for event in seen]
    assert len(set(positions)) == len(positions), "a record was handed out twice"
    assert len({event.seq for event in seen}) == len(seen), "an event stands there twice"
    at = {event.position: event for event in seen}
    assert len(at) == len(acknowledged), "as many as were acknowledged: every append was waited for"
    assert all(at[event.position].seq == event.seq for event in acknowledged), "an acknowledged event is elsewhere"
    for partition in range(partitions):
        here = [event for event in seen if event.partition == partition]
        assert [event.seq for event in here] == sorted(event.seq for event in here), "out of order"
    for batch in writers.acknowledged:
        assert [event.offset for event in batch] == list(range(batch[0].offset, batch[0].offset + 3)), "torn apart"
