"""Keeps the trends of the last hour current, from the first time a caller asks until none has asked for a while."""

import logging
import time
from typing import NamedTuple

import anyio
from anyio import to_thread

from ...consumers.views.replica import Replica
from ...journal.async_journal import AsyncJournal
from ...journal.errors import JournalError
from ...journal.runtime import blocking
from ...tasks.trends.reading import TrendsAsOf, read_trends
from ...tasks.trends.trends import Trends
from ...tasks.trends.view import TrendView
from ..backend import Backend
from ..limits import (
    FOLLOW_AGAIN_SECONDS,
    TREND_IDLE_SECONDS,
    TREND_RECENT_SECONDS,
    TREND_WAIT_SECONDS,
    TREND_WIDTH_SECONDS,
)
from ..problems import Problem

logger = logging.getLogger(__name__)


class RecentTrends:
    """The trends of the last `TREND_RECENT_SECONDS`: read from the journal once, and then kept by its live events.

    They need a state of the tasks of their own, so they are followed only while callers ask for them.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._replica: Replica[TrendView] | None = None
        self._begun: float | None = None
        self._wanted = anyio.Event()
        self._ready = anyio.Event()
        self._asked_at = 0.0

    async def run(self) -> None:
        """Follow the journal whenever a caller has asked, until cancelled; an outage is waited out."""
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
            except JournalError:
                await anyio.sleep(FOLLOW_AGAIN_SECONDS)
            except Exception:  # the trends are read anew; the service goes on
                logger.exception("the trends could not be followed")
                await anyio.sleep(FOLLOW_AGAIN_SECONDS)

    async def _follow(self) -> None:
        """Read the last hour, and follow the journal as long as callers ask."""
        until = _boundary_after(time.time())
        found = await read_apart(self._backend.journal, until - TREND_RECENT_SECONDS, until, TREND_WIDTH_SECONDS)
        replica = Replica(self._backend.journal, found.view, found.cursor)
        self._begun = found.begun
        try:
            await replica.catch_up()
            self._replica = replica
            self._ready.set()
            while time.monotonic() - self._asked_at < TREND_IDLE_SECONDS:
                found.view.slide(time.time())
                await replica.advance(TREND_WIDTH_SECONDS)
            self._wanted = anyio.Event()
        finally:
            self._replica, self._ready = None, anyio.Event()
            await replica.aclose()

    async def trends(self) -> "RecentAnswer":
        """Return the trends by all events that the log holds now.

        `Problem` 503 if the hour cannot be read within `TREND_WAIT_SECONDS`: it is read on, so ask again.
        """
        self._asked_at = time.monotonic()
        self._wanted.set()
        with anyio.move_on_after(TREND_WAIT_SECONDS):
            await self._ready.wait()
            replica = self._replica
            if replica is not None:
                await replica.catch_up()
                now = time.time()
                replica.view.slide(now)
                return RecentAnswer(replica.view.trends, str(replica.cursor), now, self._begun)
        raise Problem(503, "trends-not-read", "the last hour is still being read from the journal", retry_after=1)


class RecentAnswer(NamedTuple):
    """The trends up to a moment, the cursor behind their last event, and where the journal's history begins."""

    trends: Trends
    cursor: str
    at: float
    begun: float | None


async def read_apart(journal: AsyncJournal, since: float, until: float, width: float) -> TrendsAsOf:
    """Read the trends of a window without holding up other requests: in a thread, if the log allows it."""
    log = await journal.open()
    if log.needs_loop:
        return await read_trends(journal, since, until, width)
    return await to_thread.run_sync(
        lambda: blocking.run(read_trends(journal, since, until, width)), abandon_on_cancel=True
    )


def _boundary_after(moment: float) -> float:
    """Return the next moment at which a bucket ends: buckets begin at whole multiples of their width."""
    return (moment // TREND_WIDTH_SECONDS + 1) * TREND_WIDTH_SECONDS
