"""The keyword options of `@task`, for type checkers."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypedDict

from .definition import Task
from .large_results import LargeResults
from .results import ResultStore
from .serializers import AnySerializer
from .state.schedules import Misfire, Overlap
from .status import StatusTracker


class TaskOptions(TypedDict, total=False):
    """Those of any task."""

    result_store: ResultStore | None
    status_tracker: StatusTracker | None
    mechanism: str | None
    no_positional_args: bool
    aliases: Sequence[str]
    serializer: AnySerializer | None
    large_results: LargeResults | None
    base_task: type[Task[Any, Any]] | None


class ScheduleOptions(TaskOptions, total=False):
    """Those of a task with a trigger."""

    misfire: Misfire
    grace_ms: int | timedelta
    overlap: Overlap
