"""Caches the state of the past moment that was asked for last, since a page sends several requests for one moment."""

import asyncio
from typing import Generic, NamedTuple, TypeVar

import anyio

from ..consumers.views.as_of import as_of, replay
from ..consumers.views.view import View
from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor
from ..tasks.inspection.as_of import cursor_at
from .limits import PAST_SECONDS_KEPT

V = TypeVar("V", bound=View)


class Past(NamedTuple, Generic[V]):
    """The state after all events before `cursor`; with `start` after those from there on."""

    view: V
    cursor: Cursor
    start: Cursor | None = None


class PastViews(Generic[V]):
    """Returns the states of past moments; requests for one moment share one replay, and moments take turns.

    With `window` a state is the fold of the events of so many seconds before its moment, otherwise of all history.

    Readers must not change a state that they get. It is forgotten `PAST_SECONDS_KEPT` after its last use.
    """

    def __init__(self, journal: AsyncJournal, view: type[V], window: float | None = None) -> None:
        self._journal = journal
        self._view = view
        self._window = window
        self._turn = anyio.Lock()
        self._kept: Past[V] | None = None
        self._forgetting: asyncio.TimerHandle | None = None

    async def at(self, moment: float) -> Past[V]:
        """Return the state at a moment, in seconds since the epoch, and the cursor of that state."""
        cursor = await cursor_at(self._journal, moment)
        start = None if self._window is None else await cursor_at(self._journal, moment - self._window)
        async with self._turn:
            kept = self._kept
            if kept is None or (kept.cursor, kept.start) != (cursor, start):
                self._forget()  # first: two of them are not held at a time
                kept = self._kept = Past(await self._fold(start, cursor), cursor, start)
            if self._forgetting is not None:
                self._forgetting.cancel()
            self._forgetting = asyncio.get_running_loop().call_later(PAST_SECONDS_KEPT, self._forget)
            return kept

    async def _fold(self, start: Cursor | None, end: Cursor) -> V:
        if start is None:
            return await as_of(self._journal, self._view, end)
        view = self._view()
        await replay(await self._journal.open(), view, start, end)
        return view

    def _forget(self) -> None:
        self._kept = None
