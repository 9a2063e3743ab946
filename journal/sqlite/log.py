"""The embedded log: one SQLite file, many threads and processes, one total order.

An append is durable when it returns (`synchronous="full"`: each commit is fsynced); with `"normal"` it survives the end
of the process, and the last appends before a power cut may be lost. The file must be on a local disk: SQLite's locks do
not work over NFS. See `write_lock` for the effect of a stopped process, and `fork_and_exit` for that of a fork.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

import apsw

from ..append_counts import AppendCounts
from ..cursor import Cursor
from ..errors import AppendInDoubt, JournalClosed, JournalNotFound, JournalReadOnly, JournalUnavailable
from ..event import Draft, Event, check, check_all
from ..limits import FORK_SECONDS_MAX, PAGE_EVENTS
from ..log import INDEX_SUFFIX, Bounds, Page, Tail, Text, check_batch, check_cursor, check_partitions
from ..runtime import blocking
from ..snapshots import SnapshotStore
from ..timeline import Fall
from ..verification import Report, Verification
from ..writer import Writer
from . import fork_and_exit, trimming
from .append_checks import check_before, is_lone_behind, numbered, search_before
from .commit import Committer
from .connections import Connections
from .file import Synchronous, explained
from .group_commit import GroupCommit
from .identity import identity_of_file
from .limits import QUEUE_CHECK_SECONDS, WRITE_LOCK_SECONDS_MAX
from .notifier import Listener
from .pending_append import PendingAppend
from .permission import check_path, checked_name, may_only_read
from .placement import check_placement
from .preparation import check_readable_at, is_journal_at, prepare
from .reads import Reads
from .snapshots import SqliteSnapshots
from .tail import SqliteTail
from .verifying import Reading, verify_file
from .write_lock import WriteLock

T = TypeVar("T")

logger = logging.getLogger("journeyman")


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
        self._named = os.path.abspath(checked_name(path))  # noqa: PTH100
        self.path = os.path.realpath(path)
        self._synchronous: Synchronous = synchronous
        self._clock = clock
        self._writer = Writer(writer_id)
        self._opened: Connections | None = None
        self._forking: Connections | None = None
        self._unusable = False
        self._closed = False
        self._made = False  # whether `open` created the file, once it has returned
        self.reads_only = False  # known once opened: whether this process has no permission to write the file
        self._opening = threading.Lock()
        self._group_commit = GroupCommit()
        self._reads = Reads(self.path, self._state, clock)
        fork_and_exit.look_after(self)

    async def open(self, *, create: bool = True) -> None:
        """See `Log.open`; raises `NotAJournal` if something else is at the path."""
        self._resolve()
        self.reads_only = not create and may_only_read(self.path)
        check_path(self.path, reads_only=self.reads_only)
        check_placement(self.path)
        if self.reads_only:
            check_readable_at(self.path)
            self._state()
            return
        if not (create or is_journal_at(self.path, self._synchronous)):
            raise JournalNotFound(
                f"there is no journal at {self.path}: expected a file that a worker or a producer has written to. A "
                "relative URL is meant from the directory in which the program runs; with create=1 in it a journal is "
                "made"
            )
        lock = WriteLock(f"{self.path}-lock")
        try:
            if not prepare(self.path, self._synchronous, lock, wait=False):
                prepared = blocking.in_thread(lambda: prepare(self.path, self._synchronous, lock, wait=True))
                if not await blocking.settled(prepared, WRITE_LOCK_SECONDS_MAX):
                    raise self._held(lock)
                prepared.result()
        finally:
            lock.close()
        self._state()

    def _resolve(self) -> None:
        self.path = os.path.realpath(self._named)
        self._reads = Reads(self.path, self._state, self._clock)
        self._made = not os.path.exists(self.path)  # noqa: PTH110 - the path is a string

    @property
    def location(self) -> str:
        """See `Located.location`."""
        made = ", which this process has just made: is its URL relative to another directory?" if self._made else ""
        return f"{self.path}{made}"

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

    @property
    def append_counts(self) -> AppendCounts:
        """See `Counting.append_counts`."""
        return self._writer.counts

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
                await search_before(self._reads, self._writer, state.inserter.landmarks, entry)
            if entry.conditional:
                await check_before(self._reads, self._writer, entry)
        return await self._appended(state, entry, alone=self._is_alone())

    async def append_numbered(self, drafts: Sequence[Draft], since: Mapping[int, int]) -> list[Event]:
        """See `Relaying.append_numbered`."""
        state, alone = self._state_to_write(), self._is_alone()
        is_behind = alone and is_lone_behind(drafts, since, state.inserter.end)
        if is_behind and (event := state.committer.try_commit(drafts[0], since[0])) is not None:
            return [event]
        entry = await numbered(self._reads, self._writer, self.url, drafts, since)
        return await self._appended(state, entry, alone=alone)

    def _is_alone(self) -> bool:
        # A caller in a plain thread waits for no one else's append; in a loop other tasks may be about to append too.
        return blocking.is_driven() or not self._group_commit.is_expected()

    async def _appended(self, state: Connections, entry: PendingAppend, *, alone: bool) -> list[Event]:
        driven = blocking.is_driven()
        if alone and entry.is_lone:
            searched_to = entry.searched_to if entry.keeps_numbers else None
            if (event := state.committer.try_commit(entry.drafts[0], searched_to)) is not None:
                return [event]
        if alone and (entry.keeps_numbers or not entry.is_lone) and state.committer.commit_alone(entry, patient=driven):
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

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """See `Log.read`."""
        check_cursor(cursor, self.partitions)
        page = self._reads.page(cursor[0], limit) if cursor else None
        return [page] if page is not None else []

    def page(self, offset: int, limit: int, *, suspicious: bool = True) -> Page | None:
        """See `Reads.page`."""
        return self._reads.page(offset, limit, suspicious=suspicious)

    def text(self, offset: int, limit: int) -> Text | None:
        """See `Textual.text`."""
        return self._reads.text(offset, limit)

    async def tail(self, cursor: Mapping[int, int]) -> Tail:
        """See `Log.tail`."""
        self._state()
        check_cursor(cursor, self.partitions)
        return SqliteTail(self, cursor)

    async def bounds(self) -> Bounds:
        """See `Log.bounds`."""
        return self._reads.bounds()

    async def position_at(self, timestamp: float) -> Cursor:
        """See `Log.position_at`: by the events' own times."""
        return self._reads.position_at(timestamp)

    async def falls(self) -> Sequence[Fall]:
        """See `OneClock.falls`."""
        return self._reads.falls()

    async def trim(self, before: Mapping[int, int]) -> None:
        """Remove the events below the given offset, as retention does; the offsets of the others stay."""
        state = self._state_to_write()
        check_cursor(before, self.partitions)
        bounds = self._reads.bounds()
        for step in trimming.steps(state.inserter, bounds.first[0], min(before.get(0, 0), bounds.end[0])):
            await self._exclusively(state, step)

    async def identity(self) -> str:
        """See `Relaying.identity`."""
        return await identity_of_file(self)

    def index_path(self) -> str:
        """See `Sited.index_path`: beside the file, or in memory if this process only reads it."""
        return ":memory:" if self.reads_only else self.path + INDEX_SUFFIX

    def snapshots(self) -> SnapshotStore:
        """See `Log.snapshots`: in the same file."""
        return SqliteSnapshots(self)

    def reading(self, read: Callable[[apsw.Connection], T]) -> T:
        """Return what `read` returns, called with a connection that no other thread uses meanwhile."""
        return self._reads.reading(read)

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

    def accept(self, offset: int, rows: Sequence[bytes]) -> None:
        """See `TailedLog.accept`."""
        if self._opened is not None:
            self._opened.accept(offset, rows)

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
