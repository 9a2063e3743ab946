"""The Kafka figures: replay, appends, no-op tasks and idle latency on one real broker, beside raw aiokafka."""

import asyncio
import contextlib
import sys
import time
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from journeyman.bench import appends, child, drain, latency, raw_kafka, replay
from journeyman.bench.context import Bench
from journeyman.bench.figure import Figure, Floor, Spread, Target, ratio_of
from journeyman.bench.replay import Pass, Start
from journeyman.bench.rows import NAME, WRITER, history, items
from journeyman.bench.tasks import broker, noop
from journeyman.journal import AsyncJournal, Event, Journal
from journeyman.tasks import ResultStore


def servers_and_topic(url: str) -> tuple[str, str]:
    """The server addresses and the topic of a journal's URL."""
    parts = urlsplit(url)
    return parts.netloc, parts.path[1:]


MERGED_PARTITIONS: Final = 8


# -- replay --------------------------------------------------------------------------------------------------------


def replay_history(bench: Bench) -> list[Figure]:
    """One history in a topic, read by fresh processes in turn: the floor, and the iteration."""
    url = bench.kafka_url("history")
    bench.progress(f"Kafka replay: writing a history of {bench.size.kafka_history_events:,} events")
    events = 0
    with Journal(url) as journal:
        for drafts in history(bench.size.kafka_history_events):
            events += len(journal.append_drafts(drafts))
    floor: list[Pass] = []
    iteration: list[Pass] = []
    for number in range(bench.size.rounds):
        bench.progress(f"Kafka replay: round {number + 1} of {bench.size.rounds}")
        floor.append(child.run("kafka:read_raw", url=url, events=events))
        iteration.append(child.run("replay:iterate", url=url, events=events))
    bench.progress("Kafka replay: memory")
    short = replay.repeated(bench, "replay:iterate", url, replay.shorter(bench, events))
    title = "raw getmany and msgspec decode into Event"
    return [
        replay.figure("kafka-replay", "Kafka: replay through a consumer's iteration", title, iteration, floor, short)
    ]


def merged_replay(bench: Bench) -> list[Figure]:
    """The same events in eight partitions and in one, each read in time order by fresh processes."""
    events = bench.size.kafka_history_events // 2 // appends.BATCH_EVENTS * appends.BATCH_EVENTS
    urls = [bench.kafka_url(f"merge-{partitions}", partitions) for partitions in (MERGED_PARTITIONS, 1)]
    for url in urls:
        bench.progress("Kafka merge: writing a history")
        with Journal(url) as journal:
            for start in range(0, events, appends.BATCH_EVENTS):
                journal.append_all(items(appends.BATCH_EVENTS, start))
    passes: tuple[list[Pass], list[Pass]] = ([], [])
    for number in range(bench.size.rounds):
        bench.progress(f"Kafka merge: round {number + 1} of {bench.size.rounds}")
        for url, side in zip(urls, passes, strict=True):
            side.append(child.run("replay:iterate", url=url, events=events))
    merged, single = ([each["rate"] for each in side] for side in passes)
    ratio = ratio_of(merged, single)
    return [
        Figure(
            "kafka-merge",
            f"Kafka: replay of {MERGED_PARTITIONS} partitions in time order",
            "events/s",
            Spread.of(merged),
            Floor("our own replay of one partition", Spread.of(single)),
            ratio,
            (Target("ratio", "at least", 0.6, ratio.median, ""),),
        )
    ]


def read_raw(url: str, events: int) -> Pass:
    """The floor: pages by `getmany`, each record decoded into an `Event`, each event looked at."""
    return asyncio.run(_read_raw(*servers_and_topic(url), events))


async def _read_raw(servers: str, topic: str, events: int) -> Pass:
    decode = msgspec.json.Decoder(Event).decode
    seen = 0
    async with raw_kafka.consumer(servers, topic) as client:
        started = Start()
        while seen < events:
            for event in [decode(record.value) for record in await raw_kafka.page(client)]:
                assert event.name
                seen += 1
        return started.answer(seen)


