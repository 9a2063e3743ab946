"""Set the pace at which a worker reads and commits. Pure: times are the caller's monotonic clock, in seconds.

A lone task is claimed and settled at once: that makes an idle worker quick. In a stream of tasks handed in one by one
it would be two commits of the worker for each submission, and all three queue for the same disk: the worker would slow
the submitter down to a fraction of its rate. So in a stream the worker turns once in a period: it claims all that has
come, settles all of that in one commit as soon as it has ended, and rests until the period is over. A turn costs it ten
times as much as a task, so long periods save most of the worker's time; a task waits for half of one on average.

1. Tasks are a stream while they become ready *as the worker holds claims*, so often that one is to be expected in each
   period. Callers that wait for each result before the next submission make no stream, however quick they are: their
   tasks come when the worker has settled theirs.
2. A period is `COMMIT_PACE_SECONDS`. Where appends take long, since the disk is slow or many wait for it, it is as long
   as keeps the worker's two commits to half of the time. Workers that claim at the same time share that half:
   each turns the more rarely, the more of them there are.
3. The worker settles before the period is over once, when all that it holds has ended. Tasks that run for longer are
   settled by the next turns. Outcomes that are many enough to be worth a commit of their own end the rest, and so does
   a drain. After a period without news the worker waits for a notice: the first claim is never late.

Nothing waits for longer than `COMMIT_PACE_SECONDS_MAX`, which is a small part of the shortest lease.
"""

import math

from ..limits import (
    COMMIT_MEMORY_PERIODS,
    COMMIT_OUTCOMES_ENOUGH,
    COMMIT_PACE_SECONDS,
    COMMIT_PACE_SECONDS_MAX,
    COMMIT_TIME_SHARE_MAX,
    COMMITS_PER_PERIOD,
    STEAL_DELAY_APPENDS,
    STEAL_DELAY_PERIODS,
    STEAL_DELAY_SECONDS,
    STEAL_DELAY_SECONDS_MAX,
)


class CommitPace:
    """Computes when one worker takes its next turn, from the turns before."""

    def __init__(self) -> None:
        self._rate = 0.0  # of tasks that become ready while claims are held, a second, as of `_noted_at`
        self._noted_at = -math.inf
        self._turned_at = -math.inf
        self._period = COMMIT_PACE_SECONDS
        self._append_seconds = 0.0
        self.may_settle = False  # whether outcomes may be appended before the period is over

    def turned(self, monotonic: float, *, arrived: int, holding: bool, append_seconds: float, workers: int = 1) -> None:
        """Record a turn at `monotonic`, in which the worker reads, claims and commits: a period begins.

        `arrived` tasks have become ready since the turn before; `holding`: whether the worker held claims meanwhile.
        `append_seconds` is the recent average duration of an append, `workers` how many have claimed or
        settled since the turn before.
        """
        self._rate = self._rate_at(monotonic)
        self._noted_at = self._turned_at = monotonic
        self.may_settle = True
        self._append_seconds = append_seconds
        own = max(COMMIT_PACE_SECONDS, COMMITS_PER_PERIOD * append_seconds / COMMIT_TIME_SHARE_MAX)
        self._period = min(own * max(1, workers), COMMIT_PACE_SECONDS_MAX)
        if holding:
            self._count(arrived)

    def settled(self, monotonic: float, *, arrived: int) -> None:
        """Record that all that was held has been settled at `monotonic`; `arrived` tasks have become ready before."""
        self._rate = self._rate_at(monotonic)
        self._noted_at = monotonic
        self.may_settle = False
        self._count(arrived)

    def is_stream(self, monotonic: float) -> bool:
        """Return whether one more task is to be expected within a period."""
        return self._rate_at(monotonic) * self._period >= 1.0

    def pause(self, monotonic: float, *, outcomes: int, draining: bool) -> float:
        """Return how long to wait before the next turn, in seconds; 0 for no pause.

        `outcomes`: how many outcomes are not written yet.
        """
        if draining or outcomes >= COMMIT_OUTCOMES_ENOUGH or not self.is_stream(monotonic):
            return 0.0
        return max(0.0, self._turned_at + self._period - monotonic)

    def steal_delay(self, monotonic: float) -> float:
        """Return how long to leave the tasks of other workers alone, in seconds: those that they are about to claim.

        If appends take long, so do their claims; in a stream they claim at their pace.
        """
        delay = max(STEAL_DELAY_SECONDS, STEAL_DELAY_APPENDS * self._append_seconds)
        if self.is_stream(monotonic):
            delay = max(delay, STEAL_DELAY_PERIODS * self._period)
        return min(delay, STEAL_DELAY_SECONDS_MAX)

    def _count(self, arrived: int) -> None:
        self._rate += arrived / (COMMIT_MEMORY_PERIODS * self._period)

    def _rate_at(self, monotonic: float) -> float:
        return self._rate * math.exp((self._noted_at - monotonic) / (COMMIT_MEMORY_PERIODS * self._period))
