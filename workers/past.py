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


async def cursor_at(journal: AsyncJournal, moment: float | None = None) -> Cursor:
    """The end of what had happened at `moment`, in seconds since the epoch; None is now."""
    if moment is None:
        return (await journal.bounds()).end
    return await journal.position_at(moment + _STEP_SECONDS)


async def standing(journal: AsyncJournal, moment: float | None = None) -> Standing:
    """The state of the tasks at `moment`, in seconds since the epoch; None is now."""
    log = await journal.open()
    end = await cursor_at(journal, moment)
    view, cursor = TaskView(), (await log.bounds()).first
    for partition, offset in end.items():
        while cursor.get(partition, 0) < offset:
            pages = await log.read({partition: cursor[partition]}, min(PAGE_EVENTS, offset - cursor[partition]))
            if not pages:
                break
            for page in pages:
                view.apply_page(page)
                cursor = cursor.advanced(partition, page.next_offset)
    return Standing(view, end)
