"""Find the last report of a running task's progress."""

from ...journal.async_journal import AsyncJournal
from ..state.decoding import fact
from ..state.state import TaskState
from ..state.transitions import State
from .entries import PROGRESSED
from .index import task_index
from .records import rows_at


async def last_progress(journal: AsyncJournal, task: TaskState, end: int | None = None) -> bytes | None:
    """Return the last record, before `end`, in which a running task has reported its progress; None if none has."""
    if task.state is not State.CLAIMED:
        return None
    log = await journal.open()
    snapshot = await task_index(journal).snapshot(task.partition, task_id=task.id)
    reports = [each.offset for each in snapshot.entries_of(task.id) if each.kind == PROGRESSED]
    for offset in reversed(reports):
        if offset < task.claim or (end is not None and offset >= end):
            continue
        row = snapshot.batch.row(offset) or (await rows_at(log, task.partition, [offset])).get(offset)
        said = fact(row) if row is not None else None
        if said is not None and said.context.claim == task.claim:
            return row  # and not one of a former owner
    return None
