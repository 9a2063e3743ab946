"""A task: a function that workers run, and how it is run. The decorator `@task` makes one."""

import functools
import time
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from .aliases import accepted_functions, checked_aliases
from .arguments import Signature, named, positional
from .backoff import NO_BACKOFF, Backoff, ExponentialBackoff
from .broker import Broker
from .chains import Callback, attach
from .chosen_ids import IfExists, check_way, submit_chosen, submit_chosen_async
from .deferring import Deferring
from .durations import Duration, milliseconds
from .errors import ValidationError
from .function_names import function_name, mark_coroutine_function
from .hooks import AROUND_RUN, TaskHooks, await_hook, call_hook, overridden
from .large_results import LargeResults, checked_large_results
from .limits import MAX_RETRIES_DEFAULT, TASK_TIMEOUT_MS_DEFAULT
from .message import Message
from .message_encoding import read_arguments
from .results import ResultStore
from .serializers import AnySerializer, checked_serializer, reader_named
from .state.names import QUEUE_DEFAULT
from .status import StatusTracker
from .task_calls import TaskCalls
from .task_checks import check_readers, check_task, checked_mechanism, takes_message
from .time_to_live import set_ttl
from .typed_arguments import ArgumentTypes
from .typed_submits import TypedSubmits

P = ParamSpec("P")
R = TypeVar("R")


