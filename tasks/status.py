"""Read the status of a message from the journal, by the names of the reference task queue (`alsek.core.status`)."""

import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from enum import Enum
from typing import Any, Final, NamedTuple

from ..journal.async_journal import AsyncJournal
from ..journal.deadlines import deadline_of
from ..journal.errors import JournalClosed
from ..journal.journal import Journal
from ..journal.tails.shared_tail import Subscriber
from .access import JournalAccess
from .errors import ValidationError
from .index.trace import Trace
from .lookup import TaskLookup, checked, task_lookup
from .message import Message, id_of
from .state.state import TaskState
from .state.transitions import State
from .state.view import TaskView, Verdict


class TaskStatus(Enum):
    """The status of a message, by the reference's names."""

    UNKNOWN = 0
    SUBMITTED = 1
    RUNNING = 2
    RETRYING = 3
    FAILED = 4
    SUCCEEDED = 5


TERMINAL_STATUSES: Final = frozenset({TaskStatus.FAILED, TaskStatus.SUCCEEDED})


class StatusUpdate(NamedTuple):
    """A status with details: attempts, worker, the time of the last change (seconds since the epoch)."""

    status: TaskStatus
    details: dict[str, Any] | None = None


class StatusTracker:
    """Reads the status of messages from `journal`; it is derived from the events, so it cannot be wrong or late."""

    def __init__(self, journal: Journal) -> None:
        self._journal = checked(journal, "StatusTracker")
        self._statuses = Statuses(journal.asynchronous)

    def exists(self, message: Message | str) -> bool:
        """Whether the journal knows the message."""
        return self._journal.run(self._statuses.exists(id_of(message)), instead="AsyncStatusTracker.exists")

    def get(self, message: Message | str) -> StatusUpdate:
        """The status now; `KeyError` if the journal knows no such message."""
        return self._journal.run(self._statuses.get(id_of(message)), instead="AsyncStatusTracker.get")

    def wait_for(
        self,
        message: Message | str,
        status: TaskStatus | Iterable[TaskStatus],
        timeout: float | None = 5.0,
        *,
        raise_on_timeout: bool = True,
    ) -> TaskStatus:
        """Wait until the message has (one of) the given status, at most `timeout` seconds; None waits for ever.

        Returns the status. When the time is over it raises `TimeoutError` or, without `raise_on_timeout`, returns the
        status as it is then. If the message ends with another status, the call times out at once.
        """
        waiting = self._statuses.wait_for(id_of(message), _statuses(status), timeout, raises=raise_on_timeout)
        return self._journal.run(waiting, instead="AsyncStatusTracker.wait_for")

    def listen_to_updates(
        self, message: Message | str, *, auto_exit: bool = True, timeout: float | None = None
    ) -> Iterator[StatusUpdate]:
        """Yield each status of the message in log order, from its submission on: past ones first, then new ones.

        A message that the journal does not know yet is waited for. With `auto_exit` the iteration ends when the
        message has ended; otherwise it goes on, since a dead letter may be requeued. `TimeoutError` if it takes longer
        than `timeout` seconds in all; None waits for ever.
        """
        updates = self._statuses.updates(id_of(message), auto_exit=auto_exit, timeout=timeout)
        instead = "AsyncStatusTracker.listen_to_updates"
        try:
            while (update := self._journal.run(updates.next(), instead=instead)) is not None:
                yield update
        finally:
            with suppress(JournalClosed):  # then it is closed as well
                self._journal.run(updates.aclose())


class AsyncStatusTracker:
    """`StatusTracker` for asyncio, on an `AsyncJournal` or on a `Journal` such as `broker.journal`."""

    def __init__(self, journal: AsyncJournal | Journal) -> None:
        self._access = JournalAccess(journal, "AsyncStatusTracker")
        self._statuses = Statuses(self._access.journal)

    async def exists(self, message: Message | str) -> bool:
        """See `StatusTracker.exists`."""
        return await self._access.run(self._statuses.exists(id_of(message)))

    async def get(self, message: Message | str) -> StatusUpdate:
        """See `StatusTracker.get`."""
        return await self._access.run(self._statuses.get(id_of(message)))

    async def wait_for(
        self,
        message: Message | str,
        status: TaskStatus | Iterable[TaskStatus],
        timeout: float | None = 5.0,
        *,
        raise_on_timeout: bool = True,
    ) -> TaskStatus:
        """See `StatusTracker.wait_for`; the loop goes on while it waits."""
        waiting = self._statuses.wait_for(id_of(message), _statuses(status), timeout, raises=raise_on_timeout)
        return await self._access.run(waiting)

    async def listen_to_updates(
        self, message: Message | str, *, auto_exit: bool = True, timeout: float | None = None
    ) -> AsyncGenerator[StatusUpdate]:
        """See `StatusTracker.listen_to_updates`; the loop goes on while it waits."""
        updates = self._statuses.updates(id_of(message), auto_exit=auto_exit, timeout=timeout)
        try:
            while (update := await self._access.run(updates.next())) is not None:
                yield update
        finally:
            with suppress(JournalClosed):  # then it is closed as well
                await self._access.run(updates.aclose())


