"""The one connection of a process that writes to the file, and what is decided with it: numbers, times, positions.

Positions are given inside the transaction, one after the other without gaps, so the order of positions is the order of
commits.
"""

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from zlib import adler32

import apsw

from ..doorbell import FARTHEST
from ..errors import AppendInDoubt
from ..event import Draft, Event, place, record, time_in
from ..limits import PAGE_EVENTS
from ..writer import MICROSECONDS, Writer
from .checksum import UNKNOWN, Stored, chained, encoded, is_whole, seed, state_behind
from .entry import Entry
from .file import Synchronous, begin, connect, damaged, is_journal
from .pages import page, state_behind_removed
from .presence import Presence
from .repeats import Identity, Landmarks, identities, search

# One step for all rows: SQLite reads the array by itself, without a look at Python and its lock for each row.
_INSERT_ALL: Final = (
    "INSERT INTO events (position, event, checksum) "
    "SELECT ?1 + rowid, value, substr(?3, 4 * rowid - 3, 4) FROM carray(?2)"  # 4: CHECKSUM_BYTES
)
_INSERT: Final = "INSERT INTO events (position, event, checksum) VALUES (?, ?, ?)"
# Nothing if the log does not end just before: somebody else has appended.
_INSERT_NEXT: Final = (
    "INSERT INTO events (position, event, checksum) SELECT ?1, ?2, ?3 WHERE (SELECT max(position) FROM events) = ?1 - 1"
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
_LAST: Final = "SELECT position, event, checksum FROM events ORDER BY position DESC LIMIT 2"
_KEPT: Final = "SELECT name, value FROM kept"


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


class Inserter:
    """Inserts events and carries out other writes; everything here is for who holds both locks of the `Committer`."""

    def __init__(
        self, path: str, presence: Presence, synchronous: Synchronous, clock: Callable[[], float], writer: Writer
    ) -> None:
        self.writer = writer
        self.landmarks = Landmarks()
        self.engine = threading.Lock()  # held while the connection is in use: a fork waits for it
        self.end = -1
        self._checksum = 0  # of the last record before the end
        self.news: tuple[int, bytes | None] = FARTHEST, None  # of the last transaction, for the bells
        self._path = path
        self._synchronous: Synchronous = synchronous
        self._clock = clock
        self._connection: apsw.Connection | None = None  # and none during a transaction, which may be interrupted
        self._cursor: apsw.Cursor | None = None
        self._latest: Callable[[], apsw.Connection | None] = lambda: None  # the one made last, while it is there
        self._presence = presence

    # Appends

    def insert_next(self, draft: Draft) -> Event | None:
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
            checksum = adler32(row, self._checksum)
            cursor.execute(_INSERT_NEXT, (offset + 1, row, encoded(checksum)))
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
        self._checksum = checksum  # before the end: it holds only for that
        self.end = offset + 1
        self.news = self.end, row
        return event

    def insert_after_others(self, draft: Draft) -> Event:
        """Append one new draft, whoever has appended before; `apsw.BusyError` if the file is in use."""
        entry = Entry((draft,), plain=True)
        self.insert_all([entry], patient=False)
        return entry.events[0]

    def insert_all(self, batch: Sequence[Entry], patient: bool) -> None:
        """Append the entries in one transaction; who is not `patient` gets `apsw.BusyError` if the file is in use."""
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
            checksum = self._insert(cursor, transaction)
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
        self._checksum = checksum
        self.end = transaction.end
        self.news = transaction.end, transaction.rows[0] if len(transaction.rows) == 1 else None
        self._connection, self._cursor = connection, cursor

    def _insert(self, cursor: apsw.Cursor, transaction: _Transaction) -> int:
        """Insert the rows with their checksums, and return the last of these."""
        rows = transaction.rows
        if not rows:
            return self._checksum
        self.landmarks.add(transaction.drafts[0].seq, transaction.first)
        checksums, last = chained(rows, self._checksum)
        if len(rows) == 1:
            cursor.execute(_INSERT, (transaction.end, rows[0], checksums))
        else:
            cursor.execute(_INSERT_ALL, (transaction.first, apsw.carray(tuple(rows)), checksums))
        return last

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

    def _in_doubt(self, error: apsw.Error) -> AppendInDoubt:
        return AppendInDoubt(
            f"the commit to {self._path} failed ({error}); whether it landed is unknown. "
            "Append the same drafts again: what landed is not doubled."
        )

    # Transactions and the connection

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
        self.news = FARTHEST, None
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
        presence, connection = self._presence, self._connection
        # As `check` asks, but without a call on the way of most appends.
        if connection is not None and time.monotonic() < presence.good_until:
            return connection
        presence.check()
        if self._connection is None:
            with contextlib.suppress(apsw.Error):
                self.disconnect()  # an interrupt may have left it in the midst of a transaction
            connection = presence.connect(lambda: connect(self._path, self._synchronous))
            if not is_journal(connection, self._path):
                raise damaged(self._path, "it is empty")
            connection.set_busy_timeout(0)  # who may wait says so: `begin`
            self._connection, self._latest = connection, weakref.ref(connection)
        return self._connection

    def catch_up(self, cursor: apsw.Cursor) -> None:
        """Learn, inside the transaction, where the log ends and its last time, whoever gave it."""
        last: list[Any] = cursor.execute(_LAST).fetchall()
        if last:
            end, _, checksum = last[0]
            if end != self.end:
                self._catch_up_in_time(cursor.connection, [Stored(*row) for row in last])
                self._checksum = state_behind(end, checksum)
                self.end = end
            return
        rows: list[Any] = cursor.execute(_KEPT).fetchall()
        kept: dict[str, int] = dict(rows)
        self.writer.catch_up(kept.get("last_microseconds", 0) / MICROSECONDS)
        end = kept.get("end", 0)
        self._checksum = state_behind_removed(cursor.connection, end)
        if self._checksum == UNKNOWN:
            self._checksum = seed(end)
        self.end = end

    def _catch_up_in_time(self, connection: apsw.Connection, last: Sequence[Stored]) -> None:
        """Stamp later than the last event; where its record is unreadable, than the last of those before it.

        `last` are the last two rows, the last one first.
        """
        end, record, _ = last[0]
        moment = None
        if len(last) == 2 and is_whole(last[:1], state_behind(last[1].position, last[1].checksum)):
            moment = time_in(record)
        if moment is None:
            rows = page(connection, max(end - PAGE_EVENTS, 0), PAGE_EVENTS)[1]
            moment = next((found for row in reversed(rows) if (found := time_in(row)) is not None), 0.0)
        self.writer.catch_up(moment)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to be closed."""
        return self._latest() is not None

    def disconnect(self) -> None:
        """Close the connection, which checkpoints the file if it is the last one."""
        self._connection = self._cursor = None
        connection = self._latest()
        if connection is not None:
            connection.close()

    def pause(self, timeout: float) -> bool:
        """Let nobody use a connection, and have none, until `resume`; False if one is in use for too long."""
        if not self.engine.acquire(timeout=timeout):
            return False
        self.disconnect()
        return True

    def resume(self) -> None:
        """Go on after `pause`."""
        self.engine.release()
