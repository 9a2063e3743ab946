"""Prefetches the records of some partitions from one long answer; if it breaks off, a new request continues there.

Behind a proxy that buffers whole answers, the stream polls instead: it requests short answers, one after the other.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Protocol
from urllib.parse import quote

from ..cursor import Behind, Cursor
from ..errors import JournalError
from ..log import Page
from .connection import Connection, backoff, may_pass
from .limits import AHEAD_BYTES_MAX, FIRST_FRAME_SECONDS_MAX, FRAME_BYTES, POLL_SECONDS
from .problems import error_from
from .wire import Failed, Here, Lines, Rows, Unframing, page_of_frame


class StreamOwner(Protocol):
    """The part of a log that its streams use."""

    polls: bool
    """Whether the records are asked for by short answers."""

    def heard(self, error: Exception | None) -> None:
        """Note that the service has answered, or why it does not."""

    def reached(self, partition: int, offset: int) -> None:
        """Note that a partition has reached an offset."""


class Stream:
    """The records behind a cursor, in the partitions it names, in order of arrival."""

    def __init__(self, owner: StreamOwner, connection: Connection, cursor: Mapping[int, int]) -> None:
        self.fetched: dict[int, int] = dict(cursor)  # in each partition the offset behind the last record fetched
        self.caught_up = False  # whether there were no more records when the service looked last
        # Whether all partitions have had a chance to come: their turns begin then, or the first would have all of them.
        self.settled = len(cursor) < 2
        self.error: Exception | None = None
        self._owner = owner
        self._connection = connection
        self._behind: dict[int, Lines | Rows] = {}
        self._given = cursor
        self._frames: dict[int, deque[Lines | Rows | Page]] = {}  # by partition, the one whose turn is next first
        self._bytes = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="journeyman-http-stream")

    # -- for its reader ------------------------------------------------------------------------------------------------

    def take(self, offsets: Mapping[int, int], limit: int) -> Page | None:
        """Return the next at most `limit` records at or behind `offsets`; None if none has arrived.

        The partitions take turns, so that none starves.
        """
        while self._frames:
            partition, waiting = next(iter(self._frames.items()))
            del self._frames[partition]
            wanted = offsets[partition]
            page = self._cut(waiting, wanted, limit)
            if waiting:
                self._frames[partition] = waiting
            if page is not None:
                break
        else:
            page = None
        if self._bytes <= AHEAD_BYTES_MAX:
            self._room.set()
        return page

    def _cut(self, waiting: deque[Lines | Rows | Page], wanted: int, limit: int) -> Page | None:
        """Take at most `limit` records from `wanted` on off the first frame that reaches so far."""
        while waiting:
            first = waiting.popleft()
            if not isinstance(first, Page):
                self._bytes -= _size_of(first)
            if _end_of(first) <= wanted:
                continue
            partition, offsets, rows = first if isinstance(first, Page) else page_of_frame(first)
            start = 0
            while offsets[start] < wanted:  # skipped by the reader, as a rule none or few
                start += 1
            if len(rows) - start > limit:
                waiting.appendleft(Page(partition, offsets[start + limit :], rows[start + limit :]))
            elif start == 0:
                return Page(partition, offsets, rows)
            return Page(partition, offsets[start : start + limit], rows[start : start + limit])
        return None

    async def changed(self, seconds: float | None) -> None:
        """Wait until something has arrived or an error has come, at most so many seconds."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def wake(self) -> None:
        """End the wait of its reader."""
        self._changed.set()

    async def aclose(self) -> None:
        """Stop fetching."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    def leave(self) -> None:
        """Stop fetching, without waiting for it."""
        self._task.cancel()

    # -- fetching ------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        attempt = 0
        while True:
            before = dict(self.fetched)
            try:
                await self._receive()
                self._owner.heard(None)
                attempt = attempt + 1 if self.fetched == before and not self._owner.polls else 0
            except Exception as error:
                if not may_pass(error):
                    self.error = error if isinstance(error, JournalError | ValueError) else _unexpected(error)
                    self._changed.set()
                    return
                self._owner.heard(error)
                attempt = 0 if self.fetched != before else attempt + 1
            self.caught_up = self.caught_up and self._owner.polls
            if attempt:
                await asyncio.sleep(backoff(attempt))

    async def _receive(self) -> None:
        """Receive one answer, to its end."""
        polls = self._owner.polls
        path = f"/log/tail?cursor={quote(str(self._cursor()), safe=':,')}" + (
            f"&poll={POLL_SECONDS:g}" if polls else ""
        )
        unframing = Unframing()
        patience = FIRST_FRAME_SECONDS_MAX + (POLL_SECONDS if polls else 0.0)
        try:
            async with asyncio.timeout(patience) as first, self._connection.streaming(path) as chunks:
                await self._receive_from(chunks, unframing, first)
        except TimeoutError:
            # The service, or something before it, took the request and says nothing: try the other way.
            self._owner.polls = not polls

    async def _receive_from(self, chunks: AsyncIterator[bytes], unframing: Unframing, first: asyncio.Timeout) -> None:
        async for chunk in chunks:
            for frame in unframing.feed(chunk):
                if first.when() is not None:
                    first.reschedule(None)
                    self._owner.heard(None)
                if isinstance(frame, Failed):
                    raise error_from(frame.problem, 500, self._connection.place)
                if isinstance(frame, Here):
                    self._note_here(frame)
                else:
                    self._keep(frame)
                self._changed.set()
            while self._bytes > AHEAD_BYTES_MAX:
                self._room.clear()
                await self._room.wait()

    def _keep(self, frame: Lines | Rows) -> None:
        end = _end_of(frame)
        if end <= self.fetched[frame.partition]:
            return
        self.fetched[frame.partition] = end
        self._behind[frame.partition] = frame
        self._frames.setdefault(frame.partition, deque()).append(frame)
        self._bytes += _size_of(frame)
        self.settled = self.settled or len(self._frames) == len(self.fetched) or self._bytes > FRAME_BYTES
        self._owner.reached(frame.partition, end)

    def _note_here(self, frame: Here) -> None:
        for partition, offset in frame.offsets.items():
            if offset > self.fetched.get(partition, offset):
                self.fetched[partition] = offset
                self._behind.pop(partition, None)
        self.caught_up = bool(frame.offsets)
        self.settled = self.settled or self.caught_up

    def _cursor(self) -> Cursor:
        """Where to go on, with the events before it, so that the service notices that its journal was replaced."""
        behind: dict[int, Behind] = dict(self._given.marks) if isinstance(self._given, Cursor) else {}
        for partition, frame in self._behind.items():
            row = frame.lines.rsplit(b"\n", 1)[-1] if isinstance(frame, Lines) else frame.rows[-1]
            behind[partition] = (_end_of(frame) - 1, row)
        return Cursor(self.fetched, behind)


def _end_of(frame: Lines | Rows | Page) -> int:
    return frame.first + frame.count if isinstance(frame, Lines) else frame.offsets[-1] + 1


def _size_of(frame: Lines | Rows) -> int:
    return len(frame.lines) if isinstance(frame, Lines) else sum(map(len, frame.rows))


def _unexpected(error: Exception) -> JournalError:
    return JournalError(f"a reader of the journal service failed: {type(error).__name__}: {error}")
