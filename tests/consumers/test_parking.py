"""Events at which a callback keeps failing: parked, replayed, dropped, and never lost or doubled."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from journeyman.consumers import AsyncJournalConsumer, JournalConsumer, JournalEventBase, SqliteCheckpoint
from journeyman.consumers.checkpoints.operations import chosen, drop, parked_events, replay
from journeyman.consumers.checkpoints.records import Parked
from journeyman.consumers.checkpoints.retention import carry
from journeyman.consumers.limits import PARK_ATTEMPTS_DEFAULT, PARKED_EVENT_BYTES_MAX, PARKED_TEXT_CHARS_MAX
from journeyman.journal import AsyncJournal, Draft, Journal
from journeyman.journal.limits import CONTEXT_DEPTH_MAX
from support.journals import OnKafka, OnMemoryPartitions, OnSqlite
from support.waiting import reached, wait_until

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.consumers.parking.PARK_BACKOFF_SECONDS", 0.001)


def fill(journal: Journal, *contents: int) -> None:
    journal.append_all([("order.paid", {"n": n}, "one") for n in contents])


def parked_in(journal: Journal, name: str = "billing") -> list[Parked]:
    return journal.run(parked_events(journal.asynchronous, name))


class Failing:
    """A callback that fails at some events, and counts all calls."""

    def __init__(self, *bad: int) -> None:
        self.bad = set(bad)
        self.calls: list[Any] = []
        self.done: list[Any] = []

    def __call__(self, event: JournalEventBase | None) -> None:
        n = None if event is None else event.context["n"]
        self.calls.append(n)
        if n in self.bad:
            raise ValueError(f"{n} is too much")
        self.done.append(n)


class Suite:
    def url(self, directory: Path) -> str:
        raise NotImplementedError

    def test_failing_event_is_parked_and_the_consumer_continues(self, tmp_path: Path) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 1, 2, 3)
            failing = Failing(2)
            consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park")
            consumer.set_callback(failing).start()
            fill(journal, 4)
            wait_until(lambda: 4 in failing.done, "the consumer goes on behind the parked event")
            consumer.stop()
            consumer.join(PATIENCE)
            consumer.close()
            assert failing.calls == [1, *[2] * PARK_ATTEMPTS_DEFAULT, 3, 4, None]
            (one,) = parked_in(journal)
            assert one.event["context"] == {"n": 2}
            assert one.event["name"] == "order.paid"
            assert (one.name, one.attempts) == ("billing", PARK_ATTEMPTS_DEFAULT)
            assert (one.error["name"], one.error["text"]) == ("ValueError", "2 is too much")
            assert "is too much" in one.error["traceback"]
            assert one.consumer.count(":") >= 2
            again = Failing()
            consumer = JournalConsumer(journal, "order", checkpoint="billing").set_callback(again).start()
            consumer.stop()
            consumer.join(PATIENCE)
            assert again.calls == [3, 4, None], "parking moves the checkpoint past the event, not further"
            consumer.close()

    def test_replayed_event_is_handed_out_once_by_the_live_consumer(self, tmp_path: Path) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 1, 2, 3)
            failing = Failing(2)
            consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
            other = JournalConsumer(journal, "order", checkpoint="other").start()
            consumer.set_callback(failing).start()
            wait_until(lambda: 3 in failing.done, "the consumer goes on behind the parked event")
            (one,) = parked_in(journal)
            journal.run(replay(journal.asynchronous, one, "ada@host"))
            wait_until(lambda: failing.calls.count(2) == 2, "the replayed event comes again")
            wait_until(lambda: len(parked_in(journal)) == 1, "it failed again, so it is parked again")
            failing.bad.clear()
            journal.run(replay(journal.asynchronous, parked_in(journal)[0], "ada@host"))
            wait_until(lambda: 2 in failing.done, "the replayed event succeeds")
            fill(journal, 4)
            consumer.stop()
            consumer.join(PATIENCE)
            consumer.commit()
            consumer.close()
            assert failing.done == [1, 3, 2, 4, None]
            assert parked_in(journal) == []
            other.stop()
            assert [event.context["n"] for event in other] == [1, 2, 3, 4], "no other consumer is handed it"
            with JournalConsumer(journal, "order", checkpoint="billing") as successor:
                successor.stop()
                assert list(successor) == []

    def test_replayed_event_waits_for_the_next_consumer(self, tmp_path: Path) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 1, 2, 3)
            consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
            failing = Failing(1, 2, 3)
            consumer.set_callback(failing).start()
            consumer.stop()
            consumer.join(PATIENCE)
            consumer.close()
            parked = parked_in(journal)
            assert [one.event["context"]["n"] for one in parked] == [1, 2, 3]
            journal.run(drop(journal.asynchronous, parked[0], "ada@host", "it was a test"))
            for one in chosen(parked, [parked[2].position, parked[1].position]):
                journal.run(replay(journal.asynchronous, one, "ada@host"))
            assert parked_in(journal) == []
            with JournalConsumer(journal, "order", checkpoint="billing") as polled:
                third = polled.poll(PATIENCE)
                assert third is not None
                assert (third.context, third.position) == ({"n": 3}, parked[2].position)
                polled.commit()
            with JournalConsumer(journal, "order", checkpoint="billing") as polled:
                polled.stop()
                assert [event.context["n"] for event in polled] == [2], "what was committed is not handed out again"

    def test_replays_stand_among_the_events_around_them(self, tmp_path: Path) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 1)
            consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
            consumer.set_callback(Failing(1)).start()
            consumer.stop()
            consumer.join(PATIENCE)
            consumer.close()
            (one,) = parked_in(journal)
            key = Draft("order.paid", b'{"n":2}', partition=one.stands_at.partition)
            journal.append_drafts([key])
            journal.run(replay(journal.asynchronous, one, "ada@host"))
            journal.append_drafts([Draft("order.paid", b'{"n":3}', partition=one.stands_at.partition)])

            class Hooked(JournalConsumer):
                def create_event(self, entry: Any, **kwargs: Any) -> JournalEventBase:
                    return JournalEventBase({**entry, "seen": entry["context"]["n"]})

            for kind in (JournalConsumer, Hooked):
                for taken in range(4):
                    with kind(journal, "order", checkpoint=f"{kind.__name__}-{taken}", cursor=None) as reader:
                        assert reader.session is not None
                        reader.session.name = "billing"  # to be told of its replays, from a place of its own
                        reader.session.partition = one.stands_at.partition
                        head = [reader.poll(PATIENCE) for _ in range(taken)]
                        cursor = reader.cursor
                        reader.stop()
                        rest = list(reader)
                    numbers = [event.context["n"] for event in [*head, *rest] if event is not None]
                    assert sorted(numbers) == [1, 1, 2, 3]
                    assert numbers.index(2) < numbers.index(3)
                    assert cursor is not None

    def test_asynchronous_consumer_parks_and_replays(self, tmp_path: Path) -> None:
        async def follow() -> None:
            async with AsyncJournal(self.url(tmp_path)) as journal:
                await journal.append_all([("order.paid", {"n": n}, "one") for n in (1, 2, 3)])
                calls: list[Any] = []
                bad = {2}

                async def callback(event: Any) -> None:
                    await asyncio.sleep(0)
                    n = event and event.context["n"]
                    calls.append(n)
                    if n in bad:
                        raise ValueError(f"{n} is too much")

                consumer = AsyncJournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=2)
                await consumer.set_callback(callback).start()
                await reached(lambda: 3 in calls, "the consumer goes on behind the parked event")
                assert calls == [1, 2, 2, 3]
                (one,) = await parked_events(journal, "billing")
                bad.clear()
                await replay(journal, one, "ada@host")
                await reached(lambda: calls == [1, 2, 2, 3, 2], "the replayed event comes again")
                await consumer.stop()
                await consumer.join(PATIENCE)
                await consumer.aclose()
                assert calls == [1, 2, 2, 3, 2, None]

        asyncio.run(follow())

    def test_compaction_carries_parked_events(self, tmp_path: Path) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 1, 2, 3)
            consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
            consumer.set_callback(Failing(1, 2)).start()
            consumer.stop()
            consumer.join(PATIENCE)
            consumer.close()
            with JournalConsumer(journal, "order", checkpoint="billing") as reader:
                reader.stop()
                assert [event.context["n"] for event in reader] == [3]
                end = reader.cursor
                reader.commit()
            assert end is not None
            before = parked_in(journal)
            carried = journal.run(carry(journal.asynchronous, end))
            assert (carried.checkpoints, carried.parked) == ([], 2)
            # One was replayed by an operator as the compaction was at it.
            journal.run(drop(journal.asynchronous, before[1], "ada@host"))
            log = journal.run(journal.asynchronous.open())
            journal.run(log.trim(end))
            (left,) = parked_in(journal)
            assert (left.event, left.position, left.error) == (before[0].event, before[0].position, before[0].error)
            assert left.timestamp == before[0].timestamp
            journal.run(replay(journal.asynchronous, left, "ada@host"))
            with JournalConsumer(journal, "order", checkpoint="billing") as reader:
                reader.stop()
                assert [event.context["n"] for event in reader] == [1], "though the event itself has been removed"


class TestOnMemoryPartitions(OnMemoryPartitions, Suite):
    pass


class TestOnSqlite(OnSqlite, Suite):
    pass


class TestOnKafka(OnKafka, Suite):
    pass


# --- details, in memory ---------------------------------------------------------------------------------------------


def test_late_parking_does_not_revive_a_replayed_event() -> None:
    with Journal("memory://") as journal:
        fill(journal, 1)
        consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
        consumer.set_callback(Failing(1)).start()
        consumer.stop()
        consumer.join(PATIENCE)
        consumer.close()
        (one,) = parked_in(journal)
        looked_to = journal.bounds().end[0]
        journal.run(drop(journal.asynchronous, one, "ada@host"))
        journal.append("consumer.parked", {**one.context, "looked_to": looked_to}, key="billing")
        assert parked_in(journal) == []
        journal.append("consumer.parked", {**one.context, "looked_to": journal.bounds().end[0]}, key="billing")
        assert len(parked_in(journal)) == 1


def test_close_ends_the_wait_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.consumers.parking.PARK_BACKOFF_SECONDS", 3_600.0)
    monkeypatch.setattr("journeyman.consumers.parking.PARK_BACKOFF_SECONDS_MAX", 3_600.0)
    with Journal("memory://") as journal:
        fill(journal, 1)
        failed = threading.Event()

        def callback(event: Any) -> None:
            failed.set()
            raise ValueError("one is too much")

        consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park").set_callback(callback)
        consumer.start()
        assert failed.wait(PATIENCE), "the callback failed once"
        consumer.close()
        assert parked_in(journal) == []
        with JournalConsumer(journal, "order", checkpoint="billing") as successor:
            event = successor.poll(PATIENCE)
            assert event is not None
            assert event.context == {"n": 1}


@pytest.mark.parametrize("bad", ["sentinel", "end", "large"])
def test_unparkable_event_ends_the_delivery(bad: str) -> None:
    with Journal("memory://") as journal:
        text = "x" * (PARKED_EVENT_BYTES_MAX + 1 if bad == "large" else 1)
        journal.append("order.paid", {"text": text})

        def callback(event: Any) -> None:
            kind = "end" if event is None else "sentinel" if event.is_empty() else "large"
            if kind == bad:
                raise ValueError("this fails")

        options: Any = {"checkpoint": "billing", "on_error": "park", "include_sentinel": True}
        options["until"] = journal.bounds().end
        consumer = JournalConsumer(journal, "order", **options).set_callback(callback).start()
        with pytest.raises(ValueError, match="this fails") as failed:
            consumer.join(PATIENCE)
        if bad == "large":
            assert "cannot be parked" in str(failed.value.__cause__)
        assert parked_in(journal) == []
        consumer.close()


def test_unprintable_exception_is_parked_within_limits() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    with Journal("memory://") as journal:
        fill(journal, 1, 2)

        def callback(event: Any) -> None:
            if event is not None:
                raise Mute if event.context["n"] == 1 else ValueError("\ud800" + "x" * 100_000)

        consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
        consumer.set_callback(callback).start()
        consumer.stop()
        consumer.join(PATIENCE)
        consumer.close()
        first, second = parked_in(journal)
        assert first.error["name"].endswith("Mute")
        assert first.error["text"] == "(cannot be shown)"
        assert len(second.error["text"]) == PARKED_TEXT_CHARS_MAX


def test_options_of_parking_are_checked(tmp_path: Path) -> None:
    with Journal("memory://") as journal:
        with pytest.raises(TypeError, match="checkpoint='a-name'"):
            JournalConsumer(journal, on_error="park")
        connection = sqlite3.connect(tmp_path / "a.db")
        with pytest.raises(TypeError, match="checkpoint='a-name'"):
            JournalConsumer(journal, on_error="park", checkpoint=SqliteCheckpoint(connection, "a"))
        connection.close()
        with pytest.raises(ValueError, match="on_error is 'raise'"):
            JournalConsumer(journal, on_error="ignore")
        with pytest.raises(ValueError, match="whole number from 1"):
            JournalConsumer(journal, on_error="park", checkpoint="a", attempts=0)
        with pytest.raises(ValueError, match="before its event is parked"):
            JournalConsumer(journal, attempts=3)
        consumer = JournalConsumer(journal, on_error="raise", checkpoint="a").set_callback(Failing(1))
        fill(journal, 1)
        consumer.start()
        with pytest.raises(ValueError, match="too much"):
            consumer.join(PATIENCE)
        consumer.close()


def test_event_at_the_limit_of_depth_is_parked_and_replayed() -> None:
    with Journal("memory://") as journal:
        deep: Any = {"n": 1}
        for _ in range(CONTEXT_DEPTH_MAX - 2):
            deep = {"deep": deep}
        journal.append("order.paid", {"n": 1, "deep": deep})
        consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
        consumer.set_callback(Failing(1)).start()
        consumer.stop()
        consumer.join(PATIENCE)
        consumer.close()
        (one,) = parked_in(journal)
        assert one.event["context"] == {"n": 1, "deep": deep}
        journal.run(replay(journal.asynchronous, one, "ada@host"))
        with JournalConsumer(journal, "order", checkpoint="billing") as reader:
            event = reader.poll(PATIENCE)
            assert event is not None
            assert event.context == {"n": 1, "deep": deep}


def test_concurrent_replays_replay_an_event_once() -> None:
    with Journal("memory://") as journal:
        fill(journal, 1, 2)
        consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
        consumer.set_callback(Failing(1)).start()
        consumer.stop()
        consumer.join(PATIENCE)
        consumer.close()
        (one,) = parked_in(journal)
        journal.run(replay(journal.asynchronous, one, "ada@host"))
        for again in (replay, drop):
            with pytest.raises(ValueError, match="no longer parked"):
                journal.run(again(journal.asynchronous, one, "bob@host"))
        with JournalConsumer(journal, "order", checkpoint="billing") as reader:
            reader.stop()
            assert [event.context["n"] for event in reader] == [2, 1]


def test_log_of_a_parked_event_is_one_plain_line(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(event: JournalEventBase | None) -> None:
        if event is not None:
            raise ValueError("\x1b[31mred\nand\u2028more")

    with Journal("memory://") as journal:
        fill(journal, 1)
        consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
        consumer.set_callback(refuse).start().stop()
        consumer.join(PATIENCE)
    (said,) = (record.message for record in caplog.records if "parked the event" in record.message)
    assert said.endswith("at 0:0 after 1 failed attempt and continues: ValueError:  [31mred and more")
