"""`Journal`: runs the asynchronous journal from synchronous code, and contains no logic of its own."""

import contextlib
import threading
import time
import weakref
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from .async_journal import AsyncJournal, EventItem, Reading
from .blocked_loops import warn_of_blocked_loop
from .conditions import Expected
from .cursor import Cursor
from .errors import JournalClosed
from .event import Draft, Event, encode_context
from .limits import EXIT_SECONDS_MAX, LET_GO_SECONDS, PAGE_EVENTS
from .log import Bounds, Log
from .runtime import blocking
from .runtime.exits import at_exit
from .runtime.forks import reset_after_fork
from .runtime.portal import Call, Portal

T = TypeVar("T")


class Journal:
    """A journal for synchronous code; may be shared by threads. See `AsyncJournal` for the meaning of each method.

    The embedded logs run in the calling thread; a log that needs an event loop gets one, in a thread of its own.
    """

    def __init__(self, url: str | Log | None = None, *, create: bool = True) -> None:
        self.asynchronous = AsyncJournal(url, create=create)
        self._portal: Portal | None = None
        self._portal_lock = threading.Lock()
        self._closed = False
        if self.asynchronous.log.needs_loop:
            _all.add(self)
            reset_after_fork(self)

    def run(self, coroutine: Coroutine[Any, Any, T], *, instead: str = "AsyncJournal") -> T:
        """Drive a coroutine of this journal, or of something built on it, and return its value.

        If this blocks the thread of a running event loop, one warning says that `instead` is to be awaited.
        """
        if not self.asynchronous.log.needs_loop:
            return blocking.run(coroutine, instead=instead)
        warn_of_blocked_loop(instead)
        try:
            return self._run(coroutine)
        finally:
            if _leaving.is_set() and threading.current_thread().daemon:
                # A daemon thread's wait may last as long as the program, and no code is left to receive its result.
                threading.Event().wait()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        temporary: Portal | None = None
        with self._portal_lock:
            if self._portal is None and _leaving.is_set():
                coroutine.close()
                raise JournalClosed(f"the journal {self.url} is closed: the program ends")
            if self._closed and not _leaving.is_set():
                # An object that outlives the journal, such as a consumer, may still have to close its use of it.
                portal = temporary = Portal()
            else:
                portal = self._portal = self._portal or Portal()
        try:
            return portal.run(coroutine)
        finally:
            if temporary is not None:
                temporary.close()

    async def run_async(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine of this journal, or of something built on it, in any event loop, without blocking it.

        On a log that needs an event loop of its own it runs in this journal's, as the synchronous calls do.
        """
        if not self.asynchronous.log.needs_loop:
            return await coroutine
        with self._portal_lock:
            if self._closed or _leaving.is_set():
                coroutine.close()
                raise JournalClosed(f"the journal {self.url} is closed; open it again to continue")
            portal = self._portal = self._portal or Portal()
        return await portal.run_async(coroutine)

    @property
    def url(self) -> str:
        """The URL that opens this journal again."""
        return self.asynchronous.url

    @property
    def location(self) -> str:
        """The location of the journal, for messages: of a file its absolute path, and whether opening created it."""
        return self.asynchronous.location

    def append(
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
        behind that position or cursor; otherwise it raises `EventConflict`.
        """
        if expected is not None:
            conditional = self.asynchronous.append(
                name, context, key, version=version, expected=expected, whole_partition=whole_partition
            )
            return self.run(conditional)
        drafted = Draft(name, encode_context(name, context), key, version=version)
        return self.asynchronous.append_nowait(drafted) or self.run(self.asynchronous.append_drafts([drafted]))[0]

    def append_all(
        self, items: Iterable[EventItem], *, expected: Expected | None = None, whole_partition: bool = False
    ) -> list[Event]:
        """Append `(name, context)` or `(name, context, key)` items in one append.

        Items of one partition land all or none. `expected` is a condition on each, as in `append`.
        """
        return self.run(self.asynchronous.append_all(items, expected=expected, whole_partition=whole_partition))

    def append_drafts(self, drafts: Sequence[Draft]) -> list[Event]:
        """Append prepared drafts; handing in the drafts of an `AppendInDoubt` again never doubles an event."""
        if len(drafts) == 1 and (event := self.asynchronous.append_nowait(drafts[0])) is not None:
            return [event]
        return self.run(self.asynchronous.append_drafts(drafts))

    def read(self, cursor: Mapping[int, int] | None = None, limit: int = PAGE_EVENTS) -> Reading:
        """Return at most `limit` available events from `cursor` on (None: the first available), without waiting."""
        return self.run(self.asynchronous.read(cursor, limit))

    def tail(self, cursor: Mapping[int, int] | None = None) -> Iterator[Event]:
        """Yield the events from `cursor` on (None: the first available), for ever, in the order of each partition."""
        events = self.asynchronous.tail(cursor)
        try:
            while True:
                yield self.run(_next(events))
        finally:
            with contextlib.suppress(JournalClosed):  # then it is closed as well
                self.run(events.aclose())  # type: ignore[attr-defined]

    def bounds(self) -> Bounds:
        """Return the first available and the end position of each partition."""
        return self.run(self.asynchronous.bounds())

    def position_at(self, timestamp: float) -> Cursor:
        """Return the cursor at which the events appended at or after `timestamp` (seconds since the epoch) begin."""
        return self.run(self.asynchronous.position_at(timestamp))

    def close(self) -> None:
        """Finish the accepted appends and close the log; closing twice is harmless."""
        try:
            self.run(self.asynchronous.aclose())
        finally:
            with self._portal_lock:
                self._closed = True
                portal, self._portal = self._portal, None
            if portal is not None:
                portal.close()

    def __enter__(self) -> Self:
        self.run(self.asynchronous.open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin_to_leave(self) -> tuple[Portal, Call[None]] | None:
        """Begin to close at the program's end, without waiting; None if nothing is open."""
        with self._portal_lock:
            portal, self._closed = self._portal, True
        if portal is None:
            return None
        closing = Call(self.asynchronous.aclose())
        portal.start(closing)
        return portal, closing

    def after_fork_in_child(self) -> None:
        """Forget the portal, whose thread runs in the parent only."""
        self._portal = None
        self._portal_lock = threading.Lock()


async def _next(events: AsyncIterator[Event]) -> Event:
    """Request the next event on the loop, which thus registers the iterator and closes it before itself."""
    return await anext(events)


_all: Final["weakref.WeakSet[Journal]"] = weakref.WeakSet()
_leaving: Final = threading.Event()


def _leave() -> None:
    """Close the journals that the program leaves open, before its end stops the portals' threads."""
    _leaving.set()
    deadline = time.monotonic() + EXIT_SECONDS_MAX
    left: list[tuple[Portal, Call[None]]] = []
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C ends the wait
        left.extend(begun for journal in list(_all) if (begun := journal.begin_to_leave()) is not None)
        for _, closing in left:
            closing.ended.wait(max(0.0, deadline - time.monotonic()))
    with contextlib.suppress(KeyboardInterrupt):
        for portal, _ in left:
            portal.close(LET_GO_SECONDS)


at_exit(_leave)