# -- appends -------------------------------------------------------------------------------------------------------


class _Row(msgspec.Struct):
    """An event as one writes it by hand, encoded in one step."""

    timestamp: float
    name: str
    context: Any
    key: str | None
    writer: str
    seq: int


def append_batches(bench: Bench) -> list[Figure]:
    """`AsyncJournal.append_all` of 1,000 contexts, beside JSON encode and `send_batch`, each batch awaited."""
    count = bench.size.batches
    batches = [items(appends.BATCH_EVENTS, start=number * appends.BATCH_EVENTS) for number in range(count)]
    servers, raw_topic = servers_and_topic(made(bench.kafka_url("raw-appends")))
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        journal = AsyncJournal(bench.kafka_url("appends"))
        runner.run(journal.open())
        stack.callback(lambda: runner.run(journal.aclose()))
        raw = raw_kafka.producer(servers)
        client = runner.run(raw.__aenter__())
        stack.callback(lambda: runner.run(raw.__aexit__(None, None, None)))

        async def append(part: range) -> None:
            for index in part:
                await journal.append_all(batches[index])

        async def send(part: range) -> None:
            for index in part:
                await raw_kafka.append_batch(client, raw_topic, encode_by_hand(batches[index]))

        rounds = appends.alternate(
            bench,
            "Kafka appends in batches",
            count,
            lambda part: runner.run(append(part)),
            lambda part: runner.run(send(part)),
        )
    title = "Kafka: appends in batches of 1,000"
    floor = "JSON encode and raw send_batch, awaited one by one"
    return [appends.figure("kafka-append-batch", title, floor, rounds, appends.BATCH_EVENTS, 0.5)]


def encode_by_hand(batch: list[Any]) -> list[bytes]:
    """The same bytes as the journal's, by the shortest way."""
    encode = msgspec.json.Encoder().encode
    now = time.time()
    return [encode(_Row(now, NAME, context, key, WRITER, seq)) for seq, (_, context, key) in enumerate(batch, start=1)]


# -- no-op tasks ---------------------------------------------------------------------------------------------------


def drain_backlog(bench: Bench) -> list[Figure]:
    """A backlog in a topic, drained by a new worker process in each round."""
    ours: list[dict[str, float]] = []
    floor: list[dict[str, float]] = []
    tasks = bench.size.kafka_backlog_tasks
    for number in range(bench.size.rounds):
        bench.progress(f"Kafka no-op tasks: round {number + 1} of {bench.size.rounds}")
        url, raw_url = bench.kafka_url("queue"), made(bench.kafka_url("raw-queue"))
        drain.submit(url, tasks)
        ours.append(child.run("drain:worker", url=url, tasks=tasks))
        asyncio.run(_fill_raw(*servers_and_topic(raw_url), tasks))
        floor.append(child.run("kafka:drain_raw", url=raw_url, tasks=tasks))
    title = f"Kafka: no-op tasks, backlog of {tasks:,}, one worker process"
    return [
        drain.figure(
            "kafka-drain", title, "the same records by hand, raw aiokafka", ours, floor, rate_bar=10_000, cpu_bar=60
        )
    ]


async def _fill_raw(servers: str, topic: str, tasks: int) -> None:
    rows = drain.submission_rows(tasks)
    async with raw_kafka.producer(servers) as client:
        for start in range(0, tasks, drain.SUBMIT_TASKS):
            await raw_kafka.append_batch(client, topic, rows[start : start + drain.SUBMIT_TASKS])


def drain_raw(url: str, tasks: int) -> dict[str, float]:
    """The floor on a topic."""
    return asyncio.run(_drain_raw(*servers_and_topic(url), tasks))


