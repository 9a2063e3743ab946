"""A task with a trigger: workers submit and run it at the times of a schedule, which stands in the journal."""

import inspect
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import msgspec

from ..journal.async_journal import AsyncJournal
from .access import JournalAccess
from .acting import Attribution
from .backoff import Backoff, ExponentialBackoff
from .broker import Broker
from .chains import Callback
from .chosen_ids import IfExists, check_way
from .definition import Task
from .durations import Duration
from .errors import SchedulingError, ValidationError
from .large_results import LargeResults
from .limits import (
    MAX_RETRIES_DEFAULT,
    SCHEDULE_GRACE_MS_DEFAULT,
    SCHEDULE_GRACE_MS_MAX,
    SCHEDULE_GRACE_MS_MIN,
    SCHEDULE_NAME_CHARS_MAX,
    TASK_TIMEOUT_MS_DEFAULT,
)
from .message import Message
from .message_fields import is_whole
from .results import ResultStore
from .scheduling import (
    Changed,
    PlannedSchedule,
    clear_schedule,
    create_schedule,
    pause_schedule,
    resume_schedule,
    schedules_of,
)
from .serializers import AnySerializer
from .state.routing import routing_key
from .state.schedules import MISFIRES, OVERLAPS, Misfire, Overlap, Policy
from .status import StatusTracker
from .tick_messages import template_of, tick_message
from .triggers import calendar, data_of

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class TriggerTask(Task[P, R]):
    """A task that is submitted at the ticks of `trigger`: a `CronTrigger`, an `IntervalTrigger` or a `DateTrigger`.

    `generate()` creates the schedule in the journal, under the name of the task, or joins the one that is there. From
    then on any worker of the journal fires it, one run a tick, whether or not the process that created it goes on.

    - `misfire`: which ticks run that are later than `grace_ms` (ms or a `timedelta`), since no worker was there:
      "run_once" the newest one in place of all, "skip" none, "run_all" each.
    - `overlap`: a tick whose predecessor still waits or runs is queued ("queue") or left out ("skip").
    - The other parameters are those of `Task`.

    `SchedulingError` for a function that cannot be called without arguments, or a trigger that no other process could
    follow.
    """

    def __init__(
        self,
        function: Callable[P, R],
        trigger: Any,
        broker: Broker,
        name: str | None = None,
        queue: str | None = None,
        timeout: Duration = TASK_TIMEOUT_MS_DEFAULT,
        max_retries: int | None = MAX_RETRIES_DEFAULT,
        backoff: Backoff | None = ExponentialBackoff(),  # noqa: B008 - immutable in use, and the reference's default
        result_store: ResultStore | None = None,
        status_tracker: StatusTracker | None = None,
        mechanism: str | None = None,
        no_positional_args: bool = False,
        *,
        aliases: Sequence[str] = (),
        serializer: AnySerializer | None = None,
        large_results: LargeResults | None = None,
        misfire: Misfire = "run_once",
        grace_ms: int | timedelta = SCHEDULE_GRACE_MS_DEFAULT,
        overlap: Overlap = "queue",
    ) -> None:
        super().__init__(
            function,
            broker,
            name,
            queue,
            timeout,
            max_retries,
            backoff,
            result_store,
            status_tracker,
            mechanism,
            no_positional_args,
            aliases=aliases,
            serializer=serializer,
            large_results=large_results,
        )
        _check(self, function)
        self.trigger = trigger
        self._ticks = data_of(trigger)
        self.policy = policy_of(misfire, grace_ms, overlap)
        self._is_generated = False

    def generate(
        self,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        priority: int = 0,
        metadata: dict[str, Any] | None = None,
        result_ttl: Duration | None = None,
        uuid: str | None = None,
        timeout_override: Duration | None = None,
        delay: Duration | None = None,
        previous_result: Any = None,
        callback: Callback = None,
        queue: str | None = None,
        submit: bool = True,
        *,
        ttl: Duration | None = None,
        if_exists: IfExists = "raise",
        summary: str = "",
        tags: Sequence[str] = (),
        replace: bool = False,
    ) -> Message:
        """Create the schedule, or join the one that the journal has under this task's name; durable.

        Returns the message of the next tick, whose id is known beforehand. Each tick runs the function with these
        arguments and options; `delay`, in ms, counts from the tick. With `submit=False` nothing is scheduled.

        `SchedulingError` if this task has been generated here already, or if the journal has another schedule under its
        name, with other ticks, policy or message; `replace=True` puts this one in its place. The ids of ticks are made,
        so `uuid`, `if_exists` and `ttl` have no use here.
        """
        check_way(if_exists, uuid)
        if uuid is not None:
            raise ValidationError(f"the ids of scheduled tasks are made of schedule and tick, got uuid={uuid!r:.80}")
        if ttl is not None:
            raise ValidationError("a ttl counts from one submission, and a schedule makes many: leave it out")
        if not args and not kwargs:
            self.check_arguments([], {})
        times = (result_ttl, None, timeout_override, delay)
        further = (previous_result, callback, queue, False)  # not submitted
        message = super().generate(args, kwargs, priority, metadata, *times, *further, summary=summary, tags=tags)
        if not submit:
            return message
        return self._run(lambda journal: self._create(journal, message, replace=replace), "generate_async")

    async def generate_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        priority: int = 0,
        metadata: dict[str, Any] | None = None,
        result_ttl: Duration | None = None,
        uuid: str | None = None,
        timeout_override: Duration | None = None,
        delay: Duration | None = None,
        previous_result: Any = None,
        callback: Callback = None,
        queue: str | None = None,
        *,
        ttl: Duration | None = None,
        if_exists: IfExists = "raise",
        summary: str = "",
        tags: Sequence[str] = (),
        replace: bool = False,
    ) -> Message:
        """`generate` for asyncio. If it is cancelled the schedule may have been created; it can be repeated."""
        options = (metadata, result_ttl, uuid, timeout_override, delay, previous_result, callback, queue)
        message = self.generate(
            args, kwargs, priority, *options, submit=False, ttl=ttl, if_exists=if_exists, summary=summary, tags=tags
        )
        return await self._run_async(lambda journal: self._create(journal, message, replace=replace))

    @property
    def generated(self) -> bool:
        """Whether the journal holds the schedule, whichever process has created it."""
        return self._run(self._is_known, "is_generated_async")

    async def is_generated_async(self) -> bool:
        """`generated` for asyncio."""
        return await self._run_async(self._is_known)

    def clear(self, *, by: str | None = None, reason: str | None = None) -> None:
        """Remove the schedule from the journal: no process fires it any more. Tasks that it has submitted stay.

        `AttributeError` if the journal holds no such schedule.
        """
        self._run(lambda journal: self._clear(journal, Attribution(by, reason)), "clear_async")

    async def clear_async(self, *, by: str | None = None, reason: str | None = None) -> None:
        """`clear` for asyncio."""
        await self._run_async(lambda journal: self._clear(journal, Attribution(by, reason)))

    def pause(self, *, by: str | None = None, reason: str | None = None) -> bool:
        """Have no process fire the schedule until it is resumed; False if it was paused already.

        `SchedulingError` if the journal holds no such schedule. `by`, the name of the caller, and `reason` are written
        into the event.
        """
        return self._run(lambda journal: self._pause(journal, Attribution(by, reason)), "pause_async")

    async def pause_async(self, *, by: str | None = None, reason: str | None = None) -> bool:
        """`pause` for asyncio."""
        return await self._run_async(lambda journal: self._pause(journal, Attribution(by, reason)))

    def resume(self, *, by: str | None = None, reason: str | None = None) -> bool:
        """Let the schedule tick again, from now on; False if it was not paused. Otherwise as `pause`."""
        return self._run(lambda journal: self._resume(journal, Attribution(by, reason)), "resume_async")

    async def resume_async(self, *, by: str | None = None, reason: str | None = None) -> bool:
        """`resume` for asyncio."""
        return await self._run_async(lambda journal: self._resume(journal, Attribution(by, reason)))

    def shutdown(self) -> None:
        """End this object's part in the schedule, which goes on: `generate` may be called again, and joins it."""
        self._is_generated = False

    # -- on the journal's loop -----------------------------------------------------------------------------------------

    def _run(self, work: Callable[[AsyncJournal], Coroutine[Any, Any, T]], instead: str) -> T:
        journal = self.broker.journal
        return journal.run(work(journal.asynchronous), instead=f"TriggerTask.{instead}")

    async def _run_async(self, work: Callable[[AsyncJournal], Coroutine[Any, Any, T]]) -> T:
        access = JournalAccess(self.broker.journal, "TriggerTask")
        return await access.run(work(access.journal))

    async def _is_known(self, journal: AsyncJournal) -> bool:
        return self.name in await schedules_of(journal)

    async def _create(self, journal: AsyncJournal, message: Message, *, replace: bool) -> Message:
        if self._is_generated and await self._is_known(journal):
            raise SchedulingError(
                f"the task {self.name} is already scheduled by this process; call clear() first, or shutdown() to join "
                "its schedule once more"
            )
        plan = PlannedSchedule(self.name, self._ticks, self.policy, template_of(message))
        schedule = await create_schedule(journal, plan, replace=replace)
        self._is_generated = True
        tick = calendar(schedule.trigger)(schedule.last)
        encoded = tick_message(schedule, schedule.last if tick is None else tick)
        return msgspec.json.decode(encoded, type=Message)

    async def _clear(self, journal: AsyncJournal, signature: Attribution) -> None:
        if not await clear_schedule(journal, self.name, signature.fields()):
            raise AttributeError(f"the task {self.name} was not generated: the journal holds no schedule of that name")
        self._is_generated = False

    async def _pause(self, journal: AsyncJournal, signature: Attribution) -> bool:
        return self._known(await pause_schedule(journal, self.name, signature.fields()))

    async def _resume(self, journal: AsyncJournal, signature: Attribution) -> bool:
        return self._known(await resume_schedule(journal, self.name, signature.fields()))

    def _known(self, done: Changed) -> bool:
        if done.schedule is None:
            raise SchedulingError(f"the journal holds no schedule {self.name}: {self.name}.generate() creates it")
        return done.changed


