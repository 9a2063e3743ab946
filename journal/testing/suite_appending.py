"""Test appending: order, contiguity, atomicity, limits, times."""

import asyncio
import itertools

from ..errors import EventTooLarge, InvalidEvent
from ..event import Draft, Event, check, draft
from ..limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EVENT_BYTES_MAX, EVENT_OVERHEAD_BYTES_MAX
from ..log import Counting, Log
from .suite import PATIENCE_SECONDS, Suite, drafts, history, numbers, refused, same_history


def _large(size: int) -> Draft:
    """Return a draft of up to `size` bytes."""
    name = "thing.stored"
    return Draft(name, b'"'.join([b"{", b"a", b":", b"x" * (size - EVENT_OVERHEAD_BYTES_MAX - len(name) - 8), b"}"]))


class AppendingConformance(Suite):
    """The behaviour of appends."""

    def test_append_returns_what_readers_read(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                handed_in = [
                    draft("order.paid", {"order": 7, "sum": 1.5, "deep": {"list": [1, None, True]}}, "7", version=3),
                    draft("order.sent", {"to": "Åsa 🚚", "big": 2**63 - 1}, 'key with "quotes", \\ and é\u2028'),
                    draft("nothing.said"),
                ]
                events = await log.append(handed_in)
                assert [event.name for event in events] == ["order.paid", "order.sent", "nothing.said"]
                assert [event.key for event in events] == [each.key for each in handed_in]
                assert [bytes(event.context_json) for event in events] == [each.context for each in handed_in]
                assert [event.version for event in events] == [3, 1, 1]
                assert same_history(sorted(await history(log), key=lambda event: event.seq), events)

        self.drive(test())

    def test_empty_append_appends_nothing(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                assert await log.append([]) == []
                bounds = await log.bounds()
                assert bounds.first == bounds.end

        self.drive(test())

    def test_counts_hold_the_acknowledged_appends(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                if not isinstance(log, Counting):
                    return  # a log of a kind that does not count
                await log.append([draft("thing.made")])
                await log.append([draft("thing.made", key="a"), draft("thing.made", {"n": 1}, "a")])
                with refused(EventTooLarge):
                    await log.append([_large(EVENT_BYTES_MAX + 1)])
                counts, pages = log.append_counts, await log.read((await log.bounds()).first)
                assert (counts.appends, counts.events) == (2, 3)
                assert counts.bytes == sum(len(row) for page in pages for row in page.rows)
                assert sum(counts.commits) == 2, "one commit for each append, as none was concurrent"
                assert 0.0 < counts.seconds < PATIENCE_SECONDS

        self.drive(test())

    def test_events_of_a_key_keep_their_order_in_one_partition(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                for number in range(20):
                    await log.append([draft("step.taken", {"number": number}, f"key-{key}") for key in range(7)])
                events = await history(log)
                for key in range(7):
                    of_key = [event for event in events if event.key == f"key-{key}"]
                    assert numbers(of_key) == list(range(20))
                    assert {event.partition for event in of_key} == {log.partition_of(f"key-{key}")}

        self.drive(test())

    def test_key_has_the_same_partition_for_every_writer(self) -> None:
        async def test() -> None:
            url = self.url(self.partitions)
            async with self.opened(url) as one, self.opened(url) as other:
                keys = [f"key-{number}" for number in range(100)]
                assert [one.partition_of(key) for key in keys] == [other.partition_of(key) for key in keys]
                assert {one.partition_of(key) for key in keys} == set(range(self.partitions)), "all partitions are used"

        self.drive(test())

    def test_draft_can_name_its_partition(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                for partition in range(log.partitions):
                    (event,) = await log.append([Draft("worker.joined", b"{}", "any", partition)])
                    assert event.partition == partition
                with refused(InvalidEvent):
                    await log.append([draft("good.one"), Draft("worker.joined", b"{}", None, log.partitions)])
                assert len(await history(log)) == log.partitions, "no event of a refused append is written"

        self.drive(test())

    def test_append_is_contiguous_among_concurrent_ones(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                batches = await asyncio.gather(
                    *[log.append(drafts(f"batch.n{number}", 7, f"key-{number}")) for number in range(60)]
                )
                for batch in batches:
                    first = batch[0]
                    assert [event.offset for event in batch] == list(range(first.offset, first.offset + 7))
                    assert {event.partition for event in batch} == {first.partition}
                positions = [event.position for batch in batches for event in batch]
                assert len(set(positions)) == 60 * 7
                stored = {event.position: event for event in await history(log)}
                assert same_history([stored[position] for position in positions], [e for b in batches for e in b])

        asyncio.run(test())

    def test_offsets_have_no_gaps(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                await asyncio.gather(*[log.append(drafts("thing.made", 3, f"key-{n}")) for n in range(50)])
                offsets: dict[int, list[int]] = {}
                for event in await history(log):
                    offsets.setdefault(event.partition, []).append(event.offset)
                assert all(each == list(range(len(each))) for each in offsets.values())

        asyncio.run(test())

    def test_refused_draft_refuses_its_whole_append_and_no_other(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                before = await log.append(drafts("thing.made", 2))
                bad = [
                    Draft("two words"),
                    Draft("thing.made", b"{}", "k" * 501),
                    Draft("thing.made", b"{}", "lone surrogate \ud800"),
                    Draft("thing.made", b"{}", timestamp=float("nan")),
                    Draft("thing.made", b"{}", timestamp=-1.0),
                ]
                for each in bad:
                    with refused(InvalidEvent):
                        await log.append([*drafts("thing.made", 2), each, *drafts("thing.made", 2)])
                after = await log.append(drafts("thing.made", 2))
                assert len(await history(log)) == len(before) + len(after)

        self.drive(test())

    def test_oversized_event_is_refused_and_the_log_goes_on(self) -> None:
        """A Kafka producer is unusable after sending a record that its topic refuses, so sizes are checked first."""

        async def test() -> None:
            async with self.opened() as log:
                await log.append(drafts("thing.made", 1))
                end = (await log.bounds()).end
                with refused(EventTooLarge):
                    await log.append([*drafts("thing.made", 1), _large(EVENT_BYTES_MAX + 1)])
                assert (await log.bounds()).end == end
                await log.append(drafts("thing.made", 1))
                assert len(await history(log)) == 2

        self.drive(test())

    def test_oversized_append_is_refused_and_the_log_goes_on(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                with refused(EventTooLarge):
                    await log.append(drafts("thing.made", BATCH_EVENTS_MAX + 1))
                too_many_bytes = BATCH_BYTES_MAX // EVENT_BYTES_MAX + 1
                with refused(EventTooLarge):
                    await log.append([_large(EVENT_BYTES_MAX) for _ in range(too_many_bytes)])
                assert await history(log) == []
                await log.append(drafts("thing.made", 1))

        self.drive(test())

    def test_largest_event_and_largest_appends_land(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                largest = _large(EVENT_BYTES_MAX)
                assert check(largest) == EVENT_BYTES_MAX
                (event,) = await log.append([largest])
                assert bytes(event.context_json) == largest.context
                full = [_large(BATCH_BYTES_MAX // 4) for _ in range(4)]
                many = drafts("thing.made", BATCH_EVENTS_MAX)
                for batch in (full, many):
                    events = await log.append(batch)
                    assert [each.offset for each in events] == list(
                        range(events[0].offset, events[0].offset + len(batch))
                    )
                stored = await history(log)
                assert [bytes(each.context_json) for each in stored] == [
                    each.context for each in [largest, *full, *many]
                ]

        self.drive(test())

    def test_numbers_and_times_of_a_writer_rise_with_offsets(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                await asyncio.gather(*[log.append(drafts("thing.made", 5, f"key-{n}")) for n in range(40)])
                self._assert_rising(log, await history(log))

        asyncio.run(test())

    def _assert_rising(self, log: Log, events: list[Event]) -> None:
        for partition in range(log.partitions):
            here = [event for event in events if event.partition == partition]
            assert len({event.writer for event in here}) <= 1
            assert _rises([event.seq for event in here])
            assert _rises([event.timestamp for event in here])

    def test_times_of_two_writers_rise_on_a_file(self) -> None:
        """On the embedded log times ascend across all writers, so a time is an exact position."""

        async def test() -> None:
            url = self.url(1)
            async with self.opened(url) as one, self.opened(url) as other:
                for _ in range(20):
                    await one.append(drafts("thing.made", 2))
                    await other.append(drafts("thing.made", 2))
                events = await history(one)
                for writer in {event.writer for event in events}:
                    assert _rises([event.timestamp for event in events if event.writer == writer])
                assert len({event.writer for event in events}) == 2
                if self.one_clock:
                    assert _rises([event.timestamp for event in events])

        self.drive(test())

    def test_event_can_carry_a_time_of_its_own(self) -> None:
        async def test() -> None:
            async with self.opened() as log:
                own = 1_234_567_890.123457
                (event,) = await log.append([Draft("thing.imported", timestamp=own)])
                assert event.timestamp == own
                assert (await history(log))[0].timestamp == own

        self.drive(test())

    def test_imported_event_keeps_its_writer_number_and_time(self) -> None:
        async def test() -> None:
            async with self.opened(self.url(1)) as log:
                first = 1_234_567_890.0
                taken = [Draft("thing.made", timestamp=first + at, origin=("elsewhere", 7 + at)) for at in range(3)]
                own = (await log.append([*taken[:1], *drafts("thing.made", 1)]))[1]
                await log.append(taken[1:])
                again = drafts("thing.made", 3)
                events = await log.append(again)
                assert same_history(await log.append(again), events), "its own are found again among the others"
                assert [event.seq for event in (own, *events)] == [2, 5, 6, 7]
                read = await history(log)
                assert [(event.writer, event.seq) for event in read if event.writer == "elsewhere"] == [
                    ("elsewhere", 7),
                    ("elsewhere", 8),
                    ("elsewhere", 9),
                ]
                assert read[0].timestamp == first

        self.drive(test())


def _rises(values: list[float] | list[int]) -> bool:
    return all(earlier < later for earlier, later in itertools.pairwise(values))
