"""Checkpoints by name: shared by mistake, moved by an operator, read in log order."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.consumers import CheckpointMoved, JournalConsumer
from journeyman.consumers.checkpoints.operations import checkpoint_statuses, find_checkpoint, move_checkpoint, plan_move
from journeyman.consumers.checkpoints.records import CHECKPOINTED, Saved, saved_of, valid_checkpoint
from journeyman.consumers.checkpoints.retention import carry
from journeyman.journal import Cursor, HistoryTruncated, Journal, Position
from support.journals import OnHttp, OnKafka, OnMemoryPartitions, OnSqlite

PATIENCE = 30.0


def fill(journal: Journal, count: int, name: str = "order.paid") -> None:
    journal.append_all([(name, {"n": n}, "one") for n in range(count)])


def ahead_of(consumer: JournalConsumer) -> list[Any]:
    consumer.stop()
    return [event.context["n"] for event in consumer]


def move(journal: Journal, name: str, to: Cursor) -> Any:
    saved = journal.run(find_checkpoint(journal.asynchronous, name))
    assert saved is not None
    planned = journal.run(plan_move(journal.asynchronous, saved, to))
    journal.run(move_checkpoint(journal.asynchronous, planned, "ada@host"))
    return planned


class Suite:
    def url(self, directory: Path) -> str:
        raise NotImplementedError

    def test_consumer_missing_nothing_is_not_refused(self, tmp_path: Path) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 1)
            for topic in ("order", "thing"):
                with JournalConsumer(journal, topic, checkpoint=f"of-{topic}") as consumer:
                    if topic == "order":
                        assert consumer.poll(PATIENCE) is not None
                    consumer.commit()
            fill(journal, 20, "thing.made")
            end = journal.bounds().end
            journal.run(carry(journal.asynchronous, end))
            journal.run(journal.run(journal.asynchronous.open()).trim(end))
            fill(journal, 2)
            with JournalConsumer(journal, "order", checkpoint="of-order") as consumer:
                assert ahead_of(consumer) == [0, 1]
            with pytest.raises(HistoryTruncated):
                JournalConsumer(journal, "thing", checkpoint="of-thing").start()

    def test_shared_checkpoint_is_warned_of_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 6)
            with (
                JournalConsumer(journal, "order", checkpoint="billing") as one,
                JournalConsumer(journal, "order", checkpoint="billing") as two,
            ):
                for _ in range(3):
                    one.poll(PATIENCE)
                    one.commit()
                    two.poll(PATIENCE)
                    two.commit()
                fill(journal, 1)
                ahead_of(one)
            told = [record.getMessage() for record in caplog.records if "shared by two consumers" in record.message]
            assert len(told) == 1
            for consumer in (one, two):
                assert consumer.session is not None
                assert consumer.session.consumer in told[0]
            assert "'billing'" in told[0]

    def test_successor_is_not_warned_of_its_predecessor(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 5)
            for _ in range(3):
                with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
                    consumer.poll(PATIENCE)
                    consumer.commit()
            with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
                assert ahead_of(consumer) == [3, 4]
            with JournalConsumer(journal, "", checkpoint="other") as consumer:
                assert len(ahead_of(consumer)) == 5
            assert not [record for record in caplog.records if "shared" in record.getMessage()]

    def test_reset_moves_a_consumer_back_and_forward(self, tmp_path: Path) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 5)
            fill(journal, 3, "noise.made")
            with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
                for _ in range(4):
                    consumer.poll(PATIENCE)
                consumer.commit()
                end = consumer.cursor
            assert end is not None
            planned = move(journal, "billing", journal.bounds().first)
            assert (planned.again, planned.skipped, planned.counted) == (4, 0, True)
            with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
                assert ahead_of(consumer) == [0, 1, 2, 3, 4]
            planned = move(journal, "billing", journal.bounds().end)
            assert (planned.again, planned.skipped) == (0, 5)
            with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
                assert ahead_of(consumer) == []

    def test_reset_ends_the_running_consumer_and_is_not_undone(self, tmp_path: Path) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 5)
            with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
                for _ in range(4):
                    consumer.poll(PATIENCE)
                    consumer.commit()
                move(journal, "billing", journal.bounds().first)
                consumer.poll(PATIENCE)
                consumer.commit()  # it has not read of the reset: what it saves does not count
                saved = journal.run(find_checkpoint(journal.asynchronous, "billing"))
                assert saved is not None
                assert saved.reset
                for _ in range(2):
                    with pytest.raises(CheckpointMoved, match=r"moved to .* by ada@host"):
                        consumer.poll(PATIENCE)
                with pytest.raises(CheckpointMoved):
                    consumer.poll(PATIENCE)
                consumer.start()
                assert ahead_of(consumer) == [0, 1, 2, 3, 4]

    def test_checkpoint_status_gives_the_position_of_its_consumer(self, tmp_path: Path) -> None:
        with Journal(self.url(tmp_path)) as journal:
            fill(journal, 5)
            with JournalConsumer(journal, "order", checkpoint="billing") as consumer:
                for _ in range(2):
                    consumer.poll(PATIENCE)
                consumer.commit()
                waiting = consumer.poll(PATIENCE)
            fill(journal, 3, "noise.made")
            assert waiting is not None
            (status,) = journal.run(checkpoint_statuses(journal.asynchronous))
            assert (status.saved.name, status.saved.topic) == ("billing", "order")
            assert status.lag == 3
            assert status.ahead >= 6
            assert status.next_time is not None
            assert status.next_time <= waiting.timestamp
            assert (status.removed, status.parked) == (0, 0)


class TestOnMemoryPartitions(OnMemoryPartitions, Suite):
    pass


class TestOnSqlite(OnSqlite, Suite):
    pass


class TestOnHttp(OnHttp, Suite):
    pass


class TestOnKafka(OnKafka, Suite):
    pass


# --- the rule -------------------------------------------------------------------------------------------------------


def saved(offset: int, *, after: int | None = None, reset: bool = False) -> Saved:
    return Saved("billing", Cursor({0: offset}), Position(0, offset), float(offset), "c", after, reset)


def test_stale_save_after_a_reset_does_not_count() -> None:
    reset = saved(5, reset=True)
    assert valid_checkpoint([saved(3, after=2), reset, saved(7, after=4)]) == reset
    known = saved(8, after=5)
    assert valid_checkpoint([saved(3, after=2), reset, known, saved(9, after=4)]) == known
    older_version = saved(9)
    assert valid_checkpoint([reset, older_version]) == older_version
    assert valid_checkpoint([]) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(-1, 12)), max_size=12))
def test_newest_valid_checkpoint_knows_every_reset(steps: list[tuple[bool, int]]) -> None:
    saves = [saved(offset, after=min(after, offset - 1), reset=reset) for offset, (reset, after) in enumerate(steps)]
    found = valid_checkpoint(saves)
    assert (found is None) == (not saves)
    if found is not None:
        resets = [each for each in saves if each.reset]
        last = resets[-1].position.offset if resets else -1
        assert found.reset or (found.after or 0) >= last or last == -1
        assert found.position.offset >= last


@pytest.mark.parametrize("topic", ["\0bad", "task.*", "a b", "x" * 201, 7, None])
def test_checkpoint_with_an_impossible_topic_has_none(topic: object) -> None:
    with Journal("memory://") as journal:
        event = journal.append("order.paid")
        context = {"cursor": str(Cursor({0: event.offset})), "topic": topic}
        saved = saved_of(journal.append(CHECKPOINTED, context, key="bill"))
    assert saved is not None
    assert saved.topic is None, "another program wrote it: its consumer may follow anything"
