"""A caller that catches the exception of a signal handler, wherever it was raised, and continues, misses no event."""

import os
import random
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from journeyman.consumers import JournalConsumer, JournalEventBase, Replica, View
from journeyman.journal import Journal, UnreadableRecord
from journeyman.journal.event import Event
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from support.alarm import Alarm, begun_or_not

pytestmark = begun_or_not

PATIENCE = 30.0


class Numbers(View):
    """The numbers of all events, in order."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def apply(self, event: Event) -> None:
        self.seen.append(event.context["n"])


def filled(journal: Journal, first: int, many: int) -> list[Any]:
    journal.append_all([("order.paid", {"n": n}, str(n)) for n in range(first, first + many)])
    return list(range(first, first + many))


class Fresh:
    """Makes empty journals; `stride` apart are the moments that are tried, for their time grows with their square.

    The first one is drawn anew in each run, so that many runs try all; with JOURNEYMAN_MOMENTS=all one does.
    """

    def __init__(self, stride: int, make: Callable[[], str | MemoryLog]) -> None:
        self.stride = 1 if os.environ.get("JOURNEYMAN_MOMENTS") == "all" else stride
        self._make = make

    def __call__(self) -> Journal:
        return Journal(self._make())


@pytest.fixture(params=["memory", "partitions", "sqlite"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    numbers = count()
    kinds = {
        "memory": Fresh(3, lambda: MemoryLog(MemoryStore())),
        "partitions": Fresh(7, lambda: MemoryLog(MemoryStore(partitions=3))),
        "sqlite": Fresh(11, lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db?sync=normal"),
    }
    return kinds[request.param]


def every_moment(
    fresh: Fresh, work: Callable[[Journal, Alarm], None], error: type[BaseException] = KeyboardInterrupt
) -> None:
    """Have `work` interrupted at each moment there is in it, once at a time; at some of them where there are many."""
    for moment in count(random.randint(1, fresh.stride), fresh.stride):
        alarm = Alarm(moment, error)
        with fresh() as journal:
            work(journal, alarm)
        if not alarm.rang:
            assert moment > 100
            return


Take = Callable[[Alarm, JournalConsumer], list[JournalEventBase]]


def one(alarm: Alarm, consumer: JournalConsumer) -> list[JournalEventBase]:
    event = alarm.call(lambda: consumer.poll(PATIENCE))
    return [] if event is None else [event]


def some(alarm: Alarm, consumer: JournalConsumer) -> list[JournalEventBase]:
    return alarm.call(lambda: consumer.poll_batch(7, PATIENCE)) or []


def took(take: Take, alarm: Alarm, consumer: JournalConsumer, many: int) -> list[Any]:
    got: list[JournalEventBase] = []
    while len(got) < many:
        got += take(alarm, consumer)
    return ["|" if event.is_empty() else event.context["n"] for event in got]


@pytest.mark.parametrize("take", [one, some])
@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_consumer_hands_out_each_event_once(fresh: Fresh, take: Take, error: type[BaseException]) -> None:
    def work(journal: Journal, alarm: Alarm) -> None:
        wanted = filled(journal, 0, 20)
        with JournalConsumer(journal, include_sentinel=True) as consumer:
            history = took(take, alarm, consumer, 21)
            assert history.count("|") == 1
            assert sorted(history[:-1]) == wanted
            assert history[-1] == "|"
            wanted = filled(journal, 20, 10)
            assert sorted(took(take, alarm, consumer, 10)) == wanted

    every_moment(fresh, work, error)


@pytest.mark.parametrize("take", [one, some])
def test_events_before_a_bad_record_survive_an_interrupt(take: Take) -> None:
    def work(journal: Journal, alarm: Alarm) -> None:
        wanted = filled(journal, 0, 20)
        records = store.partitions[0].records
        records[10] = records[10]._replace(row=b"no event")
        with JournalConsumer(journal) as consumer:
            assert took(take, alarm, consumer, 10) == wanted[:10]
            with pytest.raises(UnreadableRecord):
                took(take, alarm, consumer, 1)

    for moment in count(1, 7):
        store = MemoryStore()
        alarm = Alarm(moment, KeyboardInterrupt)
        with Journal(MemoryLog(store)) as journal:
            work(journal, alarm)
        if not alarm.rang:
            return


def test_interrupted_reader_costs_its_neighbour_no_event(fresh: Fresh) -> None:
    def work(journal: Journal, alarm: Alarm) -> None:
        with JournalConsumer(journal, full=False) as consumer, JournalConsumer(journal, full=False) as other:
            for each in (consumer, other):
                with pytest.raises(TimeoutError):
                    each.poll(0)
            for _ in range(2):
                wanted = filled(journal, 0, 10)
                assert sorted(took(one, alarm, consumer, 10)) == wanted
                assert sorted(took(one, alarm, other, 10)) == wanted

    every_moment(fresh, work)


def test_interrupted_replica_with_renewal_has_each_event_once(fresh: Fresh) -> None:
    def work(journal: Journal, alarm: Alarm) -> None:
        wanted = filled(journal, 0, 20)
        replica = Replica(journal.asynchronous, Numbers(), renew=Numbers)
        for _ in range(2):
            while alarm.call(lambda: journal.run(replica.catch_up())) is None:
                pass
            assert sorted(replica.view.seen) == wanted
            wanted.extend(filled(journal, len(wanted), 5))
        journal.run(replica.wait_until(lambda view: sorted(view.seen) == wanted, PATIENCE))
        journal.run(replica.aclose())

    every_moment(fresh, work)


def test_interrupted_replica_without_renewal_raises() -> None:

    class Struck(Numbers):
        def apply(self, event: Event) -> None:
            if len(self.seen) == 3:
                raise KeyboardInterrupt
            super().apply(event)

    with Journal("memory://") as journal:
        filled(journal, 0, 20)
        replica = Replica(journal.asynchronous, Struck())
        with pytest.raises(KeyboardInterrupt):
            journal.run(replica.catch_up())
        for _ in range(2):
            with pytest.raises(RuntimeError, match="the view Struck was interrupted in the middle of a page"):
                journal.run(replica.wait_until(lambda view: bool(view.seen)))
