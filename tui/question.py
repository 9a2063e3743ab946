"""What the screen asks for, and the frame that answers it. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from ..tasks.inspection.alarms import Alarm
from ..tasks.inspection.findings import Finding
from ..tasks.inspection.history import TaskHistory
from ..tasks.inspection.overview import Overview
from .cells import Listing


class Tab(StrEnum):
    """The tabs, in their order."""

    OVERVIEW = "overview"
    QUEUES = "queues"
    TASKS = "tasks"
    WORKERS = "workers"
    DEAD = "dead letters"
    REQUESTS = "requests"
    EVENTS = "events"


class Question(NamedTuple):
    """What is on the screen.

    `first` and `rows` are the part of the list that is seen. `moment` is a moment of the past, in seconds since the
    epoch; None is the present. `paused`: the screen is paused. `task` is the task that is followed; empty for none.
    """

    tab: Tab = Tab.OVERVIEW
    first: int = 0
    rows: int = 50
    sort: int = -1
    descending: bool = False
    words: str = ""
    moment: float | None = None
    paused: bool = False
    task: str = ""


class Charts(NamedTuple):
    """The last hour of one queue, or of all: one number for each bucket, the oldest first.

    `ended` tasks have succeeded or failed; `latency` is the 95th percentile from submission to success in seconds,
    None without a success.
    """

    submitted: Sequence[int]
    ended: Sequence[int]
    failed: Sequence[int]
    latency: Sequence[float | None]


class Failing(NamedTuple):
    """Attempts that failed in one way: how many, how many of these for good, and the text of the newest."""

    name: str
    queue: str
    reason: str
    attempts: int
    for_good: int
    text: str


class Hour(NamedTuple):
    """What happened in the last hour, in buckets of `width` seconds: in all queues, and by queue."""

    total: Charts
    queues: Mapping[str, Charts]
    width: float
    stale_outcomes: int
    lost_claims: int
    expired: int
    retried: int
    failing: Sequence[Failing]


class Running(NamedTuple):
    """A task that a worker holds: its id and name, and since when, in seconds since the epoch."""

    task: str
    name: str
    since: float


class Summary(NamedTuple):
    """The state as a whole: the overview, its alarms, the last hour, and by worker the tasks it has held longest."""

    seen: Overview
    alarms: Sequence[Alarm]
    hour: Hour
    running: Mapping[str, Sequence[Running]]


class Followed(NamedTuple):
    """A task, why it is in its state, and its history; `history` is None if the journal holds no event of it."""

    task: str
    name: str
    findings: Sequence[Finding]
    history: TaskHistory | None


class Frame(NamedTuple):
    """The answer to a question at `at`, in seconds since the epoch; what was not asked for is None.

    `trouble` is why the journal cannot be read at present. `read` is the fraction of the events that were read while
    the answer is not complete. `begun` is where the history of the journal begins; None if it is empty or unknown.
    """

    question: Question
    at: float
    trouble: str = ""
    read: float | None = None
    begun: float | None = None
    summary: Summary | None = None
    listing: Listing | None = None
    followed: Followed | None = None

    def answers(self, asked: Question) -> bool:
        """Return whether it shows what is asked for, perhaps other rows of it."""
        there = self.question._replace(first=0, rows=0, paused=False)
        is_complete = self.summary is not None or self.listing is not None or self.followed is not None
        return is_complete and there == asked._replace(first=0, rows=0, paused=False)
