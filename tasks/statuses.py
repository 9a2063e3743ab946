"""Derive the status of tasks from their events: the implementation of `StatusTracker` and `AsyncStatusTracker`."""

import time
from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from enum import Enum
from typing import Any, Final, NamedTuple

from ..journal.async_journal import AsyncJournal
from ..journal.deadlines import deadline_of
from ..journal.errors import EventConflict
from ..journal.json_values import explain
from ..journal.tails.subscriber import Subscriber
from .accounts import TaskAccount, account_of
from .durations import seconds
from .errors import ValidationError
from .index.reports import last_progress
from .index.trace import Trace
from .lookup import Found, TaskLookup, expiry_in, task_lookup, until
from .progress import reported_in
from .state import names
from .state.decoding import Fact
from .state.routing import routing_key
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


TERMINAL_TASK_STATUSES: Final = frozenset({TaskStatus.FAILED, TaskStatus.SUCCEEDED})


class StatusUpdate(NamedTuple):
    """A status with details.

    These are `attempts`, `worker`, `changed_at` (of the last change, in seconds since the epoch), `revoked`, `reason`
    ("expired" if the task has lapsed, else None), and those that a program has reported by `set` since the last change.
    While the task runs, `progress` and `value` are what it has reported last, if it has.
    """

    status: TaskStatus
    details: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the status by its name, and the details."""
        return {"status": self.status.name, "details": self.details}


def update_parts(update: object) -> tuple[TaskStatus, Any]:
    """Return the status and the details of an update; `ValidationError` for anything else."""
    if not isinstance(update, StatusUpdate):
        raise ValidationError(
            f"an update is a StatusUpdate(TaskStatus.RUNNING, {{…}}), for example, got {update!r:.80}"
        )
    return update.status, update.details


class Statuses:
    """The implementation of both trackers, on the journal's own loop."""

    def __init__(self, journal: AsyncJournal) -> None:
        self._journal = journal
        self._lookup = task_lookup(journal)

    async def exists(self, task_id: str) -> bool:
        """See `StatusTracker.exists`."""
        found = await self._lookup.find(task_id)
        return found.task is not None and not account_of(found.trace).is_deleted

    async def get(self, task_id: str) -> StatusUpdate:
        """See `StatusTracker.get`."""
        found = await self._lookup.current(task_id)
        task, account = self._known(task_id, found)
        account.progress = reported_in(await last_progress(self._journal, task))
        return update_of(task, account)

    def _known(self, task_id: str, found: Found) -> tuple[TaskState, TaskAccount]:
        account = account_of(found.trace)
        if found.task is None:
            raise KeyError(f"no task {task_id!r} is known to the journal {self._journal.location}")
        if account.is_deleted:
            raise KeyError(f"the status of task {task_id!r} was deleted from the journal {self._journal.location}")
        return found.task, account

    async def set(self, task_id: str, status: TaskStatus, details: Any) -> None:
        """See `StatusTracker.set`."""
        (wanted,) = statuses_in(status)
        try:
            explain(details, "details")
        except ValueError as error:
            raise ValidationError(f"the details cannot be written as JSON: {error}") from error
        while True:
            found = await self._lookup.current(task_id)
            now = status_of(found.task)
            if now is not wanted:
                unknown = f"is not known to the journal {self._journal.location}"
                known = unknown if found.task is None else f"is {now.name}"
                raise ValidationError(
                    f"the task {task_id} {known}, so it cannot be set to {wanted.name}: the status follows from the "
                    "task's events. Report details under its own status; submit, retry, ack, fail or revoke by a "
                    "broker to change it."
                )
            said = details if isinstance(details, dict | None) else {"details": details}
            more = {} if said is None else {"details": said}
            if await self._note(found, {"status": wanted.name, **more}):
                return

    async def _note(self, found: Found, fields: dict[str, Any]) -> bool:
        """Append a note about a task; return False if an event of the task has come since it was looked up."""
        task_id = found.trace.id
        try:
            await self._journal.append(
                names.NOTED, {"task": task_id, **fields}, key=routing_key(task_id), expected=found.end
            )
        except EventConflict:
            return False
        return True

    async def delete(self, task_id: str, *, check: bool) -> None:
        """See `StatusTracker.delete`."""
        while True:
            found = await self._lookup.current(task_id)
            task, _ = self._known(task_id, found)
            now = status_of(task)
            if check and now not in TERMINAL_TASK_STATUSES:
                raise ValidationError(
                    f"the task {task_id} is {now.name}, so its status is still needed; delete it when it has ended, or "
                    "with check=False"
                )
            if await self._note(found, {"status": now.name, "deleted": True}):
                return

    async def wait_for(
        self, task_id: str, wanted: frozenset[TaskStatus], timeout: float | timedelta | None, *, raises: bool
    ) -> TaskStatus:
        """See `StatusTracker.wait_for`."""

        def is_reached(found: Found) -> bool:
            now = status_of(found.task)
            return now in wanted or now in TERMINAL_TASK_STATUSES

        task = (await self._lookup.wait(task_id, is_reached, seconds(timeout))).task
        now = status_of(task)
        if now not in wanted and raises:
            when = "and will not change" if now in TERMINAL_TASK_STATUSES else f"after {seconds(timeout)} s"
            expected = " or ".join(sorted(each.name for each in wanted))
            where = self._journal.location
            raise TimeoutError(f"the task {task_id} is {now.name} {when}, not {expected}, in the journal {where}")
        return now

    def updates(
        self, task_id: str, *, auto_exit: bool, timeout: float | timedelta | None, after: int = -1
    ) -> "Updates":
        """See `StatusTracker.listen_to_updates`; only the statuses behind the offset `after`."""
        return Updates(self._lookup, task_id, auto_exit=auto_exit, timeout=seconds(timeout), after=after)