class Statuses:
    """The implementation of both trackers, on the journal's own loop."""

    def __init__(self, journal: AsyncJournal) -> None:
        self._journal = journal
        self._lookup = task_lookup(journal)

    async def exists(self, task_id: str) -> bool:
        """See `StatusTracker.exists`."""
        return (await self._lookup.find(task_id)).task is not None

    async def get(self, task_id: str) -> StatusUpdate:
        """See `StatusTracker.get`."""
        task = (await self._lookup.find(task_id)).task
        if task is None:
            raise KeyError(f"no task {task_id!r} is known to the journal {self._journal.location}")
        return update_of(task)

    async def wait_for(
        self, task_id: str, wanted: frozenset[TaskStatus], timeout: float | None, *, raises: bool
    ) -> TaskStatus:
        """See `StatusTracker.wait_for`."""

        def is_reached(task: TaskState | None) -> bool:
            now = status_of(task)
            return now in wanted or now in TERMINAL_STATUSES

        task = (await self._lookup.wait(task_id, is_reached, timeout)).task
        now = status_of(task)
        if now not in wanted and raises:
            when = "and will not change" if now in TERMINAL_STATUSES else f"after {timeout} s"
            expected = " or ".join(sorted(each.name for each in wanted))
            where = self._journal.location
            raise TimeoutError(f"the task {task_id} is {now.name} {when}, not {expected}, in the journal {where}")
        return now

    def updates(self, task_id: str, *, auto_exit: bool, timeout: float | None) -> "Updates":
        """See `StatusTracker.listen_to_updates`."""
        return Updates(self._lookup, task_id, auto_exit=auto_exit, timeout=timeout)


class Updates:
    """Yields the statuses of one message one by one; for one reader at a time."""

    def __init__(self, lookup: TaskLookup, task_id: str, *, auto_exit: bool, timeout: float | None) -> None:
        self._lookup = lookup
        self._id = task_id
        self._auto_exit = auto_exit
        self._timeout = timeout
        self._deadline = deadline_of(timeout)
        self._ready: deque[StatusUpdate] = deque()
        self._seen_to = -1  # the offset up to which the message's events are in `_ready` or were handed out
        self._last: tuple[object, ...] = ()
        self._trace: Trace | None = None
        self._follower: Subscriber | None = None
        self._is_over = False

    async def next(self) -> StatusUpdate | None:
        """The next status; None after the last one."""
        while not self._ready:
            if self._is_over:
                return None
            await self._read()
        update = self._ready.popleft()
        self._is_over = self._auto_exit and not self._ready and update.status in TERMINAL_STATUSES
        return update

    async def _read(self) -> None:
        """Read on: the index first, and again when a session that may have held the task has ended; else the log."""
        if self._trace is None or self._follower is None:
            await self.aclose()
            found, snapshot = await self._lookup.look(self._id, self._note)
            lost = found.trace.is_truncated
            self._trace = Trace(self._id, snapshot.partition, snapshot.sessions_of, self._note) if lost else found.trace
            self._follower = await self._lookup.follower(snapshot.end)
            return
        remaining = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        page = await self._follower.page(timeout=remaining, partition=self._trace.partition)
        if page is None and remaining == 0.0:
            raise TimeoutError(f"the task {self._id} has not ended within {self._timeout} s")
        if page is not None and not self._trace.follow(page):
            await self.aclose()

    def _note(self, view: TaskView, offset: int, _row: bytes, _said: object, verdict: Verdict | None) -> None:
        """Queue the status after an accepted event of the message; ignore the call before it, without a verdict."""
        task = view.find(self._id)
        if verdict is not Verdict.ACCEPTED or task is None or offset <= self._seen_to:
            return
        self._seen_to = offset
        update = update_of(task)
        current = (update.status, task.attempts, task.worker, task.state)
        if current != self._last:
            self._last = current
            self._ready.append(update)

    async def aclose(self) -> None:
        """Stop following the log."""
        self._trace, follower, self._follower = None, self._follower, None
        if follower is not None:
            await self._lookup.give_back(follower)


def update_of(task: TaskState) -> StatusUpdate:
    """Return the status of a task, with its details."""
    return StatusUpdate(
        status_of(task),
        {
            "attempts": task.attempts,
            "worker": task.worker or None,
            "changed_at": task.changed_at,
            "revoked": task.state is State.REVOKED,
        },
    )


def status_of(task: TaskState | None) -> TaskStatus:
    """Return the reference's status of a task; a revoked one counts as failed, as there."""
    if task is None:
        return TaskStatus.UNKNOWN
    if task.state is State.READY:
        return TaskStatus.RETRYING if task.attempts else TaskStatus.SUBMITTED
    return _STATUSES[task.state]


_STATUSES: Final = {
    State.CLAIMED: TaskStatus.RUNNING,
    State.SUCCEEDED: TaskStatus.SUCCEEDED,
    State.FAILED: TaskStatus.FAILED,
    State.REVOKED: TaskStatus.FAILED,
}


def _statuses(status: TaskStatus | Iterable[TaskStatus]) -> frozenset[TaskStatus]:
    wanted = frozenset({status}) if isinstance(status, TaskStatus) else frozenset(status)
    if not wanted or not all(isinstance(each, TaskStatus) for each in wanted):
        raise ValidationError(f"expected a TaskStatus or several, got {status!r}")
    return wanted
