"""`AsyncJournal`: a journal for asyncio."""

import asyncio
import contextlib
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self, runtime_checkable

from .conditions import Expected, expect
from .cursor import Cursor
from .divergence import refuse_diverged
from .dropped import close_dropped
from .errors import AppendInDoubt, JournalClosed, JournalUnavailable
from .event import Distinct, Draft, Event, Plain, encode_context, encode_contexts
from .event_decoding import decode, readable
from .limits import EXIT_SECONDS_MAX, PAGE_EVENTS
from .log import Bounds, Immediate, Located, Log
from .runtime.exits import at_exit
from .runtime.forks import reset_after_fork
from .tails.subscriber import SharedTails, Subscriber
from .url import anchored, asked_to_create, log_from_url

# What `append_all` takes for one event: its name, its context and, where it has one, its key.
EventItem = tuple[str, Mapping[str, Any]] | tuple[str, Mapping[str, Any], str | None]


class Reading(NamedTuple):
    """A bounded part of the history: its events, and the cursor at which the next read continues."""

    events: list[Event]
    cursor: Cursor


class Companion(Protocol):
    """An object closed together with the journal, such as a replica that a whole process shares."""

    async def aclose(self) -> None:
        """Close what uses the journal."""
        ...


@runtime_checkable
class Renewable(Protocol):
    """A log that a forked child cannot use and replaces by another."""

    def anew(self) -> Log:
        """A log of the same URL and options that shares nothing with this one."""
        ...


