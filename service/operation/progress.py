"""Judge whether the service makes progress, and whether it is ready for requests."""

import time
from collections.abc import Sequence

import anyio

from ...journal.cursor import Cursor
from ...journal.errors import JournalError
from ..backend import Backend
from ..limits import APPEND_TROUBLE_SECONDS, CURRENT_SECONDS_MAX, PROGRESS_SECONDS_MAX

_AWAY = "the journal cannot be read"


class ReplicaProgress:
    """Watches the replica of a backend; it looks only when it is asked, so an unwatched service does nothing."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._applied: Cursor | None = None
        self._moved_at = time.monotonic()

    async def current(self) -> bool:
        """Whether the view contains all events that were in the journal at the call, within `CURRENT_SECONDS_MAX`."""
        with anyio.move_on_after(CURRENT_SECONDS_MAX):
            try:
                end = (await self._backend.journal.bounds()).end
                await self._backend.replica.wait_for(end)
            except JournalError:
                return False
            return True
        return False

    async def standing_still(self) -> Sequence[str]:
        """Return why the process makes no progress; empty if it does.

        A journal that is away is no reason: a new process would not reach it either.
        """
        applied, now = self._backend.cursor, time.monotonic()
        if applied != self._applied or self._backend.trouble is not None or await self._at_the_end(applied):
            self._applied, self._moved_at = applied, now
        still = now - self._moved_at
        if still <= PROGRESS_SECONDS_MAX:
            return ()
        return (f"events wait to be applied, and the applied position has not moved for {still:.1f} s",)

    async def _at_the_end(self, applied: Cursor) -> bool:
        """Whether nothing waits to be applied; also True if the journal does not return its end."""
        with anyio.move_on_after(CURRENT_SECONDS_MAX):
            try:
                return applied.reaches((await self._backend.journal.bounds()).end)
            except JournalError:
                return True
        return True

    async def not_ready(self) -> Sequence[str]:
        """Return why this service is not ready for requests; empty if it is."""
        reasons: list[str] = []
        if self._backend.stopping.is_set():
            reasons.append("the service is stopping")
        if self._backend.trouble is not None:
            reasons.append(_AWAY)
        elif not await self.current():
            reasons.append(f"the service has not read up to the end of the journal within {CURRENT_SECONDS_MAX:g} s")
        failed = self._backend.journal.append_failed_at
        if failed is not None and time.monotonic() - failed < APPEND_TROUBLE_SECONDS:
            reasons.append("the journal has not taken the last append")
        return reasons

    async def lag(self) -> int | None:
        """Return how many events the view lacks; None if the journal does not return its end."""
        with anyio.move_on_after(CURRENT_SECONDS_MAX):
            try:
                end = (await self._backend.journal.bounds()).end
            except JournalError:
                return None
            applied = self._backend.cursor
            return sum(max(0, offset - applied.get(partition, 0)) for partition, offset in end.items())
        return None
