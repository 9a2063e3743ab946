"""Resolve short ids of tasks, as screens show them: the end of an id, with or without the dots for the rest.

Whole ids of tasks are looked for in three places: in the queue's state (live tasks, dead letters, recently ended
tasks), in the events that the index has read and not written yet, and in the index's file. The file has the keys of all
tasks, and the key of a UUID is its digits; so ids that are no UUIDs are found in the first two places only.
"""

from collections.abc import Iterable
from typing import Final

from ...consumers.views.as_of import as_of
from ...journal.async_journal import AsyncJournal
from ...journal.log import Log
from ..limits import BARE_ID_CHARS_MIN, SHORT_ID_CHARS_MIN, SHORT_ID_TASKS_MAX, UUID_CHARS
from ..state.decoding import fact
from ..state.view import TaskView
from .entries import NOWHERE, TaskRow
from .index import task_index
from .records import rows_at

_DOTS: Final = "…. "
_DIGITS: Final = frozenset("0123456789abcdef-")


def shortened(typed: str) -> str:
    """Return what was typed of an id, without the dots before it."""
    return typed.strip().lstrip(_DOTS)


def end_of_id(typed: str) -> str | None:
    """Return the part of an id for whose end `typed` is taken; None if it can only be a whole id.

    Without leading dots only digits of a UUID, or a text as long as a short id, is taken for the end of an id: a
    mistyped id of the caller's own must not match another one.
    """
    part = shortened(typed)
    is_marked = part != typed or set(part.lower()) <= _DIGITS
    least = SHORT_ID_CHARS_MIN if is_marked else BARE_ID_CHARS_MIN
    return part if part and len(typed) < UUID_CHARS and len(part) >= least else None


def stands_for(part: str, task_id: str) -> bool:
    """Return whether an id ends with `part`, ignoring case."""
    return task_id.lower().endswith(part.lower())


async def ids_for(journal: AsyncJournal, part: str, view: TaskView | None = None) -> list[str]:
    """Return the ids of the tasks in `journal` that end with `part`; `view` is its state, made here if not given.

    Searches all known tasks, which takes about a second for millions of them.
    """
    log = await journal.open()
    if view is None:
        view = await as_of(journal, TaskView, (await log.bounds()).end)
    found = {task_id for task_id in view.ids() if stands_for(part, task_id)}
    index = task_index(journal)
    for partition in range(log.partitions):
        snapshot = await index.snapshot(partition)
        found |= {task_id for task_id in snapshot.batch.numbers if stands_for(part, task_id)}
        rows = snapshot.store.task_rows_like(part.replace("-", "").lower(), partition, SHORT_ID_TASKS_MAX)
        found |= {task_id for task_id in await _ids_of(log, partition, rows) if stands_for(part, task_id)}
    return sorted(found)


async def _ids_of(log: Log, partition: int, rows: Iterable[TaskRow]) -> set[str]:
    """Return the ids of these tasks from their submissions, as far as retention has not removed these."""
    submitted = [row.submitted for row in rows if row.submitted != NOWHERE]
    records = await rows_at(log, partition, submitted)
    said = [fact(records[offset]) for offset in submitted if offset in records]
    return {each.context.task for each in said if each is not None and each.context.task}
