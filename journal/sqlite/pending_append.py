"""One append in the commit queue, and its outcome."""

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from ..conditions import is_conditional
from ..errors import EventConflict, JournalDiverged
from ..event import Draft, Event
from ..runtime import blocking
from .repeats import Identity

_NOTHING: Final[Mapping[Identity, Event]] = {}


class PendingAppend:
    """The drafts of one append and its outcome; `plain` as `check_all` returns it."""

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

    # Whether its drafts were numbered by writers elsewhere: see `Relaying.append_numbered`.
    keeps_numbers: ClassVar[bool] = False

    def __init__(self, drafts: Sequence[Draft], *, plain: bool = False) -> None:
        self.drafts = drafts
        self.plain = plain and bool(drafts)
        self.began = time.monotonic()
        self.done = False
        self.shared = False  # whether other entries were committed with it
        self.events: list[Event] = []
        self.error: Exception | None = None
        # The events that a search before the locks has found of drafts handed in again, and the offset it ended at.
        self.known: Mapping[Identity, Event] = _NOTHING
        self.searched_to = 0
        # Whether it has conditions, and the offset up to which a check before the locks has found that they hold.
        self.conditional = not plain and is_conditional(drafts)
        self.checked_to = 0
        self.refusal: EventConflict | JournalDiverged | None = None
        self._waiter: blocking.Latch | None = None

    @property
    def is_new(self) -> bool:
        """Whether its drafts need only numbers, times and positions; not once they have numbers.

        Drafts with numbers come from a commit that an interrupt broke off, and have to be searched for in the log.
        """
        return self.plain and not self.drafts[0].seq

    @property
    def is_lone(self) -> bool:
        """Whether it is one draft that one statement can append."""
        return self.plain and len(self.drafts) == 1 and (self.keeps_numbers or not self.drafts[0].seq)

    def finish(self, error: Exception | None = None) -> None:
        """Set the outcome; `wake` is to follow once the locks are released."""
        self.error = error
        self.done = True

    def wake(self) -> None:
        """Wake the caller that waits for the outcome."""
        waiter = self._waiter  # read after `done` is set: see `settled`
        if waiter is not None:
            waiter.set()

    def outcome(self) -> list[Event]:
        """Return its events, or raise its error; to be called once it is finished."""
        if self.error is not None:
            raise self.error
        return self.events

    async def settled(self, timeout: float) -> bool:
        """Wait until it is finished, at most `timeout` seconds; return whether it is."""
        if self._waiter is None and not self.done:  # most never wait
            self._waiter = blocking.Latch()
        # The waiter is set first and `done` read afterwards, `finish` does the reverse: one of the two sees the other.
        return self.done or (self._waiter is not None and await self._waiter.settled(timeout))


class NumberedAppend(PendingAppend):
    """An append of drafts that writers elsewhere have numbered; if `plain`, one writer, one after the other."""

    __slots__ = ()
    keeps_numbers = True
