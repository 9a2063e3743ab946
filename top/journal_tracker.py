"""`JournalTracker`: requests as events of a journal, so that their history can be read like that of tasks."""

import os
import socket
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, cast, overload

from ..consumers.views.replica import Replica
from ..journal.errors import AppendInDoubt
from ..journal.event import Draft, encode_context
from ..journal.journal import Journal
from .errors import InvalidTask
from .http_task import HTTPTask
from .limits import COMPLETED_TASKS_DEFAULT, COMPLETED_TASKS_MAX
from .names import ENDED, STARTED, SWEPT
from .recorder import Entry, Recorder
from .task import Task
from .timestamps import now
from .tracker import Tracker
from .view import Request, RequestsView

T = TypeVar("T", bound=Task)
_MAX_COMPLETED: Final = "TOP_MAX_COMPLETED_TASKS"


class JournalTracker(Tracker[T], Generic[T]):
    """Records tasks in a journal, and reads them from it, also those of other servers.

    `journal` is a `Journal` or its URL, `task_type` the class of its tasks, `HTTPTask` without one. `instance` names
    the server: `clear` sweeps only what that name has begun. Give one to each server that shares a host; the default is
    the host's name. `max_completed_tasks` bounds what `get_completed_tasks` returns: by default the environment
    variable `TOP_MAX_COMPLETED_TASKS`, or 50.

    Each call returns once its event is durable; servers that must not wait use `recorder`.
    """

    @overload
    def __init__(
        self: "JournalTracker[HTTPTask]",
        journal: Journal | str,
        task_type: None = ...,
        instance: str | None = ...,
        max_completed_tasks: int | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        journal: Journal | str,
        task_type: type[T],
        instance: str | None = ...,
        max_completed_tasks: int | None = ...,
    ) -> None: ...
    def __init__(
        self,
        journal: Journal | str,
        task_type: type[T] | None = None,
        instance: str | None = None,
        max_completed_tasks: int | None = None,
    ) -> None:
        self.journal = Journal(journal) if isinstance(journal, str) else journal
        self.task_type: type[T] = cast("type[T]", HTTPTask) if task_type is None else task_type
        self.instance = instance or socket.gethostname()
        self.max_completed_tasks = _ring_size(max_completed_tasks)
        self._replica = Replica(self.journal.asynchronous, RequestsView(), renew=RequestsView)
        self.journal.asynchronous.companions[f"requests {id(self)}"] = self._replica  # closed with the journal
        self._guard = threading.Lock()
        self._in_doubt: tuple[Sequence[Entry], list[Draft]] | None = None

    def clear(self) -> None:
        """Sweep the active tasks of this instance: they end with `recorded_successfully` False."""
        context = {"instance": self.instance, "at": now().isoformat()}
        self.journal.append(SWEPT, context, key=self.instance)

    def start_task(self, task: T) -> None:
        """Record the start of a task, durably; `started_at` is now unless it says otherwise."""
        task.updated_at = now()
        task.started_at = task.started_at or task.updated_at
        self.journal.append_drafts([self._draft(STARTED, task)])

    def end_task(self, task: T) -> None:
        """Record the end of a task, durably; a second end of the same task changes nothing."""
        task.updated_at = task.ended_at = now()
        if task.recorded_successfully is None:
            task.recorded_successfully = True
        self.journal.append_drafts([self._draft(ENDED, task)])

    def get_active_tasks(self) -> dict[int | str, T]:
        """Return the tasks that run, by their ids; those of other instances by `INSTANCE/ID`."""
        with self._guard:
            self.journal.run(self._replica.catch_up())
            active = list(self._replica.view.requests())
        return {self._key(each): self._task(each) for each in active}

    def get_completed_tasks(self) -> list[T]:
        """Return the last tasks that have ended, of all instances, the newest first."""
        with self._guard:
            self.journal.run(self._replica.catch_up())
            completed = list(self._replica.view.completed)[: self.max_completed_tasks]
        return [self._task(each) for each in completed]

    def _key(self, request: Request) -> int | str:
        own: int | str = request.task.get("task_id") or request.id
        return own if request.instance == self.instance else f"{request.instance}/{own}"

    def _task(self, request: Request) -> T:
        return self.task_type.from_dict(request.task)

    # -- for servers that must not wait --------------------------------------------------------------------------------

    @cached_property
    def recorder(self) -> Recorder:
        """The recorder of this process: its thread writes what it is given."""
        return Recorder(self)

    def record(self, entries: Sequence[Entry]) -> None:
        """Append entries of a recorder in one append; after `AppendInDoubt`, append the same drafts again."""
        if self._in_doubt is not None and self._in_doubt[0] is entries:
            drafts = self._in_doubt[1]
        else:
            drafts = [self._draft(ENDED if entry.ends else STARTED, entry.make()) for entry in entries]
        try:
            self.journal.append_drafts(drafts)
        except AppendInDoubt:
            self._in_doubt = entries, drafts
            raise
        self._in_doubt = None

    def _draft(self, name: str, task: Task) -> Draft:
        if task.task_id is None:
            raise InvalidTask("a task that is recorded has a task_id, such as a number or a UUID")
        fields: dict[str, Any] = {field: value for field, value in task.to_dict().items() if value is not None}
        context = {"instance": self.instance, "request": str(task.task_id), "task": fields}
        return Draft(name, encode_context(name, context), self.instance)


def _ring_size(given: int | None) -> int:
    size = given if given is not None else int(os.environ.get(_MAX_COMPLETED, COMPLETED_TASKS_DEFAULT))
    if not 0 < size <= COMPLETED_TASKS_MAX:
        raise ValueError(f"a tracker keeps 1 to {COMPLETED_TASKS_MAX:,} completed tasks, got {size:,}")
    return size