class AsyncJournal:
    """A journal: append events, read them back, follow them.

    `url` names the log (`sqlite:///shop.db`, `kafka://host:9092/topic`, `memory://`) or is a `Log`; None takes the
    URL from the environment variable `JOURNEYMAN_JOURNAL`. A bad URL raises here; the log itself is opened by
    `async with`, or at first use. A missing log is created; without `create` it raises `JournalNotFound`. The URL's own
    `create=1` or `create=0` takes precedence.
    """

    def __init__(self, url: str | Log | None = None, *, create: bool = True) -> None:
        asked = asked_to_create(url if url is None or isinstance(url, str) else url.url)
        self._create = create if asked is None else asked
        self._log = log_from_url(url) if url is None or isinstance(url, str) else url
        reopening_url = getattr(self._log, "reopening_url", None)  # of a log that its URL does not identify
        self._opening_url = reopening_url or anchored(url if isinstance(url, str) or url is None else url.url)
        self._is_ours = url is None or isinstance(url, str)  # a log that was passed in may be used without this journal
        self._opened = False
        self._closed = False
        # Appends one draft without waiting, or returns None: the log's `try_append` while the journal is open.
        self.append_nowait: Callable[[Draft], Event | None] = _never_without_waiting
        # When the journal last did not take an append (monotonic); None if it has taken one since.
        self.append_failed_at: float | None = None
        self._tails = SharedTails()
        self._read_to: Cursor | None = None
        self.companions: dict[str, Companion] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drop: weakref.finalize[..., AsyncJournal] | None = None
        if self._log.needs_loop:
            _all.add(self)
            reset_after_fork(self)

    @property
    def url(self) -> str:
        """The journal's URL, fit to be shown: without a password."""
        return self._log.url

    @property
    def location(self) -> str:
        """The location of the journal, for messages: of a file its absolute path, and whether opening created it."""
        return self._log.location if isinstance(self._log, Located) else self.url

    @property
    def opening_url(self) -> str:
        """The URL that opens this journal again, from anywhere: never show it, it may hold a password."""
        return self._opening_url

    @property
    def readers(self) -> int:
        """How many readers follow it by this object."""
        return self._tails.readers

    @property
    def log(self) -> Log:
        """The log underneath, for code that uses the log port."""
        return self._log

    async def open(self) -> Log:
        """Open the log if it is not open yet, and return it."""
        if self._closed:
            raise JournalClosed(f"the journal {self.url} is closed; open it again to continue")
        if not self._opened:
            if self._log.needs_loop:
                self._loop = asyncio.get_running_loop()
                self._watch_for_drop(self._loop)
            await self._log.open(create=self._create)
            self._opened = True
            if isinstance(self._log, Immediate):
                self.append_nowait = self._log.try_append
        return self._log

    async def append(
        self,
        name: str,
        context: Mapping[str, Any] | None = None,
        key: str | None = None,
        *,
        version: int = 1,
        expected: Expected | None = None,
        whole_partition: bool = False,
    ) -> Event:
        """Append one event and return it, with its position, once it is durable.

        With `expected` it lands only if no event of the same key, or with `whole_partition` no event at all, stands
        behind that position or cursor. Otherwise it raises `EventConflict`, or `JournalDiverged` if the position is not
        one of this journal. All events behind the position are checked, so a recent one is faster.
        `Position(partition, -1)`: no event is known.
        """
        drafted = Draft(name, encode_context(name, context), key, version=version)
        if expected is not None:
            await self._expect([drafted], expected, whole_partition=whole_partition)
        return (await self.append_drafts([drafted]))[0]

    async def append_all(
        self, items: Iterable[EventItem], *, expected: Expected | None = None, whole_partition: bool = False
    ) -> list[Event]:
        """Append `(name, context)` or `(name, context, key)` items in one append.

        Items of one partition land all or none. `expected` is a condition on each, as in `append`; they must then
        share a partition.
        """
        items = list(items)
        contexts = encode_contexts([item[0] for item in items], [item[1] for item in items])
        drafts: Distinct = Plain(
            [
                Draft(item[0], context, item[2] if len(item) > 2 else None)
                for item, context in zip(items, contexts, strict=True)
            ]
        )
        if expected is not None:
            drafts = Distinct(drafts)
            await self._expect(drafts, expected, whole_partition=whole_partition)
        return await self.append_drafts(drafts)

    async def _expect(self, drafts: Sequence[Draft], expected: Expected, *, whole_partition: bool) -> None:
        log = await self.open()
        if isinstance(expected, Cursor) and expected.marks:
            await refuse_diverged(log, expected)
        expect(log, drafts, expected, whole_partition=whole_partition)

    async def append_drafts(self, drafts: Sequence[Draft]) -> list[Event]:
        """Append prepared drafts; handing in the drafts of an `AppendInDoubt` again never doubles an event."""
        log = self._log if self._opened and not self._closed else await self.open()
        try:
            events = await log.append(drafts)
        except (AppendInDoubt, JournalUnavailable) as error:
            self.append_failed_at = time.monotonic()
            if isinstance(error, AppendInDoubt):
                error.drafts = tuple(drafts)
            raise
        self.append_failed_at = None
        return events

    async def read(self, cursor: Mapping[int, int] | None = None, limit: int = PAGE_EVENTS) -> Reading:
        """Return at most `limit` available events from `cursor` on (None: the first available), without waiting.

        Stops before a record that is not an event; raises `UnreadableRecord` if that is the first one (a cursor behind
        it continues), and `JournalDiverged` if the cursor is beyond the end, or of another history than this journal's.
        """
        log = await self.open()
        start = Cursor(cursor) if cursor is not None else (await log.bounds()).first
        if cursor is not None and cursor is not self._read_to:  # the end of this journal's own last read needs no check
            await refuse_diverged(log, start)
        events: list[Event] = []
        for page in await log.read(start, limit):
            found, bad = readable(page.rows, page.partition, page.offsets)
            if not bad:
                events += found
                start = start.advanced(page.partition, page.next_offset, page.rows[-1])
                continue
            events += [event for event in found if event.offset < bad[0].offset]
            if not events:
                raise bad[0]
            start = start.advanced(page.partition, bad[0].offset)
        self._read_to = start
        return Reading(events, start)

    async def tail(self, cursor: Mapping[int, int] | None = None) -> AsyncIterator[Event]:
        """Yield the events from `cursor` on (None: the first available), for ever, in the order of each partition.

        Raises `UnreadableRecord` at a record that is not an event (another `tail` with a cursor behind it continues),
        and `JournalDiverged` if the cursor is beyond the end, or of another history than this journal's.
        """
        if cursor is not None:
            await refuse_diverged(await self.open(), cursor)
        reader = await self.follow(cursor)
        try:
            while True:
                page = await reader.page()
                if page is not None:
                    for offset, row in zip(page.offsets, page.rows, strict=True):
                        yield decode(row, page.partition, offset)
        finally:
            await reader.aclose()

    async def follow(self, cursor: Mapping[int, int] | None = None) -> Subscriber:
        """Return a reader of encoded records from `cursor` on (None: the first available), in the partitions it names.

        All readers at the end of the log share one tail of it; see `tails.shared_tail`.
        """
        log = await self.open()
        reader = await self._tails.follow(log, cursor if cursor is not None else (await log.bounds()).first)
        reader.owner = self
        return reader

    async def bounds(self) -> Bounds:
        """Return the first available and the end position of each partition."""
        return await (await self.open()).bounds()

    async def position_at(self, timestamp: float) -> Cursor:
        """Return the cursor at which the events appended at or after `timestamp` (seconds since the epoch) begin."""
        return await (await self.open()).position_at(timestamp)

    def _watch_for_drop(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._drop is None and self._is_ours:
            self._drop = weakref.finalize(self, close_dropped, self._log, loop)
            self._drop.atexit = False

    def _stop_watching(self) -> None:
        if self._drop is not None:
            self._drop.detach()
            self._drop = None

    async def aclose(self) -> None:
        """Finish the accepted appends and close the log; closing twice is harmless.

        The log is closed even if a companion fails or this is cancelled; then the first error is raised.
        """
        self._closed = True
        self.append_nowait = _never_without_waiting
        errors: list[BaseException] = []
        while self.companions:
            _, companion = self.companions.popitem()
            try:
                await companion.aclose()
            except BaseException as error:
                errors.append(error)
        if self._opened:
            await self._log.aclose()
        self._stop_watching()
        if errors:
            raise errors[0]

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def leave(self) -> None:
        """Close at the program's end, in the loop it was opened in; do nothing if that loop is closed or running."""
        loop = self._loop
        if self._opened and not self._closed and loop is not None and not loop.is_closed() and not loop.is_running():
            loop.run_until_complete(asyncio.wait_for(self.aclose(), EXIT_SECONDS_MAX))

    def after_fork_in_child(self) -> None:
        """Reopen at the next use, as a new writer: loop, connections and readers belong to the parent."""
        self._stop_watching()
        if isinstance(self._log, Renewable):
            self._log = self._log.anew()
            self._opened, self._loop = False, None
            self._tails = SharedTails()


def _never_without_waiting(_: Draft) -> None:
    """Decline the append: the log needs a wait for each append, or is not open."""


_all: Final["weakref.WeakSet[AsyncJournal]"] = weakref.WeakSet()


def _leave() -> None:
    for journal in list(_all):
        with contextlib.suppress(KeyboardInterrupt, Exception):
            journal.leave()


at_exit(_leave)
