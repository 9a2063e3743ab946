"""Group commit: concurrent appends of a process share one transaction.

A lone caller commits in its own thread, without a hand-over to another one (0.1 ms). Concurrent callers enqueue their
appends; the one that acquires the writer mutex commits the whole queue and completes the others' entries, so that they
share one fsync. A helper thread starts at the first contention with other threads or processes.

The ways of an append, in the order in which they are tried; each needs the writer mutex and the processes' lock, and
the first two an empty queue:

    way               called by                     when                        cost                    why
    try_commit        SqliteLog.try_append, append  one new draft, locks free   one statement           fast lone append
    commit_alone      SqliteLog.append              other drafts, locks free    one transaction         no queue needed
    enqueue, combine  SqliteLog.append              others append in this pass  one pass of the loop,   group commit:
                                                    of the loop, or a way       a share of one          1 fsync for all
                                                    above has not committed     transaction
    helper thread     the thread that releases the  entries are left, or        a hand-over, the wait   no caller blocks
                      writer mutex                  another process has a lock  for that lock           in flock

If another process has appended since this process's last commit, and notices have not brought its records (see
`followed`), `try_commit` first reads the end of the log and then runs the same statement. Synchronous code reaches
`try_commit` by `AsyncJournal.append_nowait`, which is `SqliteLog.try_append` while the journal is open. `exclusively`
is for writes that are not appends: retention, snapshots, closing.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

import apsw

from ..errors import AppendInDoubt, JournalClosed, JournalError
from ..event import Draft, Event
from .file import explained
from .insert import Inserter
from .limits import COMMIT_EVENTS_MAX
from .notifier import Notifier
from .pending_append import PendingAppend
from .write_lock import WriteLock
from .writer_mutex import WriterMutex

logger = logging.getLogger("journeyman")

T = TypeVar("T")


class Committer:
    """The one writer of a process to a file: its queue, its locks, and the ways of a commit."""

    def __init__(self, path: str, inserter: Inserter, notifier: Notifier) -> None:
        self.path = path
        self.inserter = inserter
        self.lock = WriteLock(f"{path}-lock")
        self._notifier = notifier
        self._writer_mutex = WriterMutex()  # the thread that holds it and the processes' lock may use the connection
        self._mutex = threading.Lock()  # guards the queue
        self._queue: deque[PendingAppend] = deque()
        self._committing: Sequence[PendingAppend] = ()  # the queued entries that are being committed
        self._closed = False
        self._has_logged_fall = False
        self._helper: threading.Thread | None = None
        self._work: SimpleQueue[None] = SimpleQueue()  # not a semaphore: an interrupt could leave its lock taken

    # The queue

    def enqueue(self, entry: PendingAppend) -> None:
        """Put an entry into the queue."""
        with self._mutex:
            if self._closed:
                raise JournalClosed(f"the journal {self.path} is closed; open it again to continue")
            self._queue.append(entry)

    def withdraw(self, entry: PendingAppend) -> bool:
        """Take an entry out of the queue; False if it is being committed or was: it may land or have landed."""
        with self._mutex:
            if entry in self._committing or entry not in self._queue:
                return False
            self._queue.remove(entry)
        return True

    def _take(self) -> list[PendingAppend]:
        """Return the entries of the next transaction and mark them as being committed.

        They stay in the queue until the transaction is over. After an interrupt the next commit takes them again and
        searches the log for those that have landed.
        """
        batch: list[PendingAppend] = []
        count = 0
        self._drop_finished()
        with self._mutex:
            for entry in self._queue:
                count += len(entry.drafts)
                if batch and count > COMMIT_EVENTS_MAX:
                    break
                batch.append(entry)
            self._committing = batch
        return batch

    def _drop_finished(self) -> None:
        with self._mutex:
            while self._queue and self._queue[0].done:
                self._queue.popleft()

    def close_queue(self) -> None:
        """Refuse new entries; the queue is still committed."""
        with self._mutex:
            self._closed = True

    # The ways of a commit

    def try_commit(self, draft: Draft, searched_to: int | None = None) -> Event | None:
        """Append one new draft in the calling thread, past the queue; None if a lock is held or the queue is not empty.

        Also None for a condition that has to be checked against the log, as another process has appended since; and for
        a draft that was numbered elsewhere and looked for up to `searched_to`, if the log does not end there.
        """
        if self._queue:
            return None
        try:
            event = self._under_both(partial(self._append_one, draft, searched_to))
        except JournalError:  # it may have landed all the same
            self._notify_readers()
            raise
        if event is not None:
            self._notify_readers()
        return event

    def _append_one(self, draft: Draft, searched_to: int | None) -> Event | None:
        # Numbered means: handed in again after an interrupt, and committed by another thread meanwhile.
        if self._closed or (draft.seq and searched_to is None):
            return None
        inserter = self.inserter
        try:
            with inserter.engine:
                event = inserter.insert_next(draft, searched_to)
                if event is None and draft.expected is None and searched_to is None:
                    event = inserter.insert_after_others(draft)
                return event
        except apsw.Error as error:
            if isinstance(error, apsw.BusyError):
                raise
            raise explained(error, self.path) from error

    def commit_alone(self, entry: PendingAppend, *, patient: bool = True) -> bool:
        """Commit an entry in the calling thread, past the queue; False if a lock is held or the queue is not empty.

        Without `patient` (event loops), False as well if another program holds SQLite's lock.
        """
        if self._queue or not self._under_both(partial(self._commit_one, entry, patient)):
            return False
        self._notify_readers()
        return True

    def _commit_one(self, entry: PendingAppend, patient: bool) -> bool:
        if self._closed:
            return False
        self._commit([entry], patient=patient)
        return True

    def combine(self, *, patient: bool = True) -> None:
        """Commit the queue in the calling thread if both locks are free; else leave it to their holder or the helper.

        Without `patient` (event loops) leave it also if another program holds SQLite's lock.
        """
        if committed := self._under_both(partial(self._drain, patient=patient)):
            _wake(committed)
            self._notify_readers()

    def exclusively(self, work: Callable[[bool], None], *, wait: bool = False) -> bool:
        """Run other work under both locks and return whether it ran; without `wait` only if both are free.

        `work` gets `wait`: whether it may wait for a program that holds SQLite's lock, or is to raise `apsw.BusyError`.
        """

        def done() -> bool:
            work(wait)
            return True

        return self._under_both(done, wait=wait) is not None

    def _under_both(self, work: Callable[[], T], *, wait: bool = False) -> T | None:
        """Run `work` under both locks and return its result; without `wait`, None if a lock is held."""
        writer_mutex = self._writer_mutex
        if writer_mutex.is_mine():  # a signal handler that appends has interrupted a commit of this thread
            return None
        try:
            if not writer_mutex.take(wait):
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
                writer_mutex.leave()
            except RuntimeError:
                pass  # it was not taken
            else:
                if self._queue:  # the callers that found the mutex taken rely on it
                    self._wake_helper()

    def _wake_helper(self) -> None:
        """Have the helper thread commit the queue."""
        with self._mutex:
            if self._helper is None or not self._helper.is_alive():  # an interrupt may have come as it was started
                self._helper = threading.Thread(target=self._help, name="journeyman-commit", daemon=True)
                self._helper.start()
        self._work.put(None)

    def _help(self) -> None:
        while True:
            self._work.get()
            while self._queue:
                committed = self._under_both(self._drain, wait=True)
                if committed is None:
                    return  # dismissed; callers that still wait time out
                if committed:
                    _wake(committed)
                    self._notify_readers()
            if self._closed:
                return

    def _drain(self, *, patient: bool = True) -> Sequence[PendingAppend]:
        """Commit one batch of the queue, and return it. The caller holds both locks, and wakes its callers after them.

        Waking a thread takes as long as a statement, and other processes wait for the lock.
        """
        batch: Sequence[PendingAppend] = ()
        try:
            batch = self._take()
            for entry in batch:
                entry.shared = len(batch) > 1
            if batch:
                self._commit(batch, patient=patient)
        except BaseException:
            _wake(entry for entry in batch if entry.done)
            raise
        finally:
            self._committing = ()
        self._drop_finished()
        return batch

    def _commit(self, batch: Sequence[PendingAppend], *, patient: bool = True) -> None:
        try:
            with self.inserter.engine:
                self.inserter.insert_all(batch, patient)
        except Exception as error:
            if not patient and isinstance(error, apsw.BusyError):
                raise
            if not isinstance(error, (apsw.Error, JournalError)) and threading.current_thread() is not self._helper:
                raise  # perhaps a signal handler's, so it belongs to this thread; the helper commits the other entries
            if len(batch) == 1 or isinstance(error, (AppendInDoubt, apsw.BusyError)):
                for entry in batch:
                    entry.finish(self._error_for(error, entry.began))
                return
            for entry in batch:  # one at a time: one entry that cannot land must not fail the others
                self._commit([entry], patient=patient)
        else:
            for entry in batch:
                entry.finish(entry.refusal)

    def _error_for(self, error: Exception, began: float) -> Exception:
        """The error for one entry of a failed commit, whose append began at the monotonic time `began`."""
        if isinstance(error, AppendInDoubt):
            return AppendInDoubt(str(error))  # one for each entry: each caller adds its own drafts
        return explained(error, self.path, began) if isinstance(error, apsw.Error) else error

    def has_work(self) -> bool:
        """Whether a commit runs, an entry is queued or a connection is open; False is final after `close_queue`."""
        return self._writer_mutex.is_locked() or bool(self._queue) or self.inserter.is_connected

    def finish(self, patient: bool) -> None:
        """Commit the rest of the queue and close the connection, which checkpoints the file if it is the last one.

        The caller holds both locks; see `exclusively`.
        """
        while committed := self._drain(patient=patient):
            _wake(committed)
        with self.inserter.engine:
            self.inserter.disconnect()
        self._notifier.notify()

    def _notify_readers(self) -> None:
        self._notifier.notify(*self.inserter.news)
        if self.inserter.fell is not None and not self._has_logged_fall:
            self._has_logged_fall = True
            logger.warning("the journal %s: %s", self.path, self.inserter.fell)

    def dismiss(self) -> None:
        """Let the helper thread end and close the lock's file."""
        if self._helper is not None:
            self._work.put(None)
        self.lock.close()


def _wake(committed: Iterable[PendingAppend]) -> None:
    for entry in committed:
        entry.wake()
