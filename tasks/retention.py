"""Remove old history, without leaving later readers a gap.

Only history older than the retention time is removed: a prefix of each partition, up to the first event that is still
needed:

- the submission of a *live task* and all events after it: the worker that runs the task reads its arguments there;
- all events that the newest snapshot of a user's view does not cover.

Before anything is removed, a snapshot of the queue at exactly that point is stored and read back: workers and replicas
start from it, and the state at every later moment can still be computed. Checkpoints and parked events of consumers
that exist only in the removed part are copied forward.

Dead letters do not hold history back, since a single forgotten one would hold it for ever. Without its submission a
dead letter cannot run again, so the number of those affected is reported.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ..consumers.checkpoints.retention import carry
from ..consumers.views.as_of import as_of, cursor_at
from ..consumers.views.snapshots import SnapshotKeeper
from ..consumers.views.view import View
from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor
from ..journal.errors import JournalError
from ..journal.event_decoding import time_in
from ..journal.limits import CLOCK_SKEW_SECONDS_MAX
from ..journal.log import Log, OneClock
from ..journal.snapshots import SnapshotLabel, load, prune
from .limits import RETENTION_STEP_EVENTS
from .locking.view import is_lock_view
from .state.state import TaskState
from .state.view import TaskView

# The product's own views: a snapshot of each must cover the removed events. They hold nothing back.
KEPT_VIEWS: Final[Sequence[Callable[[], View]]] = (TaskView,)


class KeptHistory(NamedTuple):
    """Why the history of `partition` is kept from `offset` on: a live task, or the snapshots of the view `view`."""

    partition: int
    offset: int
    task: TaskState | None = None
    view: str = ""


class CompactionPlan(NamedTuple):
    """The history that can be removed.

    - `moment`: the time before which history may be removed, in seconds since the epoch.
    - `first`, `end`: the bounds of the history.
    - `old`: the end of the history before `moment`; `before`: up to where that may go; `holds`: why the rest is kept.
    - `lost_letters`: how many dead letters cannot run again afterwards.
    - `unreadable`: how many records are no events, or not as tasks and workers write them.
    """

    moment: float
    first: Cursor
    end: Cursor
    old: Cursor
    before: Cursor
    holds: Sequence[KeptHistory]
    lost_letters: int
    unreadable: int = 0

    @property
    def events(self) -> int:
        """How many positions are freed."""
        return sum(self.before[partition] - offset for partition, offset in self.first.items())


class Compacted(NamedTuple):
    """The result of `compact`: the snapshots that replace the removed history, and what was copied forward.

    `carried` are the names of checkpoints, `parked` is the number of parked events.
    """

    snapshots: Sequence[SnapshotLabel]
    carried: Sequence[str]
    parked: int = 0


async def plan(journal: AsyncJournal, moment: float, *, forget: Sequence[str] = ()) -> CompactionPlan:
    """Compute which part of the history before `moment` (seconds since the epoch) can be removed.

    The views named in `forget` hold nothing back.
    """
    log = await journal.open()
    bounds = await log.bounds()
    old = await _without_young(log, bounds.first, await cursor_at(log, moment), moment)
    now = await as_of(journal, TaskView, bounds.end)
    before, holds = dict(old), list[KeptHistory]()
    for hold in [*_tasks(now), *await _views(log, bounds.end, forget)]:
        if hold.offset < before[hold.partition]:
            before[hold.partition] = max(hold.offset, bounds.first[hold.partition])
            holds = [each for each in holds if each.partition != hold.partition] + [hold]
    lost = sum(bounds.first[task.partition] <= task.submitted < before[task.partition] for task in now.dead.values())
    return CompactionPlan(moment, bounds.first, bounds.end, old, Cursor(before), holds, lost, now.unreadable)


async def _without_young(log: Log, first: Cursor, old: Cursor, moment: float) -> Cursor:
    """Return `old`, cut at the first event whose own time is later than `moment`, if a clock may have been wrong.

    A split by time puts a few events on the wrong side; none of them is removed. Those in the future do not count.
    """
    if not (isinstance(log, OneClock) and await log.falls()):
        return old
    latest, kept = time.time() + CLOCK_SKEW_SECONDS_MAX, dict(old)
    for partition, end in old.items():
        offset = first[partition]
        while offset < kept[partition]:
            pages = await log.read({partition: offset}, min(RETENTION_STEP_EVENTS, end - offset))
            if not pages:
                break
            for at, row in zip(pages[0].offsets, pages[0].rows, strict=True):
                stamp = time_in(row)
                if stamp is not None and moment < stamp <= latest:
                    kept[partition] = min(kept[partition], at)
                    break
            offset = pages[0].next_offset
    return Cursor(kept)


def _tasks(view: TaskView) -> list[KeptHistory]:
    """Return the holds of the oldest live task of each partition."""
    oldest: dict[int, TaskState] = {}
    for task in view.live.values():
        if task.partition not in oldest or task.submitted < oldest[task.partition].submitted:
            oldest[task.partition] = task
    return [KeptHistory(partition, task.submitted, task) for partition, task in oldest.items()]


async def _views(log: Log, end: Cursor, forget: Sequence[str]) -> list[KeptHistory]:
    """Return the holds of each other view, from where its newest snapshot ends."""
    own = {view().snapshot_name for view in KEPT_VIEWS}  # the locks are a part of the queue
    newest: dict[str, SnapshotLabel] = {}
    for label in await log.snapshots().listed():
        holds = label.view not in own and label.view not in forget and not is_lock_view(label.view)
        if holds and (label.view not in newest or label.reach > newest[label.view].reach):
            newest[label.view] = label
    return [
        KeptHistory(partition, label.cursor.get(partition, 0), view=view)
        for view, label in newest.items()
        for partition in end
    ]


async def compact(journal: AsyncJournal, planned: CompactionPlan, *, forget: Sequence[str] = ()) -> Compacted:
    """Remove the planned history once its snapshots are stored; `JournalError` if one cannot be read back."""
    log = await journal.open()
    labels = [await _snapshot(journal, view, planned) for view in KEPT_VIEWS]
    carried = await carry(journal, planned.before)
    await log.trim(planned.before)
    store = log.snapshots()
    for label in labels:
        await prune(store, label.view, planned.before)
    await store.remove([each for each in await store.listed() if each.view in forget])
    return Compacted(labels, carried.checkpoints, carried.parked)


async def _snapshot(journal: AsyncJournal, view: Callable[[], View], planned: CompactionPlan) -> SnapshotLabel:
    log = await journal.open()
    seen = await as_of(journal, view, planned.before)
    label = await SnapshotKeeper(log, seen).take(planned.before, planned.moment)
    if await load(log.snapshots(), label) is None:
        raise JournalError(
            f"the snapshot of the view {label.view!r} at {label.cursor.offsets} was stored in {log.url} and can not be "
            "read back; nothing was removed. Look after the storage, then try again."
        )
    return label
