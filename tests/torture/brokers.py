"""The torture on Kafka: three brokers, whose leader is killed, terminated and paused beside the workers.

Two probes run beside it, each a writer and a reader of its own: a raw aiokafka client, and ours. What counts is not how
long a fail-over takes, which is Kafka's affair, but that ours never pauses longer than the raw client in the same run
plus a second.
"""

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import journeyman as jm
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from journeyman.deploy.kafka import Broker, KafkaCluster

from torture.harness import Hurt, Plan, torture
from torture.verdicts import Verdicts

PROBE_SECONDS = 0.05
BROKER_EVERY_SECONDS = 20.0
PAUSE_SECONDS = 8.0
WAYS = ("kill", "stop", "pause")
MARGIN_SECONDS = 1.0
# Longer than a fail-over takes, so that the silence of a dead worker is told from that of the journal.
LEASE_MS = 12_000
WORKER_EVERY_SECONDS = 4.0
LONG_SHARE = 0.2


class Pauses:
    """The longest time without a success, by probe, and what ended a probe of ours before its time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.longest: dict[str, float] = {}
        self.broken: list[str] = []
        self._last: dict[str, float] = {}
        self.stopping = False

    def success(self, probe: str) -> None:
        self._last[probe] = self._note(probe)

    def stop(self) -> None:
        """No more successes are wanted; a silence that lasts until now counts like one that was broken."""
        self.stopping = True
        for probe in self._last:
            self._note(probe)

    def _note(self, probe: str) -> float:
        now = self._clock()
        self.longest[probe] = max(self.longest.get(probe, 0.0), now - self._last.get(probe, now))
        return now


async def probe_raw(bootstrap: str, topic: str, pauses: Pauses) -> None:
    """Write and read one record at a time with a plain client, set up as the notes of the design recommend."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, request_timeout_ms=3_000, retry_backoff_ms=50
    )
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        request_timeout_ms=3_000,
        retry_backoff_ms=50,
    )
    await producer.start()
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])

    async def write() -> None:
        while not pauses.stopping:
            with suppress(KafkaError):  # it gives up where ours goes on; then its pause lasts until the next success
                await producer.send_and_wait(topic, b"{}", partition=0)
                pauses.success("raw write")
            await asyncio.sleep(PROBE_SECONDS)

    async def read() -> None:
        while not pauses.stopping:
            with suppress(KafkaError):
                if await consumer.getmany(timeout_ms=500):
                    pauses.success("raw read")

    try:
        await asyncio.gather(write(), read())
    finally:
        await asyncio.gather(producer.stop(), consumer.stop(), return_exceptions=True)


async def probe_ours(url: str, pauses: Pauses) -> None:
    """Write and read one event at a time through a journal."""
    async with jm.AsyncJournal(url) as journal:
        log = await journal.open()
        tail = await log.tail((await log.bounds()).end)

        async def write() -> None:
            while not pauses.stopping:
                await journal.append("probe.written", {})
                pauses.success("our write")
                await asyncio.sleep(PROBE_SECONDS)

        async def read() -> None:
            while not pauses.stopping:
                if await tail.page(timeout=0.5) is not None:
                    pauses.success("our read")

        try:
            await asyncio.gather(write(), read())
        finally:
            await tail.aclose()


class BrokerHurter:
    """Hurts the leader of one topic after the other every now and then, and mends it."""

    def __init__(self, cluster: KafkaCluster, topics: Sequence[str], seed: int, hurt: Counter[str]) -> None:
        self._cluster = cluster
        self._topics = itertools.cycle(topics)
        self._chance = random.Random(seed)
        self._hurt = hurt
        self._ways: list[str] = []
        self._next = BROKER_EVERY_SECONDS
        self._mending: threading.Thread | None = None

    def __call__(self, elapsed: float) -> None:
        if elapsed < self._next or (self._mending is not None and self._mending.is_alive()):
            return
        self._next = elapsed + BROKER_EVERY_SECONDS
        broker = self._cluster.leader_of(next(self._topics))
        if not self._ways:  # each of them before any comes again: a short run would leave some out by chance
            self._ways = self._chance.sample(WAYS, len(WAYS))
        way = self._ways.pop()
        self._hurt[f"leader {way}"] += 1
        getattr(broker, way)()
        self._mending = threading.Thread(target=self._mend, args=(broker, way))
        self._mending.start()

    def _mend(self, broker: Broker, way: str) -> None:
        time.sleep(PAUSE_SECONDS)
        if way == "pause":
            broker.resume()
        else:
            broker.start()

    def close(self) -> None:
        if self._mending is not None:
            self._mending.join()


def torture_kafka(
    tasks: int, workers: int, seconds: float, seed: int, say: Callable[[str], None]
) -> tuple[Verdicts, Hurt, float, dict[str, float]]:
    """Carry out the plan on three brokers; the pauses of the probes, in seconds, come with the verdicts."""
    pauses = Pauses()
    with KafkaCluster(nodes=3) as cluster:
        url = f"kafka://{cluster.bootstrap}/torture?partitions=1&replication=3"
        probes_url = f"kafka://{cluster.bootstrap}/probe?partitions=1&replication=3"
        with jm.Journal(url) as journal, jm.Journal(probes_url) as probes:
            journal.bounds()
            probes.bounds()
        threads = [
            threading.Thread(target=_run, args=(lambda: probe_raw(cluster.bootstrap, "probe", pauses), pauses)),
            threading.Thread(target=_run, args=(lambda: probe_ours(probes_url, pauses), pauses)),
        ]
        for thread in threads:
            thread.start()
        leaders: Counter[str] = Counter()
        # The probes' leader as well: otherwise chance might spare the two that are compared.
        hurter = BrokerHurter(cluster, ("torture", "probe"), seed, leaders)
        try:
            plan = Plan(url, tasks, workers, seconds, WORKER_EVERY_SECONDS, LEASE_MS, seed, LONG_SHARE)
            verdicts, hurt, took = torture(plan, say, hurter)
        finally:
            hurter.close()
            pauses.stop()
            for thread in threads:
                thread.join(30)
        hurt.counts.update(leaders)
    judge(pauses, verdicts)
    return verdicts, hurt, took, pauses.longest


def judge(pauses: Pauses, verdicts: Verdicts) -> None:
    """Whether ours never paused longer than the raw client plus the margin, and both probes lasted to the end."""
    longest = pauses.longest
    verdicts.violations += pauses.broken
    for way in ("write", "read"):
        ours, raw = longest.get(f"our {way}", float("inf")), longest.get(f"raw {way}", 0.0)
        if ours > raw + MARGIN_SECONDS:
            verdicts.untimely.append(f"our {way} paused {ours:.1f} s, the raw client {raw:.1f} s")


def _run(work: Callable[[], Awaitable[Any]], pauses: Pauses) -> None:
    async def main() -> None:
        await work()

    try:
        asyncio.run(main())
    except Exception as error:  # of a thread, where it would be lost
        pauses.broken.append(f"a probe ended before its time: {error!r}")
