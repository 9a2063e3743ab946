"""Start a view from its newest snapshot, and take new snapshots while reading.

A reader of the log reports to the keeper of its view's snapshots which events were applied. After `SNAPSHOT_EVENTS`
events since the newest snapshot, the keeper first checks whether another process has taken one meanwhile. If not, it
serialises the state between two pages, and compresses and stores it in the background. Each reader waits a random
number of events beyond the threshold, so that of many readers of one log nearly always only one takes the snapshot.
"""

import asyncio
import concurrent.futures
import logging
import math
import random
import time
import zlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from ...journal.cursor import Behind, Cursor
from ...journal.divergence import marked, refuse_diverged
from ...journal.errors import HistoryTruncated, JournalDiverged, JournalError
from ...journal.log import Log
from ...journal.runtime import blocking
from ...journal.snapshots import SnapshotLabel, distrust, fitting, load, prune, seal
from ..limits import SNAPSHOT_BYTES_PER_EVENT, SNAPSHOT_EVENTS, SNAPSHOT_SPREAD_SHARE
from ..truncation import first_moment
from .view import View

logger = logging.getLogger("journeyman")

# Background work. A factory, because a task cancelled before its first step would leave its coroutine unawaited.
_Work = Callable[[], Coroutine[Any, Any, None]]


