"""The states of tasks, made without a log: a waiting one and a claimed one."""

from journeyman.tasks import State, TaskState
from journeyman.tasks.state.state import RunState, TaskKind


def waiting_task(
    id_: str,
    submitted: int,
    at: float = 0.0,
    due: float = 0.0,
    *,
    name: str = "work",
    queue: str = "default",
    priority: int = 0,
    max_retries: int | None = 3,
) -> TaskState:
    """A task as it is after its submission at an offset of partition 0 and a time."""
    return TaskState(id_, TaskKind(name, queue, priority, max_retries, 0), submitted, at, due)


def claimed_task(
    id_: str, submitted: int, claim: int, attempts: int = 1, *, name: str = "work", max_retries: int | None = 3
) -> TaskState:
    """A task that was claimed by the session `worker`, at the offset `claim`."""
    task = waiting_task(id_, submitted, name=name, max_retries=max_retries)
    task.run = RunState(State.CLAIMED, claim, 0.0, attempts, claim, "worker")
    return task
