"""Time order under skewed clocks: the stated rule, exact resumption, and how far `since` can be trusted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.consumers import JournalConsumer
from journeyman.consumers.engine import stream
from journeyman.consumers.engine.merge import Merge
from journeyman.consumers.engine.transform import Transformed
from journeyman.journal import Cursor, Draft, Event, Journal
from journeyman.journal.limits import CLOCK_SKEW_SECONDS_MAX
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.journal.runtime import blocking
from journeyman.journal.testing import ManualClock

PARTITIONS = 4
HOUR = 3_600.0
NOW = 1_800_000_000.0

# One event: its partition and its writer's clock. Few distinct times make ties; hours make skew; any order makes steps
# back.
EVENTS = st.lists(
    st.tuples(
        st.integers(0, PARTITIONS - 1),
        st.one_of(
            st.sampled_from([NOW, NOW + 1, NOW + 2, NOW - 5 * HOUR, NOW + 7 * HOUR]),
            st.floats(NOW - HOUR, NOW + HOUR),
        ),
    ),
    max_size=60,
)
PAGES = st.integers(1, 7)


@contextmanager
def journal_of(events: Sequence[tuple[int, float]], page: int) -> Iterator[Journal]:
    """A journal of these events, read in pages so small that a merge has many of them."""
    with (
        patch.object(stream, "PAGE_EVENTS", page),
        patch.object(stream, "MERGE_PAGE_EVENTS_MIN", page),
        Journal(MemoryLog(store := MemoryStore(PARTITIONS))) as journal,
    ):
        append(store, events)
        yield journal


def append(store: MemoryStore, events: Sequence[tuple[int, float]], clock: Callable[[], float] = lambda: NOW) -> None:
    """Each event by a writer of its own, as one writer's times never stand still nor step back."""
    for partition, timestamp in events:
        draft = Draft("clock.read", partition=partition, timestamp=timestamp)
        blocking.run(MemoryLog(store, clock=clock).append([draft]))


def history(journal: Journal, **options: Any) -> list[Any]:
    with JournalConsumer(journal, **options) as consumer:
        consumer.stop()
        return list(consumer)


def by_the_rule(journal: Journal, cursor: Cursor | None = None) -> list[tuple[int, int]]:
    """Positions in order: always the lowest time among the partitions' first waiting events, ties by partition."""
    waiting: dict[int, list[tuple[float, int]]] = {partition: [] for partition in range(PARTITIONS)}
    for event in journal.read(cursor, 10_000).events:
        waiting[event.partition].append((event.timestamp, event.offset))
    order: list[tuple[int, int]] = []
    while any(waiting.values()):
        partition = min((heads[0][0], partition) for partition, heads in waiting.items() if heads)[1]
        order.append((partition, waiting[partition].pop(0)[1]))
    return order


def positions(events: Sequence[Any]) -> list[Any]:
    return [tuple(event.position) for event in events]


@settings(deadline=None)
@given(EVENTS, PAGES)
def test_history_is_in_time_order_by_the_stated_rule(events: list[tuple[int, float]], page: int) -> None:
    with journal_of(events, page) as journal:
        assert positions(history(journal)) == by_the_rule(journal)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, PARTITIONS - 1), st.floats(0, 9)), max_size=60), PAGES)
def test_history_is_sorted_if_no_clock_steps_back(events: list[tuple[int, float]], page: int) -> None:
    events = [(partition, NOW + timestamp) for partition, timestamp in sorted(events, key=lambda each: each[1])]
    with journal_of(events, page) as journal:
        times = [event.timestamp for event in history(journal)]
        assert times == sorted(times)
        assert len(times) == len(events)


@settings(deadline=None)
@given(EVENTS, PAGES, st.integers(0, 60))
def test_cursor_resumes_exactly_after_any_event(events: list[tuple[int, float]], page: int, taken: int) -> None:
    with journal_of(events, page) as journal:
        whole = positions(history(journal))
        with JournalConsumer(journal) as consumer:
            head = positions([consumer.poll(0) for _ in range(min(taken, len(whole)))])
            cursor = consumer.cursor
        assert cursor is not None
        assert head + positions(history(journal, cursor=cursor)) == whole
        journal.append_drafts([Draft("clock.read", partition=partition) for partition in (1, 3, 1)])
        assert sorted(head + positions(history(journal, cursor=cursor))) == sorted(positions(history(journal)))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, PARTITIONS - 1), st.floats(-30, 30), st.floats(0, 20)), max_size=40),
    st.lists(st.tuples(st.integers(0, PARTITIONS - 1), st.floats(-30, 30), st.floats(0, 20)), max_size=40),
    PAGES,
)
def test_since_minus_twice_the_skew_misses_no_later_append(
    before: list[tuple[int, float, float]], after: list[tuple[int, float, float]], page: int
) -> None:
    """The stated tolerance: writers' clocks at most `skew` seconds from the log's, `since` set back by twice that."""
    skew, clock = 30.0, ManualClock(NOW)
    with (
        patch.object(stream, "PAGE_EVENTS", page),
        Journal(MemoryLog(store := MemoryStore(PARTITIONS), clock=clock)) as journal,
    ):

        def write(events: list[tuple[int, float, float]]) -> None:
            for partition, wrong_by, pause in events:
                clock.advance(pause)
                append(store, [(partition, clock() + wrong_by)], clock)

        write(before)
        newest = max((event.timestamp for event in history(journal)), default=0.0)
        stopped_at = journal.bounds().end
        write(after)
        appended_later = [tuple(event.position) for event in journal.read(stopped_at, 10_000).events]
        delivered = positions(history(journal, since=max(0.0, newest - 2 * skew - 0.001)))
        assert set(appended_later) <= set(delivered)
        assert all(event.timestamp > newest for event in history(journal, since=newest)), "since itself is strict"


@pytest.mark.parametrize("ahead", [1.0, CLOCK_SKEW_SECONDS_MAX - 1.0])
def test_since_allows_for_a_writer_with_a_fast_clock(ahead: float) -> None:
    clock = ManualClock(NOW)
    with Journal(MemoryLog(store := MemoryStore(PARTITIONS), clock=clock)) as journal:
        for partition in range(PARTITIONS):
            append(store, [(partition, NOW + ahead)], clock)
        clock.advance(ahead / 2)
        since = clock()
        clock.advance(ahead)
        append(store, [(0, clock())], clock)
        assert len(history(journal, since=since)) == PARTITIONS + 1


@settings(deadline=None)
@given(EVENTS, PAGES)
def test_filtered_events_do_not_disturb_the_order(events: list[tuple[int, float]], page: int) -> None:
    with journal_of(events, page) as journal:
        chosen = [event for event in journal.read(None, 10_000).events if event.offset % 2 == 0]
        got = history(journal, where=lambda event: event.position.offset % 2 == 0)
        assert sorted(positions(got)) == sorted((event.partition, event.offset) for event in chosen)
        for partition in range(PARTITIONS):
            offsets = [event.position.offset for event in got if event.position.partition == partition]
            assert offsets == sorted(offsets)


def test_partition_with_an_error_next_is_read_once_all_is_taken() -> None:
    merge = Merge([0, 1], low=5)
    for partition in (0, 1):
        merge.fill(partition, Transformed([Event(NOW + partition, "thing.made")], [7]))
    assert merge.wanting() == 0
    merge.exhaust(0)
    assert merge.wanting() == 1
    merge.finish(1)
    assert merge.wanting() is None, "one event is left before the error"
    assert [event.timestamp for event in merge.take().events] == [NOW]
    assert (merge.is_empty(0), merge.is_empty(1), merge.wanting()) == (True, False, 0)
