"""A task: a function that workers run, and how it is run. `@task` makes one."""

import functools
import inspect
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, Self, TypeVar, Unpack, overload

from .aliases import accepted_functions, checked_aliases
from .arguments import Signature, named, positional
from .backoff import NO_BACKOFF, Backoff, ExponentialBackoff
from .broker import Broker
from .chosen_ids import IfExists, check_way, submit_chosen, submit_chosen_async
from .errors import ValidationError
from .function_names import function_name, mark_coroutine_function
from .large_results import LargeResults, checked_large_results
from .limits import MAX_RETRIES_DEFAULT, TASK_TIMEOUT_MS_DEFAULT
from .message import Message
from .message_encoding import read_arguments
from .message_fields import is_whole
from .serializers import AnySerializer, checked_serializer, reader_named
from .state.names import QUEUE_DEFAULT
from .task_options import ScheduleOptions, TaskOptions
from .typed_arguments import ArgumentTypes

if TYPE_CHECKING:
    from .trigger_task import TriggerTask

P = ParamSpec("P")
R = TypeVar("R")

MECHANISMS: Final = ("async", "thread", "process")


class Task(Generic[P, R]):
    """A function with a name under which workers know it.

    - `name`: a stable string, the function's own name if None; it is written into the journal. A worker that has
      another function under that name does not run its messages, unless both sides give the name.
    - `aliases`: its former names, for tasks that still wait under them: old names of a function in the same place, and
      old places of the function, as `module:qualname`.
    - `timeout`: ms a run may take. `max_retries`: further attempts after the first; None for no end.
    - `backoff`: the wait between attempts, from the failure; None for no wait.
    - `mechanism`: "thread", "process" or "async"; None for "async" if the function is a coroutine function, else
      "thread". Coroutine functions require "async", other functions one of the others.
    - `serializer`: writes its arguments and results; None for that of the broker, which is JSON unless given.
    - `large_results`: a result that does not fit an event fails the task ("refuse"), or is "split" over several, up to
      `RESULT_BYTES_MAX` bytes; None for what the broker says, which is "refuse" unless given.
    - Calling the task calls the function, here and now.
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
        timeout: int = TASK_TIMEOUT_MS_DEFAULT,
        max_retries: int | None = MAX_RETRIES_DEFAULT,
        backoff: Backoff | None = None,
        mechanism: str | None = None,
        *,
        no_positional_args: bool = False,
        aliases: Sequence[str] = (),
        serializer: AnySerializer | None = None,
        large_results: LargeResults | None = None,
    ) -> None:
        _check(function, name, timeout, max_retries, backoff)
        mechanism = _checked_mechanism(function, mechanism)
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
        self.mechanism = mechanism
        self.no_positional_args = no_positional_args
        self.home: str | None = None  # the module in which it was found, where it was looked for
        self.takes_message = _takes_message(function)
        self._signature = Signature(function, "message" if self.takes_message else None)
        self._types = ArgumentTypes(function if type(self).op is Task.op else None, self._name)
        self._backoff_settings = None if self.backoff == ExponentialBackoff() else self.backoff.settings

    @property
    def name(self) -> str:
        """The name under which workers know it."""
        return self._name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, here and now."""
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
        uuid: str | None = None,
        timeout_override: int | None = None,
        delay: int | None = None,
        queue: str | None = None,
        *,
        submit: bool = True,
        if_exists: IfExists = "raise",
    ) -> Message:
        """Make a message that runs this task with these arguments, and submit it unless `submit` is False.

        When this returns the message is durable. `delay` and `timeout_override` in ms; a lower `priority` runs first.
        `MessageAlreadyExistsError` for a `uuid` of which the journal holds a task; with `if_exists` "ignore" nothing is
        submitted then, and with "return" the message of the known task is returned. `ValidationError` for arguments
        that the function cannot be called with, or that JSON cannot hold.
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
            max_retries=self.max_retries,
            timeout=timeout_override if timeout_override is not None else self.timeout,
            delay=delay or 0,
            backoff_settings=self._backoff_settings,
            mechanism=self.mechanism,
            function=self.function_name,
            named=self.named,
            serializer="" if self.serializer is None else self.serializer.name,
        )
        if uuid is not None:
            message.uuid = uuid
            message.__post_init__()
        if submit:
            if uuid is None:
                self.broker.submit_made(message)
            elif (known := submit_chosen(self.broker, message, if_exists)) is not None:
                return known
        return message

    async def generate_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        priority: int = 0,
        metadata: dict[str, Any] | None = None,
        uuid: str | None = None,
        timeout_override: int | None = None,
        delay: int | None = None,
        queue: str | None = None,
        *,
        if_exists: IfExists = "raise",
    ) -> Message:
        """`generate` for asyncio: the loop goes on while the message becomes durable.

        If it is cancelled the message may have been submitted. Where that matters make it by `generate(submit=False)`
        and await `broker.asynchronous.submit(message)`, which can be repeated.
        """
        check_way(if_exists, uuid)
        if not args and not kwargs:
            self.check_arguments([], {})  # `generate` checks no arguments of a message that may get them later
        message = self.generate(args, kwargs, priority, metadata, uuid, timeout_override, delay, queue, submit=False)
        if uuid is None:
            await self.broker.asynchronous.submit(message, new=True)
            return message
        return await submit_chosen_async(self.broker, message, if_exists) or message

    def check_arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """`ValidationError` if the function cannot be called with these; another `op` may use them in other ways."""
        if args and self.no_positional_args:
            raise ValidationError(f"{self._name} takes keyword arguments only, got {len(args)} positional ones")
        if type(self).op is Task.op:
            self._signature.check(args, kwargs)
        if self.serializer is not None and self.serializer.is_typed:
            self._types.check(self.serializer, args, kwargs)

    def typed(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return arguments in JSON's types as values of the parameters' types, if the serializer goes by these.

        `ValidationError` names an argument that is none of its type.
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

    def op(self, message: Message) -> Any:
        """Run the function for a message; the message itself is passed where the function has a parameter for it.

        Returns what the function returns; of a coroutine function, the coroutine.
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


