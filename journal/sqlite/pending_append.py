"""One append on its way through the queue."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from ..conditions import is_conditional
from ..errors import EventConflict, JournalDiverged
from ..event import Draft, Event
from ..runtime import blocking
from .repeats import Identity

_NOTHING: Final[Mapping[Identity, Event]] = {}


class PendingAppend:
    """One append on its way: what was handed in, and what became of it; `plain` as `check_all` has it."""

    __slots__ = (
        "_waiter",
        "began",
        "checked_to",
        "conditional",
        "done",
        "drafts",
        "error",
        "events",
        "known",
        "plain",
        "refusal",
        "searched_to",
        "shared",
    )

    def __init__(self, drafts: Sequence[Draft], *, plain: bool = False) -> None:
        self.drafts = drafts
        self.plain = plain and bool(drafts)
        self.began = time.monotonic()
        self.done = False
        self.shared = False  # whether others were committed with it
        self.events: list[Event] = []
        self.error: Exception | None = None
        # What a search before the locks has found of drafts handed in again, and up to which offset it has looked.
        self.known: Mapping[Identity, Event] = _NOTHING
        self.searched_to = 0
        # Whether it has conditions, and up to which offset a check before the locks has found that they hold.
        self.conditional = not plain and is_conditional(drafts)
        self.checked_to = 0
        self.refusal: EventConflict | JournalDiverged | None = None
        self._waiter: blocking.Latch | None = None

    @property
    def is_new(self) -> bool:
        """Whether all it needs is numbers, times and places; not once it has numbers.

        Those it has from a commit that an interrupt broke off: then it has to be looked for.
        """
        return self.plain and not self.drafts[0].seq

    def finish(self, error: Exception | None = None) -> None:
        """Tell the one who waits."""
        self.error = error
        self.done = True
        waiter = self._waiter  # read after `done` was set: see `settled`
        if waiter is not None:
            waiter.set()

    def outcome(self) -> list[Event]:
        """What became of it once it is finished: its events, or its error raised."""
        if self.error is not None:
            raise self.error
        return self.events

    async def settled(self, timeout: float) -> bool:
        """Wait until it is finished, at most `timeout` seconds; say whether it is."""
        if self._waiter is None and not self.done:  # most never wait
            self._waiter = blocking.Latch()
        # Set first and looked at afterwards, as `finish` does the other way round: one of the two sees the other.
        return self.done or (self._waiter is not None and await self._waiter.settled(timeout))
