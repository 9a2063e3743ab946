"""Find the events of a task in a journal, exact as of the end of the log.

A look-up reads the index's file and then the few events that the file does not cover. These are kept in memory and
written to the file in batches, so the next look-up, of this process or another, continues from there. Workers fill the
file as well. The state of a task is not decided here; see `trace`.
"""

import concurrent.futures
import logging
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple, TypeVar

import apsw

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.errors import HistoryTruncated
from ...journal.event import Event
from ...journal.limits import PAGE_EVENTS
from ...journal.log import Bounds, Log, Sited, Textual
from ...journal.runtime import blocking
from ...journal.runtime.forks import reset_after_fork
from ..limits import (
    INDEX_BATCH_EVENTS,
    INDEX_BATCHES_WAITING_MAX,
    INDEX_LONG_BATCH_EVENTS,
    INDEX_NEWS_EVENTS,
    INDEX_SEARCH_EVENTS,
)
from .background import BackgroundFill
from .batch import Batch
from .entries import NOWHERE, IndexEntry, SessionRow, judge
from .identity import continues, is_of
from .rows import Covered
from .search import Searched, search, search_sessions
from .store import NotOurs, Store

logger = logging.getLogger("journeyman.index")

T = TypeVar("T")

# Called with the number of events behind the file that have been read, and their total.
Progress = Callable[[int, int], None]
# Searches partition 0 from one offset up to another; None if that is impossible.
Search = Callable[[int, int], Awaitable[Searched | None]]

_NAME: Final = "task index"


class IndexSnapshot(NamedTuple):
    """The index and the events behind it for one partition, as of a moment.

    `first` is the oldest event that the log holds there, `end` the end of the log, which all of this covers.
    """

    store: Store
    batch: Batch
    partition: int
    first: int
    end: Cursor
    infers: bool
    sessions: dict[str, list[SessionRow]]  # those that were looked up, by worker

    def entries_of(self, task_id: str) -> list[IndexEntry]:
        """Return the events of a task that the log still holds, in order; possibly also those of an id with its key."""
        found = [*self.store.entries_of(task_id), *self.batch.entries_of(task_id)]
        places = {(entry.partition, entry.offset): entry for entry in found}
        return sorted(entry for entry in places.values() if self._holds(entry))

    def _holds(self, entry: IndexEntry) -> bool:
        return entry.partition != self.partition or entry.offset >= self.first

    def sessions_of(self, worker: str) -> list[SessionRow]:
        """The sessions of a worker, the oldest first."""
        found = self.sessions.get(worker)
        if found is None:
            rows, covered = self.store.sessions_of(worker, self.partition)
            news = self.batch.events_of(worker).since(covered)  # the file may cover a part of the batch by now
            found = self.sessions[worker] = judge(worker, self.partition, rows, news, infers=self.infers)
        return found


class _Pending(NamedTuple):
    """A batch that is not in the file yet, and what the file covered when the batch was begun."""

    batch: Batch
    after: Covered