class Updates:
    """Yields the statuses of one message one by one; for one reader at a time.

    `offset` is that of the event that led to the status handed out last: with it as `after`, another reader goes on.
    """

    def __init__(
        self, lookup: TaskLookup, task_id: str, *, auto_exit: bool, timeout: float | None, after: int = -1
    ) -> None:
        self.offset = after
        self._after = after
        self._lookup = lookup
        self._id = task_id
        self._auto_exit = auto_exit
        self._timeout = timeout
        self._deadline = deadline_of(timeout)
        self._ready: deque[tuple[int, StatusUpdate]] = deque()
        self._seen_to = -1  # the offset up to which the message's events are in `_ready` or were handed out
        self._last: tuple[object, ...] = ()
        self._account = TaskAccount()
        self._trace: Trace | None = None
        self._follower: Subscriber | None = None
        self._is_over = False
        self._lapses = True  # False once that could not be written

    async def next(self) -> StatusUpdate | None:
        """The next status; None after the last one."""
        while not self._ready:
            if self._is_over:
                return None
            await self._read()
        self.offset, update = self._ready.popleft()
        self._is_over = self._auto_exit and not self._ready and update.status in TERMINAL_TASK_STATUSES
        return update

    async def _read(self) -> None:
        """Read on: the index first, and again when a session that may have held the task has ended; else the log."""
        if self._trace is None or self._follower is None:
            await self.aclose()
            found, snapshot = await self._lookup.look(self._id, self._note, progress=True)
            lost = found.trace.is_truncated
            self._trace = Trace(self._id, snapshot.partition, snapshot.sessions_of, self._note) if lost else found.trace
            self._follower = await self._lookup.follower(snapshot.end)
            return
        remaining = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        expiry = expiry_in(self._trace) if self._lapses else None
        page = await self._follower.page(timeout=until(expiry, remaining), partition=self._trace.partition)
        if page is None and expiry is not None and expiry <= time.time():
            self._lapses = await self._lookup.lapse(await self._lookup.find(self._id))
        elif page is None and remaining == 0.0:
            raise TimeoutError(f"the task {self._id} has not ended within {self._timeout} s")
        if page is not None and not self._trace.follow(page):
            await self.aclose()

    def _note(self, view: TaskView, offset: int, row: bytes, said: Fact, verdict: Verdict | None) -> None:
        """Queue the status after an accepted event of the message; ignore the call before it, without a verdict."""
        task = view.find(self._id)
        if verdict is not Verdict.ACCEPTED or task is None or offset <= self._seen_to:
            return
        self._seen_to = offset
        self._account.add(said, row)
        if self._account.is_deleted:
            return
        update = update_of(task, self._account)
        account = self._account
        current = (update.status, task.attempts, task.worker, task.state, account.details, account.progress)
        if current != self._last:
            self._last = current
            if offset > self._after:
                self._ready.append((offset, update))

    async def aclose(self) -> None:
        """Stop following the log."""
        self._trace, follower, self._follower = None, self._follower, None
        if follower is not None:
            await self._lookup.give_back(follower)


def update_of(task: TaskState, account: TaskAccount) -> StatusUpdate:
    """Return the status of a task, with its details and those that were reported."""
    return StatusUpdate(
        status_of(task),
        {
            "attempts": task.attempts,
            "worker": task.worker or None,
            "changed_at": task.changed_at,
            "revoked": task.state is State.REVOKED and not account.reason,
            "reason": account.reason or None,
            **account.progress,
            **(account.details or {}),
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


def statuses_in(status: TaskStatus | Iterable[TaskStatus]) -> frozenset[TaskStatus]:
    """Return the statuses as a set; `ValidationError` for anything else."""
    if isinstance(status, TaskStatus):
        return frozenset({status})
    given: object = status
    several = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str | bytes) else ()
    if not several or not all(isinstance(each, TaskStatus) for each in several):
        raise ValidationError(f"expected a TaskStatus, such as TaskStatus.SUCCEEDED, or several, got {status!r:.80}")
    return frozenset(several)
