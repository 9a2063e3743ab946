"""Appending to the file: many callers, one transaction.

Whoever comes to append puts an entry into a queue. Who then finds the writer's seat free commits the whole queue, in
its own thread; the others find their entry done. So a lone caller commits at once, without a hand-over to another
thread (0.1 ms), and callers at the same time share one synchronisation of the disk. A thread exists only once there
was contention, with other threads or other processes; it alone ever waits in the queue of the processes.

What is decided under the locks: numbers, times, positions. Positions are given inside the transaction, one after the
other without gaps, so the order of positions is the order of commits.
"""

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import apsw
import msgspec

from .. import blocking
from ..doorbell import FARTHEST, Ringer
from ..errors import AppendInDoubt, JournalClosed, JournalError, JournalUnavailable
from ..event import Draft, Event, place, record
from ..limits import COMMIT_EVENTS_MAX, FILE_CHECK_SECONDS
from ..writer import MICROSECONDS, Writer
from .file import Synchronous, begin, connect, damaged, explained, is_journal
from .repeats import Identity, Landmarks, identities, search
from .seat import Seat
from .write_lock import WriteLock

# One step for all rows: SQLite reads the array by itself, without a look at Python and its lock for each row.
_INSERT_ALL: Final = "INSERT INTO events (position, event) SELECT ?1 + rowid, value FROM carray(?2)"
_INSERT: Final = "INSERT INTO events (position, event) VALUES (?, ?)"
# Nothing if the log does not end just before: somebody else has appended.
_INSERT_NEXT: Final = (
    "INSERT INTO events (position, event) SELECT ?1, ?2 WHERE (SELECT max(position) FROM events) = ?1 - 1"
)
# After these nothing of a statement has landed; after any other error it may have.
_NOT_LANDED: Final = (
    apsw.CantOpenError,
    apsw.FullError,
    apsw.LockedError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
    apsw.SQLError,
)
_LAST: Final = "SELECT position, event FROM events ORDER BY position DESC LIMIT 1"
_KEPT: Final = "SELECT name, value FROM kept"


class _Stamp(msgspec.Struct, gc=False):
    timestamp: float


stamp_decoder: Final = msgspec.json.Decoder(_Stamp)


_NOTHING: Final[Mapping[Identity, Event]] = {}

T = TypeVar("T")


class Entry:
    """One append on its way: what was handed in, and what became of it; `plain` as `check_all` has it."""

    __slots__ = ("_waiter", "done", "drafts", "error", "events", "known", "plain", "searched_to", "shared")

    def __init__(self, drafts: Sequence[Draft], *, plain: bool = False) -> None:
        self.drafts = drafts
        self.plain = plain and bool(drafts)
        self.done = False
        self.shared = False  # whether others were committed with it
        self.events: list[Event] = []
        self.error: Exception | None = None
        # What a search before the locks has found of drafts handed in again, and up to which offset it has looked.
        self.known: Mapping[Identity, Event] = _NOTHING
        self.searched_to = 0
        self._waiter: blocking.Latch | None = None

    @property
    def is_new(self) -> bool:
        """Whether all it needs is numbers, times and places; not once it has numbers.

        Those it has from a commit that an interrupt broke off: then it has to be looked for.
        """
        return self.plain and not self.drafts[0].seq

    def finish(self, error: Exception | None = None) -> None:
        """Tell the one who waits."""
        self.error = error
        self.done = True
        waiter = self._waiter  # read after `done` was set: see `settled`
        if waiter is not None:
            waiter.set()

    def outcome(self) -> list[Event]:
        """What became of it once it is finished: its events, or its error raised."""
        if self.error is not None:
            raise self.error
        return self.events

    async def settled(self, timeout: float) -> bool:
        """Wait until it is finished, at most `timeout` seconds; say whether it is."""
        if self._waiter is None and not self.done:  # most never wait
            self._waiter = blocking.Latch()
        # Set first and looked at afterwards, as `finish` does the other way round: one of the two sees the other.
        return self.done or (self._waiter is not None and await self._waiter.settled(timeout))


