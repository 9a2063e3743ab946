"""Durable appends to the file: one by one, and in batches of a thousand."""

import time
from collections.abc import Callable
from typing import Final

from journeyman.bench import raw_sqlite
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, ratio_of
from journeyman.bench.rows import encoded, items
from journeyman.journal import Journal

BATCH_EVENTS: Final = 1_000
# A round is short and there are many: a disturbance spoils the ratio of one of them, not their median.
SLICES: Final = 8

Work = Callable[[range], None]


def one_by_one(bench: Bench) -> list[Figure]:
    """`Journal.append`, each call durable when it returns, beside one autocommitted insert of the same row."""
    count = bench.size.lone_appends
    events = items(count)
    rows = encoded(events)
    with bench.file("ours") as ours, bench.file("raw") as raw, Journal(sqlite_url(ours)) as journal:
        connection = raw_sqlite.connect(raw)

        def append(part: range) -> None:
            for index in part:
                journal.append(*events[index])

        def insert(part: range) -> None:
            for index in part:
                connection.execute(raw_sqlite.INSERT, (rows[index],))

        rounds = alternate(bench, "appends one by one", count, append, insert)
        connection.close()
    return [figure("append-one", "durable appends one by one", "raw apsw commits of the same row", rounds, 1, 0.8)]


def in_batches(bench: Bench) -> list[Figure]:
    """`Journal.append_all` of 1,000 contexts, beside `executemany` and commit of 1,000 rows encoded before."""
    count = bench.size.batches
    batches = [items(BATCH_EVENTS, start=number * BATCH_EVENTS) for number in range(count)]
    rows = [encoded(batch) for batch in batches]
    with bench.file("ours") as ours, bench.file("raw") as raw, Journal(sqlite_url(ours)) as journal:
        connection = raw_sqlite.connect(raw)

        def append(part: range) -> None:
            for index in part:
                journal.append_all(batches[index])

        def insert(part: range) -> None:
            for index in part:
                raw_sqlite.append_batch(connection, rows[index])

        rounds = alternate(bench, "appends in batches", count, append, insert)
        connection.close()
    floor = "raw apsw executemany and commit, rows encoded before"
    return [figure("append-batch", "appends in batches of 1,000", floor, rounds, BATCH_EVENTS, 0.5)]


class Side:
    """One of the two sides: its work, and its rate (per second) and CPU time (µs each) in every round."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.rates: list[float] = []
        self.cpu_us: list[float] = []

    def round(self, part: range) -> None:
        """Do a part of the work and record its time."""
        started, cpu = time.perf_counter(), time.process_time()
        self._work(part)
        self.rates.append(len(part) / (time.perf_counter() - started))
        self.cpu_us.append((time.process_time() - cpu) / len(part) * 1e6)


def alternate(bench: Bench, what: str, count: int, ours: Work, floor: Work) -> tuple[Side, Side]:
    """Run each side `count` times for every round of the run's size, in slices that take turns."""
    sides = (Side(ours), Side(floor))
    ours(range(1))
    floor(range(1))
    for number in range(bench.size.rounds):
        bench.progress(f"{what}: round {number + 1} of {bench.size.rounds}")
        for each in range(SLICES):
            part = range(count * each // SLICES, count * (each + 1) // SLICES)
            for side in sides if part else ():
                side.round(part)
    return sides


def figure(name: str, title: str, floor_title: str, sides: tuple[Side, Side], each: int, bar: float) -> Figure:
    """The figure of two sides that appended `each` events at a time; `bar` is the least ratio aimed at."""
    ours, floor = sides
    ratio = ratio_of(ours.rates, floor.rates)
    return Figure(
        name,
        title,
        "events/s",
        Spread.of([rate * each for rate in ours.rates]),
        Floor(floor_title, Spread.of([rate * each for rate in floor.rates])),
        ratio,
        (Target("ratio", "at least", bar, ratio.median, ""),),
        {
            "cpu_us_per_event": Spread.of(ours.cpu_us).median / each,
            "floor_cpu_us_per_event": Spread.of(floor.cpu_us).median / each,
        },
    )
