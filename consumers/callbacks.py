"""Callbacks: what `set_callback` takes, and the call itself, in threads and in event loops."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, cast

from .event import JournalEventBase


class Callback(NamedTuple):
    """A function, and what it is called with after the event."""

    function: Callable[..., object]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def call(self, event: JournalEventBase | None) -> None:
        """Call it; `TypeError` if it turns out to have returned something that would have to be awaited."""
        result = self.function(event, *self.args, **self.kwargs)
        if result is not None and (inspect.isawaitable(result) or inspect.isasyncgen(result)):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError(_refusal(self.function, "returned something to be awaited, which nothing here awaits"))

    async def call_and_await(self, event: JournalEventBase | None) -> None:
        """Call it, and await what it returns if that can be awaited."""
        result = self.function(event, *self.args, **self.kwargs)
        if result is not None and inspect.isawaitable(result):
            await cast("Awaitable[object]", result)


def checked_callback(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any], *, in_loop: bool
) -> Callback:
    """The callback; `TypeError` if it cannot be called, or is a kind of function that nothing would ever run."""
    if not callable(function):
        raise TypeError(f"a callback is called with each event; got {function!r:.80}, which cannot be called")
    if _is(function, inspect.isasyncgenfunction) or _is(function, inspect.isgeneratorfunction):
        raise TypeError(
            f"a callback is called with each event; {function!r:.80} is a generator function, and calling it runs "
            "none of it: leave out the yield, or iterate over the consumer instead"
        )
    if not in_loop and _is(function, inspect.iscoroutinefunction):
        raise TypeError(_refusal(function, "is a coroutine function, and nothing here would await it"))
    return Callback(function, args, kwargs)


def _is(function: object, kind: Callable[[Any], bool]) -> bool:
    """Whether a function is of this kind, also inside a `partial` or as the `__call__` of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return kind(function) or (not inspect.isclass(function) and kind(_call_of(type(function))))


def _call_of(kind: type) -> object:
    """The `__call__` that objects of this class have; None if they have none of Python code."""
    return next((vars(each)["__call__"] for each in kind.__mro__ if "__call__" in vars(each)), None)


def _refusal(function: object, what: str) -> str:
    return (
        f"the callback {function!r:.80} {what}: use AsyncJournalConsumer, whose set_callback() awaits it, or give a "
        "plain function"
    )
