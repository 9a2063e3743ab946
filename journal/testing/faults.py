"""Fault injection: a log that fails as acknowledgements, disks and networks do, at moments a test chooses."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum, auto

from ..cursor import Cursor
from ..errors import AppendInDoubt, HistoryTruncated, JournalUnavailable
from ..event import Draft, Event
from ..limits import PAGE_EVENTS
from ..log import Bounds, Log, Page, Tail
from ..snapshots import SnapshotStore


class Fault(Enum):
    """A fault of one operation."""

    UNAVAILABLE = auto()
    """The operation fails before it has any effect."""
    LOST_ACKNOWLEDGEMENT = auto()
    """The append is written, but its caller gets `AppendInDoubt`."""
    TRUNCATED = auto()
    """A reader gets `HistoryTruncated`, as if retention had removed everything up to the end."""


Chooser = Callable[[str], Fault | None]
Delay = Callable[[str], Awaitable[None]]


class FaultyLog:
    """Wraps another log. `choose` is called with the name of each operation and returns its fault (None: no fault).

    The names are "append", "read", "page", "bounds", "position_at" and "trim". `delay`, if given, is awaited before
    each.
    """

    def __init__(self, log: Log, choose: Chooser = lambda operation: None, delay: Delay | None = None) -> None:
        self.inner = log
        self.choose = choose
        self.delay = delay

    @property
    def url(self) -> str:
        """The inner log's."""
        return self.inner.url

    @property
    def needs_loop(self) -> bool:
        """The inner log's; a delay may need a loop as well."""
        return self.inner.needs_loop

    @property
    def partitions(self) -> int:
        """The inner log's."""
        return self.inner.partitions

    async def open(self, *, create: bool = True) -> None:
        """See `Log.open`."""
        await self.inner.open(create=create)

    def partition_of(self, key: str | None) -> int:
        """See `Log.partition_of`."""
        return self.inner.partition_of(key)

    async def begin(self, operation: str) -> Fault | None:
        """Delay the operation, raise `JournalUnavailable` if chosen, and return any other fault."""
        if self.delay is not None:
            await self.delay(operation)
        fault = self.choose(operation)
        if fault is Fault.UNAVAILABLE:
            raise JournalUnavailable(f"the journal {self.url} is unavailable on purpose: {operation} had no effect")
        return fault

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """See `Log.append`."""
        fault = await self.begin("append")
        events = await self.inner.append(drafts)
        if fault is Fault.LOST_ACKNOWLEDGEMENT:
            raise AppendInDoubt(f"the acknowledgement of an append to {self.url} was lost on purpose; it was written")
        return events

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """See `Log.read`."""
        if await self.begin("read") is Fault.TRUNCATED:
            raise await self.truncation(cursor)
        return await self.inner.read(cursor, limit)

    async def truncation(self, cursor: Mapping[int, int]) -> HistoryTruncated:
        """Return the error for a history that was removed from `cursor` on."""
        end = (await self.inner.bounds()).end
        partition = next(iter(cursor))
        return HistoryTruncated(partition, cursor[partition], end[partition])

    async def tail(self, cursor: Mapping[int, int]) -> Tail:
        """See `Log.tail`."""
        return FaultyTail(self, await self.inner.tail(cursor))

    async def bounds(self) -> Bounds:
        """See `Log.bounds`."""
        await self.begin("bounds")
        return await self.inner.bounds()

    async def position_at(self, timestamp: float) -> Cursor:
        """See `Log.position_at`."""
        await self.begin("position_at")
        return await self.inner.position_at(timestamp)

    async def trim(self, before: Mapping[int, int]) -> None:
        """See `Log.trim`."""
        await self.begin("trim")
        await self.inner.trim(before)

    def snapshots(self) -> SnapshotStore:
        """Return the inner log's snapshots."""
        return self.inner.snapshots()

    async def aclose(self) -> None:
        """See `Log.aclose`."""
        await self.inner.aclose()


class FaultyTail:
    """A reader of a faulty log; after a fault it continues at its cursor."""

    def __init__(self, log: FaultyLog, inner: Tail) -> None:
        self._log = log
        self._inner = inner

    @property
    def cursor(self) -> Cursor:
        """See `Tail.cursor`."""
        return self._inner.cursor

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail.page`."""
        if await self._log.begin("page") is Fault.TRUNCATED:
            raise await self._log.truncation(self.cursor)
        return await self._inner.page(limit, timeout, partition)

    def skip(self, partition: int, offset: int) -> None:
        """See `Tail.skip`."""
        self._inner.skip(partition, offset)

    async def aclose(self) -> None:
        """See `Tail.aclose`."""
        await self._inner.aclose()
