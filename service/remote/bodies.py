"""The bodies of requests of remote workers, and of the answers."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ...tasks.limits import LEASE_MS_DEFAULT, LEASE_MS_MAX, LEASE_MS_MIN
from ..limits import (
    REMOTE_CLAIMS_MAX,
    REMOTE_TASK_NAMES_MAX,
    REMOTE_TEXT_CHARS_MAX,
    REMOTE_TRACEBACK_CHARS_MAX,
    WAIT_SECONDS_MAX,
)

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Names = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=REMOTE_TASK_NAMES_MAX)]
WorkerId = Annotated[str, Meta(min_length=1, max_length=100, description="The id that `join` has answered with.")]
TaskId = Annotated[str, Meta(min_length=1, max_length=200, description="The id of a claimed task.")]
Token = Annotated[int, Meta(ge=0, description="The fencing token of the claim.")]
Wait = Annotated[float, Meta(ge=0, le=WAIT_SECONDS_MAX, description="How long to wait for a task, in seconds.")]
HowMany = Annotated[int, Meta(ge=1, le=REMOTE_CLAIMS_MAX, description="How many tasks at most.")]
Milliseconds = Annotated[int, Meta(ge=0, le=10 * 366 * 24 * 3_600_000)]


class Join(msgspec.Struct, forbid_unknown_fields=True):
    """Open a session: the worker runs `tasks`, from `queues` in order of preference (null: from all)."""

    tasks: Names
    queues: Names | None = None
    lease_ms: Annotated[int, Meta(ge=LEASE_MS_MIN, le=LEASE_MS_MAX)] = LEASE_MS_DEFAULT
    slots: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    host: Annotated[str, Meta(max_length=200)] = ""


class Joined(msgspec.Struct):
    """An open session. A worker that holds tasks shows a sign of life at least every `beat_every_ms`."""

    worker: str
    lease_ms: int
    beat_every_ms: int


class Claim(msgspec.Struct, forbid_unknown_fields=True):
    """Ask for tasks. `holding`: the tasks that the worker knows it holds; others of its session are handed out again.

    So an answer that was lost loses no task.
    """

    worker: WorkerId
    limit: HowMany = 1
    wait: Wait = 0.0
    holding: Annotated[tuple[TaskId, ...], Meta(max_length=10_000)] = ()


class ClaimedTask(msgspec.Struct):
    """A task to run. `claim` is its fencing token: outcomes name it. `attempt` counts from 1.

    `trace` is the context of its submission, such as `{"traceparent": …}`: the parent of a first attempt's span.
    """

    task: str
    claim: int
    task_name: str
    queue: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    attempt: int
    max_retries: int | None
    timeout_ms: int
    priority: int
    created_at_ms: int
    metadata: dict[str, Any] | None
    tags: tuple[str, ...]
    previous_result: Any
    previous_message_uuid: str | None
    serializer: str
    trace: dict[str, str] | None


class ClaimedTasks(msgspec.Struct):
    """The tasks that the worker holds now; none if nothing came while it waited."""

    tasks: list[ClaimedTask]


class Beat(msgspec.Struct, forbid_unknown_fields=True):
    """A sign of life: it renews the lease of what the worker holds."""

    worker: WorkerId


class Holding(msgspec.Struct):
    """The tasks that the worker holds, by the log. A missing one was revoked or taken over: the worker stops it."""

    worker: str
    tasks: list[str]


class Error(msgspec.Struct, forbid_unknown_fields=True):
    """The exception of an attempt: its name, its text and its traceback, for operators."""

    name: Annotated[str, Meta(min_length=1, max_length=REMOTE_TEXT_CHARS_MAX)]
    text: Annotated[str, Meta(max_length=REMOTE_TEXT_CHARS_MAX)] = ""
    traceback: Annotated[str, Meta(max_length=REMOTE_TRACEBACK_CHARS_MAX)] = ""


class _OfClaim(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    worker: WorkerId
    task: TaskId
    claim: Token
    ran_ms: Annotated[float, Meta(ge=0, le=1e12)] | None = None


class Completion(_OfClaim, kw_only=True):
    """The task has run; `result` is what it returned."""

    result: Any = None


class Failure(_OfClaim, kw_only=True):
    """The task has failed for good: it becomes a dead letter."""

    error: Error


class Retry(_OfClaim, kw_only=True):
    """The attempt has failed: the task runs again after its backoff, or after `delay_ms`, unless it was the last one.

    Without `uses_attempt` the attempt does not count: the task only asked to run later.
    """

    error: Error
    delay_ms: Milliseconds | None = None
    uses_attempt: bool = True


class Progress(msgspec.Struct, forbid_unknown_fields=True):
    """How far the task is; or a `value` for the readers of its stream; at most ten reports a second for each task."""

    worker: WorkerId
    task: TaskId
    claim: Token
    done: Any = None
    total: Any = None
    text: str = ""
    value: Any = msgspec.UNSET


class Outcome(msgspec.Struct):
    """What became of a report. If it was refused, `why` says so: the worker no longer held the task."""

    task: str
    accepted: bool
    position: str
    state: str
    why: str = ""


class Outcomes(msgspec.Struct):
    """What became of several reports, in their order."""

    outcomes: list[Outcome]
