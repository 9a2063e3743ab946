"""Starting a view from its newest snapshot, and taking new ones on the way, beside the reading.

Whoever follows the log with a view that has snapshots tells its keeper what was applied. When `SNAPSHOT_EVENTS` came
since the newest one, the keeper first looks whether somebody else has taken one meanwhile; only then is the state said,
between two pages, and packed and stored in the background. How far each reader waits beyond the threshold is drawn at
random, so that of many readers of one log nearly always one does the work and the others notice.
"""

import asyncio
import concurrent.futures
import logging
import math
import random
import time
import zlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from ...journal.cursor import Behind, Cursor
from ...journal.divergence import marked, refuse_diverged
from ...journal.errors import HistoryTruncated, JournalDiverged, JournalError
from ...journal.log import Log
from ...journal.runtime import blocking
from ...journal.snapshots import SnapshotLabel, distrust, fitting, load, prune, seal
from ..limits import SNAPSHOT_BYTES_PER_EVENT, SNAPSHOT_EVENTS
from ..truncation import first_moment
from .view import View

logger = logging.getLogger("journeyman")

_SPREAD: Final = 0.25
# Done beside the reading. A call, since a task that is cancelled before it begins leaves its coroutine behind.
_Work = Callable[[], Coroutine[Any, Any, None]]


class SnapshotKeeper:
    """The snapshots of `view`, which somebody keeps current from `log`; `every` is in events.

    For a view without snapshots it does nothing.
    """

    def __init__(self, log: Log, view: View, every: int = SNAPSHOT_EVENTS) -> None:
        self._log = log
        self._view = view
        self._every = every
        self._since = 0
        self._due = math.inf
        self._may_take = False
        self._job: concurrent.futures.Future[None] | asyncio.Task[None] | None = None

    async def start(self) -> Cursor:
        """Restore the view from its newest snapshot, and say where its reader goes on; without one, where log begins.

        `HistoryTruncated` if the beginning of history was removed and there is no snapshot instead.
        """
        bounds = await self._log.bounds()
        self._wait_for_more(0)
        if self._view.snapshot_name is None:
            return bounds.first
        restored = await self.restore(bounds.first, bounds.end)
        if restored is None:
            await refuse_gap(self._log, bounds.first, self._no_snapshot())
        return restored if restored is not None else bounds.first

    def _no_snapshot(self) -> str:
        return (
            f"No snapshot of the view {self._view.snapshot_name!r} (schema {self._view.snapshot_schema}) takes its "
            "place. Use the version that wrote the snapshots, or say from where to read: a cursor."
        )

    async def restore(self, first: Mapping[int, int], at: Mapping[int, int]) -> Cursor | None:
        """Restore the view from its newest snapshot that is neither before `first` nor after `at`; its cursor."""
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
            except Exception as error:  # whatever a view's own code raises: the log knows better
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
        """The snapshots that the view can be restored from, best first: of its schema, or of an older one in need."""
        name, schemas = self._view.snapshot_name or "", [self._view.snapshot_schema]
        if any(first.values()):
            schemas += self._view.older_snapshot_schemas
        return [label for schema in schemas for label in fitting(labels, name, schema, first=first, at=at)]

    async def oldest(self, first: Mapping[int, int]) -> Cursor | None:
        """The cursor of the oldest snapshot that the view could be restored from; None if there is none."""
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
        """Whether the events that the snapshot names stand where it says; those that retention removed are believed."""
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
        """A snapshot of so many bytes was restored or taken: from here on events are counted."""
        self._since, self._may_take = 0, False
        events = max(self._every, size // SNAPSHOT_BYTES_PER_EVENT)
        self._due = events * (1 + random.random() * _SPREAD) if self._view.snapshot_name is not None else math.inf

    def applied(self, cursor: Mapping[int, int], events: int, behind: Mapping[int, Behind] | None = None) -> None:
        """So many events more were applied, up to `cursor`: takes a snapshot when it is time. Costs nothing otherwise.

        Called by the reader that applies them, while the view is in the state that `cursor` names. `behind` are the
        events applied last, by partition; without it, they are read from the log when a snapshot is taken.
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
        """Take a snapshot of the view, which is as it was at `cursor`, and return when it is stored.

        `created` (seconds since the epoch; None: now) is a time before which all that it covers had happened.
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
        """Whatever is being stored is stored in the parent."""
        self._job = None

    def _in_background(self, work: _Work) -> "concurrent.futures.Future[None] | asyncio.Task[None]":
        guarded = self._guarded(work)
        if self._log.needs_loop:
            return asyncio.get_running_loop().create_task(guarded, name="journeyman-snapshot")
        return blocking.in_thread(lambda: blocking.run(guarded))

    async def _guarded(self, work: _Work) -> None:
        """A snapshot that cannot be taken is told of and tried again as many events later: nothing depends on it."""
        try:
            await work()
        except (JournalError, ValueError, OSError) as error:
            self._wait_for_more(0)
            logger.warning("no snapshot of the view %r was taken: %s", self._view.snapshot_name, error)

    async def _look(self, cursor: Cursor) -> None:
        """Learn how many events came since the newest snapshot, whoever took it."""
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
            return  # somebody else was faster
        store = self._log.snapshots()
        await store.save(label, sealed)
        await prune(store, label.view, (await self._log.bounds()).first)

    async def _sealed(self, cursor: Cursor, state: bytes, created: float | None = None) -> tuple[SnapshotLabel, bytes]:
        view, created = self._view, time.time() if created is None else created
        cursor = await marked(self._log, cursor)
        assert view.snapshot_name is not None, "asked only of views with snapshots"
        if self._log.needs_loop:
            return await asyncio.to_thread(seal, view.snapshot_name, view.snapshot_schema, cursor, created, state)
        return seal(view.snapshot_name, view.snapshot_schema, cursor, created, state)


async def _checksum(log: Log, partition: int, offset: int) -> int | None:
    """The checksum of the record at a position; None if there is none or it was removed."""
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
