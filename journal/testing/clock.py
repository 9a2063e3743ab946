"""A clock that stands still until a test advances it."""


class ManualClock:
    """Replaces `time.time`: a call returns seconds since the epoch, which only `advance` changes."""

    def __init__(self, seconds: float = 1_800_000_000.0) -> None:
        self._seconds = seconds

    def __call__(self) -> float:
        """Return the current time."""
        return self._seconds

    def advance(self, seconds: float) -> float:
        """Advance by `seconds` (negative: step back, as real clocks do) and return the new time."""
        self._seconds += seconds
        return self._seconds
