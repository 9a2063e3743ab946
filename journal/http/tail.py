"""Follows the log behind a journal service: hands out, page by page, the records that its streams have fetched."""

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from ..cursor import Cursor
from ..deadlines import finite
from ..errors import JournalClosed, JournalError
from ..limits import PAGE_EVENTS
from ..log import Page
from .connection import Connection
from .limits import ARRIVAL_SECONDS_MAX
from .stream import Stream, StreamOwner


class TailOwner(StreamOwner, Protocol):
    """The part of its log that a tail uses."""

    def check_open(self) -> None:
        """Raise `JournalClosed` once it is closed."""

    def acknowledged(self, partition: int) -> int:
        """Return the offset behind the log's own last append to `partition`."""
        ...

    def forget(self, tail: "HttpTail") -> None:
        """Remove a closed tail."""


class HttpTail:
    """A reader of a log over HTTP; made by `HttpLog.tail`.

    One stream fetches all partitions; while single ones are asked for, each has a stream of its own, so that none waits
    for another.
    """

    def __init__(self, owner: TailOwner, connection: Connection, cursor: Mapping[int, int]) -> None:
        self._owner = owner
        self._connection = connection
        self._offsets = dict(cursor)
        self._begin: Cursor | None = Cursor(cursor)  # with its marks, until something was read
        self._streams: dict[int | None, Stream] = {}
        self._closed = False

    @property
    def cursor(self) -> Cursor:
        """The position behind the last record handed out, in each partition."""
        return Cursor(self._offsets)

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail.page`. Can return None early if only repeats have come: see `cursor`."""
        if partition is not None and partition not in self._offsets:
            raise JournalError(f"this reader follows partitions {sorted(self._offsets)}, not {partition}")
        timeout, started = finite(timeout), time.monotonic()
        while True:
            self._check_open()
            stream = self._stream(partition)
            passed = time.monotonic() - started
            if not stream.settled and stream.error is None and passed < ARRIVAL_SECONDS_MAX:
                await stream.changed(ARRIVAL_SECONDS_MAX - passed)
                continue
            page = stream.take(self._offsets, limit)
            if page is not None:
                self._offsets[page.partition] = page.next_offset
                self._begin = None
                return page
            if self._passed(stream):
                return None
            if stream.error is not None:
                self._streams = {key: each for key, each in self._streams.items() if each is not stream}
                raise stream.error
            wait = self._patience(stream, passed, timeout)
            if wait == 0.0:
                await asyncio.sleep(0)  # a caller that never waits must not starve the stream
                return None
            await stream.changed(wait)

    def _stream(self, partition: int | None) -> Stream:
        """The stream that fetches what is asked for."""
        key = partition if len(self._offsets) > 1 else None
        found = self._streams.get(key)
        if found is None:
            for other in [each for each in self._streams if (each is None) != (key is None)]:
                self._streams.pop(other).leave()
            wanted = self._offsets if key is None else {key: self._offsets[key]}
            begin = self._begin
            marks = {each: mark for each, mark in begin.marks.items() if each in wanted} if begin is not None else {}
            found = self._streams[key] = Stream(self._owner, self._connection, Cursor(wanted, marks))
        return found

    def _passed(self, stream: Stream) -> bool:
        """Move past records that are never handed out, such as repeats; whether there were any."""
        moved = False
        for partition, offset in stream.fetched.items():
            if offset > self._offsets[partition]:
                self._offsets[partition], moved = offset, True
        return moved

    def _patience(self, stream: Stream, passed: float, timeout: float | None) -> float | None:
        """How long to wait now, in seconds; None: for ever, 0: no more."""
        if timeout is None:
            return None
        if passed < timeout:
            return timeout - passed
        if passed < ARRIVAL_SECONDS_MAX and self._knows_of_more(stream):
            return ARRIVAL_SECONDS_MAX - passed
        return 0.0

    def _knows_of_more(self, stream: Stream) -> bool:
        """Whether records may exist that have not arrived: a call with timeout 0 returns these, too."""
        if not stream.fetched:
            return False
        return not stream.caught_up or any(
            self._offsets[each] < self._owner.acknowledged(each) for each in stream.fetched
        )

    def skip(self, partition: int, offset: int) -> None:
        """See `Tail.skip`."""
        self._offsets[partition] = max(self._offsets[partition], offset)

    def trimmed(self, before: Mapping[int, int]) -> None:
        """Drop fetched records that were removed from the log, so that the reader announces their removal."""
        if any(self._offsets.get(partition, first) < first for partition, first in before.items()):
            for stream in self._streams.values():
                stream.leave()
            self._streams.clear()

    def wake(self) -> None:
        """End a wait, so that its caller notices that the log is closed."""
        for stream in self._streams.values():
            stream.wake()

    def _check_open(self) -> None:
        self._owner.check_open()
        if self._closed:
            raise JournalClosed("this reader of the journal service is closed; create another")

    def leave_to_parent(self) -> None:
        """Mark this reader closed in a forked child: its streams belong to the parent."""
        self._closed = True

    async def aclose(self) -> None:
        """Stop fetching; closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._owner.forget(self)
            self.wake()
            streams, self._streams = self._streams, {}
            for stream in streams.values():
                await stream.aclose()
