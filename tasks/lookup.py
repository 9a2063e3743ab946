"""Look up a task, for statuses, results, `revoke` and `requeue`, without a process that holds the queue's state.

The index gives the positions of the task's events, and folding these gives its state. A caller that waits follows the
log from there on, and applies the events of its task.
"""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor
from ..journal.deadlines import deadline_of
from ..journal.errors import HistoryTruncated, JournalReadOnly
from ..journal.journal import Journal
from ..journal.runtime import blocking
from ..journal.runtime.forks import reset_after_fork
from ..journal.tails.subscriber import Subscriber
from .index.entries import FOREIGN, PROGRESSED, RESULT_STORED
from .index.index import IndexSnapshot, task_index
from .index.records import rows_at
from .index.trace import Observer, Trace, read_trace, task_where_log_begins
from .linked_lock import link_in, release_link
from .recent import Known, Recent, Sessions, SessionUnknown
from .state import names
from .state.routing import routing_key
from .state.state import TaskState
from .state.transitions import State
from .state.view import Verdict

_NAME: Final = "task lookup"
# These events never change what is asked for, and there may be many of them.
_LEFT_OUT: Final = (PROGRESSED, RESULT_STORED, FOREIGN)


class Found(NamedTuple):
    """A task as of the moment of the look-up: `task` is None if the log holds none of that id.

    `end` is the end of the log when the index was read: all events before it are included.
    """

    task: TaskState | None
    trace: Trace
    end: Cursor

    def verdict(self, offset: int) -> Verdict | None:
        """Return the verdict on the event at `offset`; None if it is not about the task."""
        return self.trace.verdicts.get(offset)

    @property
    def expiry(self) -> float | None:
        """When the task lapses, in seconds since the epoch; None if it does not, or does not wait."""
        return expiry_in(self.trace)


def expiry_in(trace: Trace) -> float | None:
    """Return when the task of a trace lapses, in seconds since the epoch; None if it does not, or does not wait."""
    expiry = trace.view.expiries.get(trace.id) if trace.view.expiries else None
    return None if expiry is None or (task := trace.task) is None or task.state is not State.READY else expiry


