"""Ends the waits of all tails when the service stops."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class Waits:
    """Waits that end early once `stopping` is set."""

    def __init__(self, stopping: anyio.Event) -> None:
        self._stopping = stopping
        self._scopes: set[anyio.CancelScope] = set()
        self._watch: asyncio.Task[None] | None = None

    @contextmanager
    def one(self) -> Iterator[None]:
        """A wait that ends early, without an error, when the service stops."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._end_all(), name="journeyman-log-waits")
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    async def _end_all(self) -> None:
        await self._stopping.wait()
        for scope in list(self._scopes):
            scope.cancel()
