"""Appending to the file: many callers, one transaction.

Whoever comes to append puts an entry into a queue. Who then finds the writer's seat free commits the whole queue, in
its own thread; the others find their entry done. So a lone caller commits at once, without a hand-over to another
thread (0.1 ms), and callers at the same time share one synchronisation of the disk. A thread exists only once there
was contention, with other threads or other processes; it alone ever waits in the queue of the processes.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
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
    """The one writer of a process to a file: the queue, the locks, and who commits."""

    def __init__(self, path: str, inserter: Inserter, notifier: Notifier) -> None:
        self.path = path
        self.inserter = inserter
        self.lock = WriteLock(f"{path}-lock")
        self._notifier = notifier
        self._writer_mutex = WriterMutex()  # who holds it may, once it has the processes' lock too, use the connection
        self._mutex = threading.Lock()  # guards the queue
        self._queue: deque[PendingAppend] = deque()
        self._in_hand: Sequence[PendingAppend] = ()  # those of them that are being committed
        self._closed = False
        self._told_of_fall = False
        self._helper: threading.Thread | None = None
        self._work: SimpleQueue[None] = SimpleQueue()  # and no semaphore: an interrupt could leave its lock taken

    # The queue

    def enqueue(self, entry: PendingAppend) -> None:
        """Put an entry into the queue."""
        with self._mutex:
            if self._closed:
                raise JournalClosed(f"the journal {self.path} is closed; open it again to go on")
            self._queue.append(entry)

    def withdraw(self, entry: PendingAppend) -> bool:
        """Take an entry out of the queue; False if it is in the hands of who commits, and may land or have landed."""
        with self._mutex:
            if entry in self._in_hand or entry not in self._queue:
                return False
            self._queue.remove(entry)
        return True

    def _take(self) -> list[PendingAppend]:
        """Take the entries of the next transaction in hand.

        They stay in the queue until it is over. An interrupt may come before: then they are taken once more, and what
        of theirs has landed is looked for.
        """
        batch: list[PendingAppend] = []
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
        """Append one new draft here and now, past the queue; None if another thread or process is at it or at the file.

        None as well for a condition that takes a look at the log, as another process has appended since.
        """
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
        inserter = self.inserter
        try:
            with inserter.engine:
                event = inserter.insert_next(draft)
                if event is None and draft.expected is None:
                    event = inserter.insert_after_others(draft)
                return event
        except apsw.Error as error:
            if isinstance(error, apsw.BusyError):
                raise
            raise explained(error, self.path) from error

    def commit_alone(self, entry: PendingAppend, *, patient: bool = True) -> bool:
        """Commit an entry here and now, past the queue, if nobody else is at it; otherwise leave it and say so.

        Who is not `patient`, in a loop for one, leaves it also where another program is at the file.
        """
        if self._queue or not self._under_both(partial(self._commit_one, entry, patient)):
            return False
        self._announce()
        return True

    def _commit_one(self, entry: PendingAppend, patient: bool) -> bool:
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
        writer_mutex = self._writer_mutex
        if writer_mutex.is_mine():  # the handler of a signal writes, in the midst of a commit
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

    def _commit(self, batch: list[PendingAppend], *, patient: bool = True) -> None:
        try:
            with self.inserter.engine:
                self.inserter.insert_all(batch, patient)
        except Exception as error:
            if not patient and isinstance(error, apsw.BusyError):
                raise
            if not isinstance(error, (apsw.Error, JournalError)) and threading.current_thread() is not self._helper:
                raise  # perhaps a signal handler's, and so this thread's; the helping one sees to the others
            if len(batch) == 1 or isinstance(error, (AppendInDoubt, apsw.BusyError)):
                for entry in batch:
                    entry.finish(self._said(error, entry.began))
                return
            for entry in batch:  # one that cannot land must not take the others with it
                self._commit([entry], patient=patient)
        else:
            for entry in batch:
                entry.finish(entry.refusal)

    def _said(self, error: Exception, began: float) -> Exception:
        """What is said to one of those whose commit has failed, whose append began at that monotonic time."""
        if isinstance(error, AppendInDoubt):
            return AppendInDoubt(str(error))  # its own, for each will put its own drafts into it
        return explained(error, self.path, began) if isinstance(error, apsw.Error) else error

    def has_work(self) -> bool:
        """Whether there is anything to finish; once the queue is closed, False is final."""
        return self._writer_mutex.is_locked() or bool(self._queue) or self.inserter.is_connected

    def finish(self, patient: bool) -> None:
        """Commit what is left and close the connection, which checkpoints the file if it is the last one.

        For who holds both locks; see `exclusively`.
        """
        while self._drain(patient=patient):
            pass
        with self.inserter.engine:
            self.inserter.disconnect()
        self._notifier.notify()

    def _announce(self) -> None:
        self._notifier.notify(*self.inserter.news)
        if self.inserter.fell is not None and not self._told_of_fall:
            self._told_of_fall = True
            logger.warning("the journal %s: %s", self.path, self.inserter.fell)

    def dismiss(self) -> None:
        """Let the helping thread end and let go of the lock's file."""
        if self._helper is not None:
            self._work.put(None)
        self.lock.close()