async def _drain_raw(servers: str, topic: str, tasks: int) -> dict[str, float]:
    async with raw_kafka.consumer(servers, topic) as reader, raw_kafka.producer(servers) as client:
        started, cpu = time.perf_counter(), child.cpu_seconds()
        outcomes: list[bytes] = []
        seen = 0
        while seen < tasks:
            limit = min(drain.APPEND_TASKS, tasks - seen)  # behind the backlog come our own records
            page = [(record.offset, record.value) for record in await raw_kafka.page(reader, limit)]
            seen += len(page)
            claims, done = drain.by_hand(page, first_claim=tasks + 2 * seen)
            await raw_kafka.append_batch(client, topic, outcomes + claims)
            outcomes = done
        await raw_kafka.append_batch(client, topic, outcomes)
        seconds, cpu = time.perf_counter() - started, child.cpu_seconds() - cpu
    return {"rate": tasks / seconds, "cpu_us": cpu / tasks * 1e6}


# -- latency -------------------------------------------------------------------------------------------------------


def idle_latency(bench: Bench) -> list[Figure]:
    """Submitter and worker in processes of their own, on both sides."""
    url, raw_url = bench.kafka_url("latency"), made(bench.kafka_url("raw-latency"))
    with Journal(url) as journal, contextlib.ExitStack() as stack:
        broker.bind(journal)
        results = ResultStore(journal)
        stack.enter_context(child.partner("latency:worker", url=url))
        stack.enter_context(child.partner("kafka:raw_worker", url=raw_url))
        raw_submitter = stack.enter_context(child.partner("kafka:raw_submitter", url=raw_url))

        def submit() -> None:
            message = noop.generate(args=[7])
            assert results.get(message, timeout=latency.RESULT_MS, keep=True) == 7

        def ask() -> float:
            return float(raw_submitter.ask())

        mine, bare = latency.alternate(bench, "Kafka idle latency", latency.timed(submit), ask)
    return [
        latency.figure(
            "kafka-latency",
            "Kafka: idle latency, submit to result, other process",
            "the same four steps with raw aiokafka records",
            mine,
            bare,
        )
    ]


def raw_submitter(url: str) -> None:
    """The submitting side of the floor: for each line it is sent it takes one sample and answers with the ms."""
    asyncio.run(_raw_submitter(*servers_and_topic(url)))


async def _raw_submitter(servers: str, topic: str) -> None:
    row = drain.submission_rows(1)[0]
    loop = asyncio.get_running_loop()
    async with raw_kafka.consumer(servers, topic, from_end=True) as reader, raw_kafka.producer(servers) as client:
        child.say_ready()
        while await loop.run_in_executor(None, sys.stdin.readline):
            started = time.perf_counter()
            await raw_kafka.append(client, topic, row)
            while b'"task.succeeded"' not in (await raw_kafka.page(reader))[-1].value:
                pass
            child.say(f"{(time.perf_counter() - started) * latency.MILLISECONDS:.6f}")


def raw_worker(url: str) -> None:
    """The working side of the floor: sees the submission, claims it, then appends the outcome."""
    asyncio.run(_raw_worker(*servers_and_topic(url)))


async def _raw_worker(servers: str, topic: str) -> None:
    async with raw_kafka.consumer(servers, topic, from_end=True) as reader, raw_kafka.producer(servers) as client:

        async def work() -> None:
            while True:
                for record in await raw_kafka.page(reader):
                    if b'"task.submitted"' in record.value:
                        claims, outcomes = drain.by_hand([(record.offset, record.value)], record.offset + 1)
                        await raw_kafka.append(client, topic, claims[0])
                        await raw_kafka.append(client, topic, outcomes[0])

        working = asyncio.create_task(work())
        child.say_ready()
        await asyncio.get_running_loop().run_in_executor(None, child.wait_for_end)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def made(url: str) -> str:
    """The topic of `url`, made with the journal's own settings."""
    with Journal(url):
        return url
