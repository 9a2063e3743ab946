"""The trends of a window: buckets for each queue, and over all queues failures, slow runs and expired workers. Pure.

Everything is in buckets, and buckets can be added. So two windows that meet are one, a window slides by dropping its
first buckets, and the trends of all queues are the sum over them.

The memory is bounded by the number of buckets times that of the queues, `TREND_QUEUES_MAX` of which have a series of
their own. A bucket holds a dozen counts and three histograms.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from ..errors import ValidationError
from ..limits import TREND_QUEUES_MAX
from .bucket import Bucket, Incidents
from .window import Window

# The series of the queues beyond `TREND_QUEUES_MAX`, all together.
OTHER_QUEUES: Final = "(others)"


class Series(msgspec.Struct):
    """The buckets of one queue, by number; one in which nothing happened is left out.

    `waiting` and `running` are how many tasks did so where the window begins.
    """

    buckets: dict[int, Bucket] = {}
    waiting: int = 0
    running: int = 0

    def bucket(self, number: int) -> Bucket:
        """Return the bucket of that number."""
        found = self.buckets.get(number)
        if found is None:
            found = self.buckets[number] = Bucket()
        return found

    def merge(self, other: "Series") -> None:
        """Add the series of another queue in the same window."""
        self.waiting += other.waiting
        self.running += other.running
        self.add_buckets(other)

    def add_buckets(self, other: "Series") -> None:
        """Add the buckets of another series."""
        for number, bucket in other.buckets.items():
            self.bucket(number).merge(bucket)

    def whole(self) -> Bucket:
        """Return all buckets as one."""
        whole = Bucket()
        for bucket in self.buckets.values():
            whole.merge(bucket)
        return whole

    def drop_before(self, number: int) -> None:
        """Drop the buckets before that number: what waits and runs after them is where the window begins."""
        for old in [each for each in self.buckets if each < number]:
            bucket = self.buckets.pop(old)
            self.waiting += bucket.waiting
            self.running += bucket.running


class Trends(msgspec.Struct):
    """What happened in a window. Refused events about tasks whose queue is not known any more are in `elsewhere`."""

    window: Window
    queues: dict[str, Series] = {}
    elsewhere: Series = msgspec.field(default_factory=Series)
    incidents: dict[int, Incidents] = {}

    def series(self, queue: str) -> Series:
        """Return the series of a queue."""
        found = self.queues.get(queue)
        if found is None:
            if len(self.queues) >= TREND_QUEUES_MAX:
                queue = OTHER_QUEUES
            found = self.queues.setdefault(queue, Series())
        return found

    def incidents_in(self, number: int) -> Incidents:
        """Return what has a name in the bucket of that number."""
        found = self.incidents.get(number)
        if found is None:
            found = self.incidents[number] = Incidents()
        return found

    def total(self) -> Series:
        """Return the series of all queues together."""
        total = Series()
        for series in (*self.queues.values(), self.elsewhere):
            total.merge(series)
        return total

    def all_incidents(self) -> Incidents:
        """Return what has a name in the whole window."""
        found = Incidents()
        for number in sorted(self.incidents):
            found.merge(self.incidents[number])
        return found

    def slide(self, until: float) -> None:
        """Let the window end with the bucket of `until`, in seconds since the epoch; never back."""
        window = self.window.ending_at(until)
        if window.first != self.window.first:
            for series in (*self.queues.values(), self.elsewhere):
                series.drop_before(window.first)
            for number in [each for each in self.incidents if each < window.first]:
                del self.incidents[number]
            for name in [name for name, series in self.queues.items() if _is_empty(series)]:
                del self.queues[name]
        self.window = window

    def merged(self, later: "Trends") -> "Trends":
        """Return the trends of this window and the one that begins where it ends, as those of one window.

        `ValidationError` if they do not meet, or their buckets differ in width.
        """
        window, next_window = self.window, later.window
        if window.width != next_window.width or not window.meets(next_window):
            raise ValidationError(
                f"trends merge with those of the next window, in buckets of the same width: expected one since "
                f"{window.begin_of(window.last + 1)} in buckets of {window.width:g} s, got one since "
                f"{next_window.since} in buckets of {next_window.width:g} s"
            )
        shift = window.last + 1 - next_window.first
        merged = Trends(window._replace(last=next_window.last + shift, until=next_window.until))
        for name, series in self.queues.items():
            merged.queues[name] = msgspec.structs.replace(series, buckets={})
            merged.queues[name].add_buckets(series)
        for name, series in later.queues.items():
            merged.series(name).add_buckets(_shifted(series, shift))
        for series in (self.elsewhere, _shifted(later.elsewhere, shift)):
            merged.elsewhere.add_buckets(series)
        for number, found in _numbered(self.incidents.items(), 0) + _numbered(later.incidents.items(), shift):
            merged.incidents_in(number).merge(found)
        return merged


def _numbered(found: Iterable[tuple[int, Incidents]], shift: int) -> list[tuple[int, Incidents]]:
    return [(number + shift, incidents) for number, incidents in found]


def _shifted(series: Series, shift: int) -> Series:
    return Series({number + shift: bucket for number, bucket in series.buckets.items()})


def _is_empty(series: Series) -> bool:
    return not (series.buckets or series.waiting or series.running)
