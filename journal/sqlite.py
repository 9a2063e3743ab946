"""The embedded log: one SQLite file, many threads and processes, one total order.

An append is durable when it returns (`synchronous="full"`: the disk has been told to keep it); with `"normal"` it
survives the end of the process, and the last appends before a power cut may be lost. The file must be on a local disk:
SQLite's locks do not work over NFS. A process that is stopped while it commits stops every writer of the file until it
goes on; see `journal/write_lock.py`.

A forked child opens the file anew and appends under an id of its own; it never touches what it inherited.
"""

import concurrent.futures
import contextlib
import ctypes
import functools
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import apsw

from . import blocking
from .cursor import Cursor
from .doorbell import Bell, Ringer, bell_directories
from .errors import AppendInDoubt, HistoryTruncated, JournalClosed, JournalUnavailable
from .event import Draft, Event, check
from .limits import DOORBELL_POLL_SECONDS, PAGE_EVENTS, WRITE_LOCK_SECONDS_MAX
from .log import Bounds, Page, Tail, check_batch, check_cursor, check_partitions
from .snapshots import SnapshotStore
from .sqlite_commit import Committer, Entry, stamp_decoder
from .sqlite_file import Synchronous, check_path, connect, connect_reader, create, damaged, explained, is_journal
from .sqlite_repeats import identities, search
from .sqlite_snapshots import SqliteSnapshots
from .write_lock import WriteLock
from .writer import Writer

T = TypeVar("T")

_PAGE: Final = "SELECT position, event FROM events WHERE position > ? ORDER BY position LIMIT ?"
_BOUNDS: Final = (
    "SELECT (SELECT min(position) FROM events), (SELECT max(position) FROM events), "
    "(SELECT value FROM kept WHERE name = 'end')"
)
_ROW: Final = "SELECT event FROM events WHERE position = ?"
_KEEP: Final = "INSERT OR REPLACE INTO kept (name, value) VALUES (?, ?)"
_TRIM: Final = "DELETE FROM events WHERE position <= ?"
_TRIM_STEP_POSITIONS: Final = 10_000  # removed per transaction: other writers get their turn in between


