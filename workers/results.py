"""Results: stored with the outcome, so there is no moment at which a task has succeeded and its result is not there."""

from typing import Any, Final

import msgspec

from ..journal.event import unreadable
from ..journal.reading import Moment, RowDecoder
from ..journal.synchronous import Journal
from .errors import TaskFailedError
from .lookup import in_words, lookup_of
from .message import Message
from .rules import names
from .rules.state import TaskState
from .rules.transitions import FINAL_STATES, State


class _Succeeded(msgspec.Struct):
    result: Any = None


class _SucceededEvent(msgspec.Struct):
    context: _Succeeded
    timestamp: Moment


_decoder: Final = RowDecoder(_SucceededEvent)


class ResultStore:
    """Reads results off `journal`. They live as long as its history; collecting one only hides it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lookup = lookup_of(journal, "ResultStore")

    def exists(self, message: Message | str) -> bool:
        """Whether the message has a result that was not collected."""
        task = self._journal.run(self._lookup.find(_id(message))).task
        return task is not None and task.state is State.SUCCEEDED and not task.collected

    def get(self, message: Message | str, timeout: int = 0, *, keep: bool = False, with_metadata: bool = False) -> Any:
        """The result of a message, waiting for it at most `timeout` ms.

        Without `keep` the result is collected: a later call does not find it. With `with_metadata` a mapping of
        `result`, `timestamp` (seconds since the epoch) and `uuid`. Raises `KeyError` if there is none and no time to
        wait, `TimeoutError` when the time is over, `TaskFailedError` when the task has failed or was revoked.
        """
        return self._journal.run(self._get(_id(message), timeout, keep=keep, with_metadata=with_metadata))

    async def _get(self, task_id: str, timeout: int, *, keep: bool, with_metadata: bool) -> Any:
        task, trace, _ = await self._lookup.wait(task_id, _is_over, timeout / 1_000)
        if timeout and not _is_over(task):
            raise TimeoutError(f"no result of task {task_id!r} after {timeout:,} ms: {self._state(task)}")
        if task is None or task.state not in FINAL_STATES or task.collected:
            raise KeyError(f"no result of task {task_id!r}: {self._state(task)}")
        if task.state is not State.SUCCEEDED:
            raise TaskFailedError(f"the task {task_id} has no result: it {self._state(task)}")
        row = await self._lookup.row(task, trace)
        if row is None:
            raise KeyError(f"no result of task {task_id!r}: retention has removed it from {self._journal.url}")
        event = _decoded(task, row)
        if not keep:
            await self._journal.asynchronous.append(names.COLLECTED, {"task": task_id}, key=task_id)
        if with_metadata:
            return {"result": event.context.result, "timestamp": event.timestamp, "uuid": task_id}
        return event.context.result

    def _state(self, task: TaskState | None) -> str:
        if task is None:
            return f"the journal {self._journal.url} knows no such task"
        return "was collected already" if task.collected else in_words(task.state)


def _is_over(task: TaskState | None) -> bool:
    return task is not None and task.state in FINAL_STATES


def _decoded(task: TaskState, row: bytes) -> _SucceededEvent:
    try:
        return _decoder.decode(row)
    except msgspec.MsgspecError as error:
        raise unreadable(task.partition, task.changed, row, str(error)) from error


def _id(message: Message | str) -> str:
    return message if isinstance(message, str) else message.uuid
