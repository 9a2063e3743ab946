"""Checks of the arguments of which a task is made, and the facts that follow from its function."""

import inspect
from collections.abc import Callable
from typing import Any, Final

from .backoff import Backoff
from .errors import ValidationError
from .message import Message
from .message_fields import is_whole
from .results import ResultStore
from .status import StatusTracker

MECHANISMS: Final = ("async", "thread", "process")


def takes_message(function: Callable[..., Any]) -> bool:
    """Return whether the function has a parameter `message` for the message: unannotated, or annotated `Message`."""
    parameter = inspect.signature(function).parameters.get("message")
    return parameter is not None and parameter.annotation in (inspect.Parameter.empty, Message, "Message")


def check_task(function: object, name: object, timeout: object, max_retries: object, backoff: object) -> None:
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


def check_readers(result_store: object, status_tracker: object) -> None:
    """Raise `ValidationError` if these are not what a synchronous program reads results and statuses with."""
    for name, given, kind in (
        ("result_store", result_store, ResultStore),
        ("status_tracker", status_tracker, StatusTracker),
    ):
        if not (given is None or isinstance(given, kind)):
            raise ValidationError(f"{name} is a {kind.__name__}, or None, got {given!r:.80}")


def checked_mechanism(function: Callable[..., Any], mechanism: str | None) -> str:
    """Return the mechanism that runs the function; `ValidationError` if it cannot."""
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
