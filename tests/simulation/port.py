"""The simulated log as one process has it: the port that the product's journal speaks to."""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from journeyman.journal.cursor import Cursor
from journeyman.journal.errors import AppendInDoubt, EventConflict, JournalUnavailable
from journeyman.journal.event import Draft, Event
from journeyman.journal.limits import PAGE_EVENTS
from journeyman.journal.log import Bounds, Page
from journeyman.journal.memory.snapshots import MemorySnapshots

if TYPE_CHECKING:
    from .stage import Member


class LogPort:
    """A log in the sense of `journal.log.Log`."""

    needs_loop = True
    url = reopening_url = "simulated://log"

    def __init__(self, worker: "Member", *, notices: bool) -> None:
        self.worker, self.world, self.log = worker, worker.world, worker.world.log
        self.notices = notices
        self.blind_until = 0.0  # until when it learns of nothing
        self._seq = 0
        self.tails: list[SimulatedTail] = []

    @property
    def partitions(self) -> int:
        """How many there are."""
        return len(self.log.partitions)

    async def open(self, *, create: bool = True) -> None:
        """It is there."""

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def partition_of(self, key: str | None) -> int:
        """See `Log`."""
        return zlib.crc32((key or "").encode()) % self.partitions

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log`."""
        self.worker.appends(drafts)
        answer: asyncio.Future[list[Event] | EventConflict | None] = self.worker.loop.create_future()

        def answered(events: list[Event] | EventConflict | None) -> None:
            if not answer.done():
                answer.set_result(events)

        self.send(drafts, answered)
        events = await answer
        if events is None:
            raise AppendInDoubt("the log has not said whether they have landed")
        if isinstance(events, EventConflict):
            raise events
        return events

    def send(self, drafts: Sequence[Draft], done: Any) -> None:
        """Append, and tell the process when it runs."""
        for draft in drafts:
            if draft.partition is None:
                draft.partition = self.partition_of(draft.key)
            if not draft.seq:
                self._seq += 1
                draft.writer, draft.seq = f"writer-{self.worker.number}", self._seq
        self.log.append(drafts, lambda events: self.worker.loop.happen(done, events))

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """See `Log`."""
        await self._reached(cursor)
        pages = []
        for partition, offset in cursor.items():
            page = self.log.page(partition, offset, limit, self.world.now)
            if page is not None:
                pages.append(page)
        return pages

    async def _reached(self, partitions: Mapping[int, int]) -> None:
        while any(self.log.away(partition) for partition in partitions):
            if self.log.refuses:
                await asyncio.sleep(self.world.random.uniform(0.001, 0.02))
                raise JournalUnavailable("the log is away")
            await asyncio.sleep(self.log.away_until - self.world.now)

    async def tail(self, cursor: Mapping[int, int]) -> "SimulatedTail":
        """See `Log`."""
        tail = NotifiedTail(self, cursor) if self.notices else SimulatedTail(self, cursor)
        self.tails.append(tail)
        return tail

    async def bounds(self) -> Bounds:
        """See `Log`."""
        ends = {partition: len(rows) for partition, rows in enumerate(self.log.partitions)}
        return Bounds(Cursor(dict.fromkeys(ends, 0)), Cursor(ends))

    async def position_at(self, timestamp: float) -> Cursor:
        """Nothing in a worker's loop asks for it."""
        raise NotImplementedError

    async def trim(self, before: Mapping[int, int]) -> None:
        """Nothing in a worker's loop asks for it."""
        raise NotImplementedError

    def snapshots(self) -> MemorySnapshots:
        """See `Log`."""
        return self.log.snapshots

    def notify(self, seconds: float) -> None:
        """In so many seconds the process learns that there is news, or that the log is back."""
        for tail in self.tails:
            self.world.after(seconds, tail.news)


class SimulatedTail:
    """A reader without notices: it waits for pages."""

    def __init__(self, port: LogPort, cursor: Mapping[int, int]) -> None:
        self._port, self._world, self._loop = port, port.world, port.worker.loop
        self._next = dict(cursor)
        self._waiting: asyncio.Future[None] | None = None

    @property
    def cursor(self) -> Cursor:
        """See `Tail`."""
        return Cursor(self._next)

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail`."""
        places = [partition] if partition is not None else sorted(self._next)
        timer = None
        while True:
            page = await self._look(limit, places)
            if page is not None:
                self._next[page.partition] = page.next_offset
            if page is not None or timeout == 0 or (timer is not None and timer.when() <= self._loop.time()):
                if timer is not None:
                    timer.cancel()
                return page
            self._waiting = self._loop.create_future()
            if timeout is not None and timer is None:
                timer = self._loop.call_later(timeout, self._arrived)
            await self._waiting

    async def _look(self, limit: int, places: Sequence[int]) -> Page | None:
        """Return a page of the visible records; the newest may become visible a little later."""
        world, log = self._world, self._port.log
        if world.now < self._port.blind_until:
            self._port.notify(self._port.blind_until - world.now)
            return None
        away = [place for place in places if log.away(place)]
        if away and log.refuses:
            await asyncio.sleep(world.random.uniform(0.001, 0.02))
            raise JournalUnavailable("the log is away")
        lag = world.random.uniform(0, 0.2) if world.faults and world.random.random() < 0.1 else 0.0
        for place in places:
            if place not in away:
                page = log.page(place, self._next[place], limit, world.now - lag)
                if page is not None:
                    return page
        if lag:
            world.after(lag, self.news)
        return None

    def skip(self, partition: int, offset: int) -> None:
        """See `Tail`."""
        self._next[partition] = max(self._next[partition], offset)

    def news(self) -> None:
        """There may be more to be seen than before."""
        if self._waiting is not None:
            self._loop.happen(self._arrived)

    def _arrived(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def aclose(self) -> None:
        """Nothing to let go of."""


class NoticeSocket:
    """Where a process receives the notices of the log."""

    def fileno(self) -> "NoticeSocket":
        """Its descriptor: the simulated loop knows the socket by itself."""
        return self

    def recv(self, *_: int) -> bytes:
        """A notice: the loop looks only when one has come."""
        return b"."

    def close(self) -> None:
        """Receive nothing more."""


class NotifiedTail(SimulatedTail):
    """A reader with notices, which may be lost."""

    _socket: NoticeSocket | None = None

    def wakeup_socket(self) -> Any:
        """See `Selectable`."""
        self._socket = NoticeSocket()
        return self._socket

    def news(self) -> None:
        """Send a notice, as a rule."""
        super().news()
        if self._socket is not None and not (self._world.faults and self._world.random.random() < 0.05):
            self._loop.readable(self._socket)
