"""The one connection of a log that writes to the file: checks its files after each commit, and reopens them at need.

A commit is acknowledged only once the open files have been compared with those at their paths (`file_identity`). If the
`-wal` or the `-shm` was removed, all connections of the process are reopened, the rows that stood in the removed `-wal`
alone are written again (`rescue`), and the last transaction is searched for or repeated. SQLite's own checkpoints run
inside a commit, before the comparison; so the checkpoint is done here, after it.
"""

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable

import apsw

from ..errors import AppendInDoubt, JournalGone, JournalUnavailable
from ..limits import FILE_CHECK_SECONDS
from .file import Synchronous, begin, connect, damaged, is_journal
from .limits import RENEWALS_MAX, RESCUE_BYTES_MAX, WAL_MEASURED_ROWS, WAL_PAGES_MAX
from .notifier import FARTHEST
from .open_file import OpenFile, Outdated
from .rescue import Row, last_rows, write_missing

logger = logging.getLogger("journeyman")


class WriterConnection:
    """The writer's connection; the caller of any method holds both locks of the `Committer`."""

    def __init__(self, file: OpenFile, synchronous: Synchronous) -> None:
        self.engine = threading.Lock()  # held while the connection is in use: a fork waits for it
        self.end = -1
        self.news: tuple[int, bytes | None] = FARTHEST, None  # the notice for the last transaction
        self._file = file
        self._path = file.path
        self._synchronous: Synchronous = synchronous
        self._connection: apsw.Connection | None = None  # and none during a transaction, which may be interrupted
        self._cursor: apsw.Cursor | None = None
        self._latest: Callable[[], apsw.Connection | None] = lambda: None  # the last one made, while it exists
        self._wal_pages = [0]  # the length of the `-wal` after the last measured commit
        self._measures = False
        self._rows_to_measure = 0  # rows that may be inserted before the next measurement
        self._outdated: apsw.Connection | None = None  # one that failed because it uses removed files
        # The offset up to which the log was acknowledged before a commit in doubt; None: all of it.
        self._acknowledged: int | None = None
        self._is_renewing = False
        self._owed: tuple[list[Row], int | None] | None = None  # rows to be written again, and the last acknowledged

    def transact(self, write: Callable[[apsw.Connection], None], *, patient: bool) -> None:
        """Run `write` in a transaction; `apsw.BusyError` if another program holds SQLite's lock.

        With `patient` it waits for that program first. `write` runs again if it has written to a removed `-wal`.
        """
        with self.engine:
            for _ in range(RENEWALS_MAX):
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
                if self._is_kept():
                    return
        raise self._in_doubt("the files beside it are repeatedly removed or replaced")

    def _undo(self, connection: apsw.Connection, error: BaseException) -> None:
        self.end = -1
        self.news = FARTHEST, None
        self._connection = self._cursor = None
        with contextlib.suppress(apsw.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        # After a disk error the cache of a connection may be wrong. After an interrupt a statement may still be open:
        # then the connection keeps an old snapshot of the log, and SQLite refuses its writes.
        if isinstance(error, (apsw.BusyError, apsw.FullError)):
            self._connection = connection
        elif self._is_outdated():
            self._outdated = connection
        else:
            with contextlib.suppress(apsw.Error):
                self._file.close(connection)

    def _is_outdated(self) -> bool:
        try:
            return not self._file.is_current()
        except JournalUnavailable:
            return False

    def connected(self) -> apsw.Connection:
        """The connection; the caller also holds `engine`."""
        connection = self._connection
        if connection is not None and time.monotonic() - self._file.compared_at < FILE_CHECK_SECONDS:
            return connection
        if self._outdated is not None:
            connection = self._renew()
        elif connection is None:
            with contextlib.suppress(apsw.Error):
                self.disconnect()  # an interrupt may have left it inside a transaction
            try:
                connection = self._connect()
            except Outdated:
                connection = self._renew()
        elif not self._file.is_current():
            connection = self._renew()
        if self._owed is not None:
            self._write_owed(connection)
        return connection

    def _connect(self) -> apsw.Connection:
        connection = self._file.connect(lambda: connect(self._path, self._synchronous))
        if not is_journal(connection, self._path):
            raise damaged(self._path, "it is empty")
        connection.set_busy_timeout(0)  # `begin` waits if its caller may
        self._measure(connection)  # its hook replaces SQLite's own, which checkpoints before the comparison
        self._connection, self._latest = connection, weakref.ref(connection)
        return connection

    def _measure(self, connection: apsw.Connection) -> None:
        """Measure the length of the `-wal` at the next commits, by a hook that calls Python inside each of them."""
        pages = self._wal_pages

        def note(_: apsw.Connection, __: str, count: int) -> int:
            pages[0] = count
            return 0

        connection.set_wal_hook(note)
        self._measures, self._rows_to_measure = True, 0

    # Whether a commit is in the file at the path

    def _is_kept(self, rows: int = WAL_MEASURED_ROWS) -> bool:
        """Whether the last commit, of `rows` rows, is in the file at the path; if so, checkpoint the file when due.

        If not, reopen all connections; the caller then has to search for the committed rows.
        """
        self.news = FARTHEST, None
        try:
            if self._file.is_current():
                self._acknowledged = None
                self._rows_to_measure -= rows
                if self._rows_to_measure < 0 and self._connection is not None:
                    self._look_at_wal(self._connection, rows)
                return True
        except JournalGone:
            raise
        except JournalUnavailable as error:
            raise self._in_doubt(error) from error
        self._renew()
        return False

    def _look_at_wal(self, connection: apsw.Connection, rows: int) -> None:
        """Checkpoint the file if the commit was measured and the `-wal` is long; start or stop measuring."""
        if not self._measures:
            self._measure(connection)
            return
        if self._wal_pages[0] >= WAL_PAGES_MAX:
            self._checkpoint(connection)
        if rows < WAL_MEASURED_ROWS:
            connection.set_wal_hook(None)
            self._measures, self._rows_to_measure = False, WAL_MEASURED_ROWS

    def _checkpoint(self, connection: apsw.Connection) -> None:
        with contextlib.suppress(apsw.Error):  # the next commit tries again, as SQLite's own checkpoints do
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def renew_in_turn(self) -> None:
        """Reopen all connections of the process if they use removed files."""
        with self.engine:
            if not self._file.is_current():
                self._renew()

    def _renew(self) -> apsw.Connection:
        """Reopen all connections of the process, and write again the rows that stood in the removed `-wal` alone."""

        def connect_anew(rows: list[Row] | None) -> None:
            self._owed = (rows, self._acknowledged) if rows else self._owed
            self._acknowledged = None
            connection = self._connect()
            if self._owed is not None:
                self._write_owed(connection)

        time.sleep(FILE_CHECK_SECONDS)  # so that each process that writes after this one compares its files first
        self._is_renewing = True
        try:
            self._file.renew(lambda connection: last_rows(connection, RESCUE_BYTES_MAX), connect_anew)
        finally:
            self._is_renewing = False
        return self._connection or self._connect()

    def _write_owed(self, connection: apsw.Connection) -> None:
        assert self._owed is not None
        begin(connection, connection.cursor(), patient=True)
        try:
            written, lost = write_missing(connection, *self._owed)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        self._owed, self.end = None, -1
        if self._file.is_current():
            self._checkpoint(connection)  # so that the rows no longer depend on the `-wal`
        if lost:
            raise self._file.condemn(
                f"the files beside the journal {self._path} were removed or replaced while it was open, and others "
                f"have appended since: {lost} acknowledged events are no longer in it. Restore a backup, or close the "
                "journal and open it again to continue without them; restart a worker."
            )
        if written:
            logger.warning(
                "the files beside the journal %s were removed or replaced while it was open; %d events that stood in "
                "them alone were written again",
                self._path,
                written,
            )

    def surrender(self) -> list[apsw.Connection]:
        """See `Holder.surrender`."""
        mine = self._is_renewing
        if not mine and not self.engine.acquire(blocking=False):
            return []
        try:
            return self._taken()
        finally:
            if not mine:
                self.engine.release()

    def _taken(self) -> list[apsw.Connection]:
        """Give up the connections and return them; the caller keeps them, as an unreferenced connection closes."""
        connections = (self._outdated, self._latest())
        self._connection = self._cursor = self._outdated = None
        self._latest = lambda: None
        self.end = -1
        return [each for each in dict.fromkeys(connections) if each is not None]

    @property
    def is_connected(self) -> bool:
        """Whether there is an open connection."""
        return self._latest() is not None

    def disconnect(self) -> None:
        """Close the connection, which checkpoints the file if it is the last one."""
        for connection in self._taken():
            self._file.close(connection)

    def pause(self, timeout: float) -> bool:
        """Close the connection and allow no other until `resume`; False if it is in use after `timeout` seconds."""
        if not self.engine.acquire(timeout=timeout):
            return False
        self.disconnect()
        return True

    def resume(self) -> None:
        """Allow a connection again after `pause`."""
        self.engine.release()

    def _in_doubt(self, error: apsw.Error | JournalUnavailable | str) -> AppendInDoubt:
        return AppendInDoubt(
            f"the commit to {self._path} failed ({error}); whether it landed is unknown. "
            "Append the same drafts again: what landed is not doubled."
        )
