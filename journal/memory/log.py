"""The log in memory: the reference implementation, for tests and experiments. Its events end with the process."""

import bisect
import concurrent.futures
import threading
import time
import uuid
import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from ..append_counts import AppendCounts
from ..conditions import conditions_of, conflicts, is_conditional, only_partition
from ..cursor import Cursor
from ..deadlines import deadline_of
from ..errors import HistoryTruncated, JournalClosed
from ..event import Draft, Event, check, place, record
from ..event_decoding import time_in
from ..limits import CLOCK_SKEW_SECONDS_MAX, CLOCK_STEP_SECONDS_MAX, PAGE_EVENTS
from ..log import Bounds, Page, check_batch, check_cursor, check_partitions, refuse_unreached
from ..runtime import blocking
from ..snapshots import SnapshotStore
from ..timeline import Ascent, Fall, runs_between, split
from ..writer import Writer
from .snapshots import MemorySnapshots


class _Record(NamedTuple):
    row: bytes
    appended_at: float


_appended_at: Final = attrgetter("appended_at")


class _Partition:
    """Records from offset `first` on, and the places where the times of their appends fall back."""

    def __init__(self) -> None:
        self.first = 0
        self.records: list[_Record] = []
        self.falls: list[Fall] = []

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def place_of(self, timestamp: float, latest: float) -> int:
        if not self.records:
            return self.end
        low, high = self.records[0].appended_at, self.records[-1].appended_at
        runs = list(runs_between(self.first, self.end, low, high, self.falls))
        return split(runs, timestamp, latest, self._search)

    def _search(self, run: Ascent, timestamp: float) -> int:
        low, high = run.first - self.first, run.end - self.first
        return self.first + bisect.bisect_left(self.records, timestamp, low, high, key=_appended_at)


