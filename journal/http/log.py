"""Implement the log behind a journal service, for processes that cannot reach the log itself.

The service passes each call on to its own log and decides nothing; `docs/service-log.md` describes the protocol.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from ..append_counts import AppendCounts
from ..cursor import Cursor
from ..errors import JournalError, JournalGone, JournalUnavailable
from ..event import Draft, Event
from ..limits import PAGE_EVENTS
from ..log import Bounds, Page, check_cursor
from ..loop_bound import check_usable
from ..runtime.forks import reset_after_fork
from ..runtime.portal import keep_for_ever
from ..snapshots import SnapshotStore
from ..state_directory import index_path
from ..timeline import Fall
from .address import Address
from .appends import Appends
from .connection import Connection
from .limits import OPEN_SECONDS_MAX, WARNING_SECONDS
from .partitioning import hash_named
from .problems import error_from
from .reached import Reached
from .snapshots import HttpSnapshots
from .tail import HttpTail
from .wire import (
    VERSION,
    Bounded,
    BrokenFrame,
    Description,
    Failed,
    FallSeen,
    Here,
    Position,
    Unframing,
    cursor_text,
    page_of_frame,
)

logger = logging.getLogger("journeyman")

_description: Final = msgspec.json.Decoder(Description)
_bounds: Final = msgspec.json.Decoder(Bounded)
_position: Final = msgspec.json.Decoder(Position)
_falls: Final = msgspec.json.Decoder(list[FallSeen])


class _Opened(NamedTuple):
    """The parts of an open log."""

    description: Description
    connection: Connection
    appends: Appends
    reached: Reached


class HttpLog:
    """A log behind a journal service. It belongs to the event loop it is opened in. `url` is shown: without the key."""

    needs_loop = True
    falls: Callable[[], Awaitable[Sequence[Fall]]]
    """See `OneClock.falls`; there only if the log behind the service has one clock."""

    def __init__(self, address: Address, *, url: str | None = None) -> None:
        self.url = url or address.base
        self.polls = False
        self._address = address
        self._state: _Opened | None = None
        self._tails: set[HttpTail] = set()
        self._opening = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._is_parents = False
        self._broken: JournalGone | None = None
        self._away_since: float | None = None
        self._has_warned = False
        reset_after_fork(self)

    @property
    def partitions(self) -> int:
        """The number of partitions of the log behind the service; known once opened."""
        return self._opened.description.partitions

    @property
    def end_may_lag(self) -> bool:
        """See `Lagging.end_may_lag`: as of the log behind the service."""
        return self._opened.description.end_may_lag

    @property
    def append_counts(self) -> AppendCounts:
        """See `Counting.append_counts`."""
        return self._opened.appends.counts

    async def open(self, *, create: bool = True) -> None:
        """Ask the service to describe its log; `JournalUnavailable` if it cannot be reached. `create` is ignored."""
        self.check_open()
        async with self._opening:
            if self._state is not None:
                return
            self._loop = asyncio.get_running_loop()
            connection = Connection(self._address)
            try:
                answer = await connection.asked("GET", "/log", patience=OPEN_SECONDS_MAX)
                description = self._described(answer)
                connection.expect(description.identity)
                ends = _bounds.decode(await connection.asked("GET", "/log/bounds", patience=OPEN_SECONDS_MAX))
            except BaseException:
                await connection.aclose()
                raise
            reached = Reached(Cursor.parse(ends.end))
            appends = Appends(
                connection, description.partitions, hash_named(description.partitioner), reached, self._break
            )
            self._state = _Opened(description, connection, appends, reached)
            if description.one_clock:
                self.falls = self._falls

    def _described(self, answer: bytes) -> Description:
        try:
            description = _description.decode(answer)
        except msgspec.MsgspecError as error:
            raise JournalUnavailable(
                f"what answers at {self._address.base} is no journal service ({error}): correct the address"
            ) from None
        if description.version != VERSION:
            raise JournalUnavailable(
                f"the journal service at {self._address.place} speaks version {description.version} of the log's wire, "
                f"this program {VERSION}: use the same version of Journeyman on both sides"
            )
        return description

    def partition_of(self, key: str | None) -> int:
        """The partition of a key, as the log behind the service assigns it; without a key, the writer's."""
        return self._opened.appends.partition_of(key)

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log.append`. Waits for the service at most `APPEND_SECONDS_MAX`; after that the append stays queued.

        Back-pressure: raises `JournalUnavailable`, with nothing sent, when too many bytes are queued already.
        """
        self.check_open()
        return await self._opened.appends.append(drafts)

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """See `Log.read`."""
        self.check_open()
        check_cursor(cursor, self.partitions)
        if not cursor:
            return []
        connection = self._opened.connection
        answer = await connection.asked("GET", f"/log/read?cursor={cursor_text(cursor)}&limit={limit}")
        pages: list[Page] = []
        unframing = Unframing()
        for frame in unframing.feed(answer):
            if isinstance(frame, Failed):
                raise error_from(frame.problem, 500, connection.place)
            if not isinstance(frame, Here):
                pages.append(page_of_frame(frame))
        if not unframing.is_complete:
            raise BrokenFrame(f"an answer of the journal service at {connection.place} is cut off")
        for page in pages:
            self.reached(page.partition, page.next_offset)
        return pages

    async def tail(self, cursor: Mapping[int, int]) -> HttpTail:
        """See `Log.tail`."""
        self.check_open()
        check_cursor(cursor, self.partitions)
        tail = HttpTail(self, self._opened.connection, cursor)
        self._tails.add(tail)
        return tail

    async def bounds(self) -> Bounds:
        """See `Log.bounds`."""
        self.check_open()
        found = _bounds.decode(await self._opened.connection.asked("GET", "/log/bounds"))
        first, end = Cursor.parse(found.first), Cursor.parse(found.end)
        for partition, offset in end.items():
            self.reached(partition, offset)
        return Bounds(first, end)

    async def position_at(self, timestamp: float) -> Cursor:
        """See `Log.position_at`."""
        self.check_open()
        answer = await self._opened.connection.asked("GET", f"/log/position?at={timestamp!r}")
        return Cursor.parse(_position.decode(answer).cursor)

    async def _falls(self) -> Sequence[Fall]:
        self.check_open()
        found = _falls.decode(await self._opened.connection.asked("GET", "/log/falls"))
        return [Fall(each.offset, each.before, each.after, each.carried) for each in found]

    async def trim(self, before: Mapping[int, int]) -> None:
        """Remove the records below the given offsets permanently and for all readers, as retention does."""
        self.check_open()
        check_cursor(before, self.partitions)
        body = msgspec.json.encode(Position(cursor_text(before)))
        await self._opened.connection.asked("POST", "/log/trim", body, "application/json")
        for tail in self._tails:
            tail.trimmed(before)

    def index_path(self) -> str:
        """See `Sited.index_path`: in the host's state directory."""
        identity = None if self._state is None else self._state.description.identity.encode()
        return index_path(self._address.state, self._address.place, "http", identity)

    def snapshots(self) -> SnapshotStore:
        """See `Log.snapshots`: those of the log behind the service."""
        return HttpSnapshots(self._opened.connection)

    # -- for its tails and its appends ---------------------------------------------------------------------------------

    def acknowledged(self, partition: int) -> int:
        """Return the offset behind the last event this log has appended to `partition`; 0 if none."""
        return self._opened.appends.acknowledged(partition)

    def reached(self, partition: int, offset: int) -> None:
        """Note that a partition has reached an offset."""
        self._opened.reached.note(partition, offset)

    def heard(self, error: Exception | None) -> None:
        """Log once that the service is away, after some seconds, and once that it is back."""
        if error is None:
            if self._has_warned:
                logger.warning("the journal service at %s answers again", self._address.place)
            self._away_since, self._has_warned = None, False
        elif self._away_since is None:
            self._away_since = time.monotonic()
        elif not self._has_warned and time.monotonic() - self._away_since > WARNING_SECONDS:
            self._has_warned = True
            logger.warning("readers wait for the journal service: %s", error)

    def forget(self, tail: HttpTail) -> None:
        """Remove a closed reader."""
        self._tails.discard(tail)

    def _break(self, error: JournalGone) -> None:
        """Mark the log as unusable: another journal answers."""
        self._broken = self._broken or error

    def check_open(self) -> None:
        """Raise `JournalClosed` after `aclose` or the end of its loop, `JournalUnavailable` in a forked child."""
        check_usable(self.url, self._loop, is_parents=self._is_parents, is_closed=self._closing is not None)
        if self._broken is not None:
            raise self._broken.with_traceback(None)

    async def aclose(self) -> None:
        """See `Log.aclose`. Waits at most `CLOSE_SECONDS_MAX` for appends; the rest fail with `AppendInDoubt`."""
        if self._is_parents:
            return
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(), name="journeyman-http-close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        """Release all resources, even if a step fails or is cancelled; the exit stack runs the steps in reverse."""
        async with contextlib.AsyncExitStack() as steps:
            if self._state is not None:
                steps.push_async_callback(self._state.connection.aclose)
                steps.push_async_callback(self._stop_appends, self._state.appends)
            for tail in list(self._tails):
                steps.push_async_callback(tail.aclose)

    async def _stop_appends(self, appends: Appends) -> None:
        lost = await appends.stop()
        if lost:
            logger.warning("closed the journal %r with %d appends of unknown fate: no answer", self.url, lost)

    def anew(self) -> "HttpLog":
        """Return a log of the same service, not opened and with its own writer: for a forked child."""
        self.after_fork_in_child()
        return HttpLog(self._address, url=self.url)

    def after_fork_in_child(self) -> None:
        """Refuse any further use in this process, and keep the parent's connections untouched.

        None of these objects may be garbage-collected here: collecting a connection may close it with a last message
        on the parent's socket, or unregister it from the epoll that both processes share.
        """
        if not self._is_parents and self._process != os.getpid():
            self._is_parents = True
            for tail in self._tails:
                tail.leave_to_parent()
            if self._loop is not None:
                keep_for_ever(self._loop, self)

    @property
    def _opened(self) -> _Opened:
        if self._state is None:
            raise JournalError(f"the journal {self.url} is not open yet: await open() first")
        return self._state
