"""Export and import: the same events, each once, in spite of interruptions; inexact imports are refused."""

import asyncio
import itertools
import uuid
from pathlib import Path

import journeyman as jm
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.consumers.files.exporting import ExportSelection, export
from journeyman.consumers.files.importing import Importer
from journeyman.consumers.files.lines import BadLine, encode, parse
from journeyman.journal.event import Draft
from journeyman.journal.log import Log
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.journal.testing import FaultyLog, ManualClock
from journeyman.journal.testing.faults import Fault

contexts = st.sampled_from(
    [b"{}", b'{"a":1}', b'{ "a" : [1,\n {"b" : "\\n"}] }', '{"é":"🚚\\u2028"}'.encode(), b'{"a":1.10}']
)
events = st.lists(
    st.tuples(
        st.integers(0, 2),  # which writer
        st.sampled_from([None, "a", "b", "c", 'k"\\é']),
        contexts,
        st.integers(1, 2),  # version
        st.sampled_from([0.0, 0.000001, 1.5, -40.0]),  # how far the clock moves
    ),
    max_size=30,
)


async def lines_of(log: Log, selection: ExportSelection | None = None) -> list[bytes]:
    out: list[bytes] = []
    done = await export(jm.AsyncJournal(log), out.append, selection)
    lines = b"".join(out).splitlines(keepends=True)
    assert done.events == len(lines)
    return lines


async def imported(log: Log, lines: list[bytes]) -> Importer:
    importer = Importer(jm.AsyncJournal(log))
    await importer.prepare()
    await importer.take(line.rstrip(b"\n") for line in lines)
    return importer


async def written(taken: list[tuple[int, str | None, bytes, int, float]], partitions: int = 2) -> MemoryLog:
    store, clock = MemoryStore(partitions), ManualClock()
    writers = [MemoryLog(store, clock=clock) for _ in range(3)]
    for number, (writer, key, context, version, pause) in enumerate(taken):
        clock.advance(pause)
        await writers[writer].append([Draft(f"thing.n{number % 3}", context, key, version=version)])
    return MemoryLog(store)


@given(events)
@settings(max_examples=100, deadline=None)
def test_export_and_import_give_the_same_journal(taken: list[tuple[int, str | None, bytes, int, float]]) -> None:
    async def test() -> None:
        log, copy = await written(taken), MemoryLog(MemoryStore(2))
        lines = await lines_of(log)
        done = (await imported(copy, lines)).done
        assert (done.added, done.known, done.restamped) == (len(taken), 0, 0)
        assert await lines_of(copy) == lines
        again = (await imported(copy, lines)).done
        assert (again.added, again.known) == (0, len(taken))
        assert await lines_of(copy) == lines

    asyncio.run(test())


