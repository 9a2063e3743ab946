"""Check the callbacks given to `set_callback`, and call them, in threads and in event loops."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, cast

from .event import JournalEventBase


class Callback(NamedTuple):
    """A function, and its arguments after the event."""

    function: Callable[..., object]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def call(self, event: JournalEventBase | None) -> None:
        """Call it; `TypeError` if it returned an awaitable."""
        result = self.function(event, *self.args, **self.kwargs)
        if result is not None and (inspect.isawaitable(result) or inspect.isasyncgen(result)):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError(_refusal(self.function, "returned an awaitable, which this consumer does not await"))

    async def call_and_await(self, event: JournalEventBase | None) -> None:
        """Call it, and await the result if it is awaitable."""
        result = self.function(event, *self.args, **self.kwargs)
        if result is not None and inspect.isawaitable(result):
            await cast("Awaitable[object]", result)


def checked_callback(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any], *, in_loop: bool
) -> Callback:
    """Return the callback; `TypeError` if it is not callable, or a kind of function whose body would never run."""
    if not callable(function):
        raise TypeError(f"a callback is called with each event; got {function!r:.80}, which is not callable")
    if _is(function, inspect.isasyncgenfunction) or _is(function, inspect.isgeneratorfunction):
        raise TypeError(
            f"a callback is called with each event; {function!r:.80} is a generator function, whose body a call does "
            "not run: remove the yield, or iterate over the consumer instead"
        )
    if not in_loop and _is(function, inspect.iscoroutinefunction):
        raise TypeError(_refusal(function, "is a coroutine function, which this consumer does not await"))
    return Callback(function, args, kwargs)


def _is(function: object, kind: Callable[[Any], bool]) -> bool:
    """Whether a function is of this kind, also inside a `partial` or as the `__call__` of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return kind(function) or (not inspect.isclass(function) and kind(_call_of(type(function))))


def _call_of(kind: type) -> object:
    """Return the `__call__` that a class or its bases define; None if none does."""
    return next((vars(each)["__call__"] for each in kind.__mro__ if "__call__" in vars(each)), None)


def _refusal(function: object, what: str) -> str:
    return (
        f"the callback {function!r:.80} {what}: use AsyncJournalConsumer, whose set_callback() awaits it, or give a "
        "plain function"
    )
