"""Holds what all readers of events share: the channels of live events, and the signal that the service stops."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, Self

import anyio
from anyio.abc import TaskGroup

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ..backend import Backend
from ..limits import READER_LOOK_SECONDS, READER_STALL_SECONDS
from .channel import Channel
from .known_keys import KnownKeys
from .selection import EventSelection, Reading


class Reader(Protocol):
    """A connected reader; `taking_since` is when it was sent something that it has not taken, None if nothing."""

    taking_since: float | None

    def disconnect(self) -> None:
        """End the connection at once: its reader takes nothing."""
        ...

    async def stop(self) -> None:
        """End the answer because the service stops."""
        ...


class Hub:
    """The channels and the readers of a running service."""

    def __init__(self, backend: Backend) -> None:
        self.journal: AsyncJournal = backend.journal
        self.stopping = backend.stopping
        self.readers: set[Reader] = set()
        self.channels: dict[tuple[str, str | None], Channel] = {}
        self._opening = anyio.Lock()
        backend.shared_readers = lambda: sum(max(0, each.readers - 1) for each in self.channels.values())
        self._tasks: TaskGroup | None = None
        self._known_keys: KnownKeys | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Serve readers until the context ends."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._end_with_service)
            tasks.start_soon(self._watch_for_stalls)
            try:
                yield self
            finally:
                tasks.cancel_scope.cancel()

    async def _end_with_service(self) -> None:
        await self.stopping.wait()
        for channel in self.channels.values():
            channel.end()
        for reader in tuple(self.readers):
            await reader.stop()

    async def _watch_for_stalls(self) -> None:
        """Disconnect the readers that take nothing: what they were sent would wait for ever."""
        while True:
            await anyio.sleep(READER_LOOK_SECONDS)
            self._disconnect_stalled(time.monotonic() - READER_STALL_SECONDS)

    def _disconnect_stalled(self, oldest: float) -> None:
        # A function of its own: a loop's variable in the watch would keep its last reader until the next look.
        for reader in tuple(self.readers):
            if reader.taking_since is not None and reader.taking_since < oldest:
                reader.disconnect()

    def known_keys(self) -> KnownKeys:
        """Return the idempotency keys of the log; the first call begins to follow it."""
        if self._known_keys is None:
            assert self._tasks is not None, "requests come while the service runs"
            self._known_keys = KnownKeys(self.journal)
            self._tasks.start_soon(self._known_keys.run)
        return self._known_keys

    async def channel(self, selection: EventSelection, cursor: Cursor) -> Channel:
        """Return the channel for a reader at `cursor`; open it there if there is none."""
        which = (selection.topic, selection.key)
        async with self._opening:
            channel = self.channels.get(which)
            if channel is None or channel.over:
                assert self._tasks is not None, "requests come while the service runs"
                reading = Reading(self.journal, EventSelection(selection.topic, selection.key, cursor=cursor))
                channel = Channel(reading, cursor)
                await self._tasks.start(channel.run)
                self.channels[which] = channel
            return channel

    def leave(self, channel: Channel) -> None:
        """Remove a reader from a channel; the last one ends the channel."""
        channel.leave()
        if channel.over:
            for which in [which for which, each in self.channels.items() if each is channel]:
                del self.channels[which]
