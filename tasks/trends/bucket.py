"""What happened in one bucket: counts by queue; failures, slowest runs and expired workers of all queues. Pure."""

from typing import Final

import msgspec

from ..limits import EXPIRED_WORKERS_KEPT, FAILURE_KINDS_KEPT, SLOWEST_RUNS_KEPT
from .histogram import Histogram


class Counts(msgspec.Struct):
    """How many tasks, or events, of each kind there were.

    `submitted`, `started` (accepted claims) and `succeeded` are what they say. `failed` tasks became dead letters.
    `retried`: attempts that failed and are to be repeated. `interrupted`: claims given back unharmed. `returned`:
    claims whose worker expired. `revoked` tasks were revoked by hand, or have lapsed; `purged` and `requeued` ones were
    dead letters. `stale_outcomes` and `lost_claims` are refused events.
    """

    submitted: int = 0
    started: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    interrupted: int = 0
    returned: int = 0
    revoked: int = 0
    purged: int = 0
    requeued: int = 0
    stale_outcomes: int = 0
    lost_claims: int = 0

    def merge(self, other: "Counts") -> None:
        """Add the counts of another bucket."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


COUNTS: Final = Counts.__struct_fields__


class Bucket(msgspec.Struct):
    """The tasks of one queue in one bucket of time.

    `waiting` and `running` are by how many tasks these have grown. `latency` is from the submission to the success,
    `waited` from the moment from which a task could be claimed to its claim, `ran` the run of an attempt, in seconds.
    """

    counts: Counts = msgspec.field(default_factory=Counts)
    waiting: int = 0
    running: int = 0
    latency: Histogram = msgspec.field(default_factory=Histogram)
    waited: Histogram = msgspec.field(default_factory=Histogram)
    ran: Histogram = msgspec.field(default_factory=Histogram)

    def merge(self, other: "Bucket") -> None:
        """Add another bucket."""
        self.counts.merge(other.counts)
        self.waiting += other.waiting
        self.running += other.running
        self.latency.merge(other.latency)
        self.waited.merge(other.waited)
        self.ran.merge(other.ran)


# Of a failure: the name of the task, its queue, and the exception or the reason.
FailureKey = tuple[str, str, str]
# The failures beyond `FAILURE_KINDS_KEPT` kinds.
OTHER_FAILURES: Final = ("(others)", "(others)", "(others)")


class Failure(msgspec.Struct):
    """Attempts that failed in one way: for good, or to be retried; and the newest of them."""

    failed: int = 0
    retried: int = 0
    at: float = 0.0
    task: str = ""
    text: str = ""

    def merge(self, other: "Failure") -> None:
        """Add the attempts of another bucket."""
        self.failed += other.failed
        self.retried += other.retried
        if (other.at, other.task) >= (self.at, self.task):
            self.at, self.task, self.text = other.at, other.task, other.text


class SlowRun(msgspec.Struct, frozen=True, order=True):
    """One attempt and how long it ran, in seconds; `at` is its end. They compare by their length."""

    seconds: float
    at: float
    task: str
    name: str
    queue: str
    worker: str
    how: str


class ExpiredWorker(msgspec.Struct, frozen=True):
    """A worker that expired, at `at`: so many tasks returned to their queues, and so many failed with it."""

    worker: str
    host: str
    at: float
    returned: int
    failed: int


class Incidents(msgspec.Struct):
    """What has a name in one bucket of time: failures, the slowest runs (the slowest first), expired workers.

    `expired_beyond` are expired workers that are counted only.
    """

    failures: dict[FailureKey, Failure] = {}
    slowest: list[SlowRun] = []
    expired: dict[str, ExpiredWorker] = {}
    expired_beyond: int = 0

    def failure(self, key: FailureKey) -> Failure:
        """Return the failures of that kind."""
        found = self.failures.get(key)
        if found is None:
            if len(self.failures) >= FAILURE_KINDS_KEPT:
                key = OTHER_FAILURES
            found = self.failures.setdefault(key, Failure())
        return found

    def is_slow(self, seconds: float) -> bool:
        """Return whether a run of that length may be among the slowest."""
        slowest = self.slowest
        return len(slowest) < SLOWEST_RUNS_KEPT or seconds >= slowest[-1].seconds

    def add_run(self, *runs: SlowRun) -> None:
        """Keep runs, as far as they are among the slowest."""
        self.slowest = sorted([*self.slowest, *runs], reverse=True)[:SLOWEST_RUNS_KEPT]

    def expire(self, found: ExpiredWorker) -> None:
        """Add an expired session of a worker; the sessions of one worker count as one."""
        known = self.expired.get(found.worker)
        if known is not None:
            found = ExpiredWorker(
                found.worker,
                found.host or known.host,
                max(found.at, known.at),
                found.returned + known.returned,
                found.failed + known.failed,
            )
        elif len(self.expired) >= EXPIRED_WORKERS_KEPT:
            self.expired_beyond += 1
            return
        self.expired[found.worker] = found

    def merge(self, other: "Incidents") -> None:
        """Add what happened in another bucket."""
        for key, failure in other.failures.items():
            self.failure(key).merge(failure)
        if other.slowest:
            self.add_run(*other.slowest)
        for worker in other.expired.values():
            self.expire(worker)
        self.expired_beyond += other.expired_beyond
