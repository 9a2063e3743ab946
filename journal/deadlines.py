"""Checks the timeouts that public calls take, and converts them to seconds or to deadlines of the monotonic clock."""

import math
import time

from .limits import WAIT_SECONDS_MAX


def finite(timeout: float | None) -> float | None:
    """Return the timeout, or None (for ever) if it is None, infinite or beyond `WAIT_SECONDS_MAX`.

    `TypeError` for what is no number; `ValueError` for NaN, which would end a wait immediately or never, as all
    comparisons with it are false.
    """
    if not isinstance(timeout, int | float | None):
        raise TypeError(f"a timeout is a number of seconds, or None for no end, got {timeout!r:.80}")
    if timeout is None or timeout > WAIT_SECONDS_MAX:
        return None
    if math.isnan(timeout):
        raise ValueError("a timeout is a number of seconds, got NaN")
    return timeout


def seconds_of(timeout_ms: float | None) -> float | None:
    """Return a timeout given in ms in seconds; `TypeError` for what is neither a number nor None."""
    if not isinstance(timeout_ms, int | float | None):
        raise TypeError(f"this timeout is a number of ms, or None for no end, got {timeout_ms!r:.80}")
    return None if timeout_ms is None else timeout_ms / 1_000


def finite_or_negative(timeout: float) -> float | None:
    """As `finite`, for calls in which a negative timeout means for ever."""
    return None if timeout < 0 else finite(timeout)


def deadline_of(timeout: float | None) -> float | None:
    """Return the monotonic time `timeout` seconds from now; None: never."""
    seconds = finite(timeout)
    return None if seconds is None else time.monotonic() + seconds
