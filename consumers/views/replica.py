"""Replicas keep a view current: they read history, then live events, and can wait for a position or a condition."""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Behind, Cursor, Position
from ...journal.deadlines import deadline_of, finite
from ...journal.divergence import refuse_diverged
from ...journal.errors import HistoryTruncated, JournalError
from ...journal.log import Log, Page, Tail, check_cursor
from ...journal.runtime import blocking
from ...journal.runtime.forks import reset_after_fork
from ..limits import SNAPSHOT_EVENTS
from ..truncation import log_truncation
from .snapshots import SnapshotKeeper
from .view import View

V = TypeVar("V", bound=View)

_ADVICE: Final = "The view is built from the remaining history, as it has no snapshots."


class Replica(Generic[V]):
    """Keeps `view` current from `journal`.

    It starts at `cursor` if given (`JournalDiverged` if that belongs to another history than the journal's), otherwise
    from the newest snapshot of the view, otherwise by replaying history. It takes a snapshot about every
    `snapshot_every` events, unless another reader has taken one since.

    Any number of tasks, or of threads, may wait on one replica: the first caller reads the log for all, the others wait
    for its result. No caller polls.

    An exception in the middle of a page, from the view or from a signal handler, leaves the view inconsistent with the
    journal. Then `renew` creates a fresh view that replaces it; without `renew`, every later call raises
    `RuntimeError`.
    """

    def __init__(
        self,
        journal: AsyncJournal,
        view: V,
        cursor: Mapping[int, int] | None = None,
        *,
        snapshot_every: int = SNAPSHOT_EVENTS,
        renew: Callable[[], V] | None = None,
    ) -> None:
        self.view = view
        # Set if a view without snapshots started after retention had removed history: it has only the remaining events.
        self.truncated: HistoryTruncated | None = None
        self._journal = journal
        self._snapshot_every = snapshot_every
        self._snapshots: SnapshotKeeper | None = None
        self._start = Cursor(cursor) if cursor is not None else None
        self._renew = renew
        self._tail: Tail | None = None
        self._applied: dict[int, int] = {}
        self._behind: dict[int, Behind] = {}
        # While these are set, the tail or the view may be ahead of `_applied`; a fork copies that state.
        self._tail_moves = False
        self._view_changes = False
        self._mutex = threading.Lock()
        self._reading = False
        self._waiting: list[concurrent.futures.Future[None]] = []
        reset_after_fork(self)

    @property
    def cursor(self) -> Cursor:
        """The position up to which events have been applied; empty before the first read."""
        return Cursor(self._applied, dict(self._behind))

    async def advance(self, timeout: float | None = None) -> bool:
        """Apply the next page, waiting for it at most `timeout` seconds (None: for ever); whether anything came.

        The first call only determines the start position (and restores a snapshot), which may be all there is.

        If another caller is already reading, this one waits for its result instead.
        """
        reads, turn = False, None
        try:
            with self._mutex:
                if self._reading:
                    turn = concurrent.futures.Future[None]()
                    self._waiting.append(turn)
                else:
                    reads = self._reading = True
            return await self._read(timeout) if turn is None else await blocking.settled(turn, finite(timeout))
        except BaseException:
            if reads and self._view_changes and self._renew is not None:
                self._reset_to(self._renew())  # waiting callers read the view next
            raise
        finally:
            if reads:
                self._reading = False  # before any call, in which a signal handler could raise
                with self._mutex:
                    waiting, self._waiting = self._waiting, []
                for each in waiting:
                    each.set_result(None)

    async def _read(self, timeout: float | None) -> bool:
        await self._recover()
        tail = self._tail
        if tail is None:
            await self._open()
            return True
        self._tail_moves = True
        try:
            page = await tail.page(timeout=timeout)
        except (JournalError, asyncio.CancelledError):
            self._tail_moves = False
            raise
        if page is not None:
            self._apply(page)
        self._applied.update(tail.cursor)  # also moves past repeats, which a tail does not return
        self._tail_moves = False
        return page is not None

    async def _recover(self) -> None:
        """Recover from an earlier exception: drop the tail, or the view, if it may be ahead of `_applied`."""
        if self._view_changes:
            if self._renew is None:
                raise RuntimeError(
                    f"the view {type(self.view).__name__} was interrupted in the middle of a page and is inconsistent "
                    "with the journal; create a new view with a new replica"
                )
            self._reset_to(self._renew())
        if self._tail_moves:
            if self._tail is not None:
                await self._tail.aclose()
            self._tail, self._tail_moves = None, False

    def _reset_to(self, view: V) -> None:
        self.view, self._applied, self._behind, self._snapshots, self.truncated = view, {}, {}, None, None
        self._tail_moves, self._view_changes = True, False

    async def catch_up(self) -> Cursor:
        """Apply all events that are in the log at the time of the call."""
        end = (await self._journal.bounds()).end
        await self.wait_for(end)
        return self.cursor

    async def wait_for(self, moment: Position | Mapping[int, int], timeout: float | None = None) -> None:
        """Wait until the event at a position, or all events before a cursor, are applied: read your own writes.

        `JournalDiverged` if the cursor follows an event that this journal does not have, `ValueError` if it names a
        partition that the journal does not have.
        """
        goal = {moment.partition: moment.offset + 1} if isinstance(moment, Position) else moment
        log = await self._journal.open()
        check_cursor(goal, log.partitions)
        if isinstance(moment, Cursor) and moment.marks:
            await refuse_diverged(log, moment)
        await self.wait_until(
            lambda _: Cursor(self._applied).reaches(goal), timeout, describe=f"the journal to be read up to {goal}"
        )

    async def wait_until(
        self, predicate: Callable[[V], bool], timeout: float | None = None, *, describe: str = "the condition"
    ) -> V:
        """Wait until `predicate(view)` holds, at most `timeout` seconds (None: for ever), and return the view.

        `TimeoutError` says, with `describe`, what did not happen.
        """
        deadline = deadline_of(timeout)
        while self._is_inconsistent() or not predicate(view := self.view):
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                raise TimeoutError(f"waited {timeout:g} s for {describe}")
            await self.advance(remaining)
        return view

    async def aclose(self) -> None:
        """Close the tail, after waiting for a snapshot that is being stored; the view keeps its state."""
        try:
            if self._snapshots is not None:
                await self._snapshots.aclose()
        finally:
            tail, self._tail = self._tail, None
            if tail is not None:
                await tail.aclose()

    def _is_inconsistent(self) -> bool:
        return self._view_changes and not self._reading

    async def _open(self) -> None:
        if not self._applied:
            self._view_changes = True
            try:
                begin = await self._start_position(await self._journal.open())
                self._applied, self._behind = dict(begin), dict(begin.behind)
            except (Exception, asyncio.CancelledError):  # these leave a fresh view: see `View.restore`
                self._view_changes = False
                raise
            self._view_changes = False
        self._tail = await self._journal.follow(self._applied)

    async def _start_position(self, log: Log) -> Cursor:
        if self._start is not None:
            await refuse_diverged(log, self._start)
            return self._start
        self._snapshots = SnapshotKeeper(log, self.view, self._snapshot_every)
        start = await self._snapshots.start()
        if self.view.snapshot_name is None:
            self.truncated = await log_truncation(
                log, start, f"a replica of the view {type(self.view).__name__}", _ADVICE
            )
        return start

    def _apply(self, page: Page) -> None:
        self._view_changes = True
        self.view.apply_page(page)
        self._applied[page.partition] = page.next_offset
        self._behind[page.partition] = (page.offsets[-1], page.rows[-1])
        self._view_changes = False
        if self._snapshots is not None:
            self._snapshots.applied(self._applied, len(page.rows), self._behind)

    def after_fork_in_child(self) -> None:
        """Reset the reader, the waiting callers and the snapshot job: they belong to the parent."""
        self._mutex = threading.Lock()
        self._reading = False
        self._waiting = []
        self._tail = None
        if self._snapshots is not None:
            self._snapshots.after_fork_in_child()
