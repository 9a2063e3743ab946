"""Timeouts in seconds, as public calls take them, turned into deadlines of the monotonic clock."""

import math
import time

from .limits import WAIT_SECONDS_MAX


def finite(timeout: float | None) -> float | None:
    """The timeout, or None (for ever) where it is None, infinite or beyond `WAIT_SECONDS_MAX`.

    `ValueError` for NaN, which compares with nothing and would end a wait at once or never.
    """
    if timeout is None or timeout > WAIT_SECONDS_MAX:
        return None
    if math.isnan(timeout):
        raise ValueError("a timeout is a number of seconds, got NaN")
    return timeout


def finite_or_negative(timeout: float) -> float | None:
    """As `finite`, for calls in which a negative timeout means for ever."""
    return None if timeout < 0 else finite(timeout)


def deadline_of(timeout: float | None) -> float | None:
    """The monotonic time at which `timeout` seconds from now are over; None: never."""
    seconds = finite(timeout)
    return None if seconds is None else time.monotonic() + seconds