class SnapshotKeeper:
    """Restores and takes the snapshots of `view`, which its reader keeps current from `log`; `every` is in events.

    For a view without snapshots it does nothing.
    """

    def __init__(self, log: Log, view: View, every: int = SNAPSHOT_EVENTS) -> None:
        self._log = log
        self._view = view
        self._every = every
        self._since = 0
        self._due = math.inf
        self._may_take = False
        self._wait_for_more(0)
        self._job: concurrent.futures.Future[None] | asyncio.Task[None] | None = None

    async def start(self) -> Cursor:
        """Restore the view from its newest snapshot; return where its reader continues, without one the log's start.

        `HistoryTruncated` if the beginning of history was removed and no snapshot replaces it.
        """
        bounds = await self._log.bounds()
        if self._view.snapshot_name is None:
            return bounds.first
        restored = await self.restore(bounds.first, bounds.end)
        if restored is None:
            await refuse_gap(self._log, bounds.first, self._no_snapshot())
        return restored if restored is not None else bounds.first

    def _no_snapshot(self) -> str:
        return (
            f"No snapshot of the view {self._view.snapshot_name!r} (schema {self._view.snapshot_schema}) replaces it. "
            "Use the version that wrote the snapshots, or give a cursor to start from."
        )

    async def restore(self, first: Mapping[int, int], at: Mapping[int, int]) -> Cursor | None:
        """Restore the view from its newest snapshot within `first` and `at`; return its cursor, None without one."""
        view = self._view
        name, schema = view.snapshot_name, view.snapshot_schema
        if name is None:
            return None
        labels = await self._listed()
        for label in self._usable(labels, first, at):
            snapshot = await load(self._log.snapshots(), label)
            if snapshot is None or not await self._is_of_this_journal(label, first):
                continue
            try:
                view.restore(snapshot.state)
            except Exception as error:  # whatever a view's own code raises: the log can be replayed
                distrust(label, f"the view does not take it ({type(error).__name__}: {error})")
                continue
            self._wait_for_more(len(snapshot.state))
            return label.cursor
        for label in labels:
            if label.view == name and label.schema != schema:
                distrust(label, f"its schema is {label.schema}, the view's is {schema}")
        return None

    def _usable(
        self, labels: Sequence[SnapshotLabel], first: Mapping[int, int], at: Mapping[int, int] | None = None
    ) -> list[SnapshotLabel]:
        """Return the snapshots that the view can be restored from, best first; older schemas only if needed."""
        name, schemas = self._view.snapshot_name or "", [self._view.snapshot_schema]
        if any(first.values()):
            schemas += self._view.older_snapshot_schemas
        return [label for schema in schemas for label in fitting(labels, name, schema, first=first, at=at)]

    async def oldest(self, first: Mapping[int, int]) -> Cursor | None:
        """Return the cursor of the oldest snapshot that the view could be restored from; None if there is none."""
        labels = await self._listed()
        found = sorted(self._usable(labels, first), key=lambda label: label.reach)
        return found[0].cursor if found else None

    async def _listed(self) -> Sequence[SnapshotLabel]:
        try:
            return await self._log.snapshots().listed()
        except JournalError as error:
            logger.warning("the snapshots of %s cannot be read, its history is replayed: %s", self._log.url, error)
            return ()

    async def _is_of_this_journal(self, label: SnapshotLabel, first: Mapping[int, int]) -> bool:
        """Whether the journal has the events that the snapshot names; removed ones are assumed to match."""
        try:
            await refuse_diverged(self._log, label.cursor)
        except JournalDiverged as error:
            distrust(label, str(error))
            return False
        if not label.anchor:  # an older version's snapshots name one event by its checksum
            return True
        partition, offset, checksum = map(int, label.anchor.split(":"))
        if offset < first.get(partition, 0):
            return True
        if await _checksum(self._log, partition, offset) == checksum:
            return True
        distrust(label, "the journal does not hold the events it was made of")
        return False

    def _wait_for_more(self, size: int) -> None:
        """Restart the count of events, after a snapshot of `size` bytes was restored or taken."""
        self._since, self._may_take = 0, False
        events = max(self._every, size // SNAPSHOT_BYTES_PER_EVENT)
        self._due = (
            events * (1 + random.random() * SNAPSHOT_SPREAD_SHARE) if self._view.snapshot_name is not None else math.inf
        )

    def applied(self, cursor: Mapping[int, int], events: int, behind: Mapping[int, Behind] | None = None) -> None:
        """Count `events` more that were applied, up to `cursor`, and take a snapshot when due; otherwise cheap.

        Called by the reader that applies them, while the view is in the state at `cursor`. `behind` are the events
        applied last, by partition; without it, they are read from the log when a snapshot is taken.
        """
        self._since += events
        if self._since < self._due or not (self._job is None or self._job.done()):
            return
        if not self._may_take:
            applied = Cursor(cursor)
            self._job = self._in_background(lambda: self._look(applied))
            return
        state, reached = self._view.snapshot(), Cursor(cursor, dict(behind or {}))
        self._wait_for_more(len(state))
        self._job = self._in_background(lambda: self._save(reached, state))

    async def take(self, cursor: Mapping[int, int], created: float | None = None) -> SnapshotLabel:
        """Take a snapshot of the view, which is in the state at `cursor`, and return when it is stored.

        `created` (seconds since the epoch; None: now) is a time before which all events that it covers had happened.
        """
        label, sealed = await self._sealed(Cursor(cursor), self._view.snapshot(), created)
        await self._log.snapshots().save(label, sealed)
        return label

    async def aclose(self) -> None:
        """Wait for a snapshot that is being stored."""
        job = self._job
        if isinstance(job, concurrent.futures.Future):
            await blocking.settled(job)
        elif job is not None:
            await asyncio.wait([job])

    def after_fork_in_child(self) -> None:
        """Forget a snapshot that is being stored: the parent stores it."""
        self._job = None

    def _in_background(self, work: _Work) -> "concurrent.futures.Future[None] | asyncio.Task[None]":
        guarded = self._guarded(work)
        if self._log.needs_loop:
            return asyncio.get_running_loop().create_task(guarded, name="journeyman-snapshot")
        return blocking.in_thread(lambda: blocking.run(guarded))

    async def _guarded(self, work: _Work) -> None:
        """Log a failed snapshot and try again as many events later: snapshots are only an optimisation."""
        try:
            await work()
        except (JournalError, ValueError, OSError) as error:
            self._wait_for_more(0)
            logger.warning("no snapshot of the view %r was taken: %s", self._view.snapshot_name, error)

    async def _look(self, cursor: Cursor) -> None:
        """Count the events since the newest snapshot of any process, and allow taking one if there are enough."""
        since = sum(cursor.values()) - await self._newest_reach()
        if since >= self._every:
            self._may_take = True
        else:
            self._since = max(0, since)

    async def _newest_reach(self) -> int:
        labels = await self._log.snapshots().listed()
        name, schema = self._view.snapshot_name or "", self._view.snapshot_schema
        return max((label.reach for label in fitting(labels, name, schema, first={})), default=0)

    async def _save(self, cursor: Cursor, state: bytes) -> None:
        label, sealed = await self._sealed(cursor, state)
        if label.reach - await self._newest_reach() < self._every:
            return  # another process was faster
        store = self._log.snapshots()
        await store.save(label, sealed)
        await prune(store, label.view, (await self._log.bounds()).first)

    async def _sealed(self, cursor: Cursor, state: bytes, created: float | None = None) -> tuple[SnapshotLabel, bytes]:
        view, created = self._view, time.time() if created is None else created
        cursor = await marked(self._log, cursor)
        assert view.snapshot_name is not None, "only called for views with snapshots"
        if self._log.needs_loop:
            return await asyncio.to_thread(seal, view.snapshot_name, view.snapshot_schema, cursor, created, state)
        return seal(view.snapshot_name, view.snapshot_schema, cursor, created, state)


async def _checksum(log: Log, partition: int, offset: int) -> int | None:
    """Return the checksum of the record at a position; None if there is none or it was removed."""
    try:
        pages = await log.read({partition: offset}, 1)
    except HistoryTruncated:
        return None
    return zlib.crc32(pages[0].rows[0]) if pages and pages[0].offsets[0] == offset else None


async def refuse_gap(log: Log, first: Mapping[int, int], advice: str) -> None:
    """Raise `HistoryTruncated`, with the first moment available, if the beginning of a partition was removed."""
    for partition, offset in first.items():
        if offset:
            raise HistoryTruncated(partition, 0, offset, await first_moment(log, partition, offset), advice)
