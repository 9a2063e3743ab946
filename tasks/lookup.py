"""Looking up a task: what statuses, results, `revoke` and `requeue` are read from. No process holds the queue's state.

The index says where the task's events stand, and the fold of these says what became of it. A caller that waits follows
the end of the log from there, and takes out of it what is about its task.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor
from ..journal.deadlines import deadline_of
from ..journal.journal import Journal
from ..journal.runtime.forking import tell_of_forks
from ..journal.tails.shared_tail import Subscriber
from .index.entries import FOREIGN, PROGRESSED
from .index.index import Snapshot, task_index
from .index.records import rows_at
from .index.trace import Observer, Trace, read_trace, task_where_log_begins
from .state.state import TaskState
from .state.transitions import State
from .state.view import Verdict

_NAME: Final = "task lookup"
# These events never change what is asked for, and there may be many of them.
_LEFT_OUT: Final = (PROGRESSED, FOREIGN)


class Found(NamedTuple):
    """A task as of the moment of the look-up: `task` is None if the log holds none of that id.

    `end` is where the log ended at the last look into the index: all before it is in the answer.
    """

    task: TaskState | None
    trace: Trace
    end: Cursor

    def verdict(self, offset: int) -> Verdict | None:
        """What became of the event at `offset`; None if it is not about the task."""
        return self.trace.verdicts.get(offset)


class TaskLookup:
    """Finds tasks in `journal`; any number of threads, or tasks of its loop, may ask at once."""

    def __init__(self, journal: AsyncJournal) -> None:
        self._journal = journal
        self._mutex = threading.Lock()
        # A follower that no caller uses: it keeps the log's doorbell, so that the next wait begins at once.
        self._spare: Subscriber | None = None
        self._closed = False
        tell_of_forks(self)

    async def find(self, task_id: str) -> Found:
        """The task by all that is in the log at the moment of the call."""
        return (await self.look(task_id))[0]

    async def look(self, task_id: str, observer: Observer | None = None) -> tuple[Found, Snapshot]:
        """The task as `find` has it, and what the index says; `observer` is told of each event, also of later ones."""
        log = await self._journal.open()
        index = task_index(self._journal)
        snapshot = await index.snapshot(log.partition_of(task_id), task_id=task_id)
        trace = await read_trace(log, snapshot, task_id, leave_out=_LEFT_OUT, observer=observer)
        if trace.is_truncated:
            before = await task_where_log_begins(self._journal, task_id)
            trace = await read_trace(log, snapshot, task_id, leave_out=_LEFT_OUT, observer=observer, before=before)
        return Found(trace.task, trace, snapshot.end), snapshot

    async def wait(self, task_id: str, is_over: Callable[[TaskState | None], bool], timeout: float | None) -> Found:
        """The task once `is_over` holds of it, or after `timeout` seconds (None: wait for ever) as it is then.

        However short the time is, all that was in the log at the moment of the call is looked at.
        """
        deadline = deadline_of(timeout)
        while True:
            found, snapshot = await self.look(task_id)
            if is_over(found.task) or _is_past(deadline):
                return found
            if found.trace.is_truncated:
                found = found._replace(trace=Trace(task_id, snapshot.partition, snapshot.sessions_of))
            followed = await self._follow(found.trace, snapshot, is_over, deadline)
            if followed is not None:
                return followed

    async def _follow(
        self, trace: Trace, snapshot: Snapshot, is_over: Callable[[TaskState | None], bool], deadline: float | None
    ) -> Found | None:
        """Follow the log until the wait is over; None if the index has to be asked anew."""
        follower = await self.follower(snapshot.end)
        try:
            while True:
                remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
                page = await follower.page(timeout=remaining, partition=snapshot.partition)
                if page is not None and not trace.follow(page):
                    return None
                if page is None and _is_past(deadline):
                    return None
                if is_over(trace.task):
                    return Found(trace.task, trace, snapshot.end)
        finally:
            await self.give_back(follower)

    async def follower(self, begin: Cursor) -> Subscriber:
        """A reader of the log from `begin` on, to be given back."""
        with self._mutex:
            follower, self._spare = self._spare, None
        if follower is None:
            return await self._journal.follow(begin)
        for partition, offset in begin.items():
            follower.skip(partition, offset)
        return follower

    async def give_back(self, follower: Subscriber) -> None:
        """Take a follower back: the next caller goes on with it."""
        spare: Subscriber | None = follower
        with self._mutex:
            if self._spare is None and not self._closed:
                self._spare, spare = follower, None
        if spare is not None:
            await spare.aclose()

    async def row(self, task: TaskState, trace: Trace) -> bytes | None:
        """The record of the last accepted event about a task; None if retention has removed it."""
        row = trace.rows.get(task.changed)
        if row is None:
            log = await self._journal.open()
            row = (await rows_at(log, task.partition, [task.changed])).get(task.changed)
        return row

    async def aclose(self) -> None:
        """Let go of the log."""
        with self._mutex:
            spare, self._spare, self._closed = self._spare, None, True
        if spare is not None:
            await spare.aclose()

    def after_fork_in_child(self) -> None:
        """What followed the log is the parent's."""
        self._mutex = threading.Lock()
        self._spare = None


def task_lookup(journal: AsyncJournal) -> TaskLookup:
    """The look-up that this process keeps with `journal`, made at first use and closed with it."""
    lookup = journal.companions.get(_NAME)
    if lookup is None:
        lookup = journal.companions.setdefault(_NAME, TaskLookup(journal))
    assert isinstance(lookup, TaskLookup)
    return lookup


def checked(journal: Journal, reader: str) -> Journal:
    """The journal that a `reader` of that name was given; `TypeError` if it was given something else."""
    if not isinstance(journal, Journal):
        raise TypeError(
            f"{reader}() takes a Journal, got a value of type {type(journal).__name__}; pass the Journal(…) made of a "
            f"URL, such as Journal('sqlite:///shop.db'), or use Async{reader}"
        )
    return journal


def in_words(state: State) -> str:
    """What a task of that state does, for a sentence that begins with "it"."""
    return _WORDS[state]


_WORDS: Final = {
    State.UNKNOWN: "is unknown",
    State.READY: "waits to be run",
    State.CLAIMED: "is running",
    State.SUCCEEDED: "has succeeded",
    State.FAILED: "has failed",
    State.REVOKED: "was revoked",
}


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
