"""Set the pace at which a worker reads and commits. Pure: times are the caller's monotonic clock, in seconds.

A lone task is claimed and settled at once: that makes an idle worker quick. In a stream of tasks handed in one by one
it would be two commits of the worker for each submission, and all three queue for the same disk: the worker would slow
the submitter down to a fraction of its rate. So in a stream the worker turns at a pace, and each commit carries all
that has come and ended since the last one.

1. Tasks are a stream while they become ready *as the worker holds claims*, so often that one more is to be expected
   within a period. A caller that submits a task, waits for its result and submits the next makes no stream, however
   quick it is: its tasks come when the worker holds nothing.
2. A period is `COMMIT_PACE_SECONDS`. Where appends take long, since the disk is slow or many wait for it, it is twice
   as long as an append, so that the worker takes up the journal for half of the time at most. Workers that hold claims
   at the same time share that half: each turns the more rarely, the more of them there are.
3. Outcomes that are many enough to be worth a commit of their own end the pause, and so does a drain. A worker that
   holds nothing does not pause: the first claim is never late.

Nothing waits for longer than `COMMIT_PACE_SECONDS_MAX`, which is a small part of the shortest lease.
"""

import math

from ..limits import (
    COMMIT_MEMORY_PERIODS,
    COMMIT_OUTCOMES_ENOUGH,
    COMMIT_PACE_SECONDS,
    COMMIT_PACE_SECONDS_MAX,
    COMMIT_TIME_SHARE_MAX,
)


class CommitPace:
    """Computes when one worker takes its next turn, from the turns before."""

    def __init__(self) -> None:
        self._rate = 0.0  # of tasks that become ready while claims are held, a second, as of the last turn
        self._turned_at = -math.inf
        self._period = COMMIT_PACE_SECONDS

    def turned(self, monotonic: float, *, arrived: int, holding: bool, append_seconds: float, workers: int = 1) -> None:
        """Record a turn at `monotonic`, in which the worker reads and commits.

        `arrived` tasks have become ready since the turn before; `holding`: whether the worker held claims meanwhile.
        `append_seconds` is the recent average duration of an append, `workers` how many hold claims.
        """
        self._rate = self._rate_at(monotonic)
        self._turned_at = monotonic
        own = max(COMMIT_PACE_SECONDS, append_seconds / COMMIT_TIME_SHARE_MAX)
        self._period = min(own * max(1, workers), COMMIT_PACE_SECONDS_MAX)
        if holding:
            self._rate += arrived / (COMMIT_MEMORY_PERIODS * self._period)

    def is_stream(self, monotonic: float) -> bool:
        """Return whether one more task is to be expected within a period."""
        return self._rate_at(monotonic) * self._period >= 1.0

    def pause(self, monotonic: float, *, holding: bool, outcomes: int, draining: bool) -> float:
        """Return how long to wait before the next turn, in seconds; 0 for no pause.

        `holding`: whether any claim is held; `outcomes`: how many outcomes are not written yet.
        """
        if draining or not holding or outcomes >= COMMIT_OUTCOMES_ENOUGH or not self.is_stream(monotonic):
            return 0.0
        return max(0.0, self._turned_at + self._period - monotonic)

    def _rate_at(self, monotonic: float) -> float:
        return self._rate * math.exp((self._turned_at - monotonic) / (COMMIT_MEMORY_PERIODS * self._period))
