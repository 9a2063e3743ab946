"""The settings of a worker, and the counts of its run."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from ..tasks.errors import ValidationError
from ..tasks.limits import (
    DRAIN_SECONDS_DEFAULT,
    LEASE_MS_DEFAULT,
    LEASE_MS_MAX,
    LEASE_MS_MIN,
    THREADS_DEFAULT,
    THREADS_MAX,
)
from ..tasks.message_fields import is_whole
from ..tasks.state.selection import QUEUE_ORDERS, QueueOrder, Selection
from .limits import (
    COROUTINES_DEFAULT,
    COROUTINES_MAX,
    ENFORCE_MS_DEFAULT,
    PRIORITY_AGEING_MS_MAX,
    PROCESSES_MAX,
    QUEUE_WEIGHT_MAX,
)

# Queues in order of preference; as a mapping, for each of them the tasks to which it is narrowed, or None for all.
Subset = Sequence[str] | Mapping[str, Sequence[str] | None]


def processes_default() -> int:
    """Return one less than the number of processors, at least one, like the reference task queue."""
    return max(1, (os.cpu_count() or 2) - 1)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a worker.

    - `queues`: the queues it serves, in order of preference; None for all, without preference. With a mapping,
      `{"mail": ["remind", "send"], "bulk": None}`, it takes from a queue only the tasks of these names, in this order.
      Names are matched exactly. It claims nothing else.
    - `queue_order`: "strict" empties preferred queues first; "fair" serves the queues round-robin, each for one task,
      or for as many as `queue_weights` says.
    - `priority_ageing_ms`: a waiting task gains one step of priority for each such period, in ms; None for never.
    - `threads`, `processes`, `coroutines`: how many tasks of each mechanism it runs at a time.
    - `thread_processes`: 0 to run the threads in the worker's own process; otherwise they run in groups, each of
      `threads` in a child process, up to so many and not less than `process_floor`.
    - `process_floor`: how many child processes of each mechanism that has them are kept while there is little to do.
    - `abandon_threads`: whether a thread that ignores its timeout is abandoned; otherwise its task ends when it does.
    - `enforce_ms`: how often running tasks are compared with their timeouts, in ms.
    - `lease_ms`: how long, in ms, it may be silent while it holds claims.
    - `drain_seconds`: how long it lets tasks run to their end when it is stopped, in seconds.
    - `fires_schedules`: whether it fires the ticks of the journal's schedules, of tasks that it does not run as well.
    """

    queues: Subset | None = None
    queue_order: QueueOrder = "strict"
    queue_weights: Mapping[str, int] = {}
    priority_ageing_ms: int | None = None
    threads: int = THREADS_DEFAULT
    thread_processes: int = 0
    process_floor: int = 1
    abandon_threads: bool = True
    enforce_ms: int = ENFORCE_MS_DEFAULT
    processes: int = msgspec.field(default_factory=processes_default)
    coroutines: int = COROUTINES_DEFAULT
    lease_ms: int = LEASE_MS_DEFAULT
    drain_seconds: float = DRAIN_SECONDS_DEFAULT
    fires_schedules: bool = True

    def __post_init__(self) -> None:
        """Check the values: `ValidationError` names the bounds."""
        for name, lowest, highest in _BOUNDS:
            value = getattr(self, name)
            if value is None and name == "priority_ageing_ms":
                continue
            if not (is_whole(value) or (name == "drain_seconds" and isinstance(value, float))):
                kind = "number" if name == "drain_seconds" else "whole number"
                raise ValidationError(f"{name} must be a {kind} from {lowest:,} to {highest:,}, got {value!r:.80}")
            if not lowest <= value <= highest:
                raise ValidationError(f"{name} must be from {lowest:,} to {highest:,}, got {value!r}")
        _check_queues(self.queues)
        _check_order(self.queue_order, self.queue_weights, self.queues)

    @property
    def selection(self) -> Selection:
        """Which tasks it claims, and in which order."""
        queues = None if self.queues is None else tuple(self.queues)
        narrowed = self.queues.items() if isinstance(self.queues, Mapping) else ()
        tasks = {queue: tuple(names) for queue, names in narrowed if names is not None}
        return Selection(queues, tasks, self.queue_order, dict(self.queue_weights), self.priority_ageing_ms or 0)

    @property
    def lease_seconds(self) -> float:
        """The lease in seconds."""
        return self.lease_ms / 1_000


_BOUNDS = (
    ("threads", 1, THREADS_MAX),
    ("thread_processes", 0, PROCESSES_MAX),
    ("process_floor", 0, PROCESSES_MAX),
    ("enforce_ms", 1, 60_000),
    ("processes", 1, PROCESSES_MAX),
    ("coroutines", 1, COROUTINES_MAX),
    ("priority_ageing_ms", 1, PRIORITY_AGEING_MS_MAX),
    ("lease_ms", LEASE_MS_MIN, LEASE_MS_MAX),
    ("drain_seconds", 0, 7 * 24 * 60 * 60),
)


def _check_queues(queues: Subset | None) -> None:
    if queues is None:
        return
    if not isinstance(queues, Collection) or not all(isinstance(queue, str) for queue in queues):
        raise ValidationError(f"queues must be names, in a list or as the keys of a mapping, got {queues!r:.80}")
    if isinstance(queues, str) or not queues or len(set(queues)) < len(queues) or not all(queues):
        got = repr(queues) if isinstance(queues, str) else ", ".join(queues) or "none"
        raise ValidationError(f"queues must be different names, at least one, got {got}")
    for queue, tasks in queues.items() if isinstance(queues, Mapping) else ():
        if tasks is not None and (isinstance(tasks, str) or not tasks or len(set(tasks)) < len(tasks)):
            raise ValidationError(
                f"the queue {queue!r} is narrowed to different task names, at least one, or to None for all; "
                f"got {tasks!r}"
            )


def _check_order(order: Any, weights: Mapping[str, int], queues: Subset | None) -> None:
    if order not in QUEUE_ORDERS:
        raise ValidationError(f"queue_order is one of {', '.join(QUEUE_ORDERS)}, got {order!r}")
    if weights and order != "fair":
        raise ValidationError("queue_weights say how queues share; that needs queue_order='fair'")
    for queue, weight in weights.items():
        if not is_whole(weight) or not 1 <= weight <= QUEUE_WEIGHT_MAX:
            raise ValidationError(f"a queue weighs from 1 to {QUEUE_WEIGHT_MAX:,}, got {weight!r} for {queue!r}")
        if queues is not None and queue not in queues:
            raise ValidationError(f"queue_weights names {queue!r}, which is not among the queues {', '.join(queues)}")


class WorkerCounts(msgspec.Struct):
    """The counts of a worker since it started."""

    claimed: int = 0
    lost_claims: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    interrupted: int = 0
    left_running: int = 0
    refused: int = 0
    appends: int = 0
    expired_sessions: int = 0
