"""The effect of a request on a task, as the log decided it."""

from enum import Enum
from typing import NamedTuple

from ..journal.cursor import Position
from ..journal.event import Event


class Disposition(Enum):
    """The result of a `revoke`, `requeue` or `purge`."""

    REVOKED = "revoked"
    ALREADY_ENDED = "already ended"
    REQUEUED = "requeued"
    PURGED = "purged"
    NOT_A_DEAD_LETTER = "not a dead letter"
    UNKNOWN = "unknown"


class Effect(NamedTuple):
    """A disposition, and the event that was appended; true if the event took effect."""

    disposition: Disposition
    event: Event

    @property
    def position(self) -> Position:
        """The position of the event."""
        return self.event.position

    def __bool__(self) -> bool:
        """Whether the event took effect."""
        return self.disposition in (Disposition.REVOKED, Disposition.REQUEUED, Disposition.PURGED)