class Task(TaskHooks, Deferring, TaskCalls, TypedSubmits[P], Generic[P, R]):
    """A function with a name under which workers know it.

    - `name`: a stable string, by default the function's own name; the journal holds it. A worker that has another
      function under that name does not run the task's messages, unless both sides give the name explicitly.
    - `aliases`: its former names, for tasks that still wait under them: old names of a function in the same place, and
      old places of the function, as `module:qualname`.
    - `timeout`: how long a run may take, in ms or as a `timedelta`. `max_retries`: how many attempts may follow the
      first one; None for no limit.
    - `backoff`: the wait between attempts, from the failure; None for no wait.
    - `result_store`, `status_tracker`: attributes for the task's own code. Results and statuses are kept without them.
    - `mechanism`: "thread", "process" or "async"; None for "async" if the function is a coroutine function, else
      "thread". Coroutine functions require "async"; other functions require "thread" or "process".
    - `serializer`: writes its arguments and results; None for that of the broker, which is JSON unless given.
    - `large_results`: a result that does not fit an event fails the task ("refuse"), or is "split" over several, up to
      `RESULT_BYTES_MAX` bytes; None for what the broker says, which is "refuse" unless given.
    - `hooks`, an attribute: the names of the hooks that its class overrides, see `TaskHooks`.

    Calling the task calls the function, in the caller's process, and submits nothing.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, R]

    def __init__(
        self,
        function: Callable[P, R],
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
    ) -> None:
        timeout = milliseconds(timeout)
        check_task(function, name, timeout, max_retries, backoff)
        check_readers(result_store, status_tracker)
        mechanism = checked_mechanism(function, mechanism)
        functools.update_wrapper(self, function)  # so that Sphinx, inspect and frameworks see the function
        if mechanism == "async":
            mark_coroutine_function(self)
        self.function = function
        self.broker = broker
        self.serializer = broker.serializer if serializer is None else checked_serializer(serializer)
        self.large_results = checked_large_results(large_results or broker.large_results)
        self._name = name or function.__name__
        self.function_name = function_name(function)
        self.named = name is not None
        self.aliases = checked_aliases(aliases)
        self.accepts = accepted_functions(self._name, self.function_name, self.aliases, named=self.named)
        self.queue = queue or QUEUE_DEFAULT
        self.timeout = timeout
        self.max_retries = max_retries
        self.backoff = backoff if backoff is not None else NO_BACKOFF
        self.result_store = result_store
        self.status_tracker = status_tracker
        self.mechanism = mechanism
        self.no_positional_args = no_positional_args
        self.home: str | None = None  # the module in which a worker found it; None if it was given as an object
        self.takes_message = takes_message(function)
        self._signature = Signature(function, "message" if self.takes_message else None)
        self._types = ArgumentTypes(function if type(self).op is Task.op else None, self._name)
        self._backoff_settings = None if self.backoff == ExponentialBackoff() else self.backoff.settings
        self.hooks = overridden(self, Task)
        self.hooks_around_run = not AROUND_RUN.isdisjoint(self.hooks)
        self.uses_message = self.takes_message or self.hooks_around_run  # an overridden `op` may, too

    @property
    def name(self) -> str:
        """The name under which workers know the task."""
        return self._name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, in the caller's process; submit nothing."""
        return self.function(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., R]: ...

    def __get__(self, instance: object, owner: type | None = None) -> Self | Callable[..., R]:
        """Bind to an instance, as a function in a class does."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str:
        """Pickle and copy by reference, as functions are."""
        return str(getattr(self, "__qualname__", self._name))

    def __repr__(self) -> str:
        return f"Task({self._name!r}, queue={self.queue!r})"

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
    ) -> Message:
        """Make a message that runs this task with these arguments, and submit it unless `submit` is False.

        A message that was submitted is durable when this returns. In the deferred mode, see `defer`, it is not
        submitted. Durations are ms or a `timedelta`; a lower `priority` runs first.
        `summary` is shown to people; by default it is made of the message's fields. `tags` are for filters.
        `callback` is a message, or several, made by `generate(…, submit=False)`. They run one after the other when this
        one has succeeded, each with the result of the one before as its `previous_result`.
        `MessageAlreadyExistsError` if the journal holds a task of that `uuid`; then `if_exists` "ignore" submits
        nothing, and "return" returns the message of the known task. `ValidationError` for arguments that the function
        cannot be called with, or that JSON cannot hold.
        """
        check_way(if_exists, uuid)
        given, named_given = positional(self._name, args), named(self._name, kwargs)
        if submit or given or named_given:  # a message that is not submitted may get its arguments later
            self.check_arguments(given, named_given)
        message = Message(
            task_name=self._name,
            queue=queue or self.queue,
            args=given,
            kwargs=named_given,
            priority=priority,
            metadata=metadata,
            result_ttl=None if result_ttl is None else milliseconds(result_ttl),
            previous_result=previous_result,
            max_retries=self.max_retries,
            timeout=self.timeout if timeout_override is None else milliseconds(timeout_override),
            delay=0 if delay is None else milliseconds(delay),
            backoff_settings=self._backoff_settings,
            mechanism=self.mechanism,
            function=self.function_name,
            named=self.named,
            serializer="" if self.serializer is None else self.serializer.name,
            summary=summary,
            tags=tags if isinstance(tags, str) else tuple(tags),
        )
        if uuid is not None:
            message.uuid = uuid
            message.__post_init__()
        if callback is not None:
            attach(message, callback)
        if submit and not self.was_deferred():
            if ttl is not None:
                set_ttl(message, ttl)
            if uuid is None:
                self.broker.submit_made(message)
            elif (known := submit_chosen(self.broker, message, if_exists)) is not None:
                return known
            if "on_submit" in self.hooks:
                call_hook(self, "on_submit", message)
        return message

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
    ) -> Message:
        """`generate` for asyncio: the event loop is not blocked while the message becomes durable.

        If the call is cancelled, the message may or may not have been submitted. Where that matters, make the message
        by `generate(submit=False)` and await `broker.asynchronous.submit(message)`, which can be repeated.
        """
        check_way(if_exists, uuid)
        if not args and not kwargs:
            self.check_arguments([], {})  # `generate` checks no arguments of a message that may get them later
        options = (metadata, result_ttl, uuid, timeout_override, delay, previous_result, callback, queue)
        message = self.generate(args, kwargs, priority, *options, submit=False, summary=summary, tags=tags)
        if self.was_deferred():
            return message
        if ttl is not None:
            set_ttl(message, ttl)
        if uuid is None:
            await self.broker.asynchronous.submit_made(message)
        elif (known := await submit_chosen_async(self.broker, message, if_exists)) is not None:
            return known
        if "on_submit" in self.hooks:
            await await_hook(self, "on_submit", message)
        return message

    def check_arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Raise `ValidationError` if the function cannot be called with these; an overridden `op` is not checked."""
        if args and self.no_positional_args:
            raise ValidationError(f"{self._name} takes keyword arguments only, got {len(args)} positional ones")
        if type(self).op is Task.op:
            self._signature.check(args, kwargs)
        if self.serializer is not None and self.serializer.is_typed:
            self._types.check(self.serializer, args, kwargs)

    def typed(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Convert arguments in JSON's types to the parameters' types, if the serializer is typed; else return copies.

        `ValidationError` names an argument that cannot be converted to the type of its parameter.
        """
        if self.serializer is None or not self.serializer.is_typed:
            return list(args), dict(kwargs)
        return self._types.restored(self.serializer, args, kwargs)

    def restore(self, message: Message) -> None:
        """Read the arguments of a message that a serializer has written.

        `SerializationError` if this task does not have that serializer, or the arguments cannot be read.
        """
        allowed = (self.serializer, self.broker.serializer)
        serializer = reader_named(message.serializer, allowed, f"the message of {self._name}")
        read_arguments(message, serializer)
        if serializer.is_typed:
            args, kwargs = self._types.restored(serializer, message.args, message.kwargs)
            message.args, message.kwargs = tuple(args), kwargs

    def execute(self, message: Message) -> Any:
        """Run the task for a message, by `op` unless a subclass overrides this; return what `op` returns."""
        return self.op(message)

    def op(self, message: Message) -> Any:
        """Run the function for a message; the message itself is passed where the function has a parameter for it.

        Returns what the function returns; for a coroutine function, that is the coroutine.
        """
        arguments: dict[str, Any] = message.kwargs
        if self.takes_message and "message" not in arguments:
            arguments = {**arguments, "message": message}
        return self.function(*message.args, **arguments)

    def do_retry(self, message: Message, exception: BaseException) -> bool:
        """Return whether a failed message gets another attempt; subclasses may override this."""
        return message.max_retries is None or message.retries < message.max_retries

    def retry_at(self, message: Message) -> float:
        """Return when a message that failed now may run again, in seconds since the epoch."""
        return time.time() + message.backoff.get(message.retries + 1) / 1_000
