"""Three brokers, of which the leader is killed or stopped: Kafka and the journal go on, and lose nothing."""

import asyncio
from collections.abc import Iterator

import pytest
from journeyman.deploy.kafka import KafkaCluster
from journeyman.journal import Event, log_from_url
from journeyman.journal.kafka import client as kafka_client
from support.kafka_traffic import Writers, check, follow, new_url, run, until
from support.raw_kafka import consume, create, produce
from support.waiting import alive

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def trio(kafka_can_run: None) -> Iterator[KafkaCluster]:
    """Three brokers; at the end none of them is left."""
    with KafkaCluster(nodes=3) as cluster:
        yield cluster
        pids = [broker.pid for broker in cluster.brokers]
    assert not any(alive(pid) for pid in pids)


def test_three_brokers_survive_the_loss_of_a_leader(trio: KafkaCluster) -> None:
    assert trio.bootstrap.count(",") == 2
    create(trio.bootstrap, "led", copies=3)
    produce(trio.bootstrap, "led", b"1")

    first = trio.leader_of("led")
    first.kill()
    second = trio.leader_of("led")
    assert second is not first
    produce(trio.bootstrap, "led", b"2")
    first.start()

    trio.wait_until_ready()
    second = trio.leader_of("led")
    second.pause()
    third = trio.leader_of("led")
    assert third is not second
    produce(",".join(each.address for each in trio.brokers if not each.paused), "led", b"3")
    second.resume()

    trio.wait_until_ready()
    assert consume(trio.bootstrap, "led") == [b"1", b"2", b"3"]


def test_three_brokers_continue_without_the_leader(trio: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "REQUEST_MS", 1_500)
    trio.wait_until_ready()
    url = new_url(trio, 3)

    async def test() -> None:
        log = log_from_url(url)
        await log.open()
        facts = log._opened.facts  # type: ignore[attr-defined]
        assert facts.replication == 3, "the cluster's default"
        seen: list[Event] = []
        grown = asyncio.Event()
        follower = asyncio.ensure_future(follow(await log.tail({0: 0, 1: 0, 2: 0}), seen, grown))
        writers = Writers(log, 4)
        await writers.more(40)
        leader = await asyncio.to_thread(trio.leader_of, log.topic)  # type: ignore[attr-defined]
        await asyncio.to_thread(leader.kill)
        await writers.more(60)
        await asyncio.to_thread(leader.start)
        other = await asyncio.to_thread(trio.leader_of, log.topic, 1)  # type: ignore[attr-defined]
        await asyncio.to_thread(other.pause)
        await writers.more(60)
        await asyncio.to_thread(other.resume)
        await writers.more(20)
        await writers.stop()
        await until("all of it is read", lambda: len(seen) >= 3 * len(writers.acknowledged), grown)
        follower.cancel()
        await asyncio.wait({follower})
        await log.aclose()
        check(writers, seen, 3)

    run(test())
