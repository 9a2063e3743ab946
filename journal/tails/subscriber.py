"""One reader of a journal: it uses a tail of its own while it is behind, and the shared tail once it has caught up."""

import time
from collections.abc import Mapping

from ..cursor import Cursor
from ..deadlines import deadline_of
from ..errors import JournalClosed
from ..limits import GAP_SECONDS, PAGE_EVENTS
from ..log import Log, Page, Tail
from .shared_tail import SharedTail, wake
from .window import Window, WindowPlace


class SharedTails:
    """The shared tails of one log: one for each set of partitions that a reader follows."""

    def __init__(self) -> None:
        self._shared: dict[frozenset[int], SharedTail] = {}

    @property
    def readers(self) -> int:
        """How many readers there are now."""
        return sum(shared.readers for shared in list(self._shared.values()))

    async def follow(self, log: Log, cursor: Mapping[int, int]) -> "Subscriber":
        """Return a reader that starts at `cursor`, in the partitions it names."""
        partitions = frozenset(cursor)
        shared = self._shared.get(partitions)
        if shared is None:  # of two concurrent threads, both get the object of the first
            shared = self._shared.setdefault(partitions, SharedTail(log))
        subscriber = Subscriber(shared, cursor)
        await subscriber.open()
        return subscriber


class Subscriber:
    """One reader of a journal: a `Tail` that uses the shared tail whenever possible. One call at a time."""

    def __init__(self, shared: SharedTail, cursor: Mapping[int, int]) -> None:
        self.owner: object = None  # its journal, which is not garbage-collected while it has a reader
        self._shared = shared
        self._begin = Cursor(cursor)
        self._own: Tail | None = None
        self._window: Window | None = None
        self._place: WindowPlace | None = None
        self._latest = -1
        self._closed = False

    async def open(self) -> None:
        """Start following; called once."""
        shared = self._shared
        with shared.lock:
            shared.readers += 1
            if shared.is_near(self._begin):
                self._join(self._begin)
                return
        try:
            self._own = await shared.log.tail(self._begin)
        except BaseException:
            await self.aclose()
            raise

    @property
    def shares(self) -> bool:
        """Whether it reads by the shared tail now."""
        return self._place is not None

    @property
    def cursor(self) -> Cursor:
        """The position behind the last record handed out or left out, such as a repeat."""
        with self._shared.lock:
            if self._place is not None:
                return Cursor(self._place.cursor())
        return self._own.cursor if self._own is not None else self._begin

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """See `Tail.page`. Returns None early if all new records were left out: see `cursor`."""
        deadline = deadline_of(timeout)
        moves = self._shared.moves
        while True:
            remaining = _remaining(deadline)
            if self._place is None:
                if partition is not None:
                    return await (await self._tail()).page(limit, remaining, partition)
                page, over = await self._catch_up(limit, remaining)
            else:
                page, over = await self._follow(self._place, limit, deadline, partition, moves)
            if over:
                return page

    async def glance(self, limit: int = PAGE_EVENTS, partition: int | None = None) -> Page | None:
        """Return the next records if there are any without a wait; if another reader leads, those it has read."""
        place, shared = self._place, self._shared
        if place is None:
            return await (await self._tail()).page(limit, 0, partition)
        with shared.lock:
            if self._left(place):
                return None
            page = self._take(place, limit, partition)
            if page is not None or not shared.try_to_lead(place):
                return page
        return await shared.lead(place, limit, 0, partition)

    # --- behind the others ------------------------------------------------------------------------------------------

    async def _tail(self) -> Tail:
        """Return its own tail, at its cursor; opened at first use."""
        if self._closed:
            raise JournalClosed("this reader is closed; make another")
        if self._own is None:
            self._own = await self._shared.log.tail(self._begin)
        return self._own

    async def _catch_up(self, limit: int, remaining: float | None) -> tuple[Page | None, bool]:
        """Read a page of its own tail; at the end, join the others. Also returns whether `page` is over."""
        tail, shared = await self._tail(), self._shared
        if shared.window is not None and await self._joined(tail):
            return None, False
        before = tail.cursor
        page = await tail.page(limit, 0)
        if page is not None or tail.cursor != before:
            return page, True
        if await self._joined(tail, at_end=True):
            return None, False
        # Other readers are further and have dropped the pages in between: this tail will still return them.
        page = await tail.page(limit, GAP_SECONDS if remaining is None else min(GAP_SECONDS, remaining))
        return page, page is not None or tail.cursor != before or remaining == 0

    async def _joined(self, tail: Tail, *, at_end: bool = False) -> bool:
        """Join the shared tail at the cursor of its own tail, if possible; return whether it has."""
        shared = self._shared
        spare: Tail | None = tail
        with shared.lock:
            cursor = tail.cursor
            if not shared.is_near(cursor):
                spare = shared.install(tail) if at_end else tail
                if spare is tail:
                    return False
            self._own = None
            self._join(cursor)
        if spare is not None:
            await spare.aclose()
        return True

    def _join(self, cursor: Mapping[int, int]) -> None:
        window = self._shared.window
        assert window is not None, "the caller has checked that there is a shared tail"
        self._window, self._place = window, WindowPlace(window, cursor)

    # --- with the others --------------------------------------------------------------------------------------------

    async def _follow(
        self, place: WindowPlace, limit: int, deadline: float | None, partition: int | None, moves: int
    ) -> tuple[Page | None, bool]:
        """Take the next shared page, or wait for it once. Also returns whether `page` is over."""
        shared, remaining = self._shared, _remaining(deadline)
        last = remaining == 0
        with shared.lock:
            if self._left(place):
                return None, False
            page = self._take(place, limit, partition)
            if page is not None or shared.moves != moves:
                return page, True
            leads = shared.try_to_lead(place)
            turn = None if leads or (last and not shared.log.needs_loop) else shared.queue(first=last)
            if turn is not None and last:
                shared.preempt()
        if turn is not None:
            leads = await shared.wait(turn, place, None if last else remaining)
            if not leads:
                return None, False
        if not leads:
            return await self._look(place, limit, partition), True
        page = await shared.lead(place, limit, _remaining(deadline), partition)
        return page, last or page is not None

    def _take(self, place: WindowPlace, limit: int, partition: int | None) -> Page | None:
        if not place.window.pages:
            return None
        page = place.take(limit, partition)
        if page is not None and self._shared.readers == 1:
            place.window.forget(place.done())  # there is no other reader
        return page

    async def _look(self, place: WindowPlace, limit: int, partition: int | None) -> Page | None:
        """Read the available records from the log, for a reader that cannot wait for the leader."""
        offsets = place.offsets
        # The partition handed out last comes last, or one with many records would starve the others.
        wanted = sorted(offsets, key=self._latest.__eq__) if partition is None else [partition]
        pages = await self._shared.log.read({each: offsets[each] for each in wanted}, limit)
        if not pages:
            return None
        page = pages[0]
        self._latest = page.partition
        with self._shared.lock:
            offsets[page.partition] = page.next_offset
        return page

    def _left(self, place: WindowPlace) -> bool:
        """Leave the shared tail if this reader was too slow or the tail has ended; return whether. Raises its error."""
        window = self._window
        if window is self._shared.window and not place.is_lost():
            return False
        self._begin = Cursor(place.cursor())
        self._window = self._place = None
        if window is not None and window.error is not None:
            raise window.error
        return True

    # --- the rest of a tail -----------------------------------------------------------------------------------------

    def skip(self, partition: int, offset: int) -> None:
        """See `Tail.skip`."""
        if self._own is not None:
            self._own.skip(partition, offset)
            return
        with self._shared.lock:
            if self._place is not None:
                self._place.skip(partition, offset)
            else:
                self._begin = self._begin.advanced(partition, max(offset, self._begin[partition]))

    def moved_on(self, cursor: Cursor) -> bool:
        """Go on at `cursor`, if this reader has not read further in any of its partitions; return whether it does."""
        if not cursor.reaches(self.cursor):
            return False
        for partition, offset in cursor.items():
            self.skip(partition, offset)
        return True

    async def aclose(self) -> None:
        """Stop following; the last reader closes the shared tail. Closing twice is harmless."""
        if self._closed:
            return
        shared = self._shared
        self._begin = self.cursor
        with shared.lock:
            self._closed = True
            own, place = self._own, self._place
            self._own = self._window = self._place = None
            left, woken = shared.leave(place)
        wake(woken)
        for tail in (own, left):
            if tail is not None:
                await tail.aclose()


def _remaining(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
