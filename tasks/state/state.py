"""The structs of the fold's state: a task, and a worker's session with its claims."""

from typing import Final

import msgspec

from .identity import Accepts
from .selection import Selection, selection_of
from .transitions import State

# The fields of a kind: name, queue, priority, max_retries, partition, function, named.
KindKey = tuple[str, str, int, int | None, int, str, bool]


class TaskKind(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The fields that many tasks share, held once for all of them; the view makes one for each combination.

    `function` is the one for which they were made, empty if the submitter did not name it; `named`: the submitter gave
    them their name explicitly. `kept` says whether the view keeps their submissions, because its worker runs them;
    `job` whether they are the jobs of a service.
    """

    name: str
    queue: str
    priority: int
    max_retries: int | None
    partition: int
    function: str = ""
    named: bool = False
    kept: bool = False
    job: bool = False


class RunState(msgspec.Struct, gc=False, array_like=True):
    """The state of a task, with the fields that change after its submission.

    `claim` is the position of its current claim, `changed` of the last accepted event about it. `attempts` counts
    claims not given back, `refused` the events about it that were refused. `expiries` counts the sessions that have
    expired with it since it last failed by itself or was requeued. A `suspect` may have killed their workers: two
    sessions have expired, or one, and it has one attempt left. A worker has one suspect at a time. `expired`: an expiry
    has returned it to the queue, and no session has claimed it since.
    """

    state: State
    changed: int
    changed_at: float
    attempts: int = 0
    claim: int = -1
    worker: str = ""
    refused: int = 0
    collected: bool = False
    expiries: int = 0
    suspect: bool = False
    expired: bool = False


# The state of a task without events since its submission; shared by all such tasks, so never to be changed.
UNTOUCHED: Final = RunState(State.READY, -1, 0.0)


class TaskState(msgspec.Struct, gc=False):
    """One task. It is small, since many may wait: the fields that only claimed tasks need are in `run`.

    `due` is the time, in seconds since the epoch, before which no worker claims it. `submitted` is the offset of its
    submission.
    """

    id: str
    kind: TaskKind
    submitted: int
    submitted_at: float
    due: float = 0.0
    run: RunState = msgspec.field(default_factory=lambda: UNTOUCHED)

    @property
    def state(self) -> State:
        """Its state."""
        return self.run.state

    @property
    def name(self) -> str:
        """The name of the task's function."""
        return self.kind.name

    @property
    def queue(self) -> str:
        """The queue it waits in."""
        return self.kind.queue

    @property
    def priority(self) -> int:
        """Its priority: lower runs first."""
        return self.kind.priority

    @property
    def max_retries(self) -> int | None:
        """How many attempts it has beyond the first; None for no end."""
        return self.kind.max_retries

    @property
    def partition(self) -> int:
        """The partition of its events."""
        return self.kind.partition

    @property
    def attempts(self) -> int:
        """How many claims of it were not given back."""
        return self.run.attempts

    @property
    def claim(self) -> int:
        """The position of its current claim; -1 if it has none."""
        return self.run.claim

    @property
    def worker(self) -> str:
        """The session that claimed it last."""
        return self.run.worker

    @property
    def changed(self) -> int:
        """The position of the last accepted event about it."""
        return self.submitted if self.run is UNTOUCHED else self.run.changed

    @property
    def changed_at(self) -> float:
        """The time of the last accepted event about it, in seconds since the epoch."""
        return self.submitted_at if self.run is UNTOUCHED else self.run.changed_at

    @property
    def refused(self) -> int:
        """How many events about it were refused."""
        return self.run.refused

    @property
    def collected(self) -> bool:
        """Whether its result was collected."""
        return self.run.collected

    @property
    def expiries(self) -> int:
        """How many sessions have expired with it; see `RunState`."""
        return self.run.expiries

    @property
    def expired(self) -> bool:
        """Whether an expiry has returned it to the queue, and no session has claimed it since."""
        return self.run.expired

    @property
    def suspect(self) -> bool:
        """Whether it may have killed its workers."""
        return self.run.suspect

    @property
    def exhausted(self) -> bool:
        """Whether no further attempt is allowed."""
        return self.kind.max_retries is not None and self.run.attempts > self.kind.max_retries

    def touched(self) -> RunState:
        """Return its `run` for a change; one of its own if it was the shared one."""
        if self.run is UNTOUCHED:
            self.run = RunState(State.READY, self.submitted, self.submitted_at)
        return self.run


class SessionState(msgspec.Struct):
    """One worker's session in one partition: `last` is the position of its last event there.

    From its `joined` event: `tasks` are the names it knows (None: not listed) and `more_tasks` how many it left out,
    `queues` those it serves in order of preference (None: all), `slots` how many tasks it runs at once, `selection` the
    other settings of which tasks it claims and in which order, `machine` the set of processes in which its `pid` is
    unique (empty: not listed). `accepts` are the functions whose tasks it runs, by the task's name.
    """

    worker: str
    partition: int
    lease_ms: int
    host: str
    pid: int
    joined_at: float
    last: int
    tasks: tuple[str, ...] | None = None
    more_tasks: int = 0
    queues: tuple[str, ...] | None = None
    slots: int = 0
    selection: Selection | None = None
    machine: str = ""
    accepts: dict[str, Accepts] = {}
    claims: dict[str, TaskState] = msgspec.field(default_factory=dict)

    def knows_name(self, task_name: str) -> bool:
        """Return whether the worker has a task of that name; True if it may, as it did not list all."""
        return self.tasks is None or self.more_tasks > 0 or task_name in self.tasks

    def knows(self, kind: TaskKind) -> bool:
        """Return whether the worker can run such a task: it has, or may have, one of that name and function."""
        accepts = self.accepts.get(kind.name)
        return self.knows_name(kind.name) and (accepts is None or accepts.takes(kind.function, named=kind.named))

    @property
    def claims_from(self) -> Selection:
        """The selection by which it claims tasks."""
        return selection_of(self.queues, self.selection)

    def may_claim(self, kind: TaskKind) -> bool:
        """Return whether this worker may claim such a task."""
        return self.knows(kind) and self.claims_from.serves(kind.queue, kind.name)