@given(events, st.lists(st.integers(0, 30), max_size=3), st.sets(st.integers(0, 3)), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_interrupted_import_is_resumed(
    taken: list[tuple[int, str | None, bytes, int, float]], cuts: list[int], lost: set[int], batch: int
) -> None:
    async def test() -> None:
        log, count = await written(taken), itertools.count()
        copy = FaultyLog(
            MemoryLog(MemoryStore(2)),
            lambda operation: Fault.LOST_ACKNOWLEDGEMENT if operation == "append" and next(count) in lost else None,
        )
        lines = await lines_of(log)
        for cut in [*cuts, *([len(lines)] * 6)]:
            try:
                await imported(copy, lines[:cut])
            except jm.AppendInDoubt:
                continue
        assert await lines_of(copy) == lines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("journeyman.consumers.files.importing.IMPORT_BATCH_EVENTS", batch)
        asyncio.run(test())


@given(events, st.lists(st.integers(0, 30), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None)
def test_successive_spans_share_and_miss_nothing(
    taken: list[tuple[int, str | None, bytes, int, float]], at: list[int]
) -> None:
    async def test() -> None:
        log = await written(taken)
        everything = await lines_of(log)
        stamps = [parse(1, line).timestamp for line in everything]
        moments = sorted({stamps[index] for index in at if index < len(stamps)})
        edges = [None, *moments, None]
        parts = [await lines_of(log, ExportSelection(since, until)) for since, until in itertools.pairwise(edges)]
        assert sorted(itertools.chain(*parts)) == sorted(everything)

    asyncio.run(test())


def test_export_selects_by_topic_and_key() -> None:
    async def test() -> None:
        log = MemoryLog()
        journal = jm.AsyncJournal(log)
        await journal.append_all([("task.claimed", {}, "a"), ("tasks.added", {}, "a"), ("task.claimed", {}, "b")])
        assert len(await lines_of(log, ExportSelection(topic="task"))) == 2
        assert len(await lines_of(log, ExportSelection(topic="task", key="b"))) == 1

    asyncio.run(test())


def test_export_orders_by_time_and_within_each_partition() -> None:
    async def test() -> None:
        store, clock = MemoryStore(3), ManualClock()
        early, late = MemoryLog(store, clock=clock), MemoryLog(store, clock=lambda: clock() - 1_000)
        for number in range(30):
            clock.advance(1.0)
            await early.append([Draft(f"n{number}", partition=number % 3)])
        await late.append([Draft("late", partition=1)])
        lines = [parse(1, line) for line in await lines_of(MemoryLog(store))]
        assert [line.name for line in lines if line.name != "late"] == [f"n{number}" for number in range(30)]
        assert [line.name for line in lines if line.place() and line.place()[0] == 1][-1] == "late"  # type: ignore[index]

    asyncio.run(test())


def a_line(**changes: object) -> bytes:
    given = {"timestamp": 1_800_000_000.5, "name": "order.paid", "context": {}, "writer": "w", "seq": 1, **changes}
    return b"{%s}" % b",".join(b'"%b":%b' % (name.encode(), as_json(value)) for name, value in given.items())


def as_json(value: object) -> bytes:
    return value if isinstance(value, bytes) else msgspec.json.encode(value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"name":"a"}', "missing required field `timestamp`"),
        (b'{"timestamp":1,"name":"a","who":1}', "unknown field `who`"),
        (a_line(timestamp="today"), r"Expected `float`, got `str` - at `\$.timestamp`"),
        (a_line(timestamp=-1), "must be seconds since 1970"),
        (a_line(timestamp=1e12), "must be seconds since 1970"),
        (a_line(name="two words"), "dotted words"),
        (a_line(context=[1]), "Expected `object`"),
        (a_line(context=b'{"a":"\xff"}'), "utf-8|UTF-8"),
        (a_line(context=b'{"a":1'), "malformed|truncated"),
        (a_line(key=5), "key"),
        (a_line(key="k" * 501), "at most 500 characters"),
        (a_line(writer='w"'), "expected a writer of at most 64"),
        (a_line(writer="w" * 65), "expected a writer of at most 64"),
        (a_line(seq=-1), "seq from 1 up"),
        (a_line(seq=0), "expected a writer and a seq from 1 up"),
        (a_line(writer=""), "expected a writer and a seq from 1 up"),
        (a_line(version="x"), "version"),
        (a_line(position="here"), "expected a position such as '0:42'"),
        (a_line(context=b'{"a":"%b"}' % (b"x" * 1_100_000)), "the limit is 1,048,576"),
        (a_line(context=b'{"a":"%b"}' % (b"x" * 2_200_000)), "LINE_BYTES_MAX"),
    ],
)
def test_bad_line_is_named_and_earlier_lines_are_imported(line: bytes, reason: str) -> None:
    async def test() -> None:
        log = MemoryLog()
        good, later = a_line(seq=7), a_line(seq=9)
        with pytest.raises(BadLine, match=rf"^line 3: .*({reason})"):
            await imported(log, [good, b"  ", line, later])
        assert len(await lines_of(log)) == 1
        importer = Importer(jm.AsyncJournal(log), skip_bad=True)
        await importer.prepare()
        done = await importer.take([good, b"", line, later])
        assert (done.known, done.added, done.bad) == (1, 1, 1)
        assert done.reasons[0].startswith("line 3: ")

    asyncio.run(test())


def test_lines_without_writer_match_named_ones_by_number() -> None:
    async def test() -> None:
        log = MemoryLog()
        lines = [b'{"timestamp":1,"name":"a"}', b"", b'{"timestamp":2,"name":"b"}']
        for added in (2, 0):
            importer = Importer(jm.AsyncJournal(log), writer="old-logs")
            await importer.prepare()
            assert (await importer.take(lines)).added == added
        found = (await jm.AsyncJournal(log).read()).events
        assert [(event.writer, event.seq, event.timestamp) for event in found] == [
            ("old-logs", 1, 1.0),
            ("old-logs", 3, 2.0),
        ]

    asyncio.run(test())


def test_import_refuses_an_event_behind_its_writers_last() -> None:
    async def test() -> None:
        log = MemoryLog()
        await imported(log, [a_line(seq=5)])
        with pytest.raises(BadLine, match="its event 5 is; readers would drop the earlier one as a repeat"):
            await imported(log, [a_line(seq=4)])

    asyncio.run(test())


