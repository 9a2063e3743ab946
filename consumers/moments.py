"""Convert moments and spans, given by programs or typed by users, to seconds since the epoch."""

import math
import re
import time
from datetime import UTC, datetime, timedelta, timezone
from datetime import time as datetime_time
from typing import Final

from .limits import FUTURE_SECONDS_MAX

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", re.ASCII)
_SPAN: Final = re.compile(rf"(?:{_PART.pattern}\s*)+", re.ASCII)
_EPOCH: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_DATE: Final = re.compile(r"(?:19|20)\d{6}", re.ASCII)  # read as a date, not as a second of the year 1970
_CLOCK: Final = re.compile(
    r"(?:(today|yesterday)\s*)?(?:(\d{1,2}):(\d{2})(?::(\d{2}))?(?:(z)|([+-]\d{2}):?(\d{2}))?)?", re.ASCII
)
_YEAR_1990: Final = 631_152_000.0  # an earlier time, in finer units, is more probably a mistyped number
_FINER_UNITS: Final = (("milliseconds", 1_000), ("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000))

# A moment: seconds since the epoch, a time with its zone, or a span before now; each also as text.
Moment = float | datetime | timedelta | str


def moment(given: Moment, option: str, now: float | None = None) -> float:
    """Return the moment in seconds since the epoch; `ValueError` or `TypeError` says what `option` takes.

    - A number is seconds since the epoch.
    - A `datetime` needs its zone: one without could be local or universal time, and guessing would be wrong by hours.
    - A `timedelta` is a span before now, as is a text such as ``10m`` or ``1h30m``.
    - Any other text is ISO 8601 (local time if it has no zone) or seconds since the epoch.

    More than a century ahead is refused.
    """
    now = time.time() if now is None else now
    if isinstance(given, str):
        return parse_moment(given, option, now)
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ValueError(
                f"{option} takes a datetime with its zone, such as datetime.now(UTC) or local.astimezone(); "
                f"{given.isoformat()} has none"
            )
        seconds = given.timestamp()
    elif isinstance(given, timedelta):
        if given < timedelta(0):
            raise ValueError(f"{option} takes a span before now, and {given} lies ahead; give the time instead")
        seconds = now - given.total_seconds()
    elif isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(
            f"{option} is a time in seconds since the epoch, a datetime with its zone, a timedelta before now, or a "
            f"text such as '10m' or '2026-11-21T09:00Z'; got {given!r:.80}"
        )
    elif math.isnan(given):
        raise ValueError(f"{option} is a time in seconds since the epoch, got NaN")
    else:
        seconds = float(given)
    refuse_far_future(seconds, repr(given), option, now)
    return seconds


def parse_moment(text: str, option: str, now: float) -> float:
    """Parse a moment, in local time if it has no zone; `ValueError` says what `option` takes.

    - ISO 8601, also as a date alone, such as ``2026-11-21``, ``20261121`` or ``2026-11-21 09:00``.
    - A time of day, such as ``14:05`` or ``14:05+01:00``: the last one that has passed; also with ``today`` or
      ``yesterday`` before it.
    - A span before `now`, such as ``10m``, or seconds since the epoch.
    """
    text = text.strip()
    if _SPAN.fullmatch(text):
        return now - span_seconds(text, option)
    try:
        if _EPOCH.fullmatch(text) and not _DATE.fullmatch(text):
            seconds = _epoch_seconds(text, option)
        elif text and (clock := _CLOCK.fullmatch(text.lower())):
            seconds = _time_of_day(clock, now)
        else:
            seconds = datetime.fromisoformat(text).timestamp()
    except _Unlikely:
        raise
    except (ValueError, OverflowError):
        raise ValueError(
            f"{option} takes a time such as 14:05, 'yesterday 14:05' or 2026-11-21T09:00 (local, or with a zone such "
            f"as +01:00 or Z), a date such as 2026-11-21, a span such as 30s, 10m, 2h, 3d, 1h30m, or seconds since the "
            f"epoch; got {text!r:.80}"
        ) from None
    refuse_far_future(seconds, text, option, now)
    return seconds


def span_seconds(text: str, option: str) -> float:
    """The seconds of a span such as ``500ms``, ``30s`` or ``1h30m``; `ValueError` says what `option` takes."""
    text = text.strip()
    if not _SPAN.fullmatch(text):
        raise ValueError(f"{option} takes a span with its unit, such as 500ms, 30s, 10m, 2h, 1h30m; got {text!r:.80}")
    return sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(text))


class _Unlikely(ValueError):
    """A number that is a valid time, but probably not the intended one."""


def _epoch_seconds(text: str, option: str) -> float:
    seconds = float(text)
    if 0.0 < seconds < _YEAR_1990:
        when = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
        raise _Unlikely(
            f"{option}={text:.40} as seconds since the epoch is {when}; write a time of day as 14:05, a date as "
            "2026-11-21, a span with its unit as 10m, and the beginning as 0"
        )
    return seconds


def _time_of_day(clock: re.Match[str], now: float) -> float:
    """Return the time of day, local or in its zone, on the named day, or else its last occurrence."""
    day, hour, minute, second, universal, zone_hours, zone_minutes = clock.groups()
    zone: timezone | None = UTC if universal else None
    if zone_hours:
        minutes = int(zone_hours) * 60 + (-1 if zone_hours[0] == "-" else 1) * int(zone_minutes)
        zone = timezone(timedelta(minutes=minutes))
    today = datetime.fromtimestamp(now).astimezone(zone)
    at = datetime_time(int(hour or 0), int(minute or 0), int(second or 0))

    def on(days_ago: int) -> float:
        return datetime.combine(today.date() - timedelta(days_ago), at, zone).astimezone().timestamp()

    if day is not None:
        return on(int(day == "yesterday"))
    return on(0) if on(0) <= now else on(1)


def refuse_far_future(seconds: float, given: str, option: str, now: float) -> None:
    """Raise `ValueError`, with the likely cause, for a time more than a century after `now`."""
    if seconds - now <= FUTURE_SECONDS_MAX:
        return
    if math.isinf(seconds):
        raise ValueError(f"{option}={given} never comes: leave {option} out")
    for unit, per_second in _FINER_UNITS:
        if _YEAR_1990 <= seconds / per_second <= now + FUTURE_SECONDS_MAX:
            meant = datetime.fromtimestamp(seconds / per_second, UTC).isoformat(timespec="seconds")
            cause = f"It looks like {unit}: divided by {per_second:,} it is {meant}."
            break
    else:
        cause = f"{option} takes seconds since the epoch; now is {now:.0f}."
    raise ValueError(f"{option}={given:.40} lies more than a century ahead. {cause}")
