"""Inserts events through the writer's connection, and assigns their numbers, times and positions.

Positions are assigned inside the transaction, consecutively and without gaps, so their order is that of the commits.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from zlib import adler32

import apsw

from ..conditions import Conditions, conditions_of, conflicts
from ..errors import AppendInDoubt, EventConflict, JournalDiverged
from ..event import Draft, Event, place, record
from ..timeline import Fall
from ..writer import CLOCK_STEP_MICROSECONDS, MICROSECONDS, Writer
from . import times
from .checksum import CHECKSUM_BYTES, UNKNOWN, chained, encoded
from .conflicts import find_conflict
from .file import Synchronous, begin, damaged
from .followed import Followed
from .limits import RENEWALS_MAX
from .log_end import LAST, end_of
from .open_file import OpenFile
from .pending_append import PendingAppend
from .repeats import Identity, Landmarks, identities, identity_of, search
from .transaction import Transaction
from .writer_connection import WriterConnection

# One step for all rows: SQLite reads the array itself, without entering Python and taking its lock for each row.
# Behind a row SQLite numbers the next ones by itself, and writes at the end of the table without searching its place.
_INSERT_NUMBERED: Final = (
    "INSERT INTO events (event, checksum) "
    "SELECT value, substr(?2, 4 * rowid - 3, 4) FROM carray(?1)"  # 4: CHECKSUM_BYTES
)
_INSERT_FIRST: Final = (
    "INSERT INTO events (position, event, checksum) "
    "SELECT ?1 + rowid, value, substr(?3, 4 * rowid - 3, 4) FROM carray(?2)"  # 4: CHECKSUM_BYTES
)
_INSERT: Final = "INSERT INTO events (position, event, checksum) VALUES (?, ?, ?)"
# Inserts nothing if the log does not end just before, as another process has appended: then the position is taken, or
# the one before is free and makes the record NULL, which the table refuses. `INSERT … SELECT … WHERE` would be plainer,
# but if it reads the table that it writes to, it makes a temporary table each time and takes a third longer.
_INSERT_NEXT: Final = (
    "INSERT OR IGNORE INTO events (position, event, checksum) "
    "VALUES (?1, CASE WHEN EXISTS (SELECT 1 FROM events WHERE position = ?1 - 1) THEN ?2 END, ?3)"
)
# Behind records of others, if the last one is that with the checksum ?4.
_INSERT_BEHIND: Final = (
    "INSERT OR IGNORE INTO events (position, event, checksum) VALUES "
    "(?1, CASE WHEN EXISTS (SELECT 1 FROM events WHERE position = ?1 - 1 AND checksum = ?4) THEN ?2 END, ?3)"
)
# After these errors a statement has certainly not landed; after any other it may have.
_NOT_LANDED: Final = (
    apsw.CantOpenError,
    apsw.FullError,
    apsw.LockedError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
    apsw.SQLError,
)


def _is_there(draft: Draft, known: Mapping[Identity, Event], transaction: Transaction) -> bool:
    """Whether a draft is in the log already or in this transaction."""
    return bool(draft.seq) and (identity_of(draft) in known or transaction.found(draft) is not None)


def _fits(draft: Draft, offset: int, searched_to: int | None) -> bool:
    """Whether a draft can land at the end of a log, at `offset`, without a look at what stands before."""
    if searched_to is not None and searched_to < offset:
        return False
    return offset > 0 and (draft.expected is None or draft.expected == offset - 1)


def _keep_number(_: Draft) -> None:
    """Do nothing: the number is of a writer elsewhere."""


class Inserter(WriterConnection):
    """Inserts events and runs other writes; the caller of any method holds both locks of the `Committer`."""

    def __init__(self, file: OpenFile, synchronous: Synchronous, clock: Callable[[], float], writer: Writer) -> None:
        super().__init__(file, synchronous)
        self.writer = writer
        self.landmarks = Landmarks()
        self.followed = Followed()
        self._checksum = 0  # of the last record before the end
        self._has_rows = False  # whether that record is there; retention may have removed all
        self.fell: Fall | None = None  # the first time that this writer's clock was behind the last time of the log
        self._clock = clock

    # Appends

    def insert_next(self, draft: Draft, searched_to: int | None = None) -> Event | None:
        """Append one new draft in one statement if the log ends where this process knows it to end; else None.

        That is behind its own last append, and behind what notices have brought since. This replaces the statements of
        a transaction: begin, read the end, insert, commit. The end also proves the condition of a draft that expects
        the last event; None if a draft expects another one. With `searched_to` the draft was numbered elsewhere, and
        may stand in the log from that offset on: None if that is before the end.
        """
        connection, writer = self.connected(), self.writer
        offset, state = self.end, self._checksum
        if self.followed.rows:
            offset, state = self._followed_end()
        if not _fits(draft, offset, searched_to):
            return None
        forget = writer.forget if searched_to is None else _keep_number
        cursor = self._cursor or connection.cursor()
        inserted = False
        begun, now = time.perf_counter(), self._clock()
        if writer.last_microseconds - now * MICROSECONDS > CLOCK_STEP_MICROSECONDS:
            return None  # the time falls back, which takes a transaction
        try:
            event, row = self._recorded_next(draft, now, offset, is_own=searched_to is None)
            checksum = adler32(row, state)
            self._acknowledged = offset
            if offset == self.end:
                cursor.execute(_INSERT_NEXT, (offset + 1, row, checksum.to_bytes(CHECKSUM_BYTES, "little")))
            else:
                cursor.execute(_INSERT_BEHIND, (offset + 1, row, encoded(checksum), encoded(state)))
            inserted = connection.changes() == 1
        except apsw.BusyError:
            forget(draft)
            raise
        except BaseException as error:
            if self._is_to_repeat(connection, draft, error, forget):
                return None
            raise
        self._cursor = cursor
        if not inserted:
            forget(draft)
            return None
        self._checksum = checksum  # before the end: it holds only for that
        self.end = offset + 1
        if not self._is_kept(1):
            return None
        writer.counts.add(1, 1, len(row), time.perf_counter() - begun)
        self.news = self.end, row
        return event

    def _recorded_next(self, draft: Draft, now: float, offset: int, *, is_own: bool) -> tuple[Event, bytes]:
        if not is_own:
            return self.writer.record_one_numbered(draft, now, offset)
        event, row = self.writer.record_one(draft, now, offset)
        # Before the draft can land: a search for it begins at a landmark and would miss it without one.
        self.landmarks.add(draft.seq, offset)
        return event, row

    def _is_to_repeat(
        self, connection: apsw.Connection, draft: Draft, error: BaseException, forget: Callable[[Draft], None]
    ) -> bool:
        """Undo what failed; return whether to repeat it on new connections. `AppendInDoubt` if it may have landed."""
        self._undo(connection, error)
        if isinstance(error, _NOT_LANDED):
            forget(draft)
        if isinstance(error, apsw.Error) and self._outdated is not None:
            return True
        if isinstance(error, apsw.Error) and not isinstance(error, _NOT_LANDED):
            raise self._in_doubt(error) from error
        return False

    def _followed_end(self) -> tuple[int, int]:
        """Return where the log ends by what notices have brought, and the checksum there; -1 if that is unknown.

        If they have brought something, `end` is unknown until an append has confirmed it; else it is read again.
        """
        offset, self.end = self.end, -1
        known = self.followed.end_behind(offset, self._checksum) if offset > 0 else None
        if known is None:
            return -1, UNKNOWN
        if known.offset == offset:
            self.end = offset
        else:
            self.writer.catch_up(known.time)
        return known.offset, known.checksum

    def insert_after_others(self, draft: Draft) -> Event:
        """Append one new draft in a transaction, also after other processes; `apsw.BusyError` if the file is in use."""
        entry = PendingAppend((draft,), plain=True)
        if draft.seq:  # it was committed to a removed `-wal`
            entry.searched_to = self.landmarks.lowest_offset(draft.seq)
        self.insert_all([entry], patient=False)
        return entry.events[0]

    def _insert_lone(self, entry: PendingAppend) -> bool:
        """Append one new draft behind others' records, by a read and one statement; False if nothing was appended.

        The lock that the caller holds keeps other journals out in between; the statement notices another program.
        """
        connection = self.connected()
        self._cursor = cursor = self._cursor or connection.cursor()
        try:
            self.catch_up(cursor)
        except BaseException as error:
            self._undo(connection, error)
            if not isinstance(error, apsw.Error):
                raise
            return False  # the transaction finds out what that means
        entry.searched_to = max(0, self.end)
        with contextlib.suppress(apsw.BusyError):
            event = self.insert_next(entry.drafts[0])
            entry.events = [event] if event is not None else []
        return bool(entry.events)

    def insert_all(self, batch: Sequence[PendingAppend], patient: bool) -> None:
        """Append the entries in one transaction; without `patient`, `apsw.BusyError` if the file is in use."""
        if len(batch) == 1 and batch[0].is_new and len(batch[0].drafts) == 1 and self._insert_lone(batch[0]):
            return
        for _ in range(RENEWALS_MAX):
            try:
                if self._insert_batch(batch, patient):
                    return
            except (apsw.Error, AppendInDoubt):
                if self._outdated is None:
                    raise
            for entry in batch:
                entry.checked_to = 0  # the check was made in the removed files
        raise self._in_doubt("the files beside it are repeatedly removed or replaced")

    def _insert_batch(self, batch: Sequence[PendingAppend], patient: bool) -> bool:
        """Run one transaction; False if it went to a removed `-wal`, so that its events have to be searched for."""
        begun = time.perf_counter()
        connection = self.connected()
        cursor = self._cursor or connection.cursor()  # kept: making one for each statement costs as much as running it
        self._connection = self._cursor = None  # so that they are not used again if `_undo` is interrupted, too
        transaction: Transaction | None = None
        committing = False
        try:
            begin(connection, cursor, patient=patient)
            self.catch_up(cursor)
            transaction = Transaction(self.end)
            for entry in batch:
                entry.refusal = self._conflict(connection, transaction, entry) if entry.conditional else None
                entry.events = self._recorded(connection, transaction, entry) if entry.refusal is None else []
            checksum = self._insert(cursor, transaction)
            self._acknowledged = transaction.first
            if transaction.falls:
                times.note(cursor, transaction.falls)
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
        if transaction.falls:
            self.fell = self.fell or next((fall for fall in transaction.falls if not fall.carried), None)
        self._connection, self._cursor = connection, cursor
        if not self._is_kept(len(transaction.rows)):
            return False
        rows = transaction.rows
        self.writer.counts.add(len(batch), len(rows), sum(map(len, rows)), time.perf_counter() - begun)
        self.news = transaction.end, rows[0] if len(rows) == 1 else None
        return True

    def _insert(self, cursor: apsw.Cursor, transaction: Transaction) -> int:
        """Insert the rows with their checksums, and return the last checksum."""
        rows = transaction.rows
        if not rows:
            return self._checksum
        if transaction.drafts:
            self.landmarks.add(transaction.drafts[0].seq, transaction.first)
        checksums, last = chained(rows, self._checksum)
        if len(rows) == 1:
            cursor.execute(_INSERT, (transaction.end, rows[0], checksums))
        elif self._has_rows:
            cursor.execute(_INSERT_NUMBERED, (apsw.carray(tuple(rows)), checksums))
            if cursor.connection.last_insert_rowid() != transaction.end:
                raise damaged(self._path, f"the positions do not continue at {transaction.first + 1}")
        else:
            cursor.execute(_INSERT_FIRST, (transaction.first, apsw.carray(tuple(rows)), checksums))
        return last

    def _recorded(self, connection: apsw.Connection, transaction: Transaction, entry: PendingAppend) -> list[Event]:
        """The events of an entry: those already in the log, and new ones with their number, time and position."""
        writer, offset, now = self.writer, transaction.end, self._clock()
        if entry.keeps_numbers:
            return self._recorded_numbered(connection, transaction, entry)
        if entry.is_new:
            last = writer.last_microseconds / MICROSECONDS
            transaction.drafts += entry.drafts
            recorded, rows = writer.record_all(entry.drafts, now, offset)
            transaction.events += recorded
            transaction.rows += rows
            if recorded[0].timestamp < last:
                transaction.falls.append(Fall(offset, last, recorded[0].timestamp))
            entry.searched_to = transaction.first
            return recorded
        known = entry.known = self._known(connection, transaction, entry)  # the next search begins behind them
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
            last = writer.last_microseconds / MICROSECONDS
            event, row = record(draft, writer.stamp(now if draft.timestamp is None else draft.timestamp))
            if event.timestamp < last:
                transaction.falls.append(Fall(offset, last, event.timestamp, draft.timestamp is not None))
            recorded.append(place(event, 0, offset))
            transaction.events.append(event)
            transaction.rows.append(row)
            offset += 1
        entry.searched_to = transaction.first  # should the commit be interrupted, it is looked for from here on
        return recorded

    def _recorded_numbered(
        self, connection: apsw.Connection, transaction: Transaction, entry: PendingAppend
    ) -> list[Event]:
        """The events of drafts that were numbered elsewhere: those already in the log, and new ones."""
        writer, offset, now = self.writer, transaction.end, self._clock()
        known = entry.known = self._known(connection, transaction, entry)
        last = writer.last_microseconds / MICROSECONDS
        entry.searched_to = transaction.first
        if entry.plain and not known and transaction.has_none_of(entry.drafts[0].writer):
            recorded, rows = writer.record_numbered(entry.drafts, now, offset)
            transaction.runs.append(recorded)
            transaction.rows += rows
            if recorded[0].timestamp < last:
                transaction.falls.append(Fall(offset, last, recorded[0].timestamp))
            return recorded
        recorded = []
        for draft in entry.drafts:
            event = known.get(identity_of(draft)) or transaction.found(draft)
            if event is None:
                last = writer.last_microseconds / MICROSECONDS
                event, row = record(draft, writer.stamp(now if draft.timestamp is None else draft.timestamp))
                if event.timestamp < last:
                    transaction.falls.append(Fall(offset, last, event.timestamp, draft.timestamp is not None))
                transaction.numbered[identity_of(draft)] = place(event, 0, offset)
                transaction.rows.append(row)
                offset += 1
            recorded.append(event)
        return recorded

    def _conflict(
        self, connection: apsw.Connection, transaction: Transaction, entry: PendingAppend
    ) -> EventConflict | JournalDiverged | None:
        """Why a conditional append is refused: an event in the log, or before it in this very transaction."""
        known = self._known(connection, transaction, entry)
        fresh = [draft for draft in entry.drafts if not _is_there(draft, known, transaction)]
        conditions = conditions_of(fresh)
        if conditions is None:
            return None
        refusal = conditions.diverged(0, transaction.first) or _find_conflict(
            connection, transaction, conditions, entry.checked_to
        )
        for draft in fresh if refusal is not None and not entry.keeps_numbers else ():
            self.writer.forget(draft)  # it has not landed, so it is new when it is handed in again
        return refusal

    def _known(
        self, connection: apsw.Connection, transaction: Transaction, entry: PendingAppend
    ) -> Mapping[Identity, Event]:
        """The events in the log of those drafts of an entry that were handed in before."""
        if not entry.known and (entry.searched_to >= transaction.first or not any(draft.seq for draft in entry.drafts)):
            return entry.known
        named = {*map(identity_of, entry.drafts)} if entry.keeps_numbers else identities(entry.drafts)
        missing = named - entry.known.keys()
        return {**entry.known, **search(connection, missing, entry.searched_to, transaction.first)}

    def catch_up(self, cursor: apsw.Cursor) -> None:
        """Read the end of the log and its last time, of whichever writer."""
        last: list[Any] = cursor.execute(LAST).fetchall()  # with the end, since others nearly always have appended
        self._has_rows = bool(last)
        if last and last[0][0] == self.end:
            return
        end = end_of(cursor.connection, last)
        self.writer.catch_up(end.time)
        self._checksum = end.checksum
        self.end = end.offset


def _find_conflict(
    connection: apsw.Connection, transaction: Transaction, conditions: Conditions, checked_to: int
) -> EventConflict | None:
    found = find_conflict(connection, conditions, checked_to, transaction.first)
    if found is None:
        found = next(conflicts(conditions, enumerate(transaction.rows, transaction.first)), None)
    return None if found is None else conditions.conflict(0, *found)
