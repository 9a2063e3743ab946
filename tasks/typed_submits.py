"""Submit messages with the parameters of the task's own function, so that type checkers compare the arguments."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, ParamSpec, TypedDict, Unpack

from .chains import Callback
from .chosen_ids import IfExists
from .durations import Duration
from .message import Message

P = ParamSpec("P")


class SubmissionOptions(TypedDict, total=False):
    """The options of one submission; see `Task.generate`. Durations are numbers of ms, or a `timedelta`."""

    priority: int
    metadata: dict[str, Any] | None
    result_ttl: Duration | None
    uuid: str | None
    timeout_override: Duration | None
    delay: Duration | None
    previous_result: Any
    callback: Callback
    queue: str | None
    ttl: Duration | None
    if_exists: IfExists
    summary: str
    tags: Sequence[str]


class TypedSubmits(Generic[P]):
    """The submissions of a task that take the parameters of its function."""

    @abstractmethod
    def generate(self, *args: Any, **options: Any) -> Message:
        """See `Task`."""

    @abstractmethod
    async def generate_async(self, *args: Any, **options: Any) -> Message:
        """See `Task`."""

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Message:
        """Submit a message that runs this task with these arguments, which type checkers compare with the function."""
        return self.generate(args, kwargs)

    async def submit_async(self, *args: P.args, **kwargs: P.kwargs) -> Message:
        """`submit` for asyncio, see `generate_async`."""
        return await self.generate_async(args, kwargs)

    def options(self, **options: Unpack[SubmissionOptions]) -> "Submission[P]":
        """Return what submits with these options of `generate`: `task.options(delay=1_000).submit(…)`."""
        return Submission(self, options)


class Submission(Generic[P]):
    """Submits messages of one task with the same options; it can be kept and used again."""

    def __init__(self, task: TypedSubmits[P], options: SubmissionOptions) -> None:
        self._task, self._options = task, options

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Message:
        """See `Task.submit`."""
        return self._task.generate(args, kwargs, **self._options)

    async def submit_async(self, *args: P.args, **kwargs: P.kwargs) -> Message:
        """See `Task.submit_async`."""
        return await self._task.generate_async(args, kwargs, **self._options)