class _Transaction:
    """One transaction in the making: what is to be inserted at offset `first` and after it."""

    __slots__ = ("drafts", "events", "first", "rows")

    def __init__(self, first: int) -> None:
        self.first = first
        self.rows: list[bytes] = []
        self.events: list[Event] = []
        self.drafts: list[Draft] = []

    @property
    def end(self) -> int:
        """The offset of the next row."""
        return self.first + len(self.rows)

    def found(self, draft: Draft) -> Event | None:
        """The event of a draft that is in this very transaction: its numbers have no gaps, either."""
        if not self.drafts or draft.writer != self.drafts[0].writer:
            return None
        index = draft.seq - self.drafts[0].seq
        return self.events[index] if 0 <= index < len(self.events) else None


class Committer:
    """The one writer of a process to a file: queue, locks, connection."""

    def __init__(
        self, path: str, synchronous: Synchronous, clock: Callable[[], float], writer: Writer, ringer: Ringer
    ) -> None:
        self.path = path
        self.writer = writer
        self.landmarks = Landmarks()
        self.lock = WriteLock(f"{path}-lock")
        self._synchronous: Synchronous = synchronous
        self._clock = clock
        self._ringer = ringer
        self._seat = Seat()  # who holds it may, once it has the processes' lock too, use the connection
        self.engine = threading.Lock()  # held while the connection is in use: a fork waits for it
        self._mutex = threading.Lock()  # guards the queue
        self._queue: deque[Entry] = deque()
        self._in_hand: Sequence[Entry] = ()  # those of them that are being committed
        self._closed = False
        self._connection: apsw.Connection | None = None  # and none during a transaction, which may be interrupted
        self._cursor: apsw.Cursor | None = None
        self._latest: Callable[[], apsw.Connection | None] = lambda: None  # the one made last, while it is there
        self._file = _identity_of(path)
        self._look_again_at = 0.0
        self.end = -1
        self._news: tuple[int, bytes | None] = FARTHEST, None  # of the last transaction, for the bells
        self._helper: threading.Thread | None = None
        self._work: SimpleQueue[None] = SimpleQueue()  # and no semaphore: an interrupt could leave its lock taken

    # The queue

    def enqueue(self, entry: Entry) -> None:
        """Put an entry into the queue."""
        with self._mutex:
            if self._closed:
                raise JournalClosed(f"the journal {self.path} is closed; open it again to go on")
            self._queue.append(entry)

    def withdraw(self, entry: Entry) -> bool:
        """Take an entry out of the queue; False if it is in the hands of who commits, and may land or have landed."""
        with self._mutex:
            if entry in self._in_hand or entry not in self._queue:
                return False
            self._queue.remove(entry)
        return True

    def _take(self) -> list[Entry]:
        """Take the entries of the next transaction in hand.

        They stay in the queue until it is over. An interrupt may come before: then they are taken once more, and what
        of theirs has landed is looked for.
        """
        batch: list[Entry] = []
        count = 0
        self._let_go_of_finished()
        with self._mutex:
            for entry in self._queue:
                count += len(entry.drafts)
                if batch and count > COMMIT_EVENTS_MAX:
                    break
                batch.append(entry)
            self._in_hand = batch
        return batch

    def _let_go_of_finished(self) -> None:
        with self._mutex:
            while self._queue and self._queue[0].done:
                self._queue.popleft()

    def close_queue(self) -> None:
        """Take no more entries; those in the queue are still committed."""
        with self._mutex:
            self._closed = True

    # Who commits

    def append_at_once(self, draft: Draft) -> Event | None:
        """Append one new draft here and now, past the queue; None if somebody else is at the queue or at the file."""
        if self._queue:
            return None
        try:
            event = self._under_both(partial(self._append_one, draft))
        except JournalError:  # it may have landed all the same
            self._announce()
            raise
        if event is not None:
            self._announce()
        return event

    def _append_one(self, draft: Draft) -> Event | None:
        if self._closed or draft.seq:  # handed in again, after an interrupt, and committed meanwhile by somebody else
            return None
        try:
            with self.engine:
                return self._insert_next(draft) or self._insert_after_others(draft)
        except apsw.Error as error:
            if isinstance(error, apsw.BusyError):
                raise
            raise explained(error, self.path) from error

    def commit_alone(self, entry: Entry, *, patient: bool = True) -> bool:
        """Commit an entry here and now, past the queue, if nobody else is at it; otherwise leave it and say so.

        Who is not `patient`, in a loop for one, leaves it also where another program is at the file.
        """
        if self._queue or not self._under_both(partial(self._commit_one, entry, patient)):
            return False
        self._announce()
        return True

    def _commit_one(self, entry: Entry, patient: bool) -> bool:
        if self._closed:
            return False
        self._commit([entry], patient=patient)
        return True

    def combine(self, *, patient: bool = True) -> None:
        """Commit the queue here and now if nobody else is at it; otherwise see to it that somebody will.

        Who is not `patient` leaves it to somebody else also where another program is at the file.
        """
        if self._under_both(partial(self._drain, patient=patient)):
            self._announce()

    def exclusively(self, work: Callable[[bool], None], *, wait: bool = False) -> bool:
        """Do other work under both locks; without `wait` only if nothing is in the way. Says whether it was done.

        The work is told whether it may wait, for a program that does not queue; otherwise it raises `apsw.BusyError`.
        """

        def done() -> bool:
            work(wait)
            return True

        return self._under_both(done, wait=wait) is not None

    def _under_both(self, work: Callable[[], T], *, wait: bool = False) -> T | None:
        """Work under both locks, and have its result; None if there is something in the way, unless it may `wait`."""
        seat = self._seat
        if seat.is_mine():  # the handler of a signal writes, in the midst of a commit
            return None
        try:
            if not seat.take(wait):
                return None
            try:
                return work() if (self.lock.acquire() if wait else self.lock.try_acquire()) else None
            finally:
                self.lock.release()
        except apsw.BusyError:
            if wait:
                raise
            return None
        finally:
            try:  # at once: an interrupt may come as soon as anything has been called
                seat.leave()
            except RuntimeError:
                pass  # it was not taken
            else:
                if self._queue:  # who found the seat taken relies on it
                    self._pass_on()

    def _pass_on(self) -> None:
        """Have the queue looked at once more, by the helping thread."""
        with self._mutex:
            if self._helper is None or not self._helper.is_alive():  # it may have been struck as it was started
                self._helper = threading.Thread(target=self._help, name="journeyman-commit", daemon=True)
                self._helper.start()
        self._work.put(None)

    def _help(self) -> None:
        while True:
            self._work.get()
            while self._queue:
                committed = self._under_both(self._drain, wait=True)
                if committed is None:
                    return  # dismissed; whoever still waits gives up by himself
                if committed:
                    self._announce()
            if self._closed:
                return

    def _drain(self, *, patient: bool = True) -> bool:
        """Commit one batch of the queue, for who holds both locks; False if the queue is empty."""
        try:
            batch = self._take()
            for entry in batch:
                entry.shared = len(batch) > 1
            if batch:
                self._commit(batch, patient=patient)
        finally:
            self._in_hand = ()
        self._let_go_of_finished()
        return bool(batch)

    # The transaction

    def _commit(self, batch: list[Entry], *, patient: bool = True) -> None:
        try:
            with self.engine:
                self._transact(batch, patient)
        except Exception as error:
            if not patient and isinstance(error, apsw.BusyError):
                raise
            if not isinstance(error, (apsw.Error, JournalError)) and threading.current_thread() is not self._helper:
                raise  # perhaps a signal handler's, and so this thread's; the helping one sees to the others
            if len(batch) == 1 or isinstance(error, (AppendInDoubt, apsw.BusyError)):
                for entry in batch:
                    entry.finish(self._said(error))
                return
            for entry in batch:  # one that cannot land must not take the others with it
                self._commit([entry], patient=patient)
        else:
            for entry in batch:
                entry.finish()

    def _said(self, error: Exception) -> Exception:
        """What is said to one of those whose commit has failed."""
        if isinstance(error, AppendInDoubt):
            return AppendInDoubt(str(error))  # its own, for each will put its own drafts into it
        return explained(error, self.path) if isinstance(error, apsw.Error) else error

    def _transact(self, batch: list[Entry], patient: bool) -> None:
        connection = self.connected()
        cursor = self._cursor or connection.cursor()  # kept: making one for each statement costs as much as running it
        self._connection = self._cursor = None  # nobody goes on with them if `_undo` is interrupted, too
        transaction: _Transaction | None = None
        committing = False
        try:
            begin(connection, cursor, patient=patient)
            self.catch_up(cursor)
            transaction = _Transaction(self.end)
            for entry in batch:
                entry.events = self._recorded(connection, transaction, entry)
            self._insert(cursor, transaction)
            committing = True
            cursor.execute("COMMIT")
        except BaseException as error:
            self._undo(connection, error)
            if transaction is not None and not committing:
                for draft in transaction.drafts:
                    self.writer.forget(draft)
            if committing and isinstance(error, apsw.Error):
                raise self._in_doubt(error) from error
            raise
        self.end = transaction.end
        self._news = transaction.end, transaction.rows[0] if len(transaction.rows) == 1 else None
        self._connection, self._cursor = connection, cursor

    def _insert_next(self, draft: Draft) -> Event | None:
        """Append one new draft in one statement if nobody else has appended since; None if somebody has.

        Instead of four, on the way of each lone append: begin, look where the log ends, insert, commit.
        """
        offset, writer, connection = self.end, self.writer, self.connected()
        if offset <= 0:
            return None
        cursor = self._cursor or connection.cursor()
        inserted = False
        try:
            event, row = writer.record_one(draft, self._clock(), offset)
            # Before it can have landed: should it be looked for, nothing before the first mark is looked at.
            self.landmarks.add(draft.seq, offset)
            cursor.execute(_INSERT_NEXT, (offset + 1, row))
            inserted = connection.changes() == 1
        except apsw.BusyError:
            writer.forget(draft)
            raise
        except BaseException as error:
            self._undo(connection, error)
            if isinstance(error, _NOT_LANDED):
                writer.forget(draft)
            elif isinstance(error, apsw.Error):
                raise self._in_doubt(error) from error
            raise
        self._cursor = cursor
        if not inserted:
            writer.forget(draft)
            return None
        self.end = offset + 1
        self._news = self.end, row
        return event

    def _insert_after_others(self, draft: Draft) -> Event:
        entry = Entry((draft,), plain=True)
        self._transact([entry], patient=False)
        return entry.events[0]

    def _in_doubt(self, error: apsw.Error) -> AppendInDoubt:
        return AppendInDoubt(
            f"the commit to {self.path} failed ({error}); whether it landed is unknown. "
            "Append the same drafts again: what landed is not doubled."
        )

    def _insert(self, cursor: apsw.Cursor, transaction: _Transaction) -> None:
        if transaction.rows:
            self.landmarks.add(transaction.drafts[0].seq, transaction.first)
            if len(transaction.rows) == 1:
                cursor.execute(_INSERT, (transaction.end, transaction.rows[0]))
            else:
                cursor.execute(_INSERT_ALL, (transaction.first, apsw.carray(tuple(transaction.rows))))

    def transact(self, write: Callable[[apsw.Connection], None], *, patient: bool) -> None:
        """Run `write` in a transaction, for who holds both locks; `apsw.BusyError` if another program is at the file.

        Only who is `patient` waits for that program first.
        """
        with self.engine:
            connection = self.connected()
            self._connection = self._cursor = None
            try:
                begin(connection, connection.cursor(), patient=patient)
                write(connection)
                connection.execute("COMMIT")
            except BaseException as error:
                self._undo(connection, error)
                raise
            self._connection = connection

    def _undo(self, connection: apsw.Connection, error: BaseException) -> None:
        self.end = -1
        self._news = FARTHEST, None
        self._connection = self._cursor = None
        with contextlib.suppress(apsw.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        # After an error of the disk a connection may know wrong things. After an interrupt a statement may still be
        # open: then it sees the log as it was, for ever, and SQLite lets it write no more.
        if isinstance(error, (apsw.BusyError, apsw.FullError)):
            self._connection = connection
        else:
            with contextlib.suppress(apsw.Error):
                connection.close()

    def connected(self) -> apsw.Connection:
        """The connection; for who holds both locks and `engine`."""
        now = time.monotonic()
        if self._connection is not None and now < self._look_again_at:
            return self._connection
        if _identity_of(self.path) != self._file:
            raise JournalUnavailable(
                f"the journal's file {self.path} was removed or replaced while it was open; "
                "nothing more is appended to the old one. Close the journal and open it again."
            )
        self._look_again_at = now + FILE_CHECK_SECONDS
        if self._connection is None:
            with contextlib.suppress(apsw.Error):
                self._disconnect()  # an interrupt may have left it in the midst of a transaction
            connection = connect(self.path, self._synchronous)
            if not is_journal(connection, self.path):
                raise damaged(self.path, "it is empty")
            connection.set_busy_timeout(0)  # who may wait says so: `begin`
            self._connection, self._latest = connection, weakref.ref(connection)
        return self._connection

    def catch_up(self, cursor: apsw.Cursor) -> None:
        """Learn, inside the transaction, where the log ends and its last time, whoever gave it."""
        last: list[Any] = cursor.execute(_LAST).fetchall()
        if last:
            end, row = last[0]
            if end != self.end:
                self.writer.catch_up(stamp_decoder.decode(row).timestamp)
                self.end = end
            return
        rows: list[Any] = cursor.execute(_KEPT).fetchall()
        kept: dict[str, int] = dict(rows)
        self.writer.catch_up(kept.get("last_microseconds", 0) / MICROSECONDS)
        self.end = kept.get("end", 0)

    def _recorded(self, connection: apsw.Connection, transaction: _Transaction, entry: Entry) -> list[Event]:
        """The events of an entry: those that are in the log already, and new ones with their number, time and place."""
        writer, offset, now = self.writer, transaction.end, self._clock()
        if entry.is_new:
            transaction.drafts += entry.drafts
            recorded, rows = writer.record_all(entry.drafts, now, offset)
            transaction.events += recorded
            transaction.rows += rows
            entry.searched_to = transaction.first
            return recorded
        known = self._known(connection, transaction, entry)
        recorded = []
        for draft in entry.drafts:
            if draft.seq:
                event = known.get((draft.writer, draft.seq)) or transaction.found(draft)
                if event is not None:
                    recorded.append(event)
                    continue
                writer.forget(draft)
            writer.number(draft)
            transaction.drafts.append(draft)
            event, row = record(draft, writer.stamp(now if draft.timestamp is None else draft.timestamp))
            recorded.append(place(event, 0, offset))
            transaction.events.append(event)
            transaction.rows.append(row)
            offset += 1
        entry.searched_to = transaction.first  # should the commit be interrupted, it is looked for from here on
        return recorded

    def _known(self, connection: apsw.Connection, transaction: _Transaction, entry: Entry) -> Mapping[Identity, Event]:
        """What is in the log of an entry's drafts that were handed in before."""
        if not entry.known and not any(draft.seq for draft in entry.drafts):
            return entry.known
        missing = identities(entry.drafts) - entry.known.keys()
        return {**entry.known, **search(connection, missing, entry.searched_to, transaction.first)}

    def has_work(self) -> bool:
        """Whether there is anything to finish; once the queue is closed, False is final."""
        return self._seat.is_taken() or bool(self._queue) or self._latest() is not None

    def finish(self, patient: bool) -> None:
        """Commit what is left and close the connection, which checkpoints the file if it is the last one.

        For who holds both locks; see `exclusively`.
        """
        while self._drain(patient=patient):
            pass
        with self.engine:
            self._disconnect()
        self._ringer.ring()

    def _announce(self) -> None:
        self._ringer.ring(*self._news)

    def _disconnect(self) -> None:
        self._connection = self._cursor = None
        connection = self._latest()
        if connection is not None:
            connection.close()

    def pause(self, timeout: float) -> bool:
        """Let nobody use a connection, and have none, until `resume`; False if one is in use for too long."""
        if not self.engine.acquire(timeout=timeout):
            return False
        self._disconnect()
        return True

    def resume(self) -> None:
        """Go on after `pause`."""
        self.engine.release()

    def dismiss(self) -> None:
        """Let the helping thread end and let go of the lock's file."""
        if self._helper is not None:
            self._work.put(None)
        self.lock.close()


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - on the path of every commit
    except OSError as error:
        if error.errno is None:
            raise  # the TimeoutError of a signal's handler, which is no answer of the system
        return None
    return status.st_dev, status.st_ino