class MemoryStore:
    """The state that all memory logs of one name share: the partitions, and the waiting readers."""

    def __init__(self, partitions: int = 1) -> None:
        self.partitions = [_Partition() for _ in range(partitions)]
        self.lock = threading.Lock()
        self.identity = uuid.uuid4().hex
        self.private_name = ""  # the name of a private store in `_private`, as long as a log holds it
        self.positions: dict[tuple[str, int], Event] = {}
        self.snapshots = MemorySnapshots()
        self._waiting: list[concurrent.futures.Future[None]] = []

    def arrival(self) -> "concurrent.futures.Future[None]":
        """Return a future that is done at the next append; call with the lock held."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._waiting.append(future)
        return future

    def forget(self, arrival: "concurrent.futures.Future[None]") -> None:
        """Remove a future whose reader has stopped waiting; call without the lock."""
        with self.lock:
            if arrival in self._waiting:
                self._waiting.remove(arrival)

    def notify(self) -> None:
        """Wake all waiting readers; call without the lock."""
        with self.lock:
            waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


_stores: Final[dict[str, MemoryStore]] = {}
_private: Final["weakref.WeakValueDictionary[str, MemoryStore]"] = weakref.WeakValueDictionary()
_stores_lock: Final = threading.Lock()


def shared_store(name: str, partitions: int) -> MemoryStore:
    """Return the store of that name in this process, created at first use; a store without a name is private."""
    if not name:
        return MemoryStore(partitions)
    with _stores_lock:
        private = _private.get(name)
        return private if private is not None else _stores.setdefault(name, MemoryStore(partitions))


class MemoryLog:
    """A log in this process's memory. `clock` returns seconds since the epoch."""

    needs_loop = False

    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        url: str = "memory://",
        clock: Callable[[], float] = time.time,
        writer_id: str | None = None,
    ) -> None:
        self.url = url
        self._store = store or MemoryStore()
        self._clock = clock
        self._writer = Writer(writer_id)
        self._closed = False

    @property
    def reopening_url(self) -> str | None:
        """The URL that opens a log of the same store in this process; None if `url` does."""
        store = self._store
        if _stores.get(urlsplit(self.url).netloc + urlsplit(self.url).path) is store:
            return None
        with _stores_lock:
            if not store.private_name:
                store.private_name = f"private-{uuid.uuid4().hex}"
                _private[store.private_name] = store
        return f"memory://{store.private_name}"

    @property
    def append_counts(self) -> AppendCounts:
        """See `Counting.append_counts`."""
        return self._writer.counts

    @property
    def partitions(self) -> int:
        """The number of partitions of the store."""
        return len(self._store.partitions)

    async def open(self, *, create: bool = True) -> None:
        """Do nothing: the store exists already."""

    def partition_of(self, key: str | None) -> int:
        """The key's partition, by CRC-32; without a key, the writer's."""
        return zlib.crc32((key or self._writer.id).encode()) % len(self._store.partitions)

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log.append`."""
        self._check_open()
        check_batch([check(draft) for draft in drafts])
        check_partitions(drafts, self.partitions)
        conditional = is_conditional(drafts)
        begun = time.perf_counter()
        with self._store.lock:
            if conditional:
                self._check_conditions(drafts)
            appended = [self._append_one(draft) for draft in drafts]
            new = [size for _, size in appended if size]
            self._writer.counts.add(1, len(new), sum(new), time.perf_counter() - begun)
        self._store.notify()
        return [event for event, _ in appended]

    async def identity(self) -> str:
        """See `Relaying.identity`: the store's."""
        return self._store.identity

    async def append_numbered(self, drafts: Sequence[Draft], since: Mapping[int, int]) -> list[Event]:
        """See `Relaying.append_numbered`; the store knows the event of each number."""
        refuse_unreached(self.url, since, (await self.bounds()).end)
        return await self.append(drafts)

    def _check_conditions(self, drafts: Sequence[Draft]) -> None:
        """Raise the error of a broken condition, of the drafts that are not in the log yet."""
        partition = only_partition([self._partition_for(draft) for draft in drafts])
        conditions = conditions_of(draft for draft in drafts if self._known(draft) is None)
        if conditions is None:
            return
        records = self._store.partitions[partition]
        if (diverged := conditions.diverged(partition, records.end)) is not None:
            raise diverged
        start = max(records.first, conditions.lowest + 1)
        rows = ((offset, records.records[offset - records.first].row) for offset in range(start, records.end))
        for offset, key in conflicts(conditions, rows):
            raise conditions.conflict(partition, offset, key)

    def _known(self, draft: Draft) -> Event | None:
        """The event of a draft that was handed in before and has landed; None if there is none."""
        return self._store.positions.get((draft.writer, draft.seq)) if draft.seq else None

    def _partition_for(self, draft: Draft) -> int:
        return draft.partition if draft.partition is not None else self.partition_of(draft.key)

    def _append_one(self, draft: Draft) -> tuple[Event, int]:
        """Append a draft; return its event and its bytes, 0 if it had landed before."""
        if (known := self._known(draft)) is not None:
            return known, 0
        self._writer.number(draft)
        now = self._clock()
        partition = self._partition_for(draft)
        event, row = record(draft, self._writer.time_of(draft, now))
        records = self._store.partitions[partition]
        appended_at = now
        if records.records and (last := records.records[-1].appended_at) > now:
            if last - now > CLOCK_STEP_SECONDS_MAX:
                records.falls.append(Fall(records.end, last, now))
            else:
                appended_at = last
        place(event, partition, records.end)
        records.records.append(_Record(row, appended_at))
        self._store.positions[draft.writer, draft.seq] = event
        return event, len(row)

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """See `Log.read`."""
        self._check_open()
        check_cursor(cursor, self.partitions)
        pages: list[Page] = []
        with self._store.lock:
            for partition, offset in cursor.items():
                page = self.slice(partition, offset, limit)
                if page is not None:
                    pages.append(page)
                    limit -= len(page.rows)
                if limit <= 0:
                    break
        return pages

    def slice(self, partition: int, offset: int, limit: int) -> Page | None:
        """Up to `limit` records of `partition` from `offset` on, or None; call with the store's lock held."""
        records = self._store.partitions[partition]
        if offset < records.first:
            rows = [each.row for each in records.records[:1]]
            time_ = time_in(rows[0]) if rows else None
            raise HistoryTruncated(partition, offset, records.first, time_)
        start = offset - records.first
        rows = [each.row for each in records.records[start : start + limit]]
        return Page(partition, range(offset, offset + len(rows)), rows) if rows else None

    async def tail(self, cursor: Mapping[int, int]) -> "MemoryTail":
        """See `Log.tail`."""
        self._check_open()
        check_cursor(cursor, self.partitions)
        return MemoryTail(self, self._store, Cursor(cursor))

    async def bounds(self) -> Bounds:
        """See `Log.bounds`."""
        self._check_open()
        with self._store.lock:
            first = {number: each.first for number, each in enumerate(self._store.partitions)}
            end = {number: each.end for number, each in enumerate(self._store.partitions)}
        return Bounds(Cursor(first), Cursor(end))

    async def position_at(self, timestamp: float) -> Cursor:
        """See `Log.position_at`."""
        self._check_open()
        latest = self._clock() + CLOCK_SKEW_SECONDS_MAX
        with self._store.lock:
            return Cursor(
                {number: each.place_of(timestamp, latest) for number, each in enumerate(self._store.partitions)}
            )

    async def trim(self, before: Mapping[int, int]) -> None:
        """Remove the records below the given offsets, as retention does."""
        check_cursor(before, self.partitions)
        with self._store.lock:
            for partition, offset in before.items():
                records = self._store.partitions[partition]
                keep_from = max(records.first, min(offset, records.end))
                del records.records[: keep_from - records.first]
                records.first = keep_from

    def index_path(self) -> str:
        """See `Sited.index_path`."""
        return ":memory:"

    def snapshots(self) -> SnapshotStore:
        """See `Log.snapshots`: in the same store."""
        return self._store.snapshots

    async def aclose(self) -> None:
        """Close this log; the store stays for other logs of its name."""
        self._closed = True
        self._store.notify()

    def check_open(self) -> None:
        """Raise `JournalClosed` after `aclose`."""
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise JournalClosed(f"the journal {self.url} is closed; open it again to continue")


class MemoryTail:
    """A reader of a memory log."""

    def __init__(self, log: MemoryLog, store: MemoryStore, cursor: Cursor) -> None:
        self._log = log
        self._store = store
        self._offsets = dict(cursor)
        self._turn = 0

    @property
    def cursor(self) -> Cursor:
        """The position behind the last record handed out, in each partition."""
        return Cursor(self._offsets)

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail.page`."""
        deadline = deadline_of(timeout)
        while True:
            self._log.check_open()
            remaining = None if deadline is None else deadline - time.monotonic()
            with self._store.lock:
                page = self._next(limit, partition)
                if page is not None or (remaining is not None and remaining <= 0):
                    return page
                arrival = self._store.arrival()
            try:
                await blocking.settled(arrival, remaining)
            finally:
                self._store.forget(arrival)

    def _next(self, limit: int, partition: int | None) -> Page | None:
        """Return the next page; the partitions are read round-robin, so that none starves."""
        candidates = [partition] if partition is not None else list(self._offsets)
        for step in range(len(candidates)):
            chosen = candidates[(self._turn + step) % len(candidates)]
            page = self._log.slice(chosen, self._offsets[chosen], limit)
            if page is not None:
                self._offsets[chosen] = page.next_offset
                self._turn += step + 1
                return page
        return None

    def skip(self, partition: int, offset: int) -> None:
        """See `Tail.skip`."""
        self._offsets[partition] = max(self._offsets[partition], offset)

    async def aclose(self) -> None:
        """Do nothing: the tail holds no resources."""
