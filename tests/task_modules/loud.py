"""A decorator that hides which function it wraps, as one without functools.wraps does."""

from collections.abc import Callable
from typing import Any


def loud(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper whose module is this one."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs).upper()

    return wrapper
