"""The buckets of a window of time: which bucket a moment falls into, and where each ends. Pure."""

import math
from typing import NamedTuple

from ..errors import ValidationError
from ..limits import TIME_STEP_SECONDS, TREND_BUCKETS_MAX


class Window(NamedTuple):
    """Buckets of `width` seconds, numbered from the moment `origin` (seconds since the epoch): `first` to `last`.

    An event at the very end of a bucket belongs to it, as it belongs to the state as of that moment; one at its
    beginning belongs to the bucket before. The last bucket may reach beyond `until`, where the window ends.
    """

    origin: float
    width: float
    first: int
    last: int
    until: float

    @classmethod
    def between(cls, since: float, until: float, width: float) -> "Window":
        """Return the window of the events after `since` and up to `until`, in buckets of `width` seconds.

        `ValidationError` if it is empty, or has more than `TREND_BUCKETS_MAX` buckets.
        """
        if not (math.isfinite(since) and math.isfinite(until) and since < until):
            raise ValidationError(f"trends need a window that ends after it begins; got since={since}, until={until}")
        if not (math.isfinite(width) and width > 0):
            raise ValidationError(f"the width of a bucket is a number of seconds above 0, got {width}")
        buckets = math.ceil((until - since) / width)
        if buckets > TREND_BUCKETS_MAX:
            raise ValidationError(
                f"a window of {until - since:g} s in buckets of {width:g} s has {buckets:,} of them; at most "
                f"{TREND_BUCKETS_MAX:,} are kept: choose a width of {math.ceil((until - since) / TREND_BUCKETS_MAX)} s "
                "or more"
            )
        return cls(since, width, 0, max(buckets, 1) - 1, until)

    @property
    def since(self) -> float:
        """The moment after which the window begins, in seconds since the epoch."""
        return self.begin_of(self.first)

    def number_of(self, moment: float) -> int:
        """Return the number of the bucket of a moment; of one outside the window, that of the nearest bucket."""
        number = self.counted(moment)
        return self.first if number < self.first else min(number, self.last)

    def counted(self, moment: float) -> int:
        """Return the number of the bucket of a moment, in the window or not."""
        return -int((self.origin - moment) // self.width) - 1

    def begin_of(self, number: int) -> float:
        """Return the moment after which a bucket begins, in seconds since the epoch."""
        return self.origin + number * self.width

    def end_of(self, number: int) -> float:
        """Return the moment at which a bucket ends, in seconds since the epoch."""
        return min(self.begin_of(number + 1), self.until)

    def numbers(self) -> range:
        """Return the numbers of the buckets, in order."""
        return range(self.first, self.last + 1)

    def meets(self, later: "Window") -> bool:
        """Return whether another window begins where this one, whose last bucket is a whole one, ends."""
        end = self.begin_of(self.last + 1)
        return abs(end - self.until) < TIME_STEP_SECONDS and abs(end - later.since) < TIME_STEP_SECONDS

    def ending_at(self, until: float) -> "Window":
        """Return the window of as many buckets that ends with the bucket of `until`, which is not before this end."""
        moved = max(self.counted(until) - self.last, 0)
        return self._replace(first=self.first + moved, last=self.last + moved, until=max(until, self.until))
