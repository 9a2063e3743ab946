"""Keeps the state of the moment that was asked about last: a page asks several times for the same one."""

import asyncio

import anyio

from ..consumers.views.as_of import as_of
from ..journal.async_journal import AsyncJournal
from ..tasks.inspection.as_of import ViewAsOf, cursor_at
from ..tasks.state.view import TaskView
from .limits import PAST_SECONDS_KEPT


class PastViews:
    """Returns the states of past moments; requests for one moment share one replay, and moments take turns.

    Readers must not change a state that they get. It is forgotten `PAST_SECONDS_KEPT` after its last use.
    """

    def __init__(self, journal: AsyncJournal) -> None:
        self._journal = journal
        self._turn = anyio.Lock()
        self._kept: ViewAsOf | None = None
        self._forgetting: asyncio.TimerHandle | None = None

    async def at(self, moment: float) -> ViewAsOf:
        """Return the state at a moment, in seconds since the epoch, and the cursor of that state."""
        cursor = await cursor_at(self._journal, moment)
        async with self._turn:
            kept = self._kept
            if kept is None or kept.cursor != cursor:
                self._forget()  # first: two of them are not held at a time
                kept = self._kept = ViewAsOf(await as_of(self._journal, TaskView, cursor), cursor)
            if self._forgetting is not None:
                self._forgetting.cancel()
            self._forgetting = asyncio.get_running_loop().call_later(PAST_SECONDS_KEPT, self._forget)
            return kept

    def _forget(self) -> None:
        self._kept = None
