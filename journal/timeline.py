"""Finds the place of a time in a log whose clocks may have been wrong. Pure.

Times rise along a log except at *falls*: events with an earlier time than the event before them. So a log is a sequence
of *runs* along which times rise.

The place of a time T is the split of the log that puts the fewest events on its wrong side: earlier ones behind it,
others before it. If no clock was wrong, that is the first event at or after T. A few events of a clock that was a day
ahead or behind do not move it. Events later than `latest`, in the future by the reader's clock, do not count. Of
several equal splits the last counts; a split is at the beginning or directly behind an event earlier than T.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple


class Fall(NamedTuple):
    """The event at `offset` has the time `after`, and the event before it the later time `before` (seconds).

    `carried`: the event was appended with a time of its own, as imported ones are; no clock was wrong.
    """

    offset: int
    before: float
    after: float
    carried: bool = False

    def __str__(self) -> str:
        before, after = (datetime.fromtimestamp(each, UTC).isoformat() for each in (self.before, self.after))
        return (
            f"times fall back by {self.before - self.after:,.0f} s at offset {self.offset}, from {before} to {after}. "
            "A clock was ahead before, or is behind now: correct it. The events it has stamped keep their times"
        )


class Ascent(NamedTuple):
    """The events from offset `first` up to, not including, `end`: their times rise from `low` to `high` (seconds)."""

    first: int
    end: int
    low: float
    high: float


def runs_between(first: int, end: int, low: float, high: float, falls: Sequence[Fall]) -> Iterator[Ascent]:
    """The runs of a log from offset `first`, of time `low`, up to `end`, before which the last time is `high`."""
    for fall in falls:
        if first < fall.offset < end:
            yield Ascent(first, fall.offset, low, fall.before)
            first, low = fall.offset, fall.after
    if first < end:
        yield Ascent(first, end, low, high)


def split(runs: Sequence[Ascent], timestamp: float, latest: float, search: Callable[[Ascent, float], int]) -> int:
    """Return the place of `timestamp`, by the rule above; 0 without runs.

    `search(run, time)` returns the offset of the first event in a run that is not earlier than `time`.
    """
    place = runs[0].first if runs else 0
    wrong = fewest = 0  # events on the wrong side, compared with a split at the beginning
    above = below = 0.0  # the greatest distances from `timestamp` of the events since `place`
    for run in runs:
        later = _first_from(run, timestamp, search)
        if later > run.first:
            wrong -= later - run.first
            below = max(below, timestamp - run.low)
            if wrong < fewest or (wrong == fewest and above >= below):
                fewest, place, above, below = wrong, later, 0.0, 0.0
        if later < run.end:
            future = _first_from(run, math.nextafter(latest, math.inf), search)
            wrong += max(0, future - later)
            above = max(above, run.high - timestamp)
    return place


def _first_from(run: Ascent, timestamp: float, search: Callable[[Ascent, float], int]) -> int:
    if run.high < timestamp:
        return run.end
    return run.first if run.low >= timestamp else search(run, timestamp)
