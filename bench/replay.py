"""Replay of a history: through a consumer's iteration, and through the task view; memory as history grows."""

import contextlib
import threading
import time
from pathlib import Path
from typing import Final

import apsw
import msgspec
from journeyman.bench import child, raw_sqlite
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, ratio_of
from journeyman.bench.rows import history
from journeyman.consumers import JournalConsumer, JournalEventBase, Replica
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.consumers.views.view import View
from journeyman.journal import AsyncJournal, Event, Journal
from journeyman.journal.runtime import blocking
from journeyman.tasks import TaskView
from journeyman.tasks.trends.view import TrendView
from journeyman.tasks.trends.window import Window

# A task view keeps where tasks ended within the last 150,000 offsets, so its memory is level only beyond these.
VIEW_LEVEL_SHARE: Final = 5
GROWTH_MAX: Final = 1.1

# The answer of a pass over a history: `events`, `rate` in events/s, `cpu_us` an event, `peak_bytes` of memory.
Pass = dict[str, float]


def embedded(bench: Bench) -> list[Figure]:
    """One history in a file, read by fresh processes in turn: the floor, the iteration, the view."""
    with bench.file("history") as path:
        bench.progress(f"replay: writing a history of {bench.size.history_events:,} events")
        events = write_history(path, bench.size.history_events)
        url = sqlite_url(path)
        floor: list[Pass] = []
        iteration: list[Pass] = []
        view: list[Pass] = []
        trends: list[Pass] = []
        called: list[Pass] = []
        first: list[float] = []
        for number in range(bench.size.rounds):
            bench.progress(f"replay: round {number + 1} of {bench.size.rounds}")
            floor.append(child.run("replay:raw", path=str(path), events=events))
            iteration.append(child.run("replay:iterate", url=url, events=events))
            view.append(child.run("replay:fold", url=url, events=events))
            trends.append(child.run("replay:fold_trends", url=url, events=events))
            called.append(child.run("replay:call_back", url=url, events=events))
            first.append(child.run("replay:first_event", url=url))
        bench.progress("replay: memory")
        short = shorter(bench, events)
        short_iterations = repeated(bench, "replay:iterate", url, short)
        short_views = repeated(bench, "replay:fold", url, short)
        level_views = repeated(bench, "replay:fold", url, events // VIEW_LEVEL_SHARE)
        bench.progress("replay: start from a snapshot")
        child.run("replay:restart", url=url)  # finds none, replays, takes them
        stale = [child.run("replay:restart", url=url) for _ in range(bench.size.rounds)]
        child.run("replay:refresh", url=url)
        restarts = [child.run("replay:restart", url=url) for _ in range(bench.size.rounds)]
    title = "paged raw apsw scan and msgspec decode into Event"
    return [
        figure("replay-iteration", "replay through a consumer's iteration", title, iteration, floor, short_iterations),
        figure("replay-view", "replay through the task view", title, view, floor, level_views, short_views),
        _beside("replay-trends", "replay through the trends view", trends, "the task view", view, 0.25),
        _beside("callbacks", "replay through callbacks", called, "our own iteration", iteration, 0.7),
        bound("first-event", f"first event of a history of {events:,}", "ms", first, 50),
        _restart(f"task view of {events:,} events, from a fresh snapshot", restarts, stale),
    ]


def shorter(bench: Bench, events: int) -> int:
    """The length of the shorter history with which memory is compared."""
    return min(bench.size.short_history_events, events // 2)


def repeated(bench: Bench, part: str, url: str, events: int) -> list[Pass]:
    """A few passes over the first `events` of a history: what a process takes at its peak differs from run to run."""
    return [child.run(part, url=url, events=events) for _ in range(bench.size.few_rounds)]


def bound(name: str, title: str, unit: str, values: list[float], bar: float) -> Figure:
    """A figure with no floor, whose median is to stay below a bar."""
    ours = Spread.of(values)
    return Figure(name, title, unit, ours, targets=(Target("median", "at most", bar, ours.median, unit),))


def _restart(title: str, fresh: list[float], stale: list[float]) -> Figure:
    """Beside the start from a fresh snapshot, that from one as old as readers let them become by themselves."""
    figure = bound("restart", title, "ms", fresh, 500)
    return msgspec.structs.replace(figure, facts={"ms_from_one_that_is_nearly_due": Spread.of(stale).median})


def _beside(name: str, title: str, runs: list[Pass], peer: str, peers: list[Pass], bar: float) -> Figure:
    """A figure beside another replay of ours, of whose rate it has at least the share `bar`."""
    rates, others = [run["rate"] for run in runs], [run["rate"] for run in peers]
    ratio = ratio_of(rates, others)
    target = Target("ratio", "at least", bar, ratio.median, "")
    return Figure(name, title, "events/s", Spread.of(rates), Floor(peer, Spread.of(others)), ratio, (target,))


def figure(
    name: str, title: str, floor_title: str, runs: list[Pass], floor: list[Pass], level: list[Pass], *others: list[Pass]
) -> Figure:
    """The figure of a replay; `level` are passes over a shorter history whose peak of memory must not be outgrown."""
    rates, bare = [run["rate"] for run in runs], [run["rate"] for run in floor]
    ratio = ratio_of(rates, bare)
    peaks = {passes[0]["events"]: Spread.of([each["peak_bytes"] for each in passes]).median for passes in (runs, level)}
    growth = peaks[runs[0]["events"]] / peaks[level[0]["events"]]
    peaks |= {passes[0]["events"]: Spread.of([each["peak_bytes"] for each in passes]).median for passes in others}
    return Figure(
        name,
        title,
        "events/s",
        Spread.of(rates),
        Floor(floor_title, Spread.of(bare)),
        ratio,
        (
            Target("ratio", "at least", 0.5, ratio.median, ""),
            Target(f"peak memory ÷ peak at {level[0]['events']:,.0f} events", "at most", GROWTH_MAX, growth, ""),
        ),
        {
            "events": runs[0]["events"],
            "cpu_us_per_event": Spread.of([run["cpu_us"] for run in runs]).median,
            "floor_cpu_us_per_event": Spread.of([run["cpu_us"] for run in floor]).median,
            **{f"peak_mib_at_{count:,.0f}": peaks[count] / child.MIB for count in sorted(peaks)},
        },
    )


class Start:
    """The moment a pass begins."""

    def __init__(self) -> None:
        self._seconds = time.perf_counter()
        self._cpu_seconds = child.cpu_seconds()

    def answer(self, events: int) -> Pass:
        """The answer for the pass since then, over that many events."""
        seconds, cpu = time.perf_counter() - self._seconds, child.cpu_seconds() - self._cpu_seconds
        return {
            "events": events,
            "rate": events / seconds,
            "cpu_us": cpu / events * 1e6,
            "peak_bytes": child.peak_bytes(),
        }


def write_history(path: Path, events: int) -> int:
    """Write a history into the file, without waiting for the disk; return how many events it has."""
    written = 0
    with Journal(sqlite_url(path) + "?sync=normal") as journal:
        for drafts in history(events):
            written += len(journal.append_drafts(drafts))
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    return written


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def raw(path: str, events: int) -> Pass:
    """The floor: pages by position, each row decoded into an `Event`, each event looked at."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    decode = msgspec.json.Decoder(Event).decode
    position, seen = 0, 0
    started = Start()
    while seen < events:
        rows = raw_sqlite.page(connection, position)
        position = rows[-1][0]
        for event in [decode(row) for _, row in rows]:
            assert event.name
            seen += 1
    return started.answer(seen)


def iterate(url: str, events: int) -> Pass:
    """`for event in consumer`, each event looked at."""
    seen = 0
    with Journal(url) as journal, contextlib.closing(_consumer(journal)) as consumer:
        started = Start()
        consumer.start()
        for event in consumer:
            assert event.name
            seen += 1
            if seen >= events:
                break
        return started.answer(seen)


def call_back(url: str, events: int) -> Pass:
    """A callback for each event, which looks at it."""
    seen = 0
    through = threading.Event()

    def look(event: JournalEventBase | None) -> None:
        nonlocal seen
        assert event is not None
        assert event.name
        seen += 1
        if seen == events:
            through.set()

    with Journal(url) as journal, contextlib.closing(_consumer(journal)) as consumer:
        consumer.set_callback(look)
        started = Start()
        consumer.start()
        through.wait()
        return started.answer(events)


def first_event(url: str) -> float:
    """From `start()` to the first event, in ms; the journal is open."""
    with Journal(url) as journal, contextlib.closing(_consumer(journal)) as consumer:
        journal.bounds()
        started = time.perf_counter()
        consumer.start()
        assert consumer.poll(timeout=10.0) is not None
        return (time.perf_counter() - started) * 1_000


def restart(url: str) -> float:
    """From a closed journal to a task view that has all of it, in ms."""

    async def catch_up() -> float:
        started = time.perf_counter()
        async with AsyncJournal(url) as journal:
            replica = Replica(journal, TaskView())
            await replica.catch_up()
            milliseconds = (time.perf_counter() - started) * 1_000
            await replica.aclose()  # once a snapshot on its way is stored
        return milliseconds

    return blocking.run(catch_up())


def refresh(url: str) -> bool:
    """Take a snapshot of the task view where the journal ends now."""

    async def take() -> bool:
        async with AsyncJournal(url) as journal:
            replica = Replica(journal, TaskView())
            cursor = await replica.catch_up()
            await SnapshotKeeper(await journal.open(), replica.view).take(cursor)
            await replica.aclose()
        return True

    return blocking.run(take())


def fold(url: str, events: int) -> Pass:
    """A replica of the task view, from the first event on."""
    return blocking.run(_fold(url, events, TaskView()))


def fold_trends(url: str, events: int) -> Pass:
    """A replica of the trends of the last hour, in buckets of 10 s, from the first event on."""
    now = time.time()
    return blocking.run(_fold(url, events, TrendView(Window.between(now - 3_600, now, 10))))


async def _fold(url: str, events: int, view: View) -> Pass:
    async with AsyncJournal(url) as journal:
        replica = Replica(journal, view, {0: 0})  # a cursor, so that no snapshot spares it the history
        started = Start()
        await replica.wait_for({0: events})
        answer = started.answer(replica.cursor[0])
        await replica.aclose()
        return answer


def _consumer(journal: Journal) -> JournalConsumer:
    return JournalConsumer(journal, "")
