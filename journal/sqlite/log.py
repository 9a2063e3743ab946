"""The embedded log: one SQLite file, many threads and processes, one total order.

An append is durable when it returns (`synchronous="full"`: each commit is fsynced); with `"normal"` it survives the end
of the process, and the last appends before a power cut may be lost. The file must be on a local disk: SQLite's locks do
not work over NFS. A process that is stopped while it commits blocks every writer of the file until it continues; see
`journal/sqlite/write_lock.py`.

SQLite does not survive a fork: a child that inherits an open connection assumes locks that it does not hold. So a fork
waits for the running statements and closes the connections first; parent and child reopen the file at the next use, and
the child appends under a writer id of its own.
"""

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import apsw

from ..conditions import conditions_of
from ..cursor import Cursor
from ..damage import is_damaged
from ..errors import (
    AppendInDoubt,
    HistoryTruncated,
    JournalClosed,
    JournalNotFound,
    JournalReadOnly,
    JournalUnavailable,
)
from ..event import Draft, Event, check, check_all, time_in
from ..limits import CLOCK_SKEW_SECONDS_MAX, CONDITION_LOCKED_EVENTS, FORK_SECONDS_MAX, PAGE_EVENTS
from ..log import INDEX_SUFFIX, Bounds, Page, Tail, Text, check_batch, check_cursor, check_partitions
from ..runtime import blocking
from ..snapshots import SnapshotStore
from ..timeline import Fall
from ..verification import Report, Verification
from ..writer import Writer
from . import fork_and_exit, times
from .commit import Committer
from .conflicts import find_conflict
from .connections import Connections
from .file import Synchronous, check_readable, connect, create, damaged, explained, is_journal, is_ready
from .group_commit import GroupCommit
from .insert import Inserter
from .limits import QUEUE_CHECK_SECONDS, TRIM_STEP_POSITIONS, WRITE_LOCK_SECONDS_MAX
from .notifier import Listener
from .pages import note_state, page, whole_page, whole_text
from .pending_append import PendingAppend
from .permission import check_path, connect_to_read, may_only_read
from .placement import check_placement
from .repeats import identities, search
from .snapshots import SqliteSnapshots
from .tail import SqliteTail
from .verifying import Reading, verify_file
from .write_lock import WriteLock

T = TypeVar("T")

logger = logging.getLogger("journeyman")

_BOUNDS: Final = (
    "SELECT (SELECT min(position) FROM events), (SELECT max(position) FROM events), "
    "(SELECT value FROM kept WHERE name = 'end')"
)
_KEEP: Final = "INSERT OR REPLACE INTO kept (name, value) VALUES (?, ?)"
_TRIM: Final = "DELETE FROM events WHERE position <= ?"