class _Readers:
    """Connections for reading: as many as there are readers at the same time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[apsw.Connection] = []
        self._closed = False

    def take(self) -> apsw.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return connect_reader(self._path)

    def give_back(self, connection: apsw.Connection) -> None:
        self._idle.append(connection)
        if self._closed:
            self.close()

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class _Opened:
    """What one process has open of the file."""

    def __init__(self, path: str, synchronous: Synchronous, clock: Callable[[], float], writer: Writer) -> None:
        self.bell_directories = bell_directories(path)
        self.ringer = Ringer(self.bell_directories)
        self.readers = _Readers(path)
        self.committer = Committer(path, synchronous, clock, writer, self.ringer)
        self.bells: weakref.WeakSet[Bell] = weakref.WeakSet()

    def close(self) -> None:
        self.readers.close()
        self.ringer.close()
        for bell in list(self.bells):
            bell.ring()  # whoever waits finds out that the journal is closed


class SqliteLog:
    """A log in the file at `path`. `clock` gives seconds since the epoch; `writer_id`, if given, must be a new one."""

    needs_loop = False
    partitions = 1

    def __init__(
        self,
        path: str,
        *,
        synchronous: Synchronous = "full",
        url: str | None = None,
        clock: Callable[[], float] = time.time,
        writer_id: str | None = None,
    ) -> None:
        self.url = url or f"sqlite:///{quote(path)}" + ("?sync=normal" if synchronous == "normal" else "")
        self.path = os.path.abspath(path)  # noqa: PTH100 - a later change of directory must not move the journal
        self._synchronous: Synchronous = synchronous
        self._clock = clock
        self._writer = Writer(writer_id)
        self._opened: _Opened | None = None
        self._closed = False
        self._opening = threading.Lock()
        _logs.add(self)

    async def open(self) -> None:
        """See `Log.open`; `NotAJournal` says what else is at the path."""
        check_path(self.path)
        lock = WriteLock(f"{self.path}-lock")
        try:
            if not self._prepare(lock, wait=False):
                prepared = blocking.in_thread(lambda: self._prepare(lock, wait=True))
                if not await blocking.settled(prepared, WRITE_LOCK_SECONDS_MAX):
                    raise self._held(lock)
                prepared.result()
        finally:
            lock.close()
        self._state()

    def _prepare(self, lock: WriteLock, *, wait: bool) -> bool:
        """Make the file a journal if it is new; without `wait` only if the lock is free. Says whether it is one now."""
        try:
            connection = connect(self.path, self._synchronous, create=True)
            try:
                if is_journal(connection, self.path):
                    return True
                if wait:
                    lock.acquire()
                elif not lock.try_acquire():
                    return False
                create(connection, self.path)
            finally:
                connection.close()
                lock.release()
        except apsw.Error as error:
            raise explained(error, self.path) from error
        return True

    def _state(self) -> _Opened:
        """What this process has open; after a fork, opened anew."""
        if self._opened is not None:
            return self._opened
        with self._opening:
            if self._closed:
                raise JournalClosed(f"the journal {self.url} is closed; open it again to go on")
            if self._opened is None:
                try:
                    self._opened = _Opened(self.path, self._synchronous, self._clock, self._writer)
                except OSError as error:
                    raise JournalUnavailable(f"the journal {self.path} cannot be opened: {error}") from error
            return self._opened

    def _held(self, lock: WriteLock) -> JournalUnavailable:
        return JournalUnavailable(
            f"the journal {self.path} has been held by {lock.holder()} for {WRITE_LOCK_SECONDS_MAX:g} s; "
            "nothing was appended. Let that process go on or end it, then try again."
        )

    def partition_of(self, key: str | None) -> int:
        """There is one partition."""
        return 0

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log.append`."""
        state = self._opened or self._state()
        sizes = [check(draft) for draft in drafts]
        if len(sizes) != 1:
            check_batch(sizes)
            if not sizes:
                return []
        repeated = False
        for draft in drafts:
            repeated = repeated or draft.seq > 0
            if draft.partition:
                check_partitions(drafts, self.partitions)
        entry = Entry(drafts)
        if repeated:
            await self._search_before(state, entry)
        # A caller with a thread of its own has nobody to wait for; in a loop others may be about to append as well.
        if not (blocking.is_driven() and state.committer.commit_alone(entry)):
            await self._commit(state, entry)
        if entry.error is not None:
            raise entry.error
        return entry.events

    async def _commit(self, state: _Opened, entry: Entry) -> None:
        committer = state.committer
        committer.enqueue(entry)
        try:
            await blocking.turn()  # let the others who are ready join the same commit
            if not entry.done:
                committer.combine()
            if await entry.settled(WRITE_LOCK_SECONDS_MAX):
                return
            held = self._held(committer.lock)
        except BaseException:
            committer.withdraw(entry)
            raise
        if committer.withdraw(entry):
            raise held
        if not await entry.settled(WRITE_LOCK_SECONDS_MAX):
            raise AppendInDoubt(
                f"the disk of {self.path} has not finished a commit for {WRITE_LOCK_SECONDS_MAX:g} s; "
                "whether it landed is unknown. Append the same drafts again: what landed is not doubled."
            )

    async def _search_before(self, state: _Opened, entry: Entry) -> None:
        """Look for what was handed in before, without holding up the writers; the rest is looked at under the lock."""
        wanted = identities(entry.drafts)
        bounds = self._bounds(state)
        own = [seq for writer, seq in wanted if writer == self._writer.id]
        start = state.committer.landmarks.lowest_offset(min(own)) if len(own) == len(wanted) else 0
        start, end = max(start, bounds.first[0]), bounds.end[0]
        looking = blocking.in_thread(
            lambda: self._reading(state, lambda connection: search(connection, wanted, start, end))
        )
        await blocking.settled(looking)
        entry.known, entry.searched_to = looking.result(), end

    def _rows(self, state: _Opened, statement: str, bindings: tuple[int, ...] = ()) -> list[Any]:
        """What a short query finds, through a connection that nobody else uses meanwhile."""
        return self._reading(state, lambda connection: connection.execute(statement, bindings).fetchall())

    def _reading(self, state: _Opened, read: Callable[[apsw.Connection], T]) -> T:
        try:
            connection = state.readers.take()
            try:
                return read(connection)
            finally:
                state.readers.give_back(connection)
        except apsw.Error as error:
            raise explained(error, self.path) from error

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """See `Log.read`."""
        check_cursor(cursor, self.partitions)
        page = self.page(cursor[0], limit) if cursor else None
        return [page] if page is not None else []

    def page(self, offset: int, limit: int, *, suspicious: bool = True) -> Page | None:
        """Up to `limit` rows from `offset` on that are there now, or None.

        Who is not `suspicious`, and finds nothing, does not ask whether retention has removed all there was.
        """
        state = self._state()
        found = self._rows(state, _PAGE, (offset, limit))
        if found and found[0][0] == offset + 1:
            if found[-1][0] != offset + len(found):
                raise damaged(self.path, f"events are missing between the offsets {offset} and {found[-1][0]}")
            return Page(0, range(offset, offset + len(found)), [row for _, row in found])
        if not found and not suspicious:
            return None
        first = self._bounds(state).first[0]
        if offset < first:
            rows = self._rows(state, _ROW, (first + 1,))
            raise HistoryTruncated(0, offset, first, stamp_decoder.decode(rows[0][0]).timestamp if rows else None)
        return None

    async def tail(self, cursor: Mapping[int, int]) -> Tail:
        """See `Log.tail`."""
        self._state()
        check_cursor(cursor, self.partitions)
        return SqliteTail(self, cursor)

    async def bounds(self) -> Bounds:
        """See `Log.bounds`."""
        return self._bounds(self._state())

    def _bounds(self, state: _Opened) -> Bounds:
        low, high, kept = self._rows(state, _BOUNDS)[0]
        if low is None:
            return Bounds(Cursor({0: kept or 0}), Cursor({0: kept or 0}))
        return Bounds(Cursor({0: low - 1}), Cursor({0: high}))

    async def position_at(self, timestamp: float) -> Cursor:
        """See `Log.position_at`: exact, as the times of this log rise from each event to the next."""
        state = self._state()
        bounds = self._bounds(state)
        low, high = bounds.first[0], bounds.end[0]
        while low < high:
            middle = (low + high) // 2
            rows = self._rows(state, _ROW, (middle + 1,))
            if not rows or stamp_decoder.decode(rows[0][0]).timestamp < timestamp:  # no row: removed meanwhile
                low = middle + 1
            else:
                high = middle
        return Cursor({0: low})

    async def trim(self, before: Mapping[int, int]) -> None:
        """Remove the events below the given offset, as retention does; the offsets of the others stay."""
        state = self._state()
        check_cursor(before, self.partitions)
        bounds = self._bounds(state)
        step, end = bounds.first[0], min(before.get(0, 0), bounds.end[0])
        while step < end:
            step = min(step + _TRIM_STEP_POSITIONS, end)
            await self._exclusively(state, functools.partial(self._remove, state.committer, step))

    def _remove(self, committer: Committer, below: int) -> None:
        def remove(connection: apsw.Connection) -> None:
            committer.catch_up(connection.cursor())
            connection.execute(_KEEP, ("end", committer.end))
            connection.execute(_KEEP, ("last_microseconds", self._writer.last_microseconds))
            connection.execute(_TRIM, (below,))

        self._transact(committer, remove)

    def snapshots(self) -> SnapshotStore:
        """See `Log.snapshots`: in the same file."""
        return SqliteSnapshots(self)

    def reading(self, read: Callable[[apsw.Connection], T]) -> T:
        """What `read` finds, through a connection that nobody else uses meanwhile."""
        return self._reading(self._state(), read)

    async def writing(self, write: Callable[[apsw.Connection], None]) -> None:
        """Run `write` in a transaction, in turn with all writers of the file; it must not touch the events."""
        state = self._state()
        await self._exclusively(state, functools.partial(self._transact, state.committer, write))

    def _transact(self, committer: Committer, write: Callable[[apsw.Connection], None]) -> None:
        """Run `write` in a transaction; for who holds both locks."""
        connection = committer.connected()
        try:
            connection.execute("BEGIN IMMEDIATE")
            write(connection)
            connection.execute("COMMIT")
        except apsw.Error as error:
            raise explained(error, self.path) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    async def _exclusively(self, state: _Opened, work: Callable[[], None]) -> None:
        if state.committer.exclusively(work):
            return
        done = blocking.in_thread(lambda: state.committer.exclusively(work, wait=True))
        if not await blocking.settled(done, WRITE_LOCK_SECONDS_MAX):
            raise self._held(state.committer.lock)
        done.result()

    def hang_bell(self) -> Bell | None:
        """A bell that rings after each commit to this file and when this log is closed."""
        state = self._state()
        bell = Bell.hang(state.bell_directories)
        if bell is not None:
            state.bells.add(bell)
        return bell

    async def aclose(self) -> None:
        """See `Log.aclose`."""
        with self._opening:
            if self._closed:
                return
            self._closed, state, self._opened = True, self._opened, None
        if state is None:
            return
        state.committer.close_queue()
        state.readers.close()
        try:
            if state.committer.has_work():
                with contextlib.suppress(JournalUnavailable):  # whoever waits for an append is told so himself
                    await self._exclusively(state, state.committer.finish)
        finally:
            state.close()
            state.committer.dismiss()

    def after_fork(self) -> None:
        """In a forked child: let what was inherited lie, neither used nor closed, and start anew at the next use."""
        if self._opened is not None:
            # Closing an inherited connection, even at the end of the process, could touch the parent's file.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._opened))
        self._opened = None
        self._opening = threading.Lock()
        self._writer = Writer()


