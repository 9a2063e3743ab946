"""The state of the tasks now, or as it was at a moment."""

from typing import NamedTuple

from ..journal.asynchronous import AsyncJournal
from ..journal.cursor import Cursor
from ..journal.limits import PAGE_EVENTS
from .view import TaskView

# Clocks of a journal count in steps of a microsecond: what happened in the very moment is part of it.
_STEP_SECONDS = 0.000_001


class Standing(NamedTuple):
    """The state after all events before `cursor`."""

    view: TaskView
    cursor: Cursor


async def standing(journal: AsyncJournal, moment: float | None = None) -> Standing:
    """The state of the tasks at `moment`, in seconds since the epoch; None is now."""
    log = await journal.open()
    bounds = await log.bounds()
    end = bounds.end if moment is None else await log.position_at(moment + _STEP_SECONDS)
    view, cursor = TaskView(), bounds.first
    for partition, offset in end.items():
        while cursor.get(partition, 0) < offset:
            pages = await log.read({partition: cursor[partition]}, min(PAGE_EVENTS, offset - cursor[partition]))
            if not pages:
                break
            for page in pages:
                view.apply_page(page)
                cursor = cursor.advanced(partition, page.next_offset)
    return Standing(view, end)
