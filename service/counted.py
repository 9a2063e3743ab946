"""Counts the tasks by queue in portions, and yields to the event loop between them: a long queue delays no request."""

import anyio.lowlevel

from ..tasks.inspection.overview import TaskCounts
from ..tasks.state.view import TaskView
from .limits import COUNTED_TASKS


async def counted(view: TaskView, now: float) -> TaskCounts:
    """Return the counts at `now`, in seconds since the epoch, of the tasks that the view holds at the call.

    What changes meanwhile may be counted before or after its change.
    """
    counts = TaskCounts(now)
    tasks = [*view.live.values(), *view.dead.values()]
    for start in range(0, len(tasks), COUNTED_TASKS):
        if start:
            await anyio.lowlevel.checkpoint()
        counts.add(tasks[start : start + COUNTED_TASKS])
    return counts
