"""Expires the sessions of workers that have failed, so that remote workers need no `journeyman worker` beside them.

The rules are those of every worker; see `tasks/failure_detector.py`. The service has no session of its own, so its
beats, which prove that the journal works, are refused by the fold and change nothing.
"""

import logging
import time

import anyio

from ...journal.errors import JournalError
from ...journal.event import Draft, encode_context
from ...tasks.failure_detector import FailureDetector
from ...tasks.limits import LEASE_MS_DEFAULT, WATCH_INTERVAL_SECONDS
from ...tasks.message import new_id
from ...tasks.state import names
from ..backend import Backend
from ..limits import REMOTE_IDLE_LOOK_SECONDS
from ..problems import Problem
from .appending import append_and_apply
from .counts import RemoteCounts
from .idle import IdleSessions

logger = logging.getLogger(__name__)
_NO_SESSIONS: frozenset[str] = frozenset()


class SessionWatch:
    """Watches all sessions in the backend's view."""

    def __init__(self, backend: Backend, idle: IdleSessions, counts: RemoteCounts) -> None:
        self._backend = backend
        self._counts = counts
        self._idle = idle
        self._detector = FailureDetector(LEASE_MS_DEFAULT / 1_000)
        self._name = new_id()
        self._look_at = 0.0

    async def run(self) -> None:
        """Watch until cancelled; without sessions to watch it waits for the next event."""
        while True:
            news = self._backend.news
            try:
                await self._look()
            except (JournalError, Problem) as error:  # the journal is away; the service says so where it follows it
                logger.debug("the watch over sessions waits for the journal: %s", error)
            await self._pause(news)

    async def _pause(self, news: anyio.Event) -> None:
        if not any(session.claims for session in self._backend.view.all_sessions()):
            with anyio.move_on_after(REMOTE_IDLE_LOOK_SECONDS):
                await news.wait()
        # After news as well: appends that follow each other closely do not each cause a look.
        await anyio.sleep(WATCH_INTERVAL_SECONDS)

    async def _look(self) -> None:
        view, now = self._backend.view, time.monotonic()
        if self._backend.trouble is not None:
            self._stop_clock()
        self._detector.observe(view, _NO_SESSIONS, now)
        if self._detector.to_probe(view):
            await self._probe()
        expired = [(each.partition, each.worker, each.last) for each in self._detector.to_expire(view)]
        if now >= self._look_at:
            self._look_at = now + REMOTE_IDLE_LOOK_SECONDS
            expired += [
                (each.partition, each.worker, each.last) for each in self._idle.overdue(view.all_sessions(), now)
            ]
        drafts = [
            self._draft(
                names.EXPIRED, worker, partition, {"worker": worker, "last": last, "by": self._name, "service": True}
            )
            for partition, worker, last in expired
        ]
        await append_and_apply(self._backend, drafts)
        self._counts.expired_sessions += len(drafts)

    async def _probe(self) -> None:
        partitions = range((await self._backend.journal.open()).partitions)
        proof = {"worker": self._name, "service": True}
        drafts = [self._draft(names.BEAT, self._name, each, proof) for each in partitions]
        try:
            await append_and_apply(self._backend, drafts)
        except (JournalError, Problem):
            self._stop_clock()
            raise
        for partition in partitions:
            self._detector.probed(partition)

    def _stop_clock(self) -> None:
        """Stop counting silence until the next observation: the journal is away."""
        self._detector.failure_began()
        self._detector.failure_ended()

    def _draft(self, name: str, key: str, partition: int, context: dict[str, object]) -> Draft:
        return Draft(name, encode_context(name, context), key, partition)
