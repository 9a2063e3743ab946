"""Catching up never skips: appends, retention, kills, restarts and new partitions in any order, against a model.

The model knows every event of the topic by its position, and for each partition how far the consumer was handed events.
An event may be missing only if retention removed it and the consumer was told so by `HistoryTruncated`.
"""

import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from journeyman.consumers import JournalConsumer
from journeyman.consumers.checkpoints.operations import find_checkpoint, move_checkpoint, plan_move
from journeyman.consumers.checkpoints.retention import carry
from journeyman.journal import Draft, HistoryTruncated, Journal
from journeyman.journal.memory.log import MemoryLog, MemoryStore, _Partition

TOPIC = "order"
NAME = "billing"


class Following(RuleBasedStateMachine):
    """One consumer, killed and started again, of a journal that others append to and trim."""

    journal: Journal

    def __init__(self) -> None:
        super().__init__()
        self.partitions = 1
        self.events: dict[int, list[int]] = {}  # the offsets of all events of the topic ever, by partition
        self.next: dict[int, int] = {}  # everything of the topic before this has been handed out, or announced as gone
        self.committed: dict[int, int] = {}
        self.consumer: JournalConsumer | None = None
        self.by_checkpoint = True
        self.kept_cursor = ""
        self.grown = False

    # --- the world ----------------------------------------------------------------------------------------------------

    @rule(
        counts=st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12), times=st.integers(1, 60)
    )
    def append(self, counts: list[tuple[int, bool]], times: int) -> None:
        drafts = [
            Draft("order.paid" if wanted else "noise.made", b"{}", partition=at % self.partitions)
            for at, wanted in counts * times
        ]
        for event in self.journal.append_drafts(drafts):
            if event.name == "order.paid":
                self.events.setdefault(event.partition, []).append(event.offset)

    @rule(parts=st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4))
    def trim(self, parts: list[float]) -> None:
        bounds = self.journal.bounds()
        before = {p: first + int((bounds.end[p] - first) * parts[p % 4]) for p, first in bounds.first.items()}
        self.journal.run(carry(self.journal.asynchronous, before))
        self.journal.run(self.journal.run(self.journal.asynchronous.open()).trim(before))

    # --- the consumer -------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 700))
    def poll(self, count: int) -> None:
        consumer = self._running()
        if consumer is None:
            return
        try:
            for event in consumer.poll_batch(count, timeout=0):
                self._handed(event.position)
        except TimeoutError:
            pass
        except HistoryTruncated:
            self._told_that_history_is_gone(consumer)

    @precondition(lambda self: self.consumer is not None and self.by_checkpoint)
    @rule()
    def commit(self) -> None:
        assert self.consumer is not None
        self.consumer.commit()
        self.committed = dict(self.next)

    @rule()
    def kill(self) -> None:
        """Whatever was handed out since the last commit comes again."""
        if self.consumer is not None:
            self.kept_cursor = str(self.consumer.cursor)
            self.consumer.close()
            self.consumer = None
            self.by_checkpoint = True
            self.next = dict(self.committed)

    @precondition(lambda self: self.consumer is not None)
    @rule()
    def restart_by_cursor(self) -> None:
        assert self.consumer is not None
        handed = dict(self.next)
        self.kill()
        self.next, self.by_checkpoint = handed, False

    @rule()
    def drain(self) -> None:
        consumer = self._running()
        if consumer is None:
            return
        end = self.journal.bounds().end
        try:
            consumer.stop()
            while batch := consumer.poll_batch():
                for event in batch:
                    self._handed(event.position)
        except HistoryTruncated:
            self._told_that_history_is_gone(consumer)
            return
        for partition in self._followed(consumer):
            behind = [o for o in self.events.get(partition, []) if self.next.get(partition, 0) <= o < end[partition]]
            assert not behind, f"partition {partition} ends with events that were not handed out: {behind}"
        if self.by_checkpoint:
            self.commit()
        self.kill()

    def _followed(self, consumer: JournalConsumer) -> list[int]:
        return list(consumer.cursor or {})

    def _running(self) -> JournalConsumer | None:
        """The consumer, started if it does not run; None if it was told that what comes next is gone."""
        if self.consumer is not None:
            return self.consumer
        options: dict[str, Any] = {"checkpoint": NAME} if self.by_checkpoint else {"cursor": self.kept_cursor}
        consumer = JournalConsumer(self.journal, TOPIC, **options)
        first = self.journal.bounds().first
        try:
            consumer.start()
        except HistoryTruncated:
            self._go_on_at(first)
            return None
        begun = consumer.cursor
        assert begun is not None
        if self.committed and not self.grown:
            assert consumer.truncated is None, "the checkpoint was lost"
        for partition, offset in begun.items():
            skipped = [o for o in self.events.get(partition, []) if self.next.get(partition, 0) <= o < offset]
            assert not skipped or consumer.truncated is not None, f"skipped in silence: {partition}, {skipped}"
            if not self.grown and consumer.truncated is None:
                repeated = [o for o in self.events.get(partition, []) if offset <= o < self.next.get(partition, 0)]
                assert not repeated, f"handed out again though they were committed: {partition}, {repeated}"
        self.next = {**self.next, **begun}
        self.consumer = consumer
        return consumer

    def _handed(self, position: Any) -> None:
        partition, offset = position
        expected = self.next.get(partition, 0)
        assert offset >= expected, f"{position} comes after {expected - 1}"
        missing = [o for o in self.events.get(partition, []) if expected <= o < offset]
        assert not missing, f"{position} comes before {missing}"
        assert offset in self.events[partition]
        self.next[partition] = offset + 1

    def _told_that_history_is_gone(self, consumer: JournalConsumer) -> None:
        """The running consumer was told: it is stopped, and goes on where history begins now."""
        first = self.journal.bounds().first
        cursor = dict(consumer.cursor or {})
        assert any(offset < first[partition] for partition, offset in cursor.items()), "told of what is still there"
        self.kill()
        self._go_on_at(first)

    def _go_on_at(self, first: Mapping[int, int]) -> None:
        """Resume as an operator does after the error: by the checkpoint."""
        self.by_checkpoint = True
        saved = self.journal.run(find_checkpoint(self.journal.asynchronous, NAME))
        self.next = dict(self.committed)
        if saved is None:
            self.committed = {}
            self.next = {}
            return
        to = {p: max(saved.cursor.get(p, 0), offset) for p, offset in first.items()}
        move = self.journal.run(plan_move(self.journal.asynchronous, saved, to))
        self.journal.run(move_checkpoint(self.journal.asynchronous, move, "ada@host"))
        self.next = {p: max(self.next.get(p, 0), offset) for p, offset in to.items()}
        self.committed = dict(self.next)

    @invariant()
    def journal_is_open(self) -> None:
        assert self.journal.bounds().end

    def teardown(self) -> None:
        self.drain()
        if self.consumer is not None:
            self.consumer.close()
        self.journal.close()


