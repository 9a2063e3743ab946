"""A clock that stands still until it is told otherwise."""


class ManualClock:
    """Seconds since the epoch, as `time.time` gives them, moved by hand. Call it to read it."""

    def __init__(self, seconds: float = 1_800_000_000.0) -> None:
        self._seconds = seconds

    def __call__(self) -> float:
        """The time it stands at."""
        return self._seconds

    def advance(self, seconds: float) -> float:
        """Move on by `seconds` (backwards where they are negative, as real clocks do) and return the new time."""
        self._seconds += seconds
        return self._seconds