class SqliteTail:
    """A reader of the file."""

    def __init__(self, log: SqliteLog, cursor: Mapping[int, int]) -> None:
        self._log = log
        self._follows = 0 in cursor
        self._offset = cursor.get(0, 0)
        self._bell: Bell | None = None
        self._suspicious = True

    @property
    def cursor(self) -> Cursor:
        """What has been handed out so far."""
        return Cursor({0: self._offset} if self._follows else {})

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail.page`."""
        if partition not in (None, 0):
            raise ValueError(f"this journal has the partition 0 only, got {partition}")
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            if self._bell is not None:
                self._drain(self._bell)  # before the look: what is committed after it rings anew
            page = self._look(limit)
            if page is not None:
                self._offset = page.next_offset
                return page
            remaining = DOORBELL_POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if remaining <= 0:
                return None
            await self._rung(min(remaining, DOORBELL_POLL_SECONDS))

    def _look(self, limit: int) -> Page | None:
        if not self._follows:
            return None
        suspicious, self._suspicious = self._suspicious, False
        return self._log.page(self._offset, limit, suspicious=suspicious)

    def _drain(self, bell: Bell) -> None:
        if bell.process == os.getpid():
            bell.drain()
        else:  # inherited by a fork: the rings in it are the parent's
            bell.take_down()
            self._bell = None

    async def _rung(self, timeout: float) -> None:
        """Wait for a reason to look again, at most `timeout` seconds."""
        if self._bell is None:
            self._bell = self._log.hang_bell()  # and look once more: what came before the bell did not ring it
            if self._bell is not None:
                return
            await blocking.settled(concurrent.futures.Future(), timeout)
            self._suspicious = True
        elif not await blocking.readable(self._bell.sock, timeout):
            self._suspicious = True

    def skip(self, partition: int, offset: int) -> None:
        """See `Tail.skip`."""
        check_cursor({partition: offset}, 1)
        self._offset = max(self._offset, offset)

    async def aclose(self) -> None:
        """Take down the bell."""
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.take_down()


_logs: Final["weakref.WeakSet[SqliteLog]"] = weakref.WeakSet()


def _after_fork() -> None:
    for log in list(_logs):
        log.after_fork()


os.register_at_fork(after_in_child=_after_fork)