class InMemory(Following):
    """Several partitions, and more of them later."""

    @initialize(partitions=st.integers(1, 3))
    def open(self, partitions: int) -> None:
        self.store, self.partitions = MemoryStore(partitions), partitions
        self.journal = Journal(MemoryLog(self.store))

    @precondition(lambda self: self.partitions < 4)
    @rule()
    def add_partition(self) -> None:
        """As an operator does it: the programs are stopped, and started again from their checkpoints."""
        self.kill()
        self.by_checkpoint, self.next = True, dict(self.committed)
        self.journal.close()
        self.store.partitions.append(_Partition())
        self.partitions += 1
        self.grown = True
        self.journal = Journal(MemoryLog(self.store))


class OnAFile(Following):
    """On SQLite, closed and opened again."""

    @initialize()
    def open(self) -> None:
        self.directory = tempfile.mkdtemp()
        self.journal = Journal(f"sqlite:///{self.directory}/journal.db?sync=normal")

    @rule()
    def open_again(self) -> None:
        self.kill()
        self.journal.close()
        self.journal = Journal(f"sqlite:///{self.directory}/journal.db?sync=normal")

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.directory)


_SETTINGS = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes longer than the test may
)
TestInMemory = InMemory.TestCase
TestInMemory.settings = _SETTINGS
TestOnAFile = OnAFile.TestCase
TestOnAFile.settings = settings(_SETTINGS, max_examples=10)
