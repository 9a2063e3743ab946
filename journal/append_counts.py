"""Counts a writer's appends, their events and bytes, and the duration of their commits."""

from bisect import bisect_left
from typing import Final

# The upper bounds of the classes of commit durations, in seconds; longer commits are in one class behind them.
COMMIT_CLASSES: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


class AppendCounts:
    """The acknowledged appends of one writer since it was made. Counted once a commit, not once an event.

    A commit is one transaction of a file, or one record batch of a Kafka partition; several appends may share it.

    - `appends`, `events`, `bytes`: how many appends, with how many events, of how many encoded bytes.
    - `seconds`: the time of all commits together; `commits`: how many took at most so many seconds, by
      `COMMIT_CLASSES`, each commit in one class.
    """

    __slots__ = ("appends", "bytes", "commits", "events", "seconds")

    def __init__(self) -> None:
        self.appends = 0
        self.events = 0
        self.bytes = 0
        self.seconds = 0.0
        self.commits = [0] * (len(COMMIT_CLASSES) + 1)

    def add(self, appends: int, events: int, encoded: int, seconds: float) -> None:
        """Count one commit of so many appends, events and encoded bytes; one thread at a time may call it."""
        self.appends += appends
        self.events += events
        self.bytes += encoded
        self.seconds += seconds
        self.commits[bisect_left(COMMIT_CLASSES, seconds)] += 1
