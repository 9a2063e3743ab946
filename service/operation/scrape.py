"""Collects the samples of a scrape: those of the journal from the replica, those of this process from its counters."""

import time
from collections.abc import Iterator

from ...journal.log import Counting
from ...tasks.inspection.overview import TaskCounts, counted_overview
from ...tasks.inspection.schedules import next_tick_of
from ...tasks.metrics.exposition import build_info
from ...tasks.metrics.samples import (
    KnownQueues,
    RunCounts,
    append_samples,
    journal_samples,
    run_samples,
    schedule_samples,
)
from ...tasks.metrics.table import Distribution, Sample
from ...tasks.state.schedules import Schedules
from ..backend import Backend
from ..counted import counted
from .progress import ReplicaProgress
from .requests import RequestCounts


class Scraper:
    """Makes the samples of a service."""

    def __init__(self, backend: Backend, progress: ReplicaProgress, requests: RequestCounts, runs: RunCounts) -> None:
        self._backend = backend
        self._progress = progress
        self._requests = requests
        self._runs = runs
        self._known = KnownQueues()
        self._next_ticks = _NextTicks()

    async def samples(self) -> list[Sample | Distribution]:
        """Return all samples. Those of the journal are left out unless the view is current: absent is not zero."""
        current, found = await self._progress.current(), list[Sample | Distribution]()
        if current:
            found += self._of_journal(await counted(self._backend.view, time.time()))
        found.append(Sample("journeyman_replica_current", (), current))
        lag = 0 if current else await self._progress.lag()
        if lag is not None:
            found.append(Sample("journeyman_tail_lag_events", (), lag))
        found.append(Sample("journeyman_readers", (), self._backend.readers))
        log = self._backend.journal.log
        if isinstance(log, Counting):
            found += append_samples(log.append_counts)
        return [*found, *run_samples(self._runs), *self._requests.samples(), build_info()]

    def _of_journal(self, counts: TaskCounts) -> Iterator[Sample]:
        view = self._backend.view
        yield from journal_samples(counted_overview(view, counts), self._known)
        yield from schedule_samples(self._next_ticks.due(view.schedules, counts.now))


class _NextTicks:
    """The next tick of each schedule, computed anew only when the schedule has changed or the tick is due."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[int, int | None]] = {}

    def due(self, schedules: Schedules, now: float) -> Iterator[tuple[bool, float | None]]:
        """Yield for each schedule whether it is paused, and for how many seconds its next tick has been due."""
        now_ms, before = int(now * 1_000), self._of
        self._of = {}
        for schedule in schedules.values():
            changed, tick = before.get(schedule.name, (-1, None))
            if changed != schedule.changed or (tick is not None and tick <= now_ms):
                tick = next_tick_of(schedule, now_ms)
            self._of[schedule.name] = schedule.changed, tick
            overdue = None if tick is None or tick > now_ms else (now_ms - tick) / 1_000
            yield schedule.paused_at is not None, overdue