class TaskLookup:
    """Finds tasks in `journal`; safe for concurrent use by threads and by tasks of its loop."""

    def __init__(self, journal: AsyncJournal) -> None:
        self._journal = journal
        self._mutex = threading.Lock()
        # A follower that no caller uses: it keeps the log's notifier open, so that the next wait begins at once.
        self._spare: Subscriber | None = None
        self.recent = Recent()
        self._closed = False
        reset_after_fork(self)

    async def find(self, task_id: str) -> Found:
        """Return the task by all events that are in the log at the moment of the call."""
        return (await self.look(task_id))[0]

    async def current(self, task_id: str) -> Found:
        """Return the task as `find` does; if its time to live is over by the clock here, it is ended first."""
        found = await self.find(task_id)
        return await self.find(task_id) if await self.lapse(found) else found

    async def lapse(self, found: Found) -> bool:
        """End a task that waits although its time to live is over; return whether that was to be done, and could be.

        A worker that would claim it does the same; it need not come to that.
        """
        if (expiry := found.expiry) is None or expiry > time.time():
            return False
        task_id = found.trace.id
        try:
            event = await self._journal.append(
                names.LAPSED, {"task": task_id, "reason": names.EXPIRED_REASON}, key=routing_key(task_id)
            )
        except JournalReadOnly:
            return False
        link = link_in(found.trace.rows.get(found.trace.task.submitted, b"")) if found.trace.task else None
        if link is not None and (await self.find(task_id)).verdict(event.offset) is Verdict.ACCEPTED:
            await release_link(self._journal, link, task_id)
        return True

    async def look(
        self,
        task_id: str,
        observer: Observer | None = None,
        *,
        progress: bool = False,
        until: Mapping[int, int] | None = None,
    ) -> tuple[Found, IndexSnapshot]:
        """Return the task, as `find` does or with `until` as it was before that cursor, and the index's snapshot.

        `observer` is called with each event, also with those that the trace follows later. With `progress` the reports
        of its progress are read too.
        """
        left_out = (RESULT_STORED, FOREIGN) if progress else _LEFT_OUT
        log = await self._journal.open()
        index = task_index(self._journal)
        snapshot = await index.snapshot(log.partition_of(routing_key(task_id)), task_id=task_id)
        end = None if until is None else until.get(snapshot.partition)
        read = partial(read_trace, log, snapshot, task_id, end=end, leave_out=left_out, observer=observer)
        trace = await read(journal=self._journal)
        if trace.is_truncated:
            trace = await read(journal=self._journal, before=await task_where_log_begins(self._journal, task_id))
        return Found(trace.task, trace, snapshot.end), snapshot

    async def wait(self, task_id: str, is_over: Callable[[Found], bool], timeout: float | None) -> Found:
        """Wait until `is_over` holds of what is found, at most `timeout` seconds (None: for ever), and return that.

        However short the timeout, all events that were in the log at the moment of the call are read.
        """
        deadline, lapses = deadline_of(timeout), True
        recent = self.recent.start_for(task_id) if timeout != 0 else None
        if recent is not None:
            blocking.give_way()  # to the worker that the submission has just woken
            followed = await self._follow_recent(task_id, recent, is_over, deadline)
            if followed is not None:
                return followed
        while True:
            found, snapshot = await self.look(task_id)
            if lapses and found.expiry is not None and found.expiry <= time.time():
                lapses = await self.lapse(found)
                continue
            if is_over(found) or _is_past(deadline):
                self.recent.learn(snapshot.end[snapshot.partition], snapshot.sessions)
                return found
            if found.trace.is_truncated:
                found = found._replace(trace=Trace(task_id, snapshot.partition, snapshot.sessions_of))
            followed = await self._follow(
                found.trace, snapshot.end, snapshot.sessions, is_over, deadline, lapses=lapses
            )
            if followed is not None:
                return followed

    async def _follow_recent(
        self, task_id: str, recent: Known, is_over: Callable[[Found], bool], deadline: float | None
    ) -> Found | None:
        """Follow a task that this process has submitted; None if it has to be looked up, also as the time is over."""
        if (await self._journal.open()).partitions != 1:
            return None
        trace = Trace(task_id, 0, recent.sessions_of)
        begin = Cursor({0: recent.position})
        try:
            return await self._follow(trace, begin, recent.sessions, is_over, deadline, lapses=True)
        except (SessionUnknown, HistoryTruncated):
            return None

    async def _follow(
        self,
        trace: Trace,
        begin: Cursor,
        sessions: Sessions,
        is_over: Callable[[Found], bool],
        deadline: float | None,
        *,
        lapses: bool,
    ) -> Found | None:
        """Follow the log until the wait is over; return None if the index has to be read again, or the task lapses.

        `sessions` are those known at `begin`, by worker.
        """
        follower, position = await self.follower(begin), begin[trace.partition]
        try:
            while True:
                remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
                expiry = expiry_in(trace) if lapses else None
                page = await follower.page(timeout=until(expiry, remaining), partition=trace.partition)
                if page is not None:
                    if not trace.follow(page):
                        return None
                    position = page.next_offset
                if page is None and (_is_past(deadline) or (expiry is not None and expiry <= time.time())):
                    return None
                found = Found(trace.task, trace, begin)
                if is_over(found):
                    self.recent.learn(position, {} if trace.has_joined else sessions)
                    return found
        finally:
            await self.give_back(follower)

    async def follower(self, begin: Cursor) -> Subscriber:
        """Return a reader of the log from `begin` on, to be returned by `give_back`."""
        with self._mutex:
            follower, self._spare = self._spare, None
        if follower is not None:
            if follower.moved_on(begin):
                return follower
            await self.give_back(follower)  # another wait has read further
        return await self._journal.follow(begin)

    async def give_back(self, follower: Subscriber) -> None:
        """Take a follower back, and keep one for the next caller."""
        spare: Subscriber | None = follower
        with self._mutex:
            if self._spare is None and not self._closed:
                self._spare, spare = follower, None
        if spare is not None:
            await spare.aclose()

    async def row(self, task: TaskState, trace: Trace) -> bytes | None:
        """Return the record of the last accepted event about a task; None if retention has removed it."""
        row = trace.rows.get(task.changed)
        if row is None:
            log = await self._journal.open()
            row = (await rows_at(log, task.partition, [task.changed])).get(task.changed)
        return row

    async def rows_of(self, task: TaskState, kind: int) -> list[bytes]:
        """Return the records of that kind about a task that the log still holds, one read at a time: they may be large.

        Look-ups leave out some kinds; this is for those.
        """
        log = await self._journal.open()
        snapshot = await task_index(self._journal).snapshot(task.partition, task_id=task.id)
        rows: list[bytes] = []
        for entry in snapshot.entries_of(task.id):
            if entry.partition == task.partition and entry.kind == kind:
                row = snapshot.batch.row(entry.offset)
                found = {} if row is not None else await rows_at(log, task.partition, [entry.offset])
                rows += [row] if row is not None else found.values()
        return rows

    async def aclose(self) -> None:
        """Close the spare follower."""
        with self._mutex:
            spare, self._spare, self._closed = self._spare, None, True
        if spare is not None:
            await spare.aclose()

    def after_fork_in_child(self) -> None:
        """Drop the follower, which belongs to the parent."""
        self._mutex = threading.Lock()
        self._spare = None


def task_lookup(journal: AsyncJournal) -> TaskLookup:
    """Return the look-up that this process keeps with `journal`, made at first use and closed with it."""
    lookup = journal.companions.get(_NAME)
    if lookup is None:
        lookup = journal.companions.setdefault(_NAME, TaskLookup(journal))
    assert isinstance(lookup, TaskLookup)
    return lookup


def checked(journal: Journal, reader: str) -> Journal:
    """Return `journal`, which was passed to the class named `reader`; `TypeError` if it is no `Journal`."""
    if not isinstance(journal, Journal):
        raise TypeError(
            f"{reader}() takes a Journal, got a value of type {type(journal).__name__}; pass the Journal(…) made of a "
            f"URL, such as Journal('sqlite:///shop.db'), or use Async{reader}"
        )
    return journal


def in_words(state: State) -> str:
    """Describe a state, for a sentence that begins with "it"."""
    return _WORDS[state]


_WORDS: Final = {
    State.UNKNOWN: "is unknown",
    State.READY: "waits to be run",
    State.CLAIMED: "is running",
    State.SUCCEEDED: "has succeeded",
    State.FAILED: "has failed",
    State.REVOKED: "was revoked",
}


def until(expiry: float | None, remaining: float | None) -> float | None:
    """Return for how many seconds to wait: `remaining`, but not beyond `expiry` (seconds since the epoch)."""
    if expiry is None:
        return remaining
    left = max(0.0, expiry - time.time())
    return left if remaining is None else min(left, remaining)


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
