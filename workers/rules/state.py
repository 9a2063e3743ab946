"""What the fold keeps: a task, and a worker's session with its claims."""

import msgspec

from .selection import Selection, selection_of
from .transitions import State


class TaskState(msgspec.Struct, gc=False, array_like=True):
    """One task: `claim` is the position of its current claim, `changed` of the last accepted event about it.

    `due` is the time, in seconds since the epoch, before which nobody should claim it. `attempts` counts claims not
    taken back. `row` is the submission as it stands in the log, where the view keeps rows and the task may still run.
    `expiries` counts the sessions that have expired with it since it last failed by itself or was requeued. A `suspect`
    may be what ended them: two sessions have, or one, and it has one attempt left. A worker has one suspect at a time.
    """

    id: str
    name: str
    queue: str
    priority: int
    max_retries: int | None
    partition: int
    submitted: int
    submitted_at: float
    due: float = 0.0
    state: State = State.READY
    attempts: int = 0
    claim: int = -1
    worker: str = ""
    changed: int = -1
    changed_at: float = 0.0
    refused: int = 0
    collected: bool = False
    row: bytes | None = None
    expiries: int = 0
    suspect: bool = False

    @property
    def exhausted(self) -> bool:
        """Whether no further attempt is allowed."""
        return self.max_retries is not None and self.attempts > self.max_retries


class SessionState(msgspec.Struct):
    """One worker's session in one partition: `last` is the position of its last event there.

    What the worker said when it joined: `tasks` are the names it knows (None: it did not say) and `more_tasks` how many
    it left out, `queues` those it serves in order of preference (None: all), `slots` how many tasks it runs at once,
    `selection` what else it said of which tasks it claims and in which order.
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
    claims: dict[str, TaskState] = msgspec.field(default_factory=dict)

    def knows(self, task_name: str) -> bool:
        """Whether the worker can run a task of that name, as far as it said what it knows."""
        return self.tasks is None or self.more_tasks > 0 or task_name in self.tasks

    @property
    def claims_from(self) -> Selection:
        """Which of the tasks it knows it claims, and in which order."""
        return selection_of(self.queues, self.selection)

    def may_claim(self, queue: str, task_name: str) -> bool:
        """Whether a task of that name in that queue is one for this worker."""
        return self.knows(task_name) and self.claims_from.serves(queue, task_name)
