"""Tests of the shipped test tools: the clock, the faulty log, the suite's own checks."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from journeyman.journal import (
    AppendInDoubt,
    AsyncJournal,
    Cursor,
    HistoryTruncated,
    InvalidEvent,
    Journal,
    JournalUnavailable,
    Log,
    draft,
    log_from_url,
)
from journeyman.journal.log import Tail
from journeyman.journal.memory.log import MemoryLog
from journeyman.journal.runtime import blocking
from journeyman.journal.testing import FaultyLog, ManualClock
from journeyman.journal.testing.conformance import LogConformance, ProcessConformance
from journeyman.journal.testing.faults import Fault
from journeyman.journal.testing.suite import refused


def test_manual_clock_moves_only_by_hand() -> None:
    clock = ManualClock(100.0)
    assert clock() == clock() == 100.0
    assert clock.advance(2.5) == clock() == 102.5
    assert clock.advance(-100.0) == 2.5
    assert ManualClock()() > 1_700_000_000.0


class Script:
    """Faults by turn: for each operation the ones that come, then none."""

    def __init__(self, **faults: list[Fault | None]) -> None:
        self.faults: dict[str, Iterator[Fault | None]] = {name: iter(each) for name, each in faults.items()}

    def __call__(self, operation: str) -> Fault | None:
        return next(self.faults.get(operation, iter(())), None)


def test_faulty_log_without_faults_behaves_as_the_log() -> None:
    log = FaultyLog(log_from_url("memory://?partitions=3"))
    assert isinstance(log, Log)
    assert (log.partitions, log.url, log.needs_loop) == (3, "memory://?partitions=3", False)
    with Journal(log) as journal:
        event = journal.append("thing.made", key="k")
        assert log.partition_of("k") == event.partition
        assert [each.name for each in journal.read().events] == ["thing.made"]
        assert journal.position_at(0.0).reaches({0: 0})
        assert isinstance(journal.run(log.tail({0: 0})), Tail)
        journal.run(log.trim({event.partition: 1}))
        assert journal.bounds().first[event.partition] == 1
        assert log.snapshots() is log.inner.snapshots()


def test_lost_acknowledgement_is_in_doubt_and_repeatable() -> None:
    async def test() -> None:
        async with AsyncJournal(FaultyLog(MemoryLog(), Script(append=[Fault.LOST_ACKNOWLEDGEMENT]))) as journal:
            with pytest.raises(AppendInDoubt) as caught:
                await journal.append("thing.made")
            (event,) = await journal.append_drafts(caught.value.drafts)  # type: ignore[arg-type]
            assert event.offset == 0
            assert len((await journal.read()).events) == 1

    asyncio.run(test())


def test_unavailable_log_does_nothing() -> None:
    away: list[Fault | None] = [Fault.UNAVAILABLE]
    script = Script(append=away, read=away, bounds=away, position_at=away, page=away, trim=away)
    log = FaultyLog(MemoryLog(), script)
    blocking.run(log.open())
    tail = blocking.run(log.tail({0: 0}))
    operations: list[Coroutine[Any, Any, Any]] = [
        log.append([draft("thing.made")]),
        log.read({0: 0}),
        log.bounds(),
        log.position_at(0.0),
        tail.page(timeout=0.0),
        log.trim({0: 1}),
    ]
    for operation in operations:
        with pytest.raises(JournalUnavailable, match="on purpose"):
            blocking.run(operation)
    assert blocking.run(log.bounds()).end == Cursor({0: 0})
    blocking.run(log.append([draft("thing.made")]))
    page = blocking.run(tail.page(timeout=0.0))
    assert page is not None, "a tail goes on after a fault"
    assert tail.cursor[0] == 1
    tail.skip(0, 5)
    assert tail.cursor[0] == 5
    blocking.run(tail.aclose())
    blocking.run(log.aclose())


def test_faulty_log_raises_history_truncated() -> None:
    log = FaultyLog(MemoryLog(), Script(read=[Fault.TRUNCATED], page=[Fault.TRUNCATED]))
    blocking.run(log.append([draft("thing.made")]))
    tail = blocking.run(log.tail({0: 0}))
    operations: list[Coroutine[Any, Any, Any]] = [log.read({0: 0}), tail.page(timeout=0.0)]
    for operation in operations:
        with pytest.raises(HistoryTruncated) as caught:
            blocking.run(operation)
        assert (caught.value.asked_offset, caught.value.first_offset) == (0, 1)
    assert len(blocking.run(log.read({0: 0}))) == 1


def test_faulty_log_uses_the_given_delay() -> None:
    seen: list[str] = []

    async def delay(operation: str) -> None:
        seen.append(operation)

    log = FaultyLog(MemoryLog(), delay=delay)
    blocking.run(log.append([draft("thing.made")]))
    tail = blocking.run(log.tail({0: 0}))
    blocking.run(tail.page())
    blocking.run(log.read({0: 0}))
    assert seen == ["append", "page", "read"]


def test_refused_helper_fails_unless_properly_refused() -> None:
    with pytest.raises(AssertionError, match="no error was raised"), refused(InvalidEvent):
        pass
    with pytest.raises(AssertionError, match="should say in a sentence"), refused(InvalidEvent):
        raise InvalidEvent("bad")
    with pytest.raises(LookupError), refused(InvalidEvent):
        raise LookupError


class Forgetful(MemoryLog):
    """A log that breaks the contract: it does not know a draft again."""

    async def append(self, drafts):  # type: ignore[no-untyped-def]
        for each in drafts:
            each.writer, each.seq = "", 0
        return await super().append(drafts)


class Torn(MemoryLog):
    """A log that breaks the contract: a refused append lands in part."""

    async def append(self, drafts):  # type: ignore[no-untyped-def]
        return [event for each in drafts for event in await super(Torn, self).append([each])]


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Forgetful, "test_append_repeated_at_once_is_one_append"),
        (Forgetful, "test_repeated_and_new_drafts_in_one_append"),
        (Torn, "test_oversized_event_is_refused_and_the_log_goes_on"),
        (Torn, "test_refused_draft_refuses_its_whole_append_and_no_other"),
    ],
)
def test_suite_finds_a_log_that_breaks_its_contract(kind: type[MemoryLog], test: str) -> None:
    class Suite(LogConformance):
        def url(self, partitions: int) -> str:
            return "memory://"

        def log(self, url: str) -> Log:
            return kind()

    with pytest.raises(AssertionError):
        getattr(Suite(), test)()


def test_suite_needs_a_url() -> None:
    with pytest.raises(NotImplementedError):
        LogConformance().url(1)
    assert {name for name in dir(ProcessConformance) if name.startswith("test_")}
