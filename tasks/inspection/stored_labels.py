"""Read the labels of tasks, which only their submissions hold."""

from collections.abc import Sequence
from typing import Final

from ...journal.event_decoding import readable
from ...journal.log import Log
from ..index.records import rows_at
from ..labels import Labels
from ..limits import LABELS_STEP_TASKS
from ..state.state import TaskState

NO_LABELS: Final = Labels()


async def labels_of(log: Log, tasks: Sequence[TaskState]) -> list[Labels]:
    """Return the labels of each task; none where retention has removed its submission."""
    found: list[Labels] = []
    for begin in range(0, len(tasks), LABELS_STEP_TASKS):
        step, places = tasks[begin : begin + LABELS_STEP_TASKS], dict[int, list[int]]()
        for task in step:
            places.setdefault(task.partition, []).append(task.submitted)
        rows = {partition: await rows_at(log, partition, offsets) for partition, offsets in places.items()}
        found += [labels_in(rows[task.partition].get(task.submitted), task) for task in step]
    return found


def labels_in(row: bytes | None, task: TaskState) -> Labels:
    """Return the labels in the record of a task's submission; none without it."""
    if row is None or (b'"tags"' not in row and b'"summary"' not in row):
        return NO_LABELS
    events, _ = readable([row], task.partition, [task.submitted], contexts=True)
    return Labels.of(events[0].context) if events else NO_LABELS
