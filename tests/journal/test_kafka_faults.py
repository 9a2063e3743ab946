"""Brokers that are killed, stopped and away: nothing is lost, nothing doubled, order kept, no caller waits for ever."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, cast

import pytest
from journeyman.deploy.kafka import KafkaCluster
from journeyman.journal import AppendInDoubt, Event, JournalUnavailable, log_from_url
from journeyman.journal.event_decoding import decode_all
from journeyman.journal.kafka import appender as kafka_appender
from journeyman.journal.kafka import appends
from journeyman.journal.kafka import client as kafka_client
from journeyman.journal.kafka import lookup as kafka_lookup
from journeyman.journal.kafka import tail as kafka_tail
from support.kafka_traffic import PATIENCE_SECONDS, Writers, check, drafts, follow, new_url, run, until
from support.waiting import reached

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _impatient_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "REQUEST_MS", 1_500)


class Ear(logging.Handler):
    """Hears what the journal says in its log."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[logging.LogRecord] = []
        self.grown = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record)
        self.grown.set()

    def times(self, text: str) -> int:
        return sum(text in record.getMessage() for record in self.heard)


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = Ear()
    logging.getLogger("journeyman").addHandler(made)
    yield made
    logging.getLogger("journeyman").removeHandler(made)


@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_broker_fault_loses_and_doubles_nothing(
    fault: str, shaky: KafkaCluster, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stopped broker keeps its connections: it is left alone until requests have timed out and were repeated.
    silence = 0.5 if fault == "killed" else 3.0
    monkeypatch.setattr(kafka_appender, "KAFKA_SILENCE_SECONDS_MAX", silence)
    monkeypatch.setattr(kafka_tail, "KAFKA_SILENCE_SECONDS_MAX", silence)
    broker = shaky.broker(1)

    async def test() -> None:
        log = log_from_url(new_url(shaky, 2))
        await log.open()
        seen: list[Event] = []
        grown = asyncio.Event()
        follower = asyncio.ensure_future(follow(await log.tail({0: 0, 1: 0}), seen, grown))
        writers = Writers(log, 4)
        await writers.more(40)
        for time in (1, 2):
            await asyncio.to_thread(broker.kill if fault == "killed" else broker.pause)
            for away in ("has not acknowledged an append", "has not answered a reader"):
                await until(f"'{away}' was said", lambda away=away, time=time: ear.times(away) >= time, ear.grown)  # type: ignore[misc]
            await asyncio.to_thread(broker.start if fault == "killed" else broker.resume)
            await writers.more(40)
            for back in ("acknowledges appends", "answers the reader"):
                await until(f"'{back}' was said", lambda back=back, time=time: ear.times(back) >= time, ear.grown)  # type: ignore[misc]
        await writers.stop()
        count = 3 * len(writers.acknowledged)
        await until("all of it is read", lambda: len(seen) >= count, grown)
        follower.cancel()
        await asyncio.wait({follower})
        await log.aclose()
        check(writers, seen, 2)

    run(test())
    assert ear.times("a reader") == 2, "once for each time that it was away, and not at each attempt"


def test_reader_leaves_a_stopped_broker_and_reads_on(shaky: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_client, "REQUEST_MS", 60_000)  # so it is not this that ends the wait
    broker = shaky.broker(1)

    async def test() -> None:
        log = log_from_url(new_url(shaky))
        await log.open()
        tail = await log.tail({0: 0})
        assert isinstance(tail, kafka_tail.KafkaTail)
        seen: list[Event] = []
        grown = asyncio.Event()
        follower = asyncio.ensure_future(follow(tail, seen, grown))
        await log.append(drafts("before.pause", 3))
        await until("all read", lambda: len(seen) == 3, grown)
        broker.pause()
        stalls = cast("Any", tail)._consumer.stalls
        await reached(lambda: stalls.dropped, "the connection is dropped")
        broker.resume()
        await log.append(drafts("after.pause", 3))
        await until("all read", lambda: len(seen) == 6, grown)
        assert [event.name for event in seen] == ["before.pause"] * 3 + ["after.pause"] * 3
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        await log.aclose()

    run(test())


def test_append_in_doubt_stays_queued_and_is_one_event(shaky: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appends, "APPEND_SECONDS_MAX", 0.5)
    broker = shaky.broker(1)

    async def test() -> None:
        log = log_from_url(new_url(shaky))
        await log.open()
        await log.append(drafts("early.thing", 1))
        await asyncio.to_thread(broker.pause)
        handed_in = drafts("thing.made", 2)
        for _ in range(2):
            with pytest.raises(AppendInDoubt, match="it stays queued") as doubt:
                await log.append(handed_in)
            assert doubt.value.drafts == tuple(handed_in)
        later = asyncio.ensure_future(log.append(drafts("later.thing", 1)))
        monkeypatch.setattr(appends, "APPEND_SECONDS_MAX", PATIENCE_SECONDS)
        await asyncio.to_thread(broker.resume)
        assert [event.offset for event in await log.append(handed_in)] == [1, 2]
        (outcome,) = await asyncio.gather(later, return_exceptions=True)
        again = outcome if isinstance(outcome, list) else await log.append(drafts("never.needed", 1))
        assert again[0].offset == 3
        await log.aclose()

    run(test())


def test_recently_read_record_needs_no_broker(shaky: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_lookup, "LOOKUP_SECONDS_MAX", 0.5)
    broker = shaky.broker(1)

    async def test() -> None:
        log = log_from_url(new_url(shaky))
        await log.open()
        await log.append(drafts("thing.made", 3))
        tail = await log.tail({0: 1})
        page = await tail.page(timeout=PATIENCE_SECONDS)
        assert page is not None
        await asyncio.to_thread(broker.pause)
        assert await log.read({0: 2}, 1) == [(0, [2], [page.rows[1]])]
        with pytest.raises(JournalUnavailable, match="try again later"):
            await log.read({0: 0}, 1)
        await asyncio.to_thread(broker.resume)
        assert (await log.read({0: 0}, 1))[0].offsets == [0]
        await log.aclose()

    run(test())


def test_queue_for_an_absent_broker_is_bounded(shaky: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appends, "APPEND_QUEUE_BYTES_MAX", 10_000)
    broker = shaky.broker(1)

    async def test() -> None:
        log = log_from_url(new_url(shaky))
        await log.open()
        await log.append(drafts("early.thing", 1))
        await asyncio.to_thread(broker.pause)
        waiting = [asyncio.ensure_future(log.append(drafts("thing.made", 10))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(JournalUnavailable, match="nothing of this one was sent"):
            await log.append(drafts("too.much", 10))
        await asyncio.to_thread(broker.resume)
        await asyncio.gather(*waiting)
        await log.append(drafts("late.thing", 1))
        assert (await log.bounds()).end[0] == 32
        await log.aclose()

    run(test())


@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_close_does_not_wait_for_ever(
    fault: str, shaky: KafkaCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(appends, "CLOSE_SECONDS_MAX", 0.5)
    broker = shaky.broker(1)
    url = new_url(shaky)
    handed_in = [drafts(f"thing.n{number}", 2) for number in range(3)]

    async def leave() -> None:
        log = log_from_url(url)
        await log.open()
        await log.append(drafts("early.thing", 1))
        tail = await log.tail({0: 0})
        await asyncio.to_thread(broker.kill if fault == "killed" else broker.pause)
        waiting = [asyncio.ensure_future(log.append(each)) for each in handed_in]
        await asyncio.sleep(0)
        await log.aclose()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, AppendInDoubt) for outcome in outcomes)
        await tail.aclose()

    async def come_back() -> None:
        log = log_from_url(url)
        await log.open()
        # What was in doubt is handed to the next log, which finds what landed meanwhile.
        appended = [await log.append(each) for each in handed_in]
        tail = await log.tail({0: 0})
        names: list[str] = []
        while len(names) < 7:
            page = await tail.page()
            names += [event.name for event in decode_all(page.rows, 0, page.offsets)] if page is not None else []
        assert sorted(names) == ["early.thing", *sorted(f"thing.n{n}" for n in range(3) for _ in range(2))]
        assert all(batch[1].offset == batch[0].offset + 1 for batch in appended)
        await log.aclose()

    run(leave())
    broker.start() if fault == "killed" else broker.resume()
    run(come_back())
    assert any("6 events of unknown fate" in record.getMessage() for record in caplog.records)