@overload
def task(
    broker: Broker,
    name: str | None = ...,
    queue: str | None = ...,
    timeout: int = ...,
    max_retries: int | None = ...,
    backoff: Backoff | None = ...,
    mechanism: str | None = ...,
    *,
    trigger: Any,
    **options: Unpack[ScheduleOptions],
) -> "Callable[[Callable[P, R]], TriggerTask[P, R]]": ...


@overload
def task(
    broker: Broker,
    name: str | None = ...,
    queue: str | None = ...,
    timeout: int = ...,
    max_retries: int | None = ...,
    backoff: Backoff | None = ...,
    mechanism: str | None = ...,
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(
    broker: Broker,
    name: str | None = None,
    queue: str | None = None,
    timeout: int = TASK_TIMEOUT_MS_DEFAULT,
    max_retries: int | None = MAX_RETRIES_DEFAULT,
    backoff: Backoff | None = ExponentialBackoff(),  # noqa: B008 - immutable in use, and the reference's default
    mechanism: str | None = None,
    *,
    no_positional_args: bool = False,
    aliases: Sequence[str] = (),
    serializer: AnySerializer | None = None,
    large_results: LargeResults | None = None,
    base_task: type[Task[Any, Any]] | None = None,
    trigger: Any = None,
    misfire: str | None = None,
    grace_ms: int | timedelta | None = None,
    overlap: str | None = None,
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a task; the parameters are those of `Task`, `base_task` a subclass of it.

    With a `trigger` it is a `TriggerTask`, and `misfire`, `grace_ms` and `overlap` are its parameters.
    """
    if not isinstance(broker, Broker):
        raise ValidationError(
            f"@task takes the broker that submits the task's messages, got {broker!r:.80}. Write @task(broker) above "
            "the function, with a Broker(…) made before"
        )

    scheduling = {
        name: value for name, value in (("misfire", misfire), ("grace_ms", grace_ms), ("overlap", overlap)) if value
    }
    base: Callable[..., Task[Any, Any]] = base_task or Task
    if trigger is not None:
        from .trigger_task import with_trigger

        base = with_trigger(trigger, base_task)
    elif scheduling:
        raise ValidationError(f"{', '.join(scheduling)} are settings of a schedule: give the task a trigger, too")

    def wrapper(function: Callable[P, R]) -> Task[P, R]:
        return base(
            function,
            broker,
            name,
            queue,
            timeout,
            max_retries,
            backoff,
            mechanism,
            no_positional_args=no_positional_args,
            **({"aliases": aliases} if aliases else {}),  # a subclass may not take them
            **({"serializer": serializer} if serializer is not None else {}),
            **({"large_results": large_results} if large_results is not None else {}),
            **scheduling,
        )

    return wrapper


def _takes_message(function: Callable[..., Any]) -> bool:
    """Return whether the function has a parameter `message` for the message: unannotated, or annotated `Message`."""
    parameter = inspect.signature(function).parameters.get("message")
    return parameter is not None and parameter.annotation in (inspect.Parameter.empty, Message, "Message")


def _check(function: object, name: object, timeout: object, max_retries: object, backoff: object) -> None:
    """Raise `ValidationError` for arguments of which no task can be made."""
    if not callable(function):
        raise ValidationError(f"a task is made of a function, got {function!r:.80}")
    if not (name or hasattr(function, "__name__")):
        raise ValidationError(f"{function!r:.80} has no name under which workers could know it: give it one by name=…")
    if not (name is None or isinstance(name, str)):
        raise ValidationError(f"the name of a task is a string, got {name!r:.80}")
    if not is_whole(timeout) or not timeout > 0:
        raise ValidationError(f"timeout is a whole number of ms, more than 0, got {timeout!r:.80}")
    if max_retries is not None and (not is_whole(max_retries) or max_retries < 0):
        raise ValidationError(f"max_retries is a whole number from 0 up, or None for no end, got {max_retries!r:.80}")
    if not (backoff is None or isinstance(backoff, Backoff)):
        raise ValidationError(
            f"backoff is a Backoff, such as ConstantBackoff(5_000), or None for no wait, got {backoff!r:.80}"
        )


def _checked_mechanism(function: Callable[..., Any], mechanism: str | None) -> str:
    is_coroutine = inspect.iscoroutinefunction(function)
    if mechanism is None:
        return "async" if is_coroutine else "thread"
    if mechanism not in MECHANISMS:
        raise ValidationError(f"mechanism is one of {', '.join(MECHANISMS)}, got {mechanism!r}")
    if (mechanism == "async") != is_coroutine:
        named = str(getattr(function, "__qualname__", function))
        raise ValidationError(
            f"mechanism={mechanism!r} requires {'an ordinary function' if is_coroutine else 'a coroutine function'}; "
            f"{named:.80} is {'a coroutine function (async def)' if is_coroutine else 'not one (no async def)'}"
        )
    return mechanism
