"""Where a time is in a log whose clocks may have been wrong. Pure.

Times rise along a log but for *falls*: an event whose writer's clock showed an earlier time than the event before it
has. So a log is a row of *runs* along which times rise.

The place of a time T is the split of the log that puts the fewest events on the wrong side of it: earlier ones behind
it, others before it. Where no clock was wrong that is the first event at or after T. A few events from a clock that was
a day ahead or behind do not move it, whatever came before and after them. Events later than `latest`, which the clock
of the reader calls the future, are on no side. Of several equal splits the last counts; a split stands at the beginning
or directly behind an event earlier than T.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple


class Fall(NamedTuple):
    """The event at `offset` has the time `after`, and the event before it the later time `before` (seconds).

    `carried`: the event brought its time along, as imported ones do; no clock was wrong.
    """

    offset: int
    before: float
    after: float
    carried: bool = False

    def __str__(self) -> str:
        before, after = (datetime.fromtimestamp(each, UTC).isoformat() for each in (self.before, self.after))
        return (
            f"times fall back by {self.before - self.after:,.0f} s at offset {self.offset}, from {before} to {after}. "
            "A clock was ahead before, or is behind now: set it right. The events it has stamped keep their times"
        )


class Run(NamedTuple):
    """The events from offset `first` up to, not including, `end`: their times rise from `low` to `high` (seconds)."""

    first: int
    end: int
    low: float
    high: float


def runs_between(first: int, end: int, low: float, high: float, falls: Sequence[Fall]) -> Iterator[Run]:
    """The runs of a log from offset `first`, of time `low`, up to `end`, before which the last time is `high`."""
    for fall in falls:
        if first < fall.offset < end:
            yield Run(first, fall.offset, low, fall.before)
            first, low = fall.offset, fall.after
    if first < end:
        yield Run(first, end, low, high)


def split(runs: Sequence[Run], timestamp: float, latest: float, search: Callable[[Run, float], int]) -> int:
    """The place of `timestamp`, by the rule above; 0 without runs.

    `search(run, time)` is the offset of the first event in a run that is not earlier than `time`.
    """
    place = runs[0].first if runs else 0
    wrong = fewest = 0  # how many more are on the wrong side than if all were behind the split
    above = below = 0.0  # how far from the time those between `place` and here are at most
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


def _first_from(run: Run, timestamp: float, search: Callable[[Run, float], int]) -> int:
    if run.high < timestamp:
        return run.end
    return run.first if run.low >= timestamp else search(run, timestamp)
