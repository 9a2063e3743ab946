"""The locks of a journal as a view: the fold of the events of locks alone, and a replica that starts near the end.

A program that takes a lock must not replay a long history. So the replica starts from the newest snapshot that holds
the locks: one of its own, or one of the state of the queue, of which the locks are a part.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...consumers.views.replica import Replica
from ...consumers.views.snapshots import SnapshotKeeper, refuse_gap
from ...consumers.views.view import View
from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.errors import JournalError
from ...journal.event import Event
from ...journal.log import Bounds, Log, Page
from ...journal.snapshots import SnapshotLabel, fitting
from ..state import names
from ..state.locks import LockContext, LockRequest, Locks, Requests
from ..state.older_snapshots import SCHEMAS
from ..state.part_facts import part_fact, read_context
from ..state.verdict import Verdict
from ..state.view import TaskView
from ..state.view_snapshot import share_of

_SNAPSHOTS: Final = "locks"  # what the names of their snapshots begin with
_MARK: Final = b'"lock.'  # what the names of their events begin with
_ENDS: Final = frozenset({names.LOCK_RELEASED, names.LOCK_WITHDRAWN, names.LOCK_EXPIRED})
_ADVICE: Final = (
    "Without a snapshot of it nothing says who holds a lock. Restore the snapshots from a backup, or use the version "
    "that wrote them."
)

# Of requests, by lock and token: the offset of the event that has ended each, None while it lives.
Endings = dict[tuple[str, int], int | None]


class LockView(View):
    """The locks of one partition. `endings` are filled in for the requests that its keys name."""

    def __init__(self, partition: int, endings: Endings | None = None) -> None:
        self.locks = Locks()
        self.partition = partition
        self._endings: Endings = {} if endings is None else endings

    @property
    def snapshot_name(self) -> str:  # type: ignore[override]  # each partition has snapshots of its own
        """See `View.snapshot_name`."""
        return f"{_SNAPSHOTS}.{self.partition}"

    def requests(self, lock: str) -> Requests:
        """Return the live requests of a lock, in log order."""
        return self.locks.requests(self.partition, lock)

    def find(self, lock: str, token: int) -> LockRequest | None:
        """Return the live request of that token."""
        return self.locks.find(self.partition, lock, token)

    def apply(self, event: Event) -> Verdict:
        """Apply one event, and return the verdict on it."""
        if event.name not in names.LOCK_EVENTS:
            return Verdict.FOREIGN
        context = read_context(event.name, event.context_json)
        return self._apply(event.name, context, event.partition, event.offset, event.timestamp)

    def apply_page(self, page: Page) -> None:
        """Apply a page of records; those that are not about locks are not decoded."""
        for offset, row in zip(page.offsets, page.rows, strict=True):
            if _MARK in row:
                said = part_fact(row)
                if said is not None and isinstance(said.context, LockContext):
                    self._apply(said.name, said.context, page.partition, offset, said.timestamp)

    def _apply(self, name: str, context: LockContext, partition: int, offset: int, timestamp: float) -> Verdict:
        verdict = self.locks.apply(name, context, partition, offset, timestamp)
        request = (context.lock, context.token)
        if verdict is Verdict.ACCEPTED and name in _ENDS and request in self._endings:
            self._endings[request] = offset
        return verdict

    def snapshot(self) -> bytes:
        """See `View.snapshot`."""
        return msgspec.msgpack.encode(self.locks.dump())

    def restore(self, state: bytes) -> None:
        """See `View.restore`."""
        self.locks.replace(self.locks.load(msgspec.Raw(state), {}))


def is_lock_view(name: str) -> bool:
    """Return whether snapshots of that name are of the locks of a partition."""
    view, _, partition = name.partition(".")
    return view == _SNAPSHOTS and partition.isdecimal()


class _QueueShare(View):
    """The locks in a snapshot of the state of the queue; one of an older form was taken before there were locks."""

    snapshot_name = TaskView.snapshot_name

    def __init__(self, view: LockView) -> None:
        self._view = view

    @property
    def snapshot_schema(self) -> str:
        """See `View.snapshot_schema`."""
        return TaskView().snapshot_schema

    @property
    def older_snapshot_schemas(self) -> Sequence[str]:
        """See `View.older_snapshot_schemas`."""
        return SCHEMAS

    def apply(self, event: Event) -> Any:
        """Apply nothing: this view only restores."""

    def restore(self, state: bytes) -> None:
        """Load the locks of the partition into the view of the locks."""
        share = share_of(state, Locks.name)
        locks = {} if share is None else self._view.locks.load(share, {})
        own = self._view.partition
        self._view.locks.replace({own: locks[own]} if own in locks else {})


class LockReplica(Replica[LockView]):
    """Keeps the locks of one partition of `journal` current."""

    def __init__(self, journal: AsyncJournal, partition: int, endings: Endings) -> None:
        super().__init__(journal, LockView(partition, endings), renew=lambda: LockView(partition, endings))
        self._partition = partition

    async def catch_up(self) -> Cursor:
        """Apply all events of the partition that are in the log at the time of the call."""
        end = (await self._journal.bounds()).end
        await self.wait_for({self._partition: end[self._partition]})
        return self.cursor

    async def _start_position(self, log: Log) -> Cursor:
        """Restore the view from the newest snapshot that holds the locks; return where to read on."""
        bounds = await log.bounds()
        at = self._partition
        first, end = Cursor({at: bounds.first[at]}), Cursor({at: bounds.end[at]})
        keepers = await self._keepers(log, bounds)
        self._snapshots = next(keeper for keeper, whole in keepers if not whole)
        for keeper, whole in keepers:
            restored = await keeper.restore(bounds.first, bounds.end) if whole else await keeper.restore(first, end)
            if restored is not None:
                return Cursor({at: restored[at]})
        await refuse_gap(log, first, _ADVICE)
        return first

    async def _keepers(self, log: Log, bounds: Bounds) -> list[tuple[SnapshotKeeper, bool]]:
        """Return the keepers of both kinds of snapshots, the one with the newest first; whether one is of the queue."""
        try:
            labels = await log.snapshots().listed()
        except JournalError:
            labels = ()
        queue = _QueueShare(self.view)
        newest = self._reach(labels, queue, bounds), self._reach(labels, self.view, bounds)
        keepers = [(SnapshotKeeper(log, queue), True), (SnapshotKeeper(log, self.view), False)]
        return keepers if newest[0] > newest[1] else keepers[::-1]

    def _reach(self, labels: Sequence[SnapshotLabel], view: View, bounds: Bounds) -> int:
        """Return how far the newest snapshot of a view goes in the partition; -1 without one."""
        at, name = self._partition, view.snapshot_name or ""
        found = fitting(labels, name, view.snapshot_schema, first={at: bounds.first[at]})
        return max((label.cursor.get(at, -1) for label in found), default=-1)
