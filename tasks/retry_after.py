"""Ask from within a task for another run at a moment that is known, such as the one that a rate limit names."""

import datetime as dt
import math
import time

from ..journal.limits import TIMESTAMP_SECONDS_MAX
from .errors import TaskError, ValidationError


class RetryAfter(TaskError):
    """Raised by a task that is to run again at `when`: seconds from now, a `timedelta`, or a `datetime` with a zone.

    The attempt is not counted, and neither `max_retries`, `do_retry` nor the backoff is asked. With `uses_attempt` it
    counts as a failed attempt whose wait is known: after the last one the task has failed. `due` is the moment, in
    seconds since the epoch. A moment that has passed stands for now. `ValidationError` for anything else.
    """

    def __init__(self, when: float | dt.timedelta | dt.datetime, uses_attempt: bool = False) -> None:
        super().__init__(when, uses_attempt)
        self.due = _moment(when)
        self.uses_attempt = uses_attempt

    def __str__(self) -> str:
        """The moment, in UTC."""
        moment = dt.datetime.fromtimestamp(self.due, dt.UTC)
        return f"it asked to run again at {moment.isoformat(sep=' ', timespec='milliseconds')}"


def _moment(when: object) -> float:
    """Return the moment in seconds since the epoch, to the microsecond as events hold it."""
    now = time.time()
    if isinstance(when, dt.datetime):
        if when.utcoffset() is None:
            raise ValidationError(
                f"RetryAfter takes a datetime with a time zone, got {when!r}: pass {when!r:.60}.astimezone() if it is "
                "local time, or .replace(tzinfo=datetime.UTC)"
            )
        due = when.timestamp()
    elif isinstance(when, dt.timedelta):
        due = now + when.total_seconds()
    elif isinstance(when, int | float) and not isinstance(when, bool) and math.isfinite(when):
        due = now + when
    else:
        raise ValidationError(f"RetryAfter takes seconds, a timedelta or a datetime with a zone, got {when!r:.80}")
    if due > TIMESTAMP_SECONDS_MAX:
        raise ValidationError(
            f"RetryAfter takes a moment up to {TIMESTAMP_SECONDS_MAX:,.0f} s after 1970 (the year 2223), "
            f"got {when!r:.80}"
        )
    return round(max(due, now), 6)
