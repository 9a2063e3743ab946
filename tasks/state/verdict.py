"""The verdict of the fold on an event."""

from enum import IntEnum


class Verdict(IntEnum):
    """The effect of an event."""

    ACCEPTED = 0
    REFUSED = 1  # breaks a rule at its position: a second claim, an outcome of a former owner
    FOREIGN = 2  # not about tasks or workers, or not readable as such
