"""The list of the tasks that wait or run. Pure.

In the order of the log and without a filter, only the visible rows are read; otherwise every task.
"""

from collections.abc import Callable
from typing import Any, Final

from ...tasks.inspection.wording import age, short_id
from ...tasks.state.selection import waiting_since
from ...tasks.state.state import TaskKind, TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ..cells import NOTHING, Cell, Column, Listing, Row, Tone, cell
from ..question import Question
from .selecting import Part, Words, part_in_order, part_of

COLUMNS: Final = (
    Column("id"),
    Column("task", gives_way=True),
    Column("queue", gives_way=True),
    Column("state"),
    Column("for", right=True),
    Column("attempt", right=True),
    Column("age", right=True),
    Column("prio", right=True, wide=True),
    Column("worker", wide=True),
)
_KEYS: Final[tuple[Callable[[TaskState], Any], ...]] = (
    lambda task: task.id,
    lambda task: task.kind.name,
    lambda task: task.kind.queue,
    lambda task: task.run.state.value,
    lambda task: -(task.due or task.changed_at),
    lambda task: task.run.attempts,
    lambda task: -task.submitted_at,
    lambda task: task.kind.priority,
    lambda task: task.run.worker,
)
SORTS: Final = len(_KEYS)


def is_cheap(asked: Question) -> bool:
    """Return whether the list is selected without a look at each task."""
    return asked.sort < 0 and not asked.words.strip()


def tasks(view: TaskView, asked: Question, now: float) -> Listing:
    """Return the part of the list of tasks that is asked for, at `now` in seconds since the epoch."""
    part = _part(view, asked, now)
    rows = [_row(task, now) for task in part.values]
    return Listing(COLUMNS, rows, part.first, part.total, len(view.live), asked.sort, asked.descending)


def _part(view: TaskView, asked: Question, now: float) -> Part:
    if is_cheap(asked):
        return part_in_order(view.live.values(), asked.first, asked.rows, newest_first=asked.descending)
    words, found = Words(asked.words), list(view.live.values())
    if words:
        kinds: dict[TaskKind, str] = {}
        found = [
            each for each in found if words.fit(each.id, each.run.worker, _kind(each, kinds), _state(each, now)[0])
        ]
    key = _KEYS[asked.sort] if asked.sort >= 0 else None
    return part_of(found, asked.first, asked.rows, key, descending=asked.descending)


def _kind(task: TaskState, kinds: dict[TaskKind, str]) -> str:
    """Return the name and the queue of a task, made once for all tasks of its kind."""
    text = kinds.get(task.kind)
    if text is None:
        text = kinds[task.kind] = f"{task.name} {task.queue}"
    return text


def _row(task: TaskState, now: float) -> Row:
    word, tone, since = _state(task, now)
    attempts = f"{task.attempts}" if task.max_retries is None else f"{task.attempts} of {task.max_retries + 1}"
    running = task.state is State.CLAIMED
    cells = (
        Cell(short_id(task.id), Tone.STRONG),
        cell(task.name),
        cell(task.queue),
        Cell(word, tone),
        Cell(age(now - since) if since <= now else f"in {age(since - now)}"),
        Cell(attempts, Tone.WARN if task.attempts > 1 else Tone.DIM),
        Cell(age(now - task.submitted_at), Tone.DIM),
        Cell(str(task.priority), Tone.DIM),
        Cell(short_id(task.worker)) if running else NOTHING,
    )
    return Row(task.id, cells, task.id, task.name)


def _state(task: TaskState, now: float) -> tuple[str, Tone, float]:
    """Return the word for its state, the tone of that, and since when it is in it, or when it ends if that is later."""
    if task.state is State.CLAIMED:
        return "suspect" if task.suspect else "runs", Tone.GOOD, task.changed_at
    if task.due > now:
        return "retries" if task.attempts else "delayed", Tone.WARN, task.due
    return "ready", Tone.PLAIN, waiting_since(task.submitted_at, task.due)
