"""Describe claimed tasks to their workers: what to run, with which arguments, read from their submissions."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ...tasks.amended_row import amended
from ...tasks.index.records import rows_at
from ...tasks.message import Message
from ...tasks.message_encoding import decode_message
from ...tasks.state.state import TaskState
from ..backend import Backend
from .bodies import ClaimedTask, Error, Failure
from .outcomes import Reports

_REMOVED = "retention has removed the submission of the task: submit it anew"


async def described(backend: Backend, reports: Reports, tasks: Iterable[TaskState], worker: str) -> list[ClaimedTask]:
    """Return the tasks with their arguments; one whose submission is lost, or cannot be read, fails at once."""
    found: list[ClaimedTask] = []
    claims = [(task, task.claim) for task in tasks]
    rows = await _submissions_of(backend, [task for task, _ in claims])
    for task, token in claims:
        try:
            message = _message_in(rows.get(task.id))
        except ValueError as error:
            details = Error(type(error).__name__, str(error)[:1_000])
            await reports.take([Failure(worker=worker, task=task.id, claim=token, error=details)])
        else:
            found.append(_described(task, token, message))
    return found


def _message_in(row: bytes | None) -> Message:
    if row is None:
        raise ValueError(_REMOVED)
    return decode_message(row)


def _described(task: TaskState, token: int, message: Message) -> ClaimedTask:
    return ClaimedTask(
        task=task.id,
        claim=token,
        task_name=message.task_name,
        queue=message.queue,
        args=message.args,
        kwargs=message.kwargs,
        attempt=task.attempts,
        max_retries=message.max_retries,
        timeout_ms=message.timeout,
        priority=message.priority,
        created_at_ms=message.created_at,
        metadata=message.metadata,
        tags=tuple(message.tags),
        previous_result=message.previous_result,
        previous_message_uuid=message.previous_message_uuid,
        serializer=message.serializer,
        trace=message.trace,
    )


async def _submissions_of(backend: Backend, tasks: Sequence[TaskState]) -> dict[str, bytes]:
    """Return the records of the submissions that the log still holds, as they were amended, by the tasks' ids."""
    by_partition: dict[int, dict[int, str]] = defaultdict(dict)
    for task in tasks:
        by_partition[task.partition][task.submitted] = task.id
    log = await backend.journal.open()
    found: dict[str, bytes] = {}
    for partition, ids in by_partition.items():
        rows = await rows_at(log, partition, ids)
        found.update((ids[offset], row) for offset, row in rows.items())
    amendments = backend.view.amendments
    for task in tasks if amendments else ():
        at = amendments.get(task.id)
        row = None if at is None else (await rows_at(log, task.partition, [at])).get(at)
        if row is not None and task.id in found:
            found[task.id] = amended(found[task.id], row)
    return found
