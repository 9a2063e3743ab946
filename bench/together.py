"""Many consumers that follow one journal in one process: the cost of each of them for each event."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from journeyman.bench import child, latency
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.kafka import made
from journeyman.bench.rows import items
from journeyman.consumers import AsyncJournalConsumer
from journeyman.journal import AsyncJournal, Journal

CONSUMERS: Final = 20
MICROSECONDS: Final = 1_000_000
NANOSECONDS_PER_MS: Final = 1_000_000


def embedded(bench: Bench) -> list[Figure]:
    """Twenty on one journal, beside twenty journals in one process with one each: those share nothing."""
    with bench.file("shared") as shared, bench.file("apart") as apart:
        return _measured(bench, "together", "", sqlite_url(shared), sqlite_url(apart))


def kafka(bench: Bench) -> list[Figure]:
    """The same on Kafka, where a tail is a connection that fetches."""
    shared, apart = made(bench.kafka_url("shared")), made(bench.kafka_url("apart"))
    return _measured(bench, "kafka-together", "Kafka: ", shared, apart)


def _measured(bench: Bench, name: str, where: str, shared: str, apart: str) -> list[Figure]:
    with contextlib.ExitStack() as stack:
        sides = [_Side(stack, shared, journals=1), _Side(stack, apart, journals=CONSUMERS)]
        for number in range(bench.size.rounds):
            bench.progress(f"{name}: round {number + 1} of {bench.size.rounds}")
            for side in sides:
                side.measure(bench.size.latency_samples)
    ours, floor = sides
    ratio = ratio_of(ours.costs, floor.costs)
    return [
        Figure(
            name,
            f"{where}{CONSUMERS} live consumers in one process, an event at each",
            "µs CPU",
            Spread.of(ours.costs),
            Floor("each with a journal of its own", Spread.of(floor.costs)),
            ratio,
            (Target("ratio", "at most", 1.0, ratio.median, ""),),
            {
                "all_have_it_p50_ms": percentile(ours.latencies, 50),
                "floor_all_have_it_p50_ms": percentile(floor.latencies, 50),
            },
        )
    ]


class _Side:
    """One process with its consumers, and an appender for them."""

    def __init__(self, stack: contextlib.ExitStack, url: str, journals: int) -> None:
        journal = stack.enter_context(Journal(url))
        self._reader = stack.enter_context(child.partner("together:follow", url=url, journals=journals))
        self._event = items(1)[0]
        self._append: Callable[..., object] = journal.append
        self.costs: list[float] = []
        self.latencies: list[float] = []
        self._sample()

    def measure(self, events: int) -> None:
        """Append so many events, each when all have had the one before."""
        started = self._sample()
        for _ in range(events):
            time.sleep(latency.PAUSE_SECONDS)
            ended = self._sample()
        self.costs.append((ended - started) / events / CONSUMERS * MICROSECONDS)

    def _sample(self) -> float:
        """Append one and wait until all have it; the CPU seconds their process has used by then."""
        appended = time.monotonic_ns()
        self._append(*self._event)
        moment, used = self._reader.read_line().split()
        self.latencies.append((int(moment) - appended) / NANOSECONDS_PER_MS)
        return float(used)


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def follow(url: str, journals: int) -> None:
    """Run consumers on one journal or on several; print when all have had an event, and the CPU time so far."""
    asyncio.run(_follow(url, journals))


async def _follow(url: str, journals: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(AsyncJournal(url)) for _ in range(journals)]
        consumers = [
            await stack.enter_async_context(AsyncJournalConsumer(opened[number % journals], full=False))
            for number in range(CONSUMERS)
        ]
        seen = 0

        async def read(consumer: AsyncJournalConsumer) -> None:
            nonlocal seen
            async for _ in consumer:
                seen += 1
                if seen % CONSUMERS == 0:
                    child.say(f"{time.monotonic_ns()} {child.cpu_seconds()}")

        reading = [asyncio.create_task(read(each)) for each in consumers]
        child.say_ready()
        await asyncio.get_running_loop().run_in_executor(None, child.wait_for_end)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
