"""Histograms of spans in classes of equal ratio: bounded, mergeable, and exact up to a stated relative error. Pure."""

import math
from typing import Final

import msgspec

from ..limits import HISTOGRAM_ERROR_FRACTION, HISTOGRAM_SECONDS_MAX, HISTOGRAM_SECONDS_MIN

_RATIO: Final = (1 + HISTOGRAM_ERROR_FRACTION) / (1 - HISTOGRAM_ERROR_FRACTION)
_SCALE: Final = 1 / math.log(_RATIO)
# The value of a class is the one that is equally far from both of its bounds, relative to these.
_VALUE: Final = 2 / (1 + _RATIO)
CLASSES_MAX: Final = 2 + math.ceil(math.log(HISTOGRAM_SECONDS_MAX / HISTOGRAM_SECONDS_MIN) * _SCALE)


class Histogram(msgspec.Struct):
    """Spans in seconds, counted by class: class 0 up to `HISTOGRAM_SECONDS_MIN`, each other one a ratio wider.

    A percentile differs from the exact one by at most `HISTOGRAM_ERROR_FRACTION` of it, or by `HISTOGRAM_SECONDS_MIN`.
    Count, total, least and greatest are exact. The merge of two histograms is the histogram of all their spans. There
    are at most `CLASSES_MAX` classes, whatever the number of spans.
    """

    classes: dict[int, int] = {}
    count: int = 0
    total: float = 0.0
    least: float = math.inf
    greatest: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a span; one below 0, as clocks of two machines can give it, is 0."""
        if seconds > HISTOGRAM_SECONDS_MIN:
            if seconds > HISTOGRAM_SECONDS_MAX:  # noqa: PLR1730 - a call of `min` takes as long as the rest
                seconds = HISTOGRAM_SECONDS_MAX
            number = math.ceil(math.log(seconds / HISTOGRAM_SECONDS_MIN) * _SCALE)
        else:
            number, seconds = 0, max(seconds, 0.0)
        classes = self.classes
        classes[number] = classes.get(number, 0) + 1
        self.count += 1
        self.total += seconds
        if seconds < self.least:  # noqa: PLR1730
            self.least = seconds
        if seconds > self.greatest:  # noqa: PLR1730
            self.greatest = seconds

    def merge(self, other: "Histogram") -> None:
        """Count all spans of another histogram, too."""
        if not other.count:
            return
        classes = self.classes
        for number, count in other.classes.items():
            classes[number] = classes.get(number, 0) + count
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    def percentiles(self, fractions: tuple[float, ...]) -> list[float]:
        """Return the spans below or at which these fractions of all spans lie, by nearest rank; empty without spans.

        The fractions, above 0 and up to 1, must rise.
        """
        found: list[float] = []
        if not self.count:
            return found
        ranks = [max(1, math.ceil(fraction * self.count)) for fraction in fractions]
        below = 0
        for number in sorted(self.classes):
            below += self.classes[number]
            while len(found) < len(ranks) and ranks[len(found)] <= below:
                found.append(self.greatest if ranks[len(found)] == self.count else self._value(number))
        return found

    @property
    def mean(self) -> float:
        """The mean of the spans, in seconds; 0 without spans."""
        return self.total / self.count if self.count else 0.0

    def _value(self, number: int) -> float:
        value = HISTOGRAM_SECONDS_MIN * _RATIO**number * _VALUE if number else 0.0
        return min(max(value, self.least), self.greatest)
