"""Durations as callers give them: a number of milliseconds, or a `timedelta`."""

from datetime import timedelta
from typing import Final

Duration = int | timedelta

_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds(duration: Duration) -> int:
    """Return a duration in whole ms, rounded down; a number as it is, for the check of the field that it is for."""
    return duration // _MILLISECOND if isinstance(duration, timedelta) else duration
