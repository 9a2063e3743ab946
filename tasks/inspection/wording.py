"""Format times, spans, counts and lists for display, in one place, so that all screens and sentences are alike."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from shlex import quote
from typing import Any, Final

import orjson

from ..disposition import Disposition
from ..limits import READABLE_DAYS_MAX

_CONTROL: Final = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))
}  # text from an event must not contain terminal control sequences
_STEPS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))
# The next step of a reader whose id no task has.
SUBMISSIONS_SHOWN: Final = "`journeyman tail --topic task.submitted --since 1h` shows what was submitted"
# Journals from before times were limited can have moments beyond any calendar, and unreadably long spans.
_BEYOND: Final = "a time beyond any calendar"


def printable(text: str) -> str:
    """Return `text` in one line, without terminal control characters."""
    return text.translate(_CONTROL)


def when(timestamp: float, timespec: str = "milliseconds") -> str:
    """A moment in local time with its zone, as `--as-of` takes it, too: 2026-11-21 14:05:10.123+01:00."""
    moment = _local(timestamp)
    return moment.isoformat(" ", timespec) if moment is not None else _BEYOND


def day_and_time(timestamp: float) -> tuple[str, str]:
    """A moment in local time as its day with the zone, and its time of day in milliseconds."""
    moment = _local(timestamp)
    if moment is None:
        return _BEYOND, ""
    zone = moment.isoformat()[len(moment.replace(tzinfo=None).isoformat()) :]
    return f"{moment.date().isoformat()} {zone}", moment.time().isoformat("milliseconds")


def clock(timestamp: float, now: float) -> str:
    """A moment in local time with its zone, to the second; the date only where it is not the date of `now`."""
    moment, today = _local(timestamp), _local(now)
    if moment is None:
        return _BEYOND
    same_day = today is not None and moment.date() == today.date()
    return moment.timetz().isoformat("seconds") if same_day else moment.isoformat(" ", "seconds")


def _local(timestamp: float) -> datetime | None:
    """Convert to local time; None if the moment is beyond the calendar."""
    try:
        return datetime.fromtimestamp(timestamp).astimezone()
    except (ValueError, OverflowError, OSError):  # which of them depends on how far it is beyond
        return None


def span(seconds: float) -> str:
    """A span in the unit a person would choose: 1.2 ms, 3.41 s, 2 min 5 s, 3 h 12 min."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1_000:.1f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    return _coarse(seconds)


def age(seconds: float) -> str:
    """Format a waiting time: as `span`, but never negative (clocks differ) and in whole seconds from one on."""
    return span(max(0.0, seconds)) if seconds < 1 else f"{int(seconds)} s" if seconds < 60 else _coarse(seconds)


def _coarse(seconds: float) -> str:
    finer, finer_name = 1.0, "s"
    for unit, name in reversed(_STEPS):
        if seconds < 60 * unit or unit == _STEPS[0][0]:
            if seconds >= READABLE_DAYS_MAX * unit:
                return f"{seconds / unit:.1e} {name}"
            coarse = int(seconds // unit)
            return f"{coarse} {name} {int((seconds - coarse * unit) // finer)} {finer_name}"
        finer, finer_name = unit, name
    raise AssertionError("the last unit takes every span")


def number(count: int, thing: str, things: str = "") -> str:
    """A count with its noun: 1 task, 1,204 tasks."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def listing(names: Sequence[str], limit: int = 4) -> str:
    """Names as a sentence has them: a, b and c; what is beyond `limit` is counted."""
    shown = [*names[:limit], *([f"{len(names) - limit:,} more"] if len(names) > limit else [])]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + f" and {shown[-1]}" if shown else "none"


def call(name: str, args: object, kwargs: object, chars_max: int = 200) -> str:
    """A task's call as Python would have it, its arguments as JSON, shortened to `chars_max` characters."""
    given = [_json(value) for value in args] if isinstance(args, list) else []
    given += [f"{key}={_json(value)}" for key, value in kwargs.items()] if isinstance(kwargs, Mapping) else []
    inside = ", ".join(given)
    return f"{name}({inside if len(inside) <= chars_max else inside[:chars_max] + '…'})"


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def signature(context: Mapping[str, Any]) -> str:
    """Return the caller and the reason of an event, as far as it has them: " by ada@host (flood)"."""
    by, reason = context.get("by"), context.get("reason")
    return (f" by {by}" if by else "") + (f" ({reason})" if reason else "")


def error_in(context: Mapping[str, Any], what: str = "exception") -> str:
    """Return the exception in an outcome's context, in one line; empty if it has none.

    `what` is "exception" for the task's own, "hook" for that of its `do_retry` or `retry_at`.
    """
    exception = context.get(what)
    if not isinstance(exception, Mapping):
        return ""
    text = " ".join(str(exception.get("text") or "").split())
    return f"{exception.get('name')}: {text}" if text else str(exception.get("name"))


def short_id(identifier: str) -> str:
    """Shorten an id for display: its last characters, in which ids made at one time differ."""
    return f"…{identifier[-8:]}" if len(identifier) > 12 else identifier


_WORDS: Final = {
    Disposition.REVOKED: "revoked",
    Disposition.ALREADY_ENDED: "has ended already; nothing was changed",
    Disposition.NOT_HELD: "was requeued meanwhile; nothing was changed",
    Disposition.REQUEUED: "requeued",
    Disposition.PURGED: "purged",
    Disposition.NOT_A_DEAD_LETTER: "is no dead letter; nothing was changed",
    Disposition.UNKNOWN: "is not known to the journal",
}


def disposition_in_words(disposition: Disposition) -> str:
    """Return what became of a task by a revocation, a requeue or a purge, to be read behind its id."""
    return _WORDS[disposition]


def disposition_with_advice(disposition: Disposition, task_id: str, location: str) -> str:
    """Return the same for an operator: with the journal that does not know the task, and the next step."""
    words = disposition_in_words(disposition)
    if disposition is Disposition.UNKNOWN:
        return f"{words} {location}; {SUBMISSIONS_SHOWN}"
    if disposition in (Disposition.NOT_A_DEAD_LETTER, Disposition.ALREADY_ENDED):
        return f"{words}; `journeyman why {quote(task_id)}` shows its state"
    return words
