"""A replica keeps a view current: it reads what is there, then what comes, and can wait for a moment or a condition."""

import concurrent.futures
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from ...journal import blocking
from ...journal.asynchronous import AsyncJournal
from ...journal.cursor import Cursor, Position
from ...journal.errors import HistoryTruncated
from ...journal.limits import SNAPSHOT_EVENTS
from ...journal.log import Page, Tail
from ..truncation import told
from .snapshots import SnapshotKeeper
from .view import View

V = TypeVar("V", bound=View)

_ADVICE: Final = "The view is made of what is left, as it has no snapshots."


class Replica(Generic[V]):
    """`view`, kept current from `journal`.

    It starts from the newest snapshot of the view, or replays history where there is none; or starts at `cursor`, where
    one is given. It takes snapshots itself, about every `snapshot_every` events that nobody else has taken one in.

    Any number of tasks, or of threads driving it, may wait on one replica: whoever comes first reads the log for all,
    the others wait for what it read. Nobody polls.
    """

    def __init__(
        self,
        journal: AsyncJournal,
        view: V,
        cursor: Mapping[int, int] | None = None,
        *,
        snapshot_every: int = SNAPSHOT_EVENTS,
    ) -> None:
        self.view = view
        # What retention had removed before a view without snapshots began to read: such a view is of what is left.
        self.truncated: HistoryTruncated | None = None
        self._journal = journal
        self._snapshot_every = snapshot_every
        self._snapshots: SnapshotKeeper | None = None
        self._start = Cursor(cursor) if cursor is not None else None
        self._tail: Tail | None = None
        self._applied: dict[int, int] = {}
        self._mutex = threading.Lock()
        self._reading = False
        self._waiting: list[concurrent.futures.Future[None]] = []

    @property
    def cursor(self) -> Cursor:
        """What has been applied so far; empty before the first read."""
        return Cursor(self._applied)

    async def advance(self, timeout: float | None = None) -> bool:
        """Apply the next page, waiting for it at most `timeout` seconds (None: for ever); say whether anything came.

        The first call only takes the place at which reading begins: that may be all there is to know.

        Where somebody else is reading already, waits for what they read instead.
        """
        with self._mutex:
            turn = None if not self._reading else concurrent.futures.Future[None]()
            if turn is None:
                self._reading = True
            else:
                self._waiting.append(turn)
        if turn is not None:
            return await blocking.settled(turn, timeout)
        try:
            if self._tail is None:
                await self._open()
                return True
            page = await self._tail.page(timeout=timeout)
            if page is not None:
                self._apply(page)
            self._applied.update(self._tail.cursor)  # repeats, which nobody is handed, lie behind us, too
            return page is not None
        finally:
            with self._mutex:
                self._reading = False
                waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.set_result(None)

    async def catch_up(self) -> Cursor:
        """Apply all that was in the log at the moment of the call."""
        end = (await self._journal.bounds()).end
        await self.wait_for(end)
        return self.cursor

    async def wait_for(self, moment: Position | Mapping[int, int], timeout: float | None = None) -> None:
        """Wait until the event at a position, or all before a cursor, is applied: read your own writes."""
        goal = {moment.partition: moment.offset + 1} if isinstance(moment, Position) else moment
        await self.wait_until(
            lambda _: Cursor(self._applied).reaches(goal), timeout, describe=f"the journal to be read up to {goal}"
        )

    async def wait_until(
        self, predicate: Callable[[V], bool], timeout: float | None = None, *, describe: str = "the condition"
    ) -> V:
        """Wait until `predicate(view)` holds, at most `timeout` seconds (None: for ever), and return the view.

        `TimeoutError` says, with `describe`, what did not happen.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not predicate(self.view):
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                raise TimeoutError(f"waited {timeout:g} s for {describe}")
            await self.advance(remaining)
        return self.view

    async def aclose(self) -> None:
        """Let go of the log, once a snapshot that is being stored is; the view stays as it is."""
        if self._snapshots is not None:
            await self._snapshots.aclose()
        if self._tail is not None:
            await self._tail.aclose()
            self._tail = None

    async def _open(self) -> None:
        log = await self._journal.open()
        start = self._start
        if start is None:
            self._snapshots = SnapshotKeeper(log, self.view, self._snapshot_every)
            start = await self._snapshots.start()
            if self.view.snapshot_name is None:
                self.truncated = await told(log, start, f"a replica of the view {type(self.view).__name__}", _ADVICE)
        tail = await self._journal.follow(start)
        self._applied, self._tail = dict(start), tail

    def _apply(self, page: Page) -> None:
        self.view.apply_page(page)
        self._applied[page.partition] = page.next_offset
        if self._snapshots is not None:
            self._snapshots.applied(self._applied, len(page.rows))
