"""The state of the tasks now, or as it was at a moment."""

from collections.abc import Callable
from typing import NamedTuple

from ...consumers.views.as_of import as_of
from ...consumers.views.as_of import cursor_at as end_of_past
from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ..state.view import TaskView


class ViewAsOf(NamedTuple):
    """The state after all events before `cursor`."""

    view: TaskView
    cursor: Cursor


async def cursor_at(journal: AsyncJournal, moment: float | None = None) -> Cursor:
    """The end of what had happened at `moment`, in seconds since the epoch, that moment included; None is now."""
    log = await journal.open()
    return (await log.bounds()).end if moment is None else await end_of_past(log, moment)


async def view_as_of(
    journal: AsyncJournal, moment: float | None = None, progress: Callable[[int, int], None] | None = None
) -> ViewAsOf:
    """The state of the tasks at `moment`, in seconds since the epoch; None is now. For `progress` see `as_of`."""
    cursor = await cursor_at(journal, moment)
    return ViewAsOf(await as_of(journal, TaskView, cursor, progress), cursor)
