"""Results: stored with the outcome, so there is no moment at which a task has succeeded and its result is not there."""

from typing import Any, Final

import msgspec

from ..journal.event import unreadable
from ..journal.reading import Moment, RowDecoder
from ..journal.synchronous import Journal
from .errors import TaskFailedError
from .message import Message
from .rules import names
from .rules.state import TaskState
from .rules.transitions import FINAL_STATES, State
from .watching import watched_by


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
        self._replica = watched_by(journal, "ResultStore")

    def exists(self, message: Message | str) -> bool:
        """Whether the message has a result that was not collected."""
        self._journal.run(self._replica.catch_up())
        return self._has_result(_id(message))

    def get(self, message: Message | str, timeout: int = 0, *, keep: bool = False, with_metadata: bool = False) -> Any:
        """The result of a message, waiting for it at most `timeout` ms.

        Without `keep` the result is collected: a later call does not find it. With `with_metadata` a mapping of
        `result`, `timestamp` (seconds since the epoch) and `uuid`. Raises `KeyError` if there is none and no time to
        wait, `TimeoutError` when the time is over, `TaskFailedError` when the task has failed or was revoked.
        """
        return self._journal.run(self._get(_id(message), timeout, keep=keep, with_metadata=with_metadata))

    async def _get(self, task_id: str, timeout: int, *, keep: bool, with_metadata: bool) -> Any:
        if timeout and not self._over(task_id):
            await self._wait(task_id, timeout)
        else:
            await self._replica.catch_up()  # somebody else may have collected it
        task = self._replica.view.find(task_id)
        if task is None or task.state not in FINAL_STATES or task.collected:
            raise KeyError(f"no result of task {task_id!r}: {self._state(task)}")
        if task.state is not State.SUCCEEDED:
            raise TaskFailedError(f"the task {task_id} has no result: it {self._state(task)}")
        event = await self._read(task)
        if not keep:
            collected = await self._journal.asynchronous.append(names.COLLECTED, {"task": task_id}, key=task_id)
            await self._replica.wait_for(collected.position)
        if with_metadata:
            return {"result": event.context.result, "timestamp": event.timestamp, "uuid": task_id}
        return event.context.result

    async def _wait(self, task_id: str, timeout: int) -> None:
        try:
            await self._replica.wait_until(lambda _: self._over(task_id), timeout / 1_000)
        except TimeoutError as error:  # what may not have been read in that time is in the journal all the same
            await self._replica.catch_up()
            if self._over(task_id):
                return
            task = self._replica.view.find(task_id)
            raise TimeoutError(f"no result of task {task_id!r} after {timeout:,} ms: {self._state(task)}") from error

    def _over(self, task_id: str) -> bool:
        task = self._replica.view.find(task_id)
        return task is not None and task.state in FINAL_STATES

    def _has_result(self, task_id: str) -> bool:
        task = self._replica.view.find(task_id)
        return task is not None and task.state is State.SUCCEEDED and not task.collected

    def _state(self, task: TaskState | None) -> str:
        if task is None:
            return f"the journal {self._journal.url} knows no such task"
        return "was collected already" if task.collected else _WORDS[task.state]

    async def _read(self, task: TaskState) -> _SucceededEvent:
        row = self._replica.view.latest_row(task)
        if row is None:
            log = await self._journal.asynchronous.open()
            row = (await log.read({task.partition: task.changed}, 1))[0].rows[0]
        try:
            return _decoder.decode(row)
        except msgspec.MsgspecError as error:
            raise unreadable(task.partition, task.changed, row, str(error)) from error


_WORDS: Final = {
    State.UNKNOWN: "is unknown",
    State.READY: "waits for a worker",
    State.CLAIMED: "is running",
    State.SUCCEEDED: "has succeeded",
    State.FAILED: "has failed",
    State.REVOKED: "was revoked",
}


def _id(message: Message | str) -> str:
    return message if isinstance(message, str) else message.uuid
