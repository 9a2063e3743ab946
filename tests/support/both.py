"""Call an object for synchronous code, or its sibling for asyncio, in one test."""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any


class Both:
    """Passes calls on to an object; a coroutine is run to its end, and what is iterated over is collected."""

    def __init__(self, called: Any) -> None:
        self._called = called

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._called, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return settled(method(*args, **kwargs))

        return call


def settled(value: Any) -> Any:
    """The value that was awaited for or iterated over; any other value as it is."""
    if inspect.iscoroutine(value):
        return asyncio.run(value)
    if inspect.isasyncgen(value):

        async def collected() -> list[Any]:
            return [each async for each in value]

        return asyncio.run(collected())
    return list(value) if isinstance(value, Iterator) else value
