"""Read results. A result is stored with the outcome, so a task that has succeeded always has it."""

from typing import Any, Final

import msgspec

from ..journal.async_journal import AsyncJournal
from ..journal.event_decoding import unreadable
from ..journal.journal import Journal
from ..journal.row_decoder import Moment, RowDecoder
from .access import JournalAccess
from .failure import failed
from .lookup import Found, checked, in_words, task_lookup
from .message import Message, id_of
from .state import names
from .state.routing import routing_key
from .state.state import TaskState
from .state.transitions import FINAL_STATES, State


class _Succeeded(msgspec.Struct):
    result: Any = None


class _SucceededEvent(msgspec.Struct):
    context: _Succeeded
    timestamp: Moment


_decoder: Final = RowDecoder(_SucceededEvent)


class ResultStore:
    """Reads results from `journal`. They live as long as its history; collecting one only hides it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = checked(journal, "ResultStore")
        self._results = Results(journal.asynchronous)

    @property
    def journal(self) -> Journal:
        """The journal it reads."""
        return self._journal

    def exists(self, message: Message | str) -> bool:
        """Whether the message has a result that was not collected."""
        return self._journal.run(self._results.exists(id_of(message)), instead="AsyncResultStore.exists")

    def get(self, message: Message | str, timeout: int = 0, *, keep: bool = False, with_metadata: bool = False) -> Any:
        """Return the result of a message, waiting for it at most `timeout` ms.

        Without `keep` the result is collected: a later call does not find it. With `with_metadata` a mapping of
        `result`, `timestamp` (seconds since the epoch) and `uuid`. Raises `KeyError` if there is none and no time to
        wait, `TimeoutError` when the time is over, and at once `TaskFailedError`, which is also a `KeyError`, when the
        task has failed or was revoked.
        """
        getting = self._results.get(id_of(message), timeout, keep=keep, with_metadata=with_metadata)
        return self._journal.run(getting, instead="AsyncResultStore.get")


class AsyncResultStore:
    """`ResultStore` for asyncio, on an `AsyncJournal` or on a `Journal` such as `broker.journal`."""

    def __init__(self, journal: AsyncJournal | Journal) -> None:
        self._access = JournalAccess(journal, "AsyncResultStore")
        self._results = Results(self._access.journal)

    @property
    def access(self) -> JournalAccess:
        """The journal it reads, for classes built on this one."""
        return self._access

    async def exists(self, message: Message | str) -> bool:
        """See `ResultStore.exists`."""
        return await self._access.run(self._results.exists(id_of(message)))

    async def get(
        self, message: Message | str, timeout: int = 0, *, keep: bool = False, with_metadata: bool = False
    ) -> Any:
        """See `ResultStore.get`; the loop goes on while it waits."""
        getting = self._results.get(id_of(message), timeout, keep=keep, with_metadata=with_metadata)
        return await self._access.run(getting)


class Results:
    """The implementation of both stores, on the journal's own loop."""

    def __init__(self, journal: AsyncJournal) -> None:
        self._journal = journal
        self._lookup = task_lookup(journal)

    async def exists(self, task_id: str) -> bool:
        """See `ResultStore.exists`."""
        task = (await self._lookup.find(task_id)).task
        return task is not None and task.state is State.SUCCEEDED and not task.collected

    async def get(self, task_id: str, timeout: int, *, keep: bool, with_metadata: bool) -> Any:
        """See `ResultStore.get`."""
        found = await self._lookup.wait(task_id, is_over, timeout / 1_000)
        if timeout and not is_over(found.task):
            raise TimeoutError(f"no result of task {task_id!r} after {timeout:,} ms: {self._state(found.task)}")
        return await self.of(task_id, found, keep=keep, with_metadata=with_metadata)

    async def of(self, task_id: str, found: Found, *, keep: bool, with_metadata: bool) -> Any:
        """Return the result of a task that was looked up; errors as in `ResultStore.get` without a timeout."""
        task = found.task
        if task is None or task.state not in FINAL_STATES or task.collected:
            raise KeyError(f"no result of task {task_id!r}: {self._state(task)}")
        row = await self._lookup.row(task, found.trace)
        if task.state is not State.SUCCEEDED:
            raise failed(task, row)
        if row is None:
            raise KeyError(f"no result of task {task_id!r}: retention has removed it from {self._journal.location}")
        event = _decoded(task, row)
        if not keep:
            await self._journal.append(names.COLLECTED, {"task": task_id}, key=routing_key(task_id))
        if with_metadata:
            return {"result": event.context.result, "timestamp": event.timestamp, "uuid": task_id}
        return event.context.result

    def _state(self, task: TaskState | None) -> str:
        if task is None:
            return f"no such task is known to the journal {self._journal.location}"
        return "was collected already" if task.collected else in_words(task.state)


def is_over(task: TaskState | None) -> bool:
    """Whether the task has ended."""
    return task is not None and task.state in FINAL_STATES


def _decoded(task: TaskState, row: bytes) -> _SucceededEvent:
    try:
        return _decoder.decode(row)
    except msgspec.MsgspecError as error:
        raise unreadable(task.partition, task.changed, row, str(error)) from error
