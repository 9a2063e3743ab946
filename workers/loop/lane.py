"""A lane: the tasks of one mechanism, ready or in hand, and the executor that runs them."""

import time
from collections.abc import Iterable

import orjson

from ...tasks.state import names
from ..executors import Executor
from ..executors.pipeline import Job, Outcome
from ..limits import CLAIM_AHEAD_SECONDS, CLAIM_IDLE_SECONDS_MAX, CLAIMS_MAX, OUTCOME_LINGER_SECONDS
from ..scheduling.ready_queue import ReadyTasks


class Lane:
    """Decides how many tasks one executor should hold, and when its outcomes are written. Times are monotonic seconds.

    A task that is claimed ahead and given back costs two events. So a lane claims no more ahead than have ended since
    it last gave some back: an executor that is full of long tasks claims nothing ahead, whatever it ran before.
    """

    def __init__(self, executor: Executor, ready: ReadyTasks) -> None:
        self.executor = executor
        self.ready = ready
        self._held = 0
        self._trusted = 0  # how much may be claimed ahead: how many have ended since claims were last given back
        self._returned: list[Outcome] = []
        self._outcomes_since: float | None = None
        self._progressed_at = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether anything is in hand: waiting, running, or ended and not yet written."""
        return self._held > 0

    @property
    def ended(self) -> bool:
        """Whether all that is in hand has ended."""
        return self._held == self.executor.outcomes + len(self._returned)

    @property
    def in_hand(self) -> int:
        """How many claimed tasks have no collected outcome yet."""
        return self._held

    @property
    def has_news(self) -> bool:
        """Whether there is work that no record announces: waiting jobs or outcomes."""
        return bool(self.executor.waiting or self.executor.outcomes)

    def room(self, monotonic: float) -> int:
        """Return how many tasks it should hold now."""
        size = self.executor.size
        if self.executor.start_failure:
            return 0
        hold = size if self._stuck(monotonic) else room(size, self.executor.job_seconds)
        if hold == size:
            return size
        # Places with long jobs will not take tasks claimed ahead, whatever the pace of the others.
        moving = size - min(size, self.executor.long_running(monotonic - CLAIM_AHEAD_SECONDS))
        return size + min((hold - size) * moving // size, self._trusted)

    def free(self, monotonic: float) -> int:
        """Return how many tasks should be claimed now.

        Refilling one by one would need an append for each: so while there is work, a quarter of the room has to be free
        first.
        """
        hold = self.room(monotonic)
        free = hold - self._held
        return 0 if self.executor.waiting and free < max(1, hold // 4) else free

    def start(self, jobs: Iterable[Job]) -> None:
        """Hand claimed tasks to the executor."""
        jobs = list(jobs)
        if not self.executor.waiting and self.executor.running < self.executor.size:  # so they are begun at once
            self._progressed_at = time.monotonic()
        self._held += len(jobs)
        self.executor.start(jobs)

    def end(self, outcome: Outcome) -> None:
        """Add the outcome of a claimed task that cannot be run."""
        self._held += 1
        self._returned.append(outcome)

    def outcomes(self, monotonic: float, *, draining: bool) -> list[Outcome]:
        """Return the outcomes that should be written now."""
        self._give_back(monotonic, draining=draining)
        outcomes, self._returned = self._returned, []
        if self.executor.outcomes and not self._linger(monotonic):
            self._outcomes_since = None
            self._progressed_at = monotonic
            ended = self.executor.collect()
            self._trusted = min(CLAIMS_MAX, self._trusted + len(ended))
            outcomes += ended
        self._held -= len(outcomes)
        return outcomes

    def _linger(self, monotonic: float) -> bool:
        """Return whether to let outcomes wait, at most `OUTCOME_LINGER_SECONDS`, for more to share their append."""
        if not self.executor.waiting:  # as in a drain
            return False
        if self._outcomes_since is None:
            self._outcomes_since = monotonic
        self.executor.lingering = (
            self.executor.outcomes < self._held // 4 and monotonic < self._outcomes_since + OUTCOME_LINGER_SECONDS
        )
        return self.executor.lingering

    def _stuck(self, monotonic: float) -> bool:
        """Return whether all places run long jobs, so that tasks claimed ahead would wait too long."""
        return self._held > 0 and monotonic - self._progressed_at > CLAIM_IDLE_SECONDS_MAX

    def _give_back(self, monotonic: float, *, draining: bool) -> None:
        """Give back claims that will not be started soon: when draining, and when all places run long jobs."""
        if draining:
            self.executor.draining = True
        if not self.executor.ready:
            self._progressed_at = monotonic  # no long work: the first thread or process is about to start
        if self.executor.waiting and (draining or self.executor.start_failure or self._stuck(monotonic)):
            said = "draining" if draining else self.executor.start_failure or "all are busy with long tasks"
            reason = b',"reason":' + orjson.dumps(said)
            self._trusted = 0
            self._returned += [Outcome(job, names.INTERRUPTED, reason) for job in self.executor.take_back()]

    def next_moment(self, monotonic: float, now: float) -> float | None:
        """Return when (monotonic) the loop must look again without any notification; None if it need not."""
        moments: list[float] = []
        if self.executor.waiting or self._outcomes_since is not None:
            moments.append(monotonic + OUTCOME_LINGER_SECONDS)
        if self.free(monotonic) > 0 and not self.executor.draining:
            due, steal_at = self.ready.next_due(), self.ready.steal_at()
            moments += [monotonic + due - now] if due is not None else []
            moments += [steal_at] if steal_at is not None else []
        return min(moments) if moments else None


def room(size: int, job_seconds: float) -> int:
    """Return how many tasks to hold: one for each place, and `CLAIM_AHEAD_SECONDS` of the executor's recent pace ahead.

    Nothing is claimed ahead of jobs so long that it might have to be given back.
    """
    if job_seconds * 2 > CLAIM_IDLE_SECONDS_MAX:
        return size
    ahead = size * CLAIM_AHEAD_SECONDS / max(job_seconds, 1e-6)
    return max(size, min(CLAIMS_MAX, size + int(ahead)))
