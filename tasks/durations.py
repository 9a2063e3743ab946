"""Durations as callers give them: a number of milliseconds or, where it is said, of seconds; or a `timedelta`."""

from datetime import timedelta
from typing import Final

Duration = int | timedelta

_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds(duration: Duration) -> int:
    """Return a duration in whole ms, rounded down; a number as it is, for the check of the field that it is for."""
    return duration // _MILLISECOND if isinstance(duration, timedelta) else duration


def seconds(duration: float | timedelta | None) -> float | None:
    """Return a duration in seconds; None and a number as they are, for the check of what it is for."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration
