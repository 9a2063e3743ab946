"""Have a message lapse if no worker begins it in time."""

import time

from .durations import Duration, milliseconds
from .errors import ValidationError
from .message import Message, checked_message
from .message_fields import is_whole


def set_ttl(message: Message, ttl: Duration) -> None:
    """Have a message lapse `ttl` ms from now; `ValidationError` if it could not run before that."""
    checked_message(message)
    ttl = milliseconds(ttl)
    checked_ttl(ttl, "ttl")
    expires = time.time() + ttl / 1_000
    if message.due >= expires:
        raise ValidationError(
            f"ttl={ttl:,} ms ends before the delay of the message, which is due {message.due - expires:,.3f} s later, "
            "so it would never run; give a longer ttl, or a shorter delay"
        )
    message.update(expires=expires)


def checked_ttl(duration: Duration | None, name: str) -> int | None:
    """Return a duration in ms, or None; `ValidationError` if it is neither."""
    ttl = None if duration is None else milliseconds(duration)
    if ttl is not None and not (is_whole(ttl) and ttl > 0):
        raise ValidationError(f"{name} is a whole number of ms, more than 0, or None for no end, got {duration!r:.80}")
    return ttl
