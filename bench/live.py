"""Live delivery: from a commit to the callback of a consumer in another process."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from journeyman.bench import child, latency, raw_kafka, raw_listener, raw_sqlite
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Target, percentile
from journeyman.bench.kafka import made, servers_and_topic
from journeyman.bench.rows import encoded, items
from journeyman.consumers import JournalConsumer, JournalEventBase
from journeyman.journal import Journal

NANOSECONDS_PER_MS = 1_000_000


def embedded(bench: Bench) -> list[Figure]:
    """A consumer's callback, beside a reader that is notified through a socket and reads the row."""
    events = items(1)
    (row,) = encoded(events)
    with bench.file("ours") as path, bench.file("raw") as raw, contextlib.ExitStack() as stack:
        url = sqlite_url(path)
        journal = stack.enter_context(Journal(url))
        ours = stack.enter_context(child.partner("live:follow", url=url))
        connection = raw_sqlite.connect(raw)
        stack.callback(connection.close)
        floor = stack.enter_context(child.partner("live:follow_raw", path=str(raw)))
        notify = stack.enter_context(raw_listener.notifier(raw, "reader"))

        def append() -> float:
            journal.append(*events[0])
            return _ms_since(time.monotonic_ns(), ours)

        def insert() -> float:
            connection.execute(raw_sqlite.INSERT, (row,))
            committed = time.monotonic_ns()
            notify()
            return _ms_since(committed, floor)

        mine, bare = latency.alternate(bench, "live delivery", append, insert)
    return [
        latency.figure(
            "live",
            "live delivery, commit to callback, other process",
            "raw commit, unix datagram, read of the row",
            mine,
            bare,
            Target("p50", "at most", 0.5, percentile([each for part in mine for each in part], 50), "ms"),
            ratio_bar=None,
        )
    ]


def kafka(bench: Bench) -> list[Figure]:
    """A consumer's callback beside a raw tail; both from the start of the same raw append, each on its own topic."""
    url, raw_url = made(bench.kafka_url("live")), made(bench.kafka_url("raw-live"))
    servers, topic = servers_and_topic(url)
    _, raw_topic = servers_and_topic(raw_url)
    # Each with a number of its own: a row sent twice is a repeat, which a journal hands out once.
    rows = encoded(items(latency.WARM_UP + bench.size.rounds * bench.size.latency_samples))
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        ours = stack.enter_context(child.partner("live:follow", url=url))
        floor = stack.enter_context(child.partner("live:follow_raw_kafka", url=raw_url))
        raw = raw_kafka.producer(servers)
        client = runner.run(raw.__aenter__())
        stack.callback(lambda: runner.run(raw.__aexit__(None, None, None)))

        def sample(name: str, reader: child.Partner) -> Callable[[], float]:
            unsent = iter(rows)

            def once() -> float:
                row = next(unsent)
                sent = time.monotonic_ns()
                runner.run(raw_kafka.append(client, name, row))
                return _ms_since(sent, reader)

            return once

        mine, bare = latency.alternate(bench, "Kafka live delivery", sample(topic, ours), sample(raw_topic, floor))
    behind = percentile(_all(mine), 50) - percentile(_all(bare), 50)
    return [
        latency.figure(
            "kafka-live",
            "Kafka: live delivery, append to callback, other process",
            "raw aiokafka tail",
            mine,
            bare,
            Target("p50 behind the raw tail's", "at most", 1.0, behind, "ms"),
            ratio_bar=None,
        )
    ]


def _all(rounds: list[list[float]]) -> list[float]:
    return [each for part in rounds for each in part]


def _ms_since(moment: int, reader: child.Partner) -> float:
    """The latency in ms; the reader reports when it saw the event, by the clock that all processes share."""
    return (int(reader.read_line()) - moment) / NANOSECONDS_PER_MS


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def follow(url: str) -> None:
    """A consumer with a callback, from now on."""
    seen: queue.SimpleQueue[int] = queue.SimpleQueue()

    def note(event: JournalEventBase | None) -> None:
        if event is not None:
            seen.put(time.monotonic_ns())

    def report() -> None:
        while True:
            child.say(str(seen.get()))

    with Journal(url) as journal, contextlib.closing(JournalConsumer(journal, "", full=False)) as consumer:
        consumer.set_callback(note)
        consumer.start()
        child.say_ready()
        threading.Thread(target=report, daemon=True).start()
        child.wait_for_end()


def follow_raw(path: str) -> None:
    """The floor: waits for a notice, reads the new rows."""
    connection = raw_sqlite.connect(path)
    position = 0
    with raw_listener.listener(Path(path), "reader") as sock:
        threading.Thread(target=raw_listener.notify_at_end, args=(Path(path), "reader"), daemon=True).start()
        child.say_ready()
        while sock.recv(raw_listener.NOTICE_BYTES_MAX) != raw_listener.END:
            rows = raw_sqlite.page(connection, position)
            position = rows[-1][0]
            child.say(str(time.monotonic_ns()))
    connection.close()


def follow_raw_kafka(url: str) -> None:
    """The floor on Kafka: a tailing consumer."""
    asyncio.run(_follow_raw_kafka(*servers_and_topic(url)))


async def _follow_raw_kafka(servers: str, topic: str) -> None:
    async with raw_kafka.consumer(servers, topic, from_end=True) as reader:

        async def report() -> None:
            while True:
                for _ in await raw_kafka.page(reader):
                    child.say(str(time.monotonic_ns()))

        reporting = asyncio.create_task(report())
        child.say_ready()
        await asyncio.get_running_loop().run_in_executor(None, child.wait_for_end)
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