def test_import_into_a_trimmed_journal_takes_later_events_only() -> None:
    async def test() -> None:
        log = MemoryLog()
        await imported(log, [a_line(seq=number, timestamp=100.0 + number) for number in range(1, 6)])
        await log.trim({0: 3})
        with pytest.raises(BadLine, match="first remaining event; whether retention"):
            await imported(log, [a_line(seq=1, timestamp=101.0, writer="x")])
        assert (
            await imported(log, [a_line(seq=6, timestamp=106.0), a_line(seq=1, timestamp=107.0, writer="x")])
        ).done.added == 2

    asyncio.run(test())


def positional(name: str) -> bool:
    return name.startswith("task")


def test_positioned_events_land_at_their_position_or_not_at_all() -> None:
    async def test() -> None:
        lines = [
            a_line(name="task.claimed", seq=1, position="0:0"),
            a_line(name="order.paid", seq=2, position="0:1"),
            a_line(name="task.claimed", seq=3, position="0:2"),
        ]

        async def run(log: MemoryLog, lines: list[bytes], *, moved: bool = False) -> int:
            importer = Importer(jm.AsyncJournal(log), positional=positional, moved=moved)
            await importer.prepare()
            return (await importer.take(lines)).added

        whole = MemoryLog()
        assert await run(whole, lines) == 3
        assert await run(whole, lines) == 0
        for few in ([lines[2]], [lines[0], lines[2]], [a_line(name="task.claimed")]):
            with pytest.raises(BadLine, match=r"was at .* and would be at 0:"):
                await run(MemoryLog(), few)
            assert await run(MemoryLog(), few, moved=True) == len(few)
        with pytest.raises(BadLine, match=r"was at 2:0 and would be at [01]:0"):
            await run(MemoryLog(MemoryStore(2)), [a_line(name="task.claimed", position="2:0", key="a")])

    asyncio.run(test())


def test_concurrent_append_is_noticed_by_a_positioned_import() -> None:
    async def test() -> None:
        store = MemoryStore()
        journal = jm.AsyncJournal(MemoryLog(store))
        importer = Importer(journal, positional=positional)
        await importer.prepare()
        await MemoryLog(store).append([Draft("order.paid")])
        with pytest.raises(jm.JournalError, match="another program appended"):
            await importer.take([a_line(name="task.claimed", position="0:0")])

    asyncio.run(test())


def test_single_clock_import_keeps_times_and_counts_moved_ones(tmp_path: Path) -> None:
    with jm.Journal(f"sqlite:///{tmp_path}/j.db") as journal:
        last = journal.append("order.paid").timestamp
        importer = Importer(journal.asynchronous)
        journal.run(importer.prepare())
        lines = [a_line(timestamp=last - 0.5), a_line(seq=2, timestamp=5.0), a_line(seq=3, timestamp=8e9)]
        assert journal.run(importer.take(lines)).restamped == 1
        assert [event.timestamp for event in journal.read().events][2:] == [5.0, 8e9]


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.kafka
def test_kafka_export_can_be_imported_again(kafka_bootstrap: str, partitions: int) -> None:
    def url() -> str:
        return f"kafka://{kafka_bootstrap}/test-{uuid.uuid4()}?partitions={partitions}"

    async def test() -> None:
        async with jm.AsyncJournal(url()) as journal, jm.AsyncJournal(journal.url) as other:
            for number in range(40):
                writer = journal if number % 3 else other
                await writer.append("thing.made", {"number": number}, f"k{number % 7}")
            lines = await lines_of(journal.log)
        async with jm.AsyncJournal(url()) as copy:
            for cut in (13, 40, 40):
                await imported(copy.log, lines[:cut])
            assert await lines_of(copy.log) == lines
            tail = await copy.log.tail(
                (await copy.bounds()).first
            )  # readers drop what looks like a repeat: nothing does
            read = 0
            while read < 40 and (page := await tail.page(timeout=5.0)) is not None:
                read += len(page.rows)
            assert read == 40
            await tail.aclose()

    asyncio.run(test())


def test_exported_line_is_one_line_with_any_content() -> None:
    event = jm.Event(1.5, "a.b", msgspec.Raw(b'{ "a" :\n [1,\r\n"\\n"] }'), "k\n", "w", 3, 2, 1, 9)
    line = encode(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    back = parse(1, line)
    assert (back.place(), back.key, bytes(back.context)) == ((1, 9), "k\n", b'{"a":[1,"\\n"]}')
