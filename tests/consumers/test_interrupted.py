"""Who catches what a signal handler raised, wherever that was, and goes on misses nothing."""

import dis
import signal
import sys
from _thread import interrupt_main
from collections.abc import Callable
from functools import cache
from itertools import count
from operator import methodcaller
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar
from weakref import ReferenceType

import pytest
from journeyman.consumers import JournalConsumer, JournalEventBase, Replica, View
from journeyman.journal import Journal
from journeyman.journal.event import Event
from journeyman.journal.memory.log import MemoryLog, MemoryStore

T = TypeVar("T")

# What is interrupted as it is called has not begun; nobody hears what is raised as a weak reference goes.
pytestmark = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
)

PATIENCE = 30.0


class _Fuse(ReferenceType[Any]):
    """A weak reference that signals to the main thread as what it refers to goes, without running any Python code."""

    signal = staticmethod(interrupt_main)


@cache
def _looks(code: CodeType) -> frozenset[int]:
    """Where in `code` the interpreter looks for signals: at calls, and where it jumps back."""
    return frozenset(at.offset for at in dis.get_instructions(code) if at.opname.startswith(("CALL", "JUMP_BACKWARD")))


class Alarm:
    """Signals to the process once, just before the given one of the moments at which the interpreter looks for signals.

    The handler, which raises `error`, then runs where a handler does: nothing is raised in the tracing itself, which
    costs CPython 3.11 a reference now and then. That is why the signal must wait until the tracing function has
    returned, which is when `burning` goes.
    """

    def __init__(self, moment: int, error: type[BaseException]) -> None:
        self.rang = False
        self._left = moment
        self._error = error

    def call(self, function: Callable[[], T]) -> T | None:
        """Call it; None if the alarm rang meanwhile."""
        if self.rang:
            return function()
        former = signal.signal(signal.SIGINT, self._ring)
        sys.settrace(self._enter)
        try:
            return function()
        except self._error:
            if self._left > 0:
                raise
            return None
        finally:
            sys.settrace(None)
            signal.signal(signal.SIGINT, former)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        self.rang = True
        raise self._error

    def _enter(self, frame: FrameType, _what: str, _arg: object) -> Callable[..., Any] | None:
        if self._left <= 0:
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._count

    def _count(self, frame: FrameType, what: str, _arg: object) -> Callable[..., Any]:
        if what == "opcode" and frame.f_lasti in _looks(frame.f_code):
            self._left -= 1
            if not self._left:
                burning: set[None] = set()
                self._fuse = _Fuse(burning, methodcaller("signal"))
        return self._count


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
    """Makes empty journals; `stride` apart are the moments that are tried, for their time grows with their square."""

    def __init__(self, stride: int, make: Callable[[], str | MemoryLog]) -> None:
        self.stride = stride
        self._make = make

    def __call__(self) -> Journal:
        return Journal(self._make())


@pytest.fixture(params=["memory", "partitions", "sqlite"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Fresh:
    numbers = count()
    kinds = {
        "memory": Fresh(1, lambda: MemoryLog(MemoryStore())),
        "partitions": Fresh(3, lambda: MemoryLog(MemoryStore(partitions=3))),
        "sqlite": Fresh(5, lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db?sync=normal"),
    }
    return kinds[request.param]


def every_moment(
    fresh: Fresh, work: Callable[[Journal, Alarm], None], error: type[BaseException] = KeyboardInterrupt
) -> None:
    """Have `work` interrupted at each moment there is in it, once at a time; at some of them where there are many."""
    for moment in count(1, fresh.stride):
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
def test_a_consumer_hands_out_each_event_once(fresh: Fresh, take: Take, error: type[BaseException]) -> None:
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


def test_nor_does_one_that_follows_beside_miss_what_was_read_for_both(fresh: Fresh) -> None:
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


def test_a_replica_that_can_renew_its_view_has_all_of_it_once(fresh: Fresh) -> None:
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


def test_one_that_cannot_renew_it_says_so_instead_of_showing_half_a_page() -> None:

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
            with pytest.raises(RuntimeError, match="the view Struck was interrupted in the midst of a page"):
                journal.run(replica.wait_until(lambda view: bool(view.seen)))
