"""A replica keeps a view current: it reads what is there, then what comes, and can wait for a moment or a condition."""

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
from ...journal.runtime.forking import tell_of_forks
from ..limits import SNAPSHOT_EVENTS
from ..truncation import told
from .snapshots import SnapshotKeeper
from .view import View

V = TypeVar("V", bound=View)

_ADVICE: Final = "The view is made of what is left, as it has no snapshots."


class Replica(Generic[V]):
    """`view`, kept current from `journal`.

    It starts from the newest snapshot of the view, or replays history where there is none; or starts at `cursor`, where
    one is given; `JournalDiverged` if that belongs to another history than the journal's. It takes snapshots itself,
    about every `snapshot_every` events that no other reader has taken one in.

    Any number of tasks, or of threads driving it, may wait on one replica: whoever comes first reads the log for all,
    the others wait for what it read. Nobody polls.

    What strikes in the midst of a page, an error of the view or a signal handler's exception, leaves a view that is not
    what the journal says. A fresh one, made by `renew`, then takes its place; without that, the replica says so from
    then on by `RuntimeError`.
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
        # What retention had removed before a view without snapshots began to read: such a view is of what is left.
        self.truncated: HistoryTruncated | None = None
        self._journal = journal
        self._snapshot_every = snapshot_every
        self._snapshots: SnapshotKeeper | None = None
        self._start = Cursor(cursor) if cursor is not None else None
        self._renew = renew
        self._tail: Tail | None = None
        self._applied: dict[int, int] = {}
        self._behind: dict[int, Behind] = {}
        # While these are set the tail, or the view, may have moved on from `_applied`; a fork copies what it finds.
        self._tail_moves = False
        self._view_changes = False
        self._mutex = threading.Lock()
        self._reading = False
        self._waiting: list[concurrent.futures.Future[None]] = []
        tell_of_forks(self)

    @property
    def cursor(self) -> Cursor:
        """What has been applied so far; empty before the first read."""
        return Cursor(self._applied, dict(self._behind))

    async def advance(self, timeout: float | None = None) -> bool:
        """Apply the next page, waiting for it at most `timeout` seconds (None: for ever); say whether anything came.

        The first call only takes the place at which reading begins: that may be all there is to know.

        Where somebody else is reading already, waits for what they read instead.
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
                self._begin_anew(self._renew())  # those who wait look at the view next
            raise
        finally:
            if reads:
                self._reading = False  # before anything is called, where a signal handler could raise
                with self._mutex:
                    waiting, self._waiting = self._waiting, []
                for each in waiting:
                    each.set_result(None)

    async def _read(self, timeout: float | None) -> bool:
        await self._mend()
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
        self._applied.update(tail.cursor)  # repeats, which nobody is handed, lie behind us, too
        self._tail_moves = False
        return page is not None

    async def _mend(self) -> None:
        """After an exception that struck anywhere: let go of what may have moved on from `_applied`."""
        if self._view_changes:
            if self._renew is None:
                raise RuntimeError(
                    f"the view {type(self.view).__name__} was interrupted in the midst of a page and is not what the "
                    "journal says; make another, with a replica of its own"
                )
            self._begin_anew(self._renew())
        if self._tail_moves:
            if self._tail is not None:
                await self._tail.aclose()
            self._tail, self._tail_moves = None, False

    def _begin_anew(self, view: V) -> None:
        self.view, self._applied, self._behind, self._snapshots, self.truncated = view, {}, {}, None, None
        self._tail_moves, self._view_changes = True, False

    async def catch_up(self) -> Cursor:
        """Apply all that was in the log at the moment of the call."""
        end = (await self._journal.bounds()).end
        await self.wait_for(end)
        return self.cursor

    async def wait_for(self, moment: Position | Mapping[int, int], timeout: float | None = None) -> None:
        """Wait until the event at a position, or all before a cursor, is applied: read your own writes.

        `JournalDiverged` if the cursor stands behind an event that this journal does not hold, `ValueError` if it names
        a partition that the journal does not have.
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
        while self._is_spoilt() or not predicate(view := self.view):
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                raise TimeoutError(f"waited {timeout:g} s for {describe}")
            await self.advance(remaining)
        return view

    async def aclose(self) -> None:
        """Let go of the log, once a snapshot that is being stored is; the view stays as it is."""
        try:
            if self._snapshots is not None:
                await self._snapshots.aclose()
        finally:
            tail, self._tail = self._tail, None
            if tail is not None:
                await tail.aclose()

    def _is_spoilt(self) -> bool:
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
            self.truncated = await told(log, start, f"a replica of the view {type(self.view).__name__}", _ADVICE)
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
        """Whoever read or waited is in the parent, and so is what was stored beside."""
        self._mutex = threading.Lock()
        self._reading = False
        self._waiting = []
        self._tail = None
        if self._snapshots is not None:
            self._snapshots.after_fork_in_child()
