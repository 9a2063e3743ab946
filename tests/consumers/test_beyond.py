"""Beyond the reference: checkpoints, `until`, batches, progress; on the embedded log and in memory."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from journeyman.consumers import JournalCheckpoint, JournalConsumer, SqliteCheckpoint
from journeyman.journal import Cursor, Draft, Journal

PATIENCE = 30.0


@pytest.fixture(params=["memory", "memory-3", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    urls = {
        "memory": "memory://",
        "memory-3": "memory://?partitions=3",
        "sqlite": f"sqlite:///{tmp_path}/journal.db",
    }
    with Journal(urls[request.param]) as journal:
        yield journal


def fill(journal: Journal, contents: range | list[int], name: str = "order.paid") -> None:
    journal.append_all([(name, {"n": n}, str(n % 5)) for n in contents])


def numbers(events: list[Any]) -> list[Any]:
    return [None if event is None else "|" if event.is_empty() else event.context["n"] for event in events]


def all_of(journal: Journal, topic: str = "", **options: Any) -> list[Any]:
    with JournalConsumer(journal, topic, **options) as consumer:
        consumer.stop()
        return list(consumer)


# --- checkpoints ----------------------------------------------------------------------------------------------------


def test_journal_checkpoint_resumes_where_it_was_committed(journal: Journal) -> None:
    fill(journal, range(50))
    whole = numbers(all_of(journal))
    seen: list[Any] = []
    for taken in (7, 1, 0, 30):
        with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
            seen += [consumer.poll(PATIENCE) for _ in range(taken)]
            consumer.commit()
            consumer.poll(PATIENCE)  # handed out, never committed: it comes again
    fill(journal, [50])
    with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
        consumer.stop()
        seen += list(consumer)
    assert numbers(seen) == [*whole, 50]


def test_checkpoints_of_several_names_do_not_mix(journal: Journal) -> None:
    fill(journal, range(20))
    for name, taken in (("a", 3), ("b", 9)):
        with JournalConsumer(journal, checkpoint=name) as consumer:
            for _ in range(taken):
                consumer.poll(PATIENCE)
            consumer.commit()
    whole = numbers(all_of(journal, "order"))
    assert numbers(all_of(journal, checkpoint="a")) == whole[3:]
    assert numbers(all_of(journal, checkpoint="b")) == whole[9:]
    assert numbers(all_of(journal, checkpoint="c")) == whole


def test_checkpoint_is_found_far_back(journal: Journal) -> None:
    fill(journal, range(5))
    with JournalConsumer(journal, checkpoint="billing") as consumer:
        for _ in range(5):
            consumer.poll(PATIENCE)
        consumer.commit()
    fill(journal, range(3_000), "noise.made")
    fill(journal, [5])
    assert numbers(all_of(journal, "order", checkpoint="billing")) == [5]


def test_commit_is_no_event_for_a_committing_consumer(journal: Journal) -> None:
    fill(journal, [1])
    with JournalConsumer(journal, checkpoint="one") as one, JournalConsumer(journal, checkpoint="two") as two:
        for consumer in (one, two):
            assert numbers([consumer.poll(PATIENCE)]) == [1]
            consumer.commit()
        for consumer in (one, two):
            with pytest.raises(TimeoutError):
                consumer.poll(0)
    names = [event.name for event in all_of(journal)]
    assert names == ["order.paid", "consumer.checkpointed", "consumer.checkpointed"]
    assert len(all_of(journal, "consumer", checkpoint="three")) == 2, "unless they ask for them"


def test_unchanged_commit_appends_nothing(journal: Journal) -> None:
    fill(journal, [1])
    with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
        consumer.poll(PATIENCE)
        for _ in range(3):
            consumer.commit()
    assert len(all_of(journal, "consumer")) == 1


def test_commit_needs_a_checkpoint_and_a_start(journal: Journal) -> None:
    with JournalConsumer(journal) as consumer, pytest.raises(RuntimeError, match="no checkpoint"):
        consumer.commit()
    with pytest.raises(RuntimeError, match="before start"):
        JournalConsumer(journal, checkpoint="billing").commit()
    with pytest.raises(TypeError, match="load and save"):
        JournalConsumer(journal, checkpoint=7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has a name"):
        JournalCheckpoint("")


def test_checkpoint_without_history_still_delivers_missed_events(journal: Journal) -> None:
    fill(journal, range(5))
    with JournalConsumer(journal, full=False, checkpoint="live") as consumer:
        fill(journal, [5])
        assert numbers([consumer.poll(PATIENCE)]) == [5]
        consumer.commit()
    fill(journal, [6])
    missed = all_of(journal, full=False, checkpoint="live", include_sentinel=True)
    assert numbers(missed) == [6], "and no sentinel: none was promised without history"


def test_callback_commits_the_event_it_was_called_with(journal: Journal) -> None:
    fill(journal, range(10))
    handed: list[Any] = []

    def callback(event: Any) -> None:
        handed.append(event)
        if len(handed) == 4:
            consumer.commit()

    consumer = JournalConsumer(journal, "order", checkpoint="billing")
    consumer.set_callback(callback).start()
    consumer.stop()
    consumer.join(PATIENCE)
    consumer.close()
    assert all_of(journal, "order", checkpoint="billing") == handed[4:-1]


def test_cursor_does_not_cover_an_event_with_a_failed_callback(journal: Journal) -> None:
    fill(journal, range(10))
    handed: list[Any] = []

    def callback(event: Any) -> None:
        handed.append(event)
        assert consumer.cursor is not None
        if len(handed) == 4:
            raise ValueError("the fourth")

    consumer = JournalConsumer(journal).set_callback(callback)
    consumer.start()
    with pytest.raises(ValueError, match="the fourth"):
        consumer.join(PATIENCE)
    cursor = consumer.cursor
    consumer.close()
    assert all_of(journal, cursor=cursor)[0] == handed[3]


@pytest.mark.parametrize("library", ["sqlite3", "apsw"])
def test_checkpoint_commits_or_rolls_back_with_user_transaction(journal: Journal, tmp_path: Path, library: str) -> None:
    path = str(tmp_path / "effects.db")
    connection: Any = sqlite3.connect(path, isolation_level=None) if library == "sqlite3" else apsw.Connection(path)
    connection.execute("CREATE TABLE paid (n INTEGER)")
    fill(journal, range(10))

    def process(count: int, end: str) -> None:
        with JournalConsumer(journal, checkpoint=SqliteCheckpoint(connection, "totals")) as consumer:
            connection.execute("BEGIN")
            for event in consumer.poll_batch(count, PATIENCE):
                connection.execute("INSERT INTO paid VALUES (?)", (event.context["n"],))
            consumer.commit()
            connection.execute(end)

    process(4, "COMMIT")
    process(3, "ROLLBACK")
    process(6, "COMMIT")
    assert [n for (n,) in connection.execute("SELECT n FROM paid")] == numbers(all_of(journal))
    connection.close()


def test_consumer_commits_again_after_a_rollback(journal: Journal, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "effects.db", isolation_level=None)
    checkpoint = SqliteCheckpoint(connection, "totals")
    fill(journal, [1])
    with JournalConsumer(journal, checkpoint=checkpoint) as consumer:
        consumer.poll(PATIENCE)
        for end in ("ROLLBACK", "COMMIT"):
            connection.execute("BEGIN")
            consumer.commit()
            connection.execute(end)
        assert checkpoint.load() == consumer.cursor
    connection.close()
    with pytest.raises(ValueError, match="table's name"):
        SqliteCheckpoint(connection, "totals", table='x"; DROP TABLE paid')


# --- until ----------------------------------------------------------------------------------------------------------


def test_until_cursor_ends_exactly_there(journal: Journal) -> None:
    fill(journal, range(700))
    moment = journal.bounds().end
    fill(journal, range(700, 1_000))
    with JournalConsumer(journal, until=moment) as consumer:
        assert sorted(numbers(list(consumer))) == list(range(700))
        assert consumer.poll() is None
        assert consumer.cursor == moment


def test_until_future_cursor_waits_for_it(journal: Journal) -> None:
    fill(journal, range(5))
    end = journal.bounds().end
    until = Cursor({partition: offset + 2 for partition, offset in end.items()})
    with JournalConsumer(journal, until=str(until), include_sentinel=True) as consumer:
        assert numbers([consumer.poll(PATIENCE) for _ in range(6)])[-1] == "|"
        drafts = [Draft("order.paid", b'{"n":9}', partition=partition) for partition in until for _ in range(5)]
        writer = threading.Thread(target=journal.append_drafts, args=(drafts,))
        writer.start()
        assert numbers(list(consumer)) == [9] * (2 * len(until))
        writer.join()


def test_until_past_time_leaves_out_later_events(journal: Journal) -> None:
    events = [journal.append("order.paid", {"n": n}, key=str(n)) for n in range(8)]
    with JournalConsumer(journal, until=events[4].timestamp, include_sentinel=True) as consumer:
        assert numbers(list(consumer)) == [0, 1, 2, 3, 4, "|"]
        assert consumer.poll() is None


def test_until_future_time_ends_when_it_comes(journal: Journal) -> None:
    fill(journal, [1])
    with JournalConsumer(journal, until=time.time() + 0.2) as consumer:
        assert numbers(list(consumer)) == [1]
        assert consumer.poll() is None


def test_stop_takes_precedence_over_until(journal: Journal) -> None:
    fill(journal, [1])
    with JournalConsumer(journal, until=time.time() + 3_600) as consumer:
        consumer.stop()
        assert numbers(list(consumer)) == [1]


def test_stop_does_not_extend_until(journal: Journal) -> None:
    fill(journal, range(20))
    moment = journal.bounds().end
    fill(journal, range(20, 40))
    with JournalConsumer(journal, until=moment) as consumer:
        consumer.stop()
        assert sorted(numbers(list(consumer))) == list(range(20))


def test_bad_consumer_options_are_refused(journal: Journal) -> None:
    with pytest.raises(ValueError, match="until is a time"):
        JournalConsumer(journal, until=float("nan"))
    with pytest.raises(ValueError, match="names no partition"):
        JournalConsumer(journal, cursor={})
    with pytest.raises(TypeError, match="no option colour"):
        JournalConsumer(journal, colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["", "x" * 501, "half \ud800", 3])
def test_checkpoint_name_that_cannot_be_kept_is_refused_at_once(journal: Journal, name: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="a checkpoint"):
        JournalConsumer(journal, checkpoint=name)
    with pytest.raises(ValueError, match="at most 500 characters"):
        JournalCheckpoint(name)
    with pytest.raises(ValueError, match="at most 500 characters"):
        SqliteCheckpoint(sqlite3.connect(":memory:"), name)


def test_checkpoint_name_of_the_greatest_length_is_kept(journal: Journal) -> None:
    fill(journal, [1])
    with JournalConsumer(journal, checkpoint="x" * 500) as consumer:
        consumer.poll(PATIENCE)
        consumer.commit()
    with JournalConsumer(journal, checkpoint="x" * 500) as consumer, pytest.raises(TimeoutError):
        consumer.poll(0)


# --- batches, progress, statistics ----------------------------------------------------------------------------------


def test_batch_has_the_available_events(journal: Journal) -> None:
    fill(journal, range(10))
    with JournalConsumer(journal) as consumer:
        first = consumer.poll_batch(4, PATIENCE)
        assert len(first) == 4
        rest: list[Any] = []
        while len(rest) < 6:
            rest += consumer.poll_batch(timeout=PATIENCE)
        assert sorted(numbers(first + rest)) == list(range(10))
        with pytest.raises(TimeoutError):
            consumer.poll_batch(timeout=0)
        consumer.stop()
        assert consumer.poll_batch() == []
        with pytest.raises(ValueError, match="at least one"):
            consumer.poll_batch(0)


def test_consumer_reports_progress_and_lag(journal: Journal) -> None:
    fill(journal, range(1_000))
    with JournalConsumer(journal, include_sentinel=True) as consumer:
        assert (consumer.progress, consumer.statistics().delivered) == (0.0, 0)
        for _ in range(500):
            consumer.poll(PATIENCE)
        half = consumer.statistics()
        assert half.delivered == 500
        assert half.lag == 500
        assert half.progress == consumer.progress == pytest.approx(0.5)
        assert half.rate > 0
        for _ in range(501):
            consumer.poll(PATIENCE)
        fill(journal, [1])
        whole = consumer.statistics()
        assert (whole.delivered, whole.lag, whole.progress) == (1_000, 1, 1.0)
    with pytest.raises(RuntimeError, match="before start"):
        JournalConsumer(journal).statistics()


def test_progress_of_an_empty_history_is_complete(journal: Journal) -> None:
    with JournalConsumer(journal) as consumer:
        assert consumer.progress == 1.0


def test_lag_counts_the_consumers_own_topic(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(journal, range(20))
    fill(journal, range(1_000), "noise.made")
    with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
        for _ in range(5):
            consumer.poll(PATIENCE)
        consumer.commit()
        statistics = consumer.statistics()
        assert (statistics.lag, statistics.lag_counted) == (15, True)
        assert statistics.ahead == 1_016
        monkeypatch.setattr("journeyman.consumers.engine.stream.LAG_EVENTS_MAX", 1_000)
        statistics = consumer.statistics()
        assert (statistics.lag, statistics.lag_counted, statistics.ahead) == (1_016, False, 1_016)
    monkeypatch.undo()
    with JournalConsumer(journal, key="3") as consumer:
        assert consumer.statistics().lag == 204
    with JournalConsumer(journal) as consumer:
        statistics = consumer.statistics()
        assert (statistics.lag, statistics.lag_counted, statistics.ahead) == (1_021, True, 1_021)
