"""Lists tasks, the newest submission first: from the state, or from the submissions in the log.

The state of the queue holds the tasks that wait or run, and the dead letters. Tasks that have ended are found in the
log, which is read backwards from its end. A page reads a bounded number of events, so it may have fewer tasks than the
caller asked for, or none, although there is a next page.
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import anyio.lowlevel
import msgspec

from ...journal.async_journal import AsyncJournal
from ...tasks.answers.tasks import TaskLineAnswer, task_line
from ...tasks.labels import Labels
from ...tasks.lookup import task_lookup
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ..limits import LIST_EVENTS_MAX, LIST_STEP_EVENTS
from .filtering import SubmissionContext, TaskFilter
from .scanning import SubmissionScan, Submitted, submissions_of

# A task's place in the list: the time of its submission, the partition and the offset. The list descends by it.
Place = tuple[float, int, int]


class TaskPage(NamedTuple):
    """A page of the list, and where the next one begins; None if there is none."""

    tasks: list[TaskLineAnswer]
    after: Any


async def held_tasks(
    journal: AsyncJournal, view: TaskView, wanted: TaskFilter, after: Place | None, limit: int
) -> TaskPage:
    """Return a page of the tasks that the view holds."""
    tasks = held(view, wanted, after)
    if not wanted.reads_submissions:
        chosen = heapq.nlargest(limit + 1, tasks, key=place_of)
        kept = [(task, task_line(task, Labels())) for task in chosen[:limit]]
        said = await submissions_of(await journal.open(), [task for task, _ in kept])
        lines = [_labelled(line, said.get(line.task)) for _, line in kept]
        return TaskPage(lines, place_of(chosen[limit - 1]) if len(chosen) > limit else None)
    ordered = [(place_of(task), task_line(task, Labels()), task) for task in sorted(tasks, key=place_of, reverse=True)]
    found: list[TaskLineAnswer] = []
    for begin in range(0, len(ordered), LIST_STEP_EVENTS):
        step = ordered[begin : begin + LIST_STEP_EVENTS]
        known = await submissions_of(await journal.open(), [task for _, _, task in step])
        await anyio.lowlevel.checkpoint()
        for place, line, _ in step:
            context = known.get(line.task)
            if context is not None and wanted.holds_submission(context):
                found.append(_labelled(line, context))
                if len(found) == limit:
                    return TaskPage(found, place)
        if begin + len(step) >= LIST_EVENTS_MAX and begin + len(step) < len(ordered):
            return TaskPage(found, step[-1][0])
    return TaskPage(found, None)


def held(view: TaskView, wanted: TaskFilter, after: Place | None = None) -> Iterable[TaskState]:
    """Yield the tasks of a view in the wanted state, one of `HELD`, that match as far as their state answers."""
    if wanted.state is State.FAILED:
        tasks: Iterable[TaskState] = view.dead.values()
    else:
        tasks = (task for task in view.live.values() if task.state is wanted.state)
    return (task for task in tasks if wanted.holds_task(task) and (after is None or place_of(task) < after))


def place_of(task: TaskState) -> Place:
    """Return the place of a task in the list."""
    return task.submitted_at, task.partition, task.submitted


def _labelled(line: TaskLineAnswer, said: SubmissionContext | None) -> TaskLineAnswer:
    if said is None:
        return line
    return msgspec.structs.replace(line, summary=said.summary or None, tags=list(said.tags))


async def all_tasks(
    journal: AsyncJournal,
    view: TaskView,
    wanted: TaskFilter,
    end: Mapping[int, int],
    limit: int,
    *,
    as_of: Mapping[int, int] | None,
) -> TaskPage:
    """Return a page of all tasks whose submissions stand before `end`; `as_of`: in their states at that cursor."""
    scan = await SubmissionScan.begin(journal, end, wanted.since)
    lines: list[TaskLineAnswer] = []
    while len(lines) < limit and (found := await scan.take()) is not None:
        task = await submitted_task(journal, view, wanted, found, as_of, scan)
        if task is not None:
            lines.append(task_line(task, found.said.labels))
    return TaskPage(lines, scan.place)


async def submitted_task(
    journal: AsyncJournal,
    view: TaskView,
    wanted: TaskFilter,
    found: Submitted,
    as_of: Mapping[int, int] | None,
    scan: SubmissionScan,
) -> TaskState | None:
    """Return the task of a submission; None if it does not match, or the submission was refused."""
    said = found.said
    if not wanted.holds(said.task_name, said.queue, found.at) or not wanted.holds_submission(said):
        return None
    task = view.find(said.task)
    if task is None:
        state = view.state_of(found.partition, said.task)
        if wanted.state is not None and state not in (State.UNKNOWN, wanted.state):
            return None
        scan.count_lookup()
        task = (await task_lookup(journal).look(said.task, until=as_of))[0].task
    if task is None or task.submitted != found.offset or wanted.state not in (None, task.state):
        return None
    return task if wanted.holds_task(task) else None
