"""Counts the tasks that match a filter, by state: live tasks and dead letters in the view, ended tasks in the log."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import anyio.lowlevel
import msgspec

from ...journal.async_journal import AsyncJournal
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ..limits import COUNTED_TASKS
from .filtering import HELD, TaskFilter
from .listing import submitted_task
from .scanning import SubmissionScan


class StateCounts(msgspec.Struct):
    """How many tasks are in each state."""

    ready: int = 0
    claimed: int = 0
    succeeded: int = 0
    failed: int = 0
    revoked: int = 0

    def add(self, state: State) -> None:
        """Count a task in that state."""
        name = state.name.lower()
        setattr(self, name, getattr(self, name) + 1)


class CountPage(NamedTuple):
    """The counts of a page, and where the next one begins; None if there is none, and the counts are complete."""

    counts: StateCounts
    after: list[list[int]] | None


async def count_tasks(
    journal: AsyncJournal,
    view: TaskView,
    wanted: TaskFilter,
    end: Mapping[int, int],
    *,
    first: bool,
    as_of: Mapping[int, int] | None,
) -> CountPage:
    """Return the counts of the tasks submitted before `end`, as far as a page reads.

    Where the state answers the filter, the first page counts all tasks that it holds, and the others only ended ones.
    """
    counts = StateCounts()
    by_state = not wanted.reads_submissions
    if by_state and first:
        await _count_held(view, wanted, counts)
        if wanted.is_wide:
            counts.succeeded, counts.revoked = view.succeeded, view.revoked
            counts.failed = view.failed
            return CountPage(counts, None)
    if wanted.state in HELD and by_state:
        return CountPage(counts, None)
    scan = await SubmissionScan.begin(journal, end, wanted.since)
    while (found := await scan.take()) is not None:
        said = found.said
        state = view.state_of(found.partition, said.task)
        if by_state and state in HELD:
            continue  # the first page has counted all of these
        if state in (State.SUCCEEDED, State.REVOKED) and wanted.worker is None:
            matches = wanted.holds(said.task_name, said.queue, found.at) and wanted.holds_submission(said)
            if matches and wanted.state in (None, state):
                counts.add(state)
            continue
        task = await submitted_task(journal, view, wanted, found, as_of, scan)
        if task is not None:
            counts.add(task.state)
    return CountPage(counts, scan.place)


async def _count_held(view: TaskView, wanted: TaskFilter, counts: StateCounts) -> None:
    """Count the tasks that the view holds, in portions, so that a long queue holds up no other request."""
    for tasks in in_portions([*view.live.values(), *view.dead.values()]):
        for task in tasks:
            state = task.state
            if state in HELD and wanted.state in (None, state) and wanted.holds_task(task):
                counts.add(state)
        await anyio.lowlevel.checkpoint()


def in_portions(tasks: list[TaskState]) -> Iterable[list[TaskState]]:
    """Yield tasks in portions of `COUNTED_TASKS`: between two of them other requests run."""
    for start in range(0, len(tasks), COUNTED_TASKS):
        yield tasks[start : start + COUNTED_TASKS]