def with_trigger(trigger: Any, base_task: type[Task[Any, Any]] | None) -> Callable[..., Task[Any, Any]]:
    """Return the maker of tasks with that trigger, of the class `base_task`; `ValueError` if it takes no trigger."""
    if base_task is not None and "trigger" not in inspect.signature(base_task.__init__).parameters:
        raise ValueError(f"base_task takes no trigger: make it a subclass of TriggerTask, got {base_task.__name__}")
    made: Any = base_task or TriggerTask
    return lambda function, *given, **options: made(function, trigger, *given, **options)


def policy_of(misfire: object, grace_ms: object, overlap: object) -> Policy:
    """Return the policy; `ValidationError` names what breaks a rule."""
    if misfire not in MISFIRES:
        raise ValidationError(f"misfire is one of {', '.join(MISFIRES)}, got {misfire!r:.80}")
    if overlap not in OVERLAPS:
        raise ValidationError(f"overlap is one of {', '.join(OVERLAPS)}, got {overlap!r:.80}")
    ms = grace_ms // timedelta(milliseconds=1) if isinstance(grace_ms, timedelta) else grace_ms
    if not is_whole(ms) or not SCHEDULE_GRACE_MS_MIN <= ms <= SCHEDULE_GRACE_MS_MAX:
        raise ValidationError(
            f"grace_ms is a whole number of ms from {SCHEDULE_GRACE_MS_MIN:,} to {SCHEDULE_GRACE_MS_MAX:,}, or a "
            f"timedelta, got {grace_ms!r:.80}"
        )
    return Policy(misfire, ms, overlap)


def _check(task: Task[Any, Any], function: Callable[..., Any]) -> None:
    """Raise `SchedulingError` if the function needs arguments, or its name is too long for the ids of its ticks."""
    required = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and not (parameter.name == "message" and task.takes_message)
    ]
    if required:
        raise SchedulingError(
            f"a schedule calls {task.name} without arguments, but it requires {', '.join(required)}; give them defaults"
        )
    if routing_key(task.name) != task.name:
        raise SchedulingError(
            f"the name of a scheduled task must not end like the id of a tick, with '@' and a number, as "
            f"{task.name!r:.80} does"
        )
    if len(task.name) > SCHEDULE_NAME_CHARS_MAX:
        raise SchedulingError(
            f"the name of a scheduled task has at most {SCHEDULE_NAME_CHARS_MAX} characters, got {len(task.name)}: "
            f"{task.name:.80}"
        )
