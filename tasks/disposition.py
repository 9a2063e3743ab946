"""The effect of a request on a task, as the log decided it."""

from enum import Enum
from typing import Final, NamedTuple

from ..journal.cursor import Position
from ..journal.event import Event


class Disposition(Enum):
    """The result of a call on a broker that acts on a task.

    `NOT_HELD`: the caller named a claim that is no longer the task's, which waits or runs elsewhere. `ALREADY_ENDED`,
    `NOT_A_DEAD_LETTER`, `NOT_HELD` and `UNKNOWN` mean that nothing has changed.
    """

    REVOKED = "revoked"
    ACKNOWLEDGED = "acknowledged"
    DEAD_LETTERED = "dead lettered"
    RESCHEDULED = "rescheduled"
    AMENDED = "amended"
    ALREADY_ENDED = "already ended"
    NOT_HELD = "not held"
    REQUEUED = "requeued"
    PURGED = "purged"
    NOT_A_DEAD_LETTER = "not a dead letter"
    RUNNING = "running"
    UNKNOWN = "unknown"


class Effect(NamedTuple):
    """A disposition, and the event that was appended; true if the event took effect.

    Of `RUNNING` it is the claim: nothing was appended.
    """

    disposition: Disposition
    event: Event

    @property
    def position(self) -> Position:
        """The position of the event."""
        return self.event.position

    def __bool__(self) -> bool:
        """Whether the event took effect."""
        return self.disposition not in _IN_VAIN


_IN_VAIN: Final = frozenset(
    {Disposition.ALREADY_ENDED, Disposition.NOT_HELD, Disposition.NOT_A_DEAD_LETTER, Disposition.UNKNOWN}
)