class TaskIndex:
    """The index of one journal in one process, kept in `store`. See `task_index` for the shared instance."""

    def __init__(self, journal: AsyncJournal, store: Store) -> None:
        self._journal = journal
        self._store = store
        self._mutex = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._verified: dict[int, Covered] = {}
        self._building: concurrent.futures.Future[None] | None = None
        self._submitted = 0  # since a thread was last asked to fill it
        self._background = BackgroundFill(journal, self.fill_apart)
        reset_after_fork(self)

    async def snapshot(
        self, partition: int, progress: Progress | None = None, *, task_id: str = "", worker: str | None = None
    ) -> IndexSnapshot:
        """Return a snapshot as of the end of `partition` at the moment of the call.

        With `task_id` it may lack the events of other tasks, with `worker` those of all tasks and of workers that
        joined earlier (an empty id: of none); it is then fast, however far the index is behind.
        """
        log = await self._journal.open()
        bounds = await log.bounds()
        look: Search | None = None
        if task_id:
            look = partial(search, log, task_id)
        elif worker is not None:
            look = partial(search_sessions, log, worker)
        while True:
            batch, covered = await self._next_batch(log, partition, bounds)
            behind = bounds.end[partition] - batch.next_offset
            if look is not None and behind > INDEX_SEARCH_EVENTS and not self.is_private:
                self._keep(batch, covered)
                found = await self._searched(look, batch, covered, bounds)
                if found is not None:
                    return found
                look = None
                continue
            if behind <= INDEX_NEWS_EVENTS:
                batch, covered = await self._read_on(log, batch, covered, bounds, progress)
                break
            if await self._others_build():
                continue
            logger.info("the task index of %s is %s events behind: reading them", self._journal.url, f"{behind:,}")
            try:
                batch, covered = await self._read_on(log, batch, covered, bounds, progress)
            finally:
                self._built()
            break
        self._keep(batch, covered)
        return self._known(batch, covered, bounds)

    async def _searched(self, look: Search, batch: Batch, covered: Covered, bounds: Bounds) -> IndexSnapshot | None:
        """Search the many events that are not in the file yet; None if that is impossible."""
        found = await look(batch.base, bounds.end[batch.partition])
        if found is None:
            return None
        self._background.begin()
        return self._known(found.batch, covered, bounds, begins_later=found.begins_later)

    def count_submissions(self, count: int) -> None:
        """Count tasks submitted by this process; every `INDEX_SEARCH_EVENTS` of them a thread indexes the log."""
        self._submitted += count
        if self._submitted >= INDEX_SEARCH_EVENTS:
            self._submitted = 0
            self._background.begin(busy=True)

    def fill_apart(self, progress: Progress) -> None:
        """Fill the file through a separate connection, so that readers do not wait; a private one is left to them."""
        self.covered_up_to(0)  # detects whether the file can be used
        if self.is_private:
            return
        store = Store(self._store.path)
        try:
            blocking.run(TaskIndex(self._journal, store).catch_up(progress))
        finally:
            store.close()

    def _keep(self, batch: Batch, covered: Covered) -> None:
        with self._mutex:
            self._pending[batch.partition] = _Pending(batch, covered)

    def _known(self, batch: Batch, covered: Covered, bounds: Bounds, *, begins_later: bool = False) -> IndexSnapshot:
        infers = begins_later or (covered.first if covered.next_offset != NOWHERE else batch.base) > 0
        return IndexSnapshot(self._store, batch, batch.partition, bounds.first[batch.partition], bounds.end, infers, {})

    async def catch_up(self, progress: Progress | None = None) -> None:
        """Index all events that are in the log now."""
        log = await self._journal.open()
        for partition in range(log.partitions):
            batch = None
            while batch is None:  # None if another thread has taken it to read on
                found = await self.snapshot(partition, progress)
                batch = self._take(partition)
            if batch.events:
                bounds = Bounds(Cursor({partition: found.first}), found.end)
                await self._write(batch, await self._covered(log, partition, bounds))
            self._prune(partition, found.first, progress)

    def _prune(self, partition: int, first: int, progress: Progress | None) -> None:
        """Remove the rows of events that retention has removed, a few thousand tasks at a time."""
        if self._on_store(lambda store: store.pruned(partition)) >= first:
            return
        after: bytes | None = b""
        while after is not None:
            after = self._on_store(lambda store, after=after: store.prune(partition, first, after))  # type: ignore[misc]
            if progress is not None:
                progress(0, 0)

    # -- submissions of this process ---------------------------------------------------------------------------------

    def end_without(self, partition: int, task_id: str) -> int | None:
        """Return the offset up to which this process has read the log, if it holds no event of the task before it.

        None if there may be one, or if the log has to be read to know that.
        """
        pending = self._pending.get(partition)
        if pending is None:
            return None
        batch, after = pending
        end = batch.next_offset  # read first, as other threads may add events behind it from now on
        if batch.events >= INDEX_BATCH_EVENTS or batch.may_hold(task_id):
            return None
        return end if self._store.lacks(task_id, partition, after) else None

    def note_submission(self, event: Event) -> None:
        """Add a submission of this process, so that it is not read from the log again."""
        with self._mutex:
            pending = self._pending.get(event.partition)
            if pending is not None and pending.batch.next_offset == event.offset:
                pending.batch.take_submission(event)

    async def read_news(self, partition: int) -> None:
        """Read the events since the last look, if there was one, without reading the bounds of the log."""
        log = await self._journal.open()
        with self._mutex:
            pending = self._pending.pop(partition, None)
        if pending is None:
            return
        batch = pending.batch
        while batch.events < INDEX_BATCH_EVENTS:
            try:
                pages = await log.read({partition: batch.next_offset}, PAGE_EVENTS)
            except HistoryTruncated:
                return
            for page in pages:
                batch.take(page)
            if sum(len(page.rows) for page in pages) < PAGE_EVENTS:
                break
        with self._mutex:
            self._pending[partition] = pending

    @property
    def is_private(self) -> bool:
        """Whether the index is visible to this process only."""
        return self._store.is_private

    def covered_up_to(self, partition: int) -> int:
        """Return how far the file covers a partition, unverified; 0 if it does not."""
        return max(0, self._on_store(lambda store: store.covered(partition)).next_offset)

    # -- reading the events behind the file --------------------------------------------------------------------------

    async def _next_batch(self, log: Log, partition: int, bounds: Bounds) -> tuple[Batch, Covered]:
        """Return the pending batch, if it still begins where the file ends; else a new one."""
        covered = await self._covered(log, partition, bounds)
        base = covered.next_offset if covered.next_offset != NOWHERE else bounds.first[partition]
        batch = self._take(partition)
        if batch is None or batch.base != base:
            batch = Batch(partition, base)
        return batch, covered

    def _take(self, partition: int) -> Batch | None:
        """Remove and return the pending batch, for the caller alone; None if there is none."""
        with self._mutex:
            pending = self._pending.pop(partition, None)
        return None if pending is None else pending.batch

    async def _read_on(
        self, log: Log, batch: Batch, covered: Covered, bounds: Bounds, progress: Progress | None
    ) -> tuple[Batch, Covered]:
        """Read on to the end and write full batches; return the last batch, and what the file covers before it."""
        end = bounds.end[batch.partition]
        begun, everything = batch.next_offset, end - batch.next_offset
        if batch.events >= INDEX_BATCH_EVENTS:  # of this process's own submissions
            batch, covered = await self._flushed(log, batch, covered, bounds)
        while batch.next_offset < end:
            if not await _take_next(log, batch, end):
                break  # only repeats are left, which readers do not get
            is_far_behind = end - batch.next_offset >= INDEX_LONG_BATCH_EVENTS
            if batch.events >= (INDEX_LONG_BATCH_EVENTS if is_far_behind else INDEX_BATCH_EVENTS):
                batch, covered = await self._flushed(log, batch, covered, bounds)
            if progress is not None:
                progress(batch.next_offset - begun, everything)
        return batch, covered

    async def _flushed(self, log: Log, batch: Batch, covered: Covered, bounds: Bounds) -> tuple[Batch, Covered]:
        """Write `batch`, and return the next one; return `batch` itself if another process is writing now."""
        if not await self._write(batch, covered):
            busy = await self._covered(log, batch.partition, bounds) == covered
            if busy and batch.events < INDEX_LONG_BATCH_EVENTS + INDEX_BATCHES_WAITING_MAX * INDEX_BATCH_EVENTS:
                return batch, covered  # another process is writing: retried with the next page
        return await self._next_batch(log, batch.partition, bounds)

    async def _write(self, batch: Batch, covered: Covered) -> bool:
        if not self._journal.log.needs_loop:
            return self._on_store(lambda store: store.write(batch, covered))
        written = blocking.in_thread(lambda: self._on_store(lambda store: store.write(batch, covered)))
        await blocking.settled(written)
        return written.result()

    # -- verifying that the file is of this log ----------------------------------------------------------------------

    async def _covered(self, log: Log, partition: int, bounds: Bounds) -> Covered:
        """Return how far the file covers the partition; first clear a file that was made of another log."""
        covered = self._on_store(lambda store: store.covered(partition))
        known = self._verified.get(partition)
        if known is not None and continues(known, covered, bounds, partition):
            return covered
        bounds = await log.bounds()  # another process may have indexed events newer than the caller's bounds
        if not await is_of(log, partition, covered, bounds):
            url = self._journal.url
            logger.info("the task index of %s does not match this log: it is built anew", url)
            self._on_store(lambda store: store.clear(covered.generation))
            covered = self._on_store(lambda store: store.covered(partition))
            if covered.next_offset != NOWHERE:
                return await self._covered(log, partition, bounds)  # another process has filled it meanwhile
        self._verified[partition] = covered
        return covered

    def _on_store(self, work: Callable[[Store], T]) -> T:
        """Return the result of `work`; if the file cannot be used, switch to a private index for good."""
        store = self._store
        try:
            return work(store)
        except (NotOurs, OSError, apsw.Error) as error:
            if store.is_private:
                raise
            logger.warning(
                "the task index %s cannot be used (%s): this process, and each other one that looks up tasks, reads "
                "the whole journal and keeps an index of its own. Make the path writable; for Kafka, name another "
                "directory: state= in the URL, or JOURNEYMAN_STATE.",
                store.path,
                error,
            )
            self._use_private()
            store.close()
            return work(self._store)

    def _use_private(self) -> None:
        self._store, self._pending, self._verified = Store(""), {}, {}

    # -- one thread builds, the others wait --------------------------------------------------------------------------

    async def _others_build(self) -> bool:
        """Wait while another thread or task reads a long stretch; return False if the caller has to read it."""
        with self._mutex:
            building = self._building
            if building is None:
                self._building = concurrent.futures.Future()
                return False
        await blocking.settled(building)
        return True

    def _built(self) -> None:
        with self._mutex:
            building, self._building = self._building, None
        if building is not None:
            building.set_result(None)

    async def aclose(self) -> None:
        """Close the file; events that were read and not written are read again by the next reader."""
        await self._background.aclose()
        self._store.close()

    def after_fork_in_child(self) -> None:
        """Begin with new locks: the threads that read or waited are in the parent."""
        self._mutex = threading.Lock()
        self._building = None
        self._pending = {}
        self._background.after_fork_in_child()
        if self._store.is_private:
            self._use_private()


def task_index(journal: AsyncJournal) -> TaskIndex:
    """Return the index that this process keeps with `journal`, made at first use and closed with it."""
    index = journal.companions.get(_NAME)
    if index is None:
        log = journal.log
        path = log.index_path() if isinstance(log, Sited) else ""
        index = journal.companions.setdefault(_NAME, TaskIndex(journal, Store(path)))
    assert isinstance(index, TaskIndex)
    return index


async def _take_next(log: Log, batch: Batch, end: int) -> bool:
    """Add the next records before `end` to the batch; return False if there are none."""
    limit = min(PAGE_EVENTS, end - batch.next_offset)
    if isinstance(log, Textual) and limit == PAGE_EVENTS:
        text = log.text(batch.next_offset, limit)
        if text is not None and batch.take_text(text):
            return True
    pages = await log.read({batch.partition: batch.next_offset}, limit)
    for page in pages:
        batch.take(page)
    return bool(pages)
