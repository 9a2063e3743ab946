"""How late the ticks of many schedules are fired, beside as many timers of an event loop at the same moments."""

import asyncio
import contextlib
import datetime as dt
import time
from itertools import chain
from typing import Final

from apscheduler.triggers.interval import IntervalTrigger
from journeyman.bench import child
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, percentile, ratio_of
from journeyman.bench.tasks import broker
from journeyman.journal import Journal
from journeyman.tasks.state import names
from journeyman.tasks.trigger_task import TriggerTask

MILLISECONDS: Final = 1_000
# How many schedules tick in a second: each ticks once in a period, one after the other.
TICKS_PER_SECOND: Final = 100
# How long to wait for the worker to fire, and how often to look, in seconds.
FIRING_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.05


def embedded(bench: Bench) -> list[Figure]:
    """A worker in its own process fires; it runs none of the tasks, since it does not know their names."""
    count = bench.size.schedules
    period = max(1, count // TICKS_PER_SECOND)
    with bench.file("schedules") as path, contextlib.ExitStack() as stack:
        url = sqlite_url(path)
        journal = stack.enter_context(Journal(url))
        broker.bind(journal)
        begin = time.time() + period
        starts = [begin + period * number / count for number in range(count)]
        for number, start in enumerate(starts):
            moment = dt.datetime.fromtimestamp(start, dt.UTC)
            trigger = IntervalTrigger(seconds=period, start_date=moment)
            TriggerTask(_tick, trigger, broker, f"tick-{number}").generate()
        stack.enter_context(child.partner("latency:worker", url=url))
        late: list[list[float]] = []
        timers: list[list[float]] = []
        ready = time.time()
        for number in range(bench.size.few_rounds):
            bench.progress(f"schedules: round {number + 1} of {bench.size.few_rounds}")
            begun = time.time()
            timers.append(asyncio.run(_timers(period, count)))
            late.append(_lateness(journal, max(begun, ready), time.time()))
    ours, floors = [percentile(each, 50) for each in late], [percentile(each, 50) for each in timers]
    p99 = percentile(list(chain(*late)), 99)
    return [
        Figure(
            "schedules",
            f"how late a tick is fired, of {count:,} schedules",
            "ms (p50)",
            Spread.of(ours),
            Floor("a timer of an event loop", Spread.of(floors)),
            ratio_of(ours, floors),
            (Target("p99", "at most", 50.0, p99, "ms"),),
            {"p99_ms": p99, "floor_p99_ms": percentile(list(chain(*timers)), 99)},
        )
    ]


def _tick() -> None:
    """Do nothing, at a tick."""


def _lateness(journal: Journal, begun: float, ended: float) -> list[float]:
    """Return by how many ms each tick between the two moments was fired late; wait for the firing of a later one."""
    deadline = time.monotonic() + FIRING_SECONDS_MAX
    while time.monotonic() < deadline:
        ticks = _fired(journal, begun)
        late = [at - tick for tick, at in ticks if tick < ended * MILLISECONDS]
        if late and len(late) < len(ticks):
            return late
        time.sleep(LOOK_SECONDS)
    raise child.PartFailed(f"the worker has fired no tick within {FIRING_SECONDS_MAX:g} s")


def _fired(journal: Journal, begun: float) -> list[tuple[float, float]]:
    """Return the ticks since `begun` that have been fired, and when they were, both in ms since the epoch."""
    log = journal.asynchronous.log
    events = journal.read(journal.run(log.position_at(begun)), limit=1_000_000).events
    fired = [event for event in events if event.name == names.SCHEDULE_FIRED]
    ticks = [(float(event.context["tick"]), event.timestamp * MILLISECONDS) for event in fired]
    return [(tick, at) for tick, at in ticks if tick >= begun * MILLISECONDS]


async def _timers(period: float, count: int) -> list[float]:
    """Return by how many ms each of the timers of one period was late."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    late: list[float] = []

    def note(due: float) -> None:
        late.append((loop.time() - due) * MILLISECONDS)

    for number in range(count):
        due = begin + period * number / count
        loop.call_at(due, note, due)
    await asyncio.sleep(period)
    return late