class SqliteLog:
    """A log in the file at `path`. `clock` returns seconds since the epoch; a given `writer_id` must be a new one."""

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
        # The given name, made absolute: a later change of directory must not move the journal. `path` is the real path,
        # so that two names of one file lead to the same lock, notifier directory and identity.
        self._named = os.path.abspath(path)  # noqa: PTH100
        self.path = os.path.realpath(path)
        self._synchronous: Synchronous = synchronous
        self._clock = clock
        self._writer = Writer(writer_id)
        self._opened: Connections | None = None
        self._forking: Connections | None = None
        self._unusable = False
        self._closed = False
        self._made = False  # whether `open` created the file
        self.reads_only = False  # known once opened: whether this process has no permission to write the file
        self._opening = threading.Lock()
        self._group_commit = GroupCommit()
        self._damaged_offsets: set[int] = set()  # the damaged records that were logged
        fork_and_exit.look_after(self)

    async def open(self, *, create: bool = True) -> None:
        """See `Log.open`; raises `NotAJournal` if something else is at the path."""
        self._resolve()
        self.reads_only = not create and may_only_read(self.path)
        check_path(self.path, reads_only=self.reads_only)
        check_placement(self.path)
        if self.reads_only:
            self._check_readable()
            self._state()
            return
        if not (create or self._is_there()):
            raise JournalNotFound(
                f"there is no journal at {self.path}: expected a file that a worker or a producer has written to. A "
                "relative URL is meant from the directory in which the program runs; with create=1 in it a journal is "
                "made"
            )
        self._note_whether_made()
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

    def _note_whether_made(self) -> None:
        self._made = not os.path.exists(self.path)  # noqa: PTH110 - the path is a string

    def _resolve(self) -> None:
        self.path = os.path.realpath(self._named)

    @property
    def location(self) -> str:
        """See `Located.location`."""
        made = ", which this process has just made: is its URL relative to another directory?" if self._made else ""
        return f"{self.path}{made}"

    def _check_readable(self) -> None:
        with fork_and_exit.preparing:
            try:
                with contextlib.closing(connect_to_read(self.path)) as connection:
                    check_readable(connection, self.path)
            except apsw.Error as error:
                raise explained(error, self.path) from error

    def _is_there(self) -> bool:
        return os.path.exists(self.path) and self._with_connection(is_journal)  # noqa: PTH110 - the path is a string

    def _prepare(self, lock: WriteLock, *, wait: bool) -> bool:
        """Make the file a journal of the current schema, with a write-ahead log; returns whether it is one now.

        Without `wait`, False if the lock is held.
        """
        if self._with_connection(is_ready):
            return True
        if not (lock.acquire() if wait else lock.try_acquire()):
            return False
        try:
            self._with_connection(create)
        finally:
            lock.release()
        return True

    def _with_connection(self, work: Callable[[apsw.Connection, str], T]) -> T:
        with fork_and_exit.preparing:
            try:
                with contextlib.closing(connect(self.path, self._synchronous, create=True)) as connection:
                    return work(connection, self.path)
            except apsw.Error as error:
                raise explained(error, self.path) from error

    def _state(self) -> Connections:
        """The open connections of this process; reopens them after a fork."""
        if self._opened is not None:
            return self._opened
        with self._opening:
            if self._closed:
                raise JournalClosed(f"the journal {self.url} is closed; open it again to continue")
            if self._unusable:
                raise JournalUnavailable(
                    f"the journal {self.path} cannot be used in this process: it was forked while a statement ran for "
                    f"more than {FORK_SECONDS_MAX:g} s. Start the process with the method 'spawn' instead."
                )
            if self._opened is None:
                try:
                    self._opened = Connections(
                        self.path,
                        self._named,
                        self._synchronous,
                        self._clock,
                        self._writer,
                        reads_only=self.reads_only,
                    )
                except OSError as error:
                    raise JournalUnavailable(f"the journal {self.path} cannot be opened: {error}") from error
            return self._opened

    def _state_to_write(self) -> Connections:
        """As `_state`; raises `JournalReadOnly` if this process has no permission to write."""
        if self.reads_only:
            raise JournalReadOnly(
                f"the journal {self.path} can only be read by this process: it has no permission to write the file, or "
                "to create files beside it. Nothing was appended. Give its user the permission to write there."
            )
        return self._opened or self._state()

    def _held(self, lock: WriteLock) -> JournalUnavailable:
        return JournalUnavailable(
            f"the journal {self.path} has been held by {lock.holder()} for {WRITE_LOCK_SECONDS_MAX:g} s; "
            "nothing was appended. Resume or end that process, then try again."
        )

    def partition_of(self, key: str | None) -> int:
        """The only partition, 0."""
        return 0

    def try_append(self, draft: Draft) -> Event | None:
        """See `Immediate.try_append`."""
        state = self._opened
        check(draft)
        if (
            state is None
            or self.reads_only
            or draft.seq
            or draft.timestamp is not None
            or draft.partition
            or draft.origin is not None
        ):
            return None
        try:
            return state.committer.try_commit(draft)
        except AppendInDoubt as error:
            error.drafts = (draft,)
            raise

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log.append`."""
        state = self._state_to_write()
        sizes, plain = check_all(drafts)
        if len(sizes) != 1:
            check_batch(sizes)
            if not sizes:
                return []
        entry = PendingAppend(drafts, plain=plain)
        if not plain:
            check_partitions(drafts, self.partitions)
            if any(draft.seq for draft in drafts):
                await self._search_before(state, entry)
            if entry.conditional:
                await self._check_before(state, entry)
        # A caller in a plain thread waits for no one else's append; in a loop other tasks may be about to append too.
        driven = blocking.is_driven()
        alone = driven or not self._group_commit.is_expected()
        if alone and plain and len(sizes) == 1:
            event = state.committer.try_commit(drafts[0])
            if event is not None:
                return [event]
        elif alone and state.committer.commit_alone(entry, patient=driven):
            return entry.outcome()
        await self._commit(state, entry)
        return entry.outcome()

    async def _commit(self, state: Connections, entry: PendingAppend) -> None:
        committer = state.committer
        committer.enqueue(entry)
        try:
            await blocking.turn()  # let other ready tasks join the same commit
            if not entry.done:
                committer.combine(patient=blocking.is_driven())  # an event loop must not block
            if await self._settled(committer, entry):
                if not blocking.is_driven():
                    self._group_commit.came(entry.shared)
                return
            held = self._held(committer.lock)
        except BaseException:
            committer.withdraw(entry)
            raise
        if committer.withdraw(entry):
            raise held
        if not await self._settled(committer, entry):
            raise AppendInDoubt(
                f"the disk of {self.path} has not finished a commit for {WRITE_LOCK_SECONDS_MAX:g} s; "
                "whether it landed is unknown. Append the same drafts again: what landed is not doubled."
            )

    async def _settled(self, committer: Committer, entry: PendingAppend) -> bool:
        """Wait until an entry is finished; return whether it was in time.

        The thread that should have woken the helper may have been interrupted, so the queue is polled as well.
        """
        deadline = time.monotonic() + WRITE_LOCK_SECONDS_MAX
        while not await entry.settled(min(QUEUE_CHECK_SECONDS, deadline - time.monotonic())):
            if time.monotonic() >= deadline:
                return False
            committer.combine(patient=False)
        return True

    async def _search_before(self, state: Connections, entry: PendingAppend) -> None:
        """Search the log, without blocking the writers, for drafts handed in before; its last part under the lock."""
        wanted = identities(entry.drafts)
        bounds = self._bounds(state)
        own = [seq for writer, seq in wanted if writer == self._writer.id]
        start = state.inserter.landmarks.lowest_offset(min(own)) if len(own) == len(wanted) else 0
        start, end = max(start, bounds.first[0]), bounds.end[0]
        looking = blocking.in_thread(
            lambda: self._reading(state, lambda connection: search(connection, wanted, start, end))
        )
        await blocking.settled(looking)
        entry.known, entry.searched_to = looking.result(), end

    async def _check_before(self, state: Connections, entry: PendingAppend) -> None:
        """Check the conditions on all but the last events without blocking the writers; `EventConflict` if broken."""
        drafts = [draft for draft in entry.drafts if not draft.seq or (draft.writer, draft.seq) not in entry.known]
        conditions = conditions_of(drafts)
        if conditions is None:
            return
        # Not beyond the end of the search for drafts handed in before: behind it they could stand themselves.
        end = entry.searched_to if any(draft.seq for draft in drafts) else self._bounds(state).end[0]
        if end - conditions.lowest <= CONDITION_LOCKED_EVENTS:
            return
        looking = blocking.in_thread(
            lambda: self._reading(state, lambda connection: find_conflict(connection, conditions, 0, end))
        )
        await blocking.settled(looking)
        found = looking.result()
        if found is not None:
            for draft in drafts:
                self._writer.forget(draft)
            raise conditions.conflict(0, *found)
        entry.checked_to = end

    def _rows(self, state: Connections, statement: str, bindings: tuple[int, ...] = ()) -> list[Any]:
        """The rows of a short query, through a connection that no other thread uses meanwhile."""
        return self._reading(state, lambda connection: connection.execute(statement, bindings).fetchall())

    def _reading(self, state: Connections, read: Callable[[apsw.Connection], T]) -> T:
        began = time.monotonic()
        try:
            return state.readers.use(read)
        except apsw.Error as error:
            raise explained(error, self.path, began) from error

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """See `Log.read`."""
        check_cursor(cursor, self.partitions)
        page = self.page(cursor[0], limit) if cursor else None
        return [page] if page is not None else []

    def page(self, offset: int, limit: int, *, suspicious: bool = True) -> Page | None:
        """Return up to `limit` available rows from `offset` on, or None.

        `suspicious`: if there are none, also check whether retention has removed all rows.
        """
        state = self._state()
        whole = self._reading(state, lambda connection: whole_page(connection, offset, limit))
        if whole is not None:
            return Page(0, range(offset, offset + len(whole)), whole)
        positions, rows = self._reading(state, lambda connection: page(connection, offset, limit))
        if positions and positions[0] == offset + 1:
            if positions[-1] != offset + len(positions):
                raise damaged(self.path, f"events are missing between the offsets {offset} and {positions[-1]}")
            self._log_damaged(positions[0] - 1, rows)
            return Page(0, range(offset, offset + len(rows)), rows)
        if not positions and not suspicious:
            return None
        first = self._bounds(state).first[0]
        if offset < first:
            raise HistoryTruncated(0, offset, first, self._time_at(state, first))
        if positions:
            raise damaged(self.path, f"events are missing between the offsets {offset} and {positions[0]}")
        return None

    def text(self, offset: int, limit: int) -> Text | None:
        """See `Textual.text`."""
        return self._reading(self._state(), lambda connection: whole_text(connection, offset, limit))

    def _log_damaged(self, first: int, rows: Sequence[bytes]) -> None:
        """Log each damaged record among the rows from offset `first` on, once."""
        offsets = {offset for offset, row in enumerate(rows, first) if is_damaged(row)} - self._damaged_offsets
        if offsets:
            self._damaged_offsets |= offsets
            logger.error(
                "the journal %s is damaged at %s: the checksum does not match. The other records can still be read; "
                "run `journeyman verify`",
                self.path,
                ", ".join(f"0:{offset}" for offset in sorted(offsets)),
            )

    def _time_at(self, state: Connections, offset: int) -> float | None:
        """The time of the record at `offset`; None if there is no record, or no readable time in it."""
        positions, rows = self._reading(state, lambda connection: page(connection, offset, 1))
        return time_in(rows[0]) if positions == [offset + 1] else None

    async def tail(self, cursor: Mapping[int, int]) -> Tail:
        """See `Log.tail`."""
        self._state()
        check_cursor(cursor, self.partitions)
        return SqliteTail(self, cursor)

    async def bounds(self) -> Bounds:
        """See `Log.bounds`."""
        return self._bounds(self._state())

    def _bounds(self, state: Connections) -> Bounds:
        low, high, kept = self._rows(state, _BOUNDS)[0]
        if low is None:
            return Bounds(Cursor({0: kept or 0}), Cursor({0: kept or 0}))
        return Bounds(Cursor({0: low - 1}), Cursor({0: high}))

    async def position_at(self, timestamp: float) -> Cursor:
        """See `Log.position_at`: by the events' own times."""
        state = self._state()
        bounds, latest = self._bounds(state), self._clock() + CLOCK_SKEW_SECONDS_MAX
        first, end = bounds.first[0], bounds.end[0]
        return Cursor({0: self._reading(state, lambda each: times.place_of(each, first, end, timestamp, latest))})

    async def falls(self) -> Sequence[Fall]:
        """See `OneClock.falls`."""
        state = self._state()
        first = self._bounds(state).first[0]
        return self._reading(state, lambda connection: times.falls_from(connection, first))

    async def trim(self, before: Mapping[int, int]) -> None:
        """Remove the events below the given offset, as retention does; the offsets of the others stay."""
        state = self._state_to_write()
        check_cursor(before, self.partitions)
        bounds = self._bounds(state)
        step, end = bounds.first[0], min(before.get(0, 0), bounds.end[0])
        while step < end:
            step = min(step + TRIM_STEP_POSITIONS, end)
            await self._exclusively(state, functools.partial(self._remove, state.inserter, step))

    def _remove(self, inserter: Inserter, below: int, patient: bool) -> None:
        def remove(connection: apsw.Connection) -> None:
            inserter.catch_up(connection.cursor())
            connection.execute(_KEEP, ("end", inserter.end))
            connection.execute(_KEEP, ("last_microseconds", self._writer.last_microseconds))
            note_state(connection, below)
            connection.execute(_TRIM, (below,))
            times.forget(connection, below)

        inserter.transact(remove, patient=patient)

    def index_path(self) -> str:
        """See `Sited.index_path`: beside the file, or in memory if this process only reads it."""
        return ":memory:" if self.reads_only else self.path + INDEX_SUFFIX

    def snapshots(self) -> SnapshotStore:
        """See `Log.snapshots`: in the same file."""
        return SqliteSnapshots(self)

    def reading(self, read: Callable[[apsw.Connection], T]) -> T:
        """Return what `read` returns, called with a connection that no other thread uses meanwhile."""
        return self._reading(self._state(), read)

    async def writing(self, write: Callable[[apsw.Connection], None]) -> None:
        """Run `write` in a transaction, queued with all writers of the file; it must not touch the events."""
        state = self._state_to_write()
        await self._exclusively(state, lambda patient: state.inserter.transact(write, patient=patient))

    async def _exclusively(self, state: Connections, work: Callable[[bool], None]) -> None:
        began = time.monotonic()
        try:
            if state.committer.exclusively(work):
                return
            done = blocking.in_thread(lambda: state.committer.exclusively(work, wait=True))
            if not await blocking.settled(done, WRITE_LOCK_SECONDS_MAX):
                raise self._held(state.committer.lock)
            done.result()
        except apsw.Error as error:
            raise explained(error, self.path, began) from error

    async def verify(self, report: Report) -> Verification:
        """See `SelfVerifying.verify`."""
        return verify_file(Reading(self._state().readers.use), report)

    def check_file(self) -> None:
        """Raise `JournalGone` if the file was removed or replaced while it was open."""
        if self._opened is not None:
            self._opened.file.check()

    def open_listener(self) -> Listener | None:
        """A listener, notified after each commit to this file and when this log is closed; None if impossible."""
        state = self._state()
        listener = Listener.bind(state.listener_directories)
        if listener is not None:
            state.listeners.add(listener)
        return listener

    async def aclose(self) -> None:
        """See `Log.aclose`."""
        with self._opening:
            if self._closed:
                return
            self._closed, state, self._opened = True, self._opened, None
        if state is None:
            return
        if state.reads_only:
            state.close()
            return
        state.committer.close_queue()
        state.readers.close()
        try:
            if state.committer.has_work():
                with contextlib.suppress(JournalUnavailable):  # the callers that wait for an append get this error too
                    await self._exclusively(state, state.committer.finish)
        finally:
            state.close()
            state.committer.dismiss()

    def before_fork(self) -> None:
        """Wait for running statements, and close what a child must not inherit."""
        self._forking = self._opened
        if self._forking is not None:
            self._forking.pause()

    def after_fork_in_parent(self) -> None:
        """Resume after the fork."""
        forking, self._forking = self._forking, None
        if forking is not None:
            forking.resume()

    def after_fork_in_child(self) -> None:
        """Reopen at the next use, as a new writer."""
        forking, self._forking = self._forking, None
        self._unusable = self._unusable or (forking is not None and not forking.is_paused())
        self._opened = None
        self._opening = threading.Lock()
        self._writer = Writer()
