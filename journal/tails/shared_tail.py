"""Shares one tail of the log among all readers of a process that have reached the end of the log.

The reader that waits first is the *leader* for one wait: it reads from the shared tail for all. The others wait for its
read and take the same page from a `Window` of the last pages. There is no thread or task in between: a lone reader
reads the tail itself, and a reader that requests no page blocks no other, as a waiting reader leads instead.

A reader that is behind (it replays history, or was too slow for the window) reads by a tail of its own until it has
caught up. The first reader to reach the end makes its own tail the shared one, so a lone reader needs no second tail.
The last reader to leave closes the shared tail.

An error of the shared tail ends it and is raised to all its readers; then each reads by a tail of its own until there
is a shared one again.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Mapping

from ..errors import HistoryTruncated
from ..limits import PAGE_EVENTS
from ..log import Log, Page, Tail
from ..runtime import blocking
from ..runtime.forks import reset_after_fork
from .window import Window, WindowPlace

Turn = concurrent.futures.Future[None]


class SharedTail:
    """The state that the readers of the same partitions share; accessed with `lock` held."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.lock = threading.Lock()
        self.readers = 0
        self.window: Window | None = None
        # Incremented when the tail moves past records that no reader gets: a reader then checks its cursor.
        self.moves = 0
        self._tail: Tail | None = None
        # The place of the leader; between two leaders, the turn of the reader that is to lead next.
        self._leader: WindowPlace | Turn | None = None
        self._leads_briefly = False
        self._is_urgent = False
        self._reading: asyncio.Task[Page | None] | None = None
        self._waiting: list[Turn] = []
        reset_after_fork(self)

    # --- with the lock held -----------------------------------------------------------------------------------------

    def is_near(self, cursor: Mapping[int, int]) -> bool:
        """Whether a reader at `cursor` can join: the window has all it needs, and the head is not far behind it."""
        window = self.window
        if window is None or not window.covers(cursor):
            return False
        return self._leader is not None or window.ahead(cursor) <= PAGE_EVENTS

    def install(self, tail: Tail) -> Tail | None:
        """Make `tail` the shared one if the current one is not further; return the tail that it replaces.

        Returns `tail` itself if it is not needed.
        """
        cursor, window = tail.cursor, self.window
        further = window is not None and any(cursor[each] < at for each, at in window.head.items())
        if further or self._leader is not None:
            return tail
        replaced, self._tail = self._tail, tail
        self.window = Window(cursor)
        return replaced

    def try_to_lead(self, place: WindowPlace) -> bool:
        """Become the leader if there is none; return whether it succeeded."""
        if self._leader is not None:
            return False
        self._leader = place
        return True

    def queue(self, *, first: bool = False) -> Turn:
        """Return a turn, a future that is done when there is a page to take, or the reader is to lead."""
        turn = Turn()
        self._waiting.insert(0 if first else len(self._waiting), turn)
        return turn

    def preempt(self) -> None:
        """Make a leader that waits in this loop, or is about to, stop waiting: the first in the queue leads next."""
        if self._reading is None:
            self._is_urgent = True
        elif not self._leads_briefly:
            self._reading.cancel()

    def leave(self, place: WindowPlace | None) -> tuple[Tail | None, list[Turn]]:
        """Remove the reader at `place`; return the tail if it has to be closed, and the turns to be woken."""
        self.readers -= 1
        if self.readers and (place is None or self._leader is not place):
            return None, []
        return self._end(), self._all_turns()

    def _end(self) -> Tail | None:
        """Stop using the tail, and return it."""
        tail, self._tail, self.window = self._tail, None, None
        self._leader = self._reading = None
        return tail

    def _all_turns(self) -> list[Turn]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _hand_over(self) -> list[Turn]:
        """Make the first waiting reader the leader, if there is one; return its turn, to be woken."""
        if not self._waiting:
            self._leader = None
            return []
        turn = self._leader = self._waiting.pop(0)
        return [turn]

    # --- without it -------------------------------------------------------------------------------------------------

    async def lead(self, place: WindowPlace, limit: int, timeout: float | None, partition: int | None) -> Page | None:
        """Read for all readers, as the leader at `place`; return the leader's own page."""
        tail, window = self._tail, self.window
        timeout, self._is_urgent = 0 if self._is_urgent else timeout, False
        self._leads_briefly = timeout == 0
        try:
            page = await self._read(tail, timeout) if tail is not None else None
            with self.lock:
                if page is not None and tail is not None and self.readers == 1 and not self._waiting:
                    alone = self.window is place.window and place.pass_over(page, limit, partition)
                    if alone:  # no other reader needs the page
                        self._leader = self._reading = None
                        place.window.head.update(tail.cursor)
                        return page
            self._end_lead(tail, window, page)
        except asyncio.CancelledError:
            self._end_lead(tail, window, self._arrived())
            raise
        except BaseException as error:
            # An exception from outside, such as Ctrl-C, may come after the tail moved on and before its page was kept:
            # the waiting readers then read that page by tails of their own.
            self._break_off(window, error)
            if tail is not None and (isinstance(error, Exception) or not self.log.needs_loop):
                await tail.aclose()
            if not isinstance(error, Exception):
                raise
        with self.lock:
            return place.take(limit, partition) if self.window is window and not place.is_lost() else None

    def _end_lead(self, tail: Tail | None, window: Window | None, page: Page | None) -> None:
        with self.lock:
            if window is None or tail is None or self.window is not window:
                woken = self._all_turns()  # the last reader left meanwhile, or the leader was closed
            else:
                self._leader = self._reading = None
                woken = self._add(window, tail, page)
        wake(woken)

    def _break_off(self, window: Window | None, error: BaseException) -> None:
        with self.lock:
            if window is not None and self.window is window:
                # Truncated history need not affect a reader further on: its own tail raises the error if it does.
                if isinstance(error, Exception) and not isinstance(error, HistoryTruncated):
                    window.error = error
                self._end()
            woken = self._all_turns()
        wake(woken)

    def _add(self, window: Window, tail: Tail, page: Page | None) -> list[Turn]:
        cursor = tail.cursor
        if page is not None:
            window.add(page)
        elif any(window.head[partition] < offset for partition, offset in cursor.items()):
            self.moves += 1
        else:
            return self._hand_over()
        window.head.update(cursor)
        return self._all_turns()

    async def _read(self, tail: Tail, timeout: float | None) -> Page | None:
        if not self.log.needs_loop:
            return await tail.page(PAGE_EVENTS, timeout)
        reading = self._reading = asyncio.ensure_future(tail.page(PAGE_EVENTS, timeout))
        try:
            return await reading
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if reading.cancelled() and not (task is not None and task.cancelling()):
                return None  # preempted
            raise

    def _arrived(self) -> Page | None:
        """The page that arrived in the same pass of the loop in which the leader was cancelled."""
        reading = self._reading
        if reading is None or not reading.done() or reading.cancelled() or reading.exception() is not None:
            return None
        return reading.result()

    async def wait(self, turn: Turn, place: WindowPlace, timeout: float | None) -> bool:
        """Wait for a turn, at most `timeout` seconds; return whether this reader, at `place`, leads now."""
        try:
            await blocking.settled(turn, timeout)
        except BaseException:
            with self.lock:
                leads = not self._leave(turn) and self._leader is turn
                woken = self._hand_over() if leads else []
            wake(woken)
            raise
        with self.lock:
            if self._leave(turn) or self._leader is not turn:
                return False
            self._leader = place
            return True

    def _leave(self, turn: Turn) -> bool:
        if turn not in self._waiting:
            return False
        self._waiting.remove(turn)
        return True

    def after_fork_in_child(self) -> None:
        """End the shared tail: its leader and waiting readers are in the parent, perhaps with a page not yet kept."""
        self.lock = threading.Lock()
        self._waiting = []
        self._end()


def wake(turns: list[Turn]) -> None:
    """Wake the readers that wait for these turns."""
    for turn in turns:
        turn.set_result(None)
