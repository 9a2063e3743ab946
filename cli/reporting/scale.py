"""Scales of charts: widths of buckets, ticks on the axes of time and of values, and short texts for them. Pure."""

import math
from datetime import datetime
from typing import Final

from ..limits import REPORT_BUCKETS_MAX, REPORT_TICKS_MAX

_SECOND_STEPS: Final = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0)
_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0
# The steps that people count time in, in seconds.
STEPS: Final = (
    *_SECOND_STEPS,
    *(_MINUTE * step for step in _SECOND_STEPS),
    *(_HOUR * step for step in (1, 2, 3, 6, 12)),
    *(_DAY * step for step in (1, 2, 7, 14, 28, 91, 364)),
)


def bucket_width(seconds: float) -> float:
    """Return the width of buckets for a window of so many seconds: a usual step, with `REPORT_BUCKETS_MAX` at most."""
    least = seconds / REPORT_BUCKETS_MAX
    return next((step for step in STEPS if step >= least), math.ceil(least / _DAY) * _DAY)


def time_ticks(since: float, until: float) -> list[tuple[float, str]]:
    """Return moments of a window with their texts, at usual steps of local time."""
    least = (until - since) / REPORT_TICKS_MAX
    step = next((each for each in STEPS if each >= least), math.ceil(least / _DAY) * _DAY)
    offset = (datetime.fromtimestamp(since).astimezone().utcoffset() or datetime.resolution * 0).total_seconds()
    moment = math.ceil((since + offset) / step) * step - offset
    found: list[tuple[float, str]] = []
    while moment <= until:
        found.append((moment, _tick(moment, step)))
        moment += step
    return found


def _tick(moment: float, step: float) -> str:
    local = datetime.fromtimestamp(moment).astimezone()
    if step >= _DAY or (local.hour, local.minute, local.second) == (0, 0, 0):
        return f"{local.day} {local:%b}"
    return f"{local:%H:%M:%S}" if step < _MINUTE else f"{local:%H:%M}"


def count_ticks(greatest: float) -> list[float]:
    """Return the ticks of an axis of counts, from 0 to the first at or beyond the greatest value."""
    step = max(1.0, _round_step(max(greatest, 1.0) / 4))
    return _ticks(step, greatest)


def span_ticks(greatest: float) -> list[float]:
    """Return the ticks of an axis of spans in seconds, from 0 to the first at or beyond the greatest value.

    It reaches to a millisecond at least: below that, a span is as good as none.
    """
    greatest = max(greatest, 1e-3)
    least = greatest / 4
    step = _round_step(least) if least < 1 else next((each for each in STEPS if each >= least), _round_step(least))
    return _ticks(step, greatest)


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _ticks(step: float, greatest: float) -> list[float]:
    return [step * number for number in range(max(1, math.ceil(greatest / step - 1e-9)) + 1)]


def short_count(count: float) -> str:
    """Return a count for an axis: 950, 12k, 3.4M."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{suffix}"
    return f"{count:g}"


def short_span(seconds: float) -> str:
    """Return a span for an axis: 200 µs, 15 ms, 1.5 s, 2 min, 3 h, 1 d."""
    if not seconds:
        return "0"
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1.0, "s"), (1e-3, "ms")):
        if seconds >= size * (1 - 1e-9):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def rate_unit(count: int, seconds: float) -> tuple[float, str]:
    """Return the unit that a person would choose for a rate: a second, a minute or an hour, with its name."""
    units = ((1.0, "s"), (_MINUTE, "min"))
    return next((unit for unit in units if count / seconds * unit[0] >= 1), (_HOUR, "h"))


def rate(count: int, seconds: float, unit: tuple[float, str]) -> str:
    """Return a rate in a unit: 12.4/s, 3.1/min, 0.5/h."""
    each = count / seconds * unit[0]
    return f"{each:,.3g}/{unit[1]}" if each < 1_000 else f"{each:,.0f}/{unit[1]}"
