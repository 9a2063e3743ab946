"""The decorator `@task`: makes a function a task, and one with a trigger a scheduled task."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from .backoff import Backoff, ExponentialBackoff
from .broker import Broker
from .definition import Task
from .durations import Duration
from .errors import ValidationError
from .large_results import LargeResults
from .limits import MAX_RETRIES_DEFAULT, TASK_TIMEOUT_MS_DEFAULT
from .results import ResultStore
from .serializers import AnySerializer
from .status import StatusTracker
from .task_options import ScheduleOptions, TaskOptions

if TYPE_CHECKING:
    from .trigger_task import TriggerTask

P = ParamSpec("P")
R = TypeVar("R")


@overload
def task(
    broker: Broker,
    name: str | None = ...,
    queue: str | None = ...,
    timeout: Duration = ...,
    max_retries: int | None = ...,
    backoff: Backoff | None = ...,
    *,
    trigger: Any,
    **options: Unpack[ScheduleOptions],
) -> "Callable[[Callable[P, R]], TriggerTask[P, R]]": ...


@overload
def task(
    broker: Broker,
    name: str | None = ...,
    queue: str | None = ...,
    timeout: Duration = ...,
    max_retries: int | None = ...,
    backoff: Backoff | None = ...,
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(
    broker: Broker,
    name: str | None = None,
    queue: str | None = None,
    timeout: Duration = TASK_TIMEOUT_MS_DEFAULT,
    max_retries: int | None = MAX_RETRIES_DEFAULT,
    backoff: Backoff | None = ExponentialBackoff(),  # noqa: B008 - immutable in use, and the reference's default
    trigger: Any = None,
    result_store: ResultStore | None = None,
    status_tracker: StatusTracker | None = None,
    mechanism: str | None = None,
    no_positional_args: bool = False,
    base_task: type[Task[Any, Any]] | None = None,
    *,
    misfire: str | None = None,
    grace_ms: int | timedelta | None = None,
    overlap: str | None = None,
    large_results: LargeResults | None = None,
    serializer: AnySerializer | None = None,
    aliases: Sequence[str] = (),
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a task; the parameters are those of `Task`, `base_task` a subclass of it.

    With a `trigger` it is a `TriggerTask`, and `misfire`, `grace_ms` and `overlap` are its parameters.
    """
    if not isinstance(broker, Broker):
        raise ValidationError(
            f"@task takes the broker that submits the task's messages, got {broker!r:.80}. Write @task(broker) above "
            "the function, with a Broker(…) made before"
        )

    if not (base_task is None or (isinstance(base_task, type) and issubclass(base_task, Task))):
        raise ValidationError(f"base_task is a subclass of Task, got {base_task!r:.80}")
    scheduling = {
        name: value for name, value in (("misfire", misfire), ("grace_ms", grace_ms), ("overlap", overlap)) if value
    }
    base: Callable[..., Task[Any, Any]] = base_task or Task
    if trigger is not None:
        from .trigger_task import with_trigger  # imported on first use: few programs schedule tasks

        base = with_trigger(trigger, base_task)
    elif scheduling:
        raise ValidationError(f"{', '.join(scheduling)} are settings of a schedule: give the task a trigger, too")
    readers = {"result_store": result_store, "status_tracker": status_tracker}
    further: dict[str, Any] = {**readers, "aliases": aliases, "serializer": serializer, "large_results": large_results}

    def wrapper(function: Callable[P, R]) -> Task[P, R]:
        return base(
            function,
            broker,
            name,
            queue,
            timeout,
            max_retries,
            backoff,
            mechanism=mechanism,
            no_positional_args=no_positional_args,
            **{name: value for name, value in further.items() if value},  # a subclass may not take them
            **scheduling,
        )

    return wrapper
