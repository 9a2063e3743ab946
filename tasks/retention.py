"""Removing history: how far it may go, and doing it so that nobody who comes later is left with a gap.

Only what is older than it is kept for is removed, and of that only a beginning of each partition, up to the first event
that is still needed:

- of a *live task*, its submission and all after it: whoever runs the task reads its arguments there;
- of a view of the user's that has snapshots, everything its newest one does not cover.

Before anything is removed, a snapshot of the queue at exactly that point is stored and read back: workers and replicas
start from it, and every later moment can still be told. Checkpoints and parked events of consumers that stand in what
is removed, and nowhere later, are brought forward.

Dead letters do not hold history back, or one forgotten would hold it for ever; without its submission a dead letter can
not run again, so their number is told.
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
from ..journal.event import time_in
from ..journal.limits import CLOCK_SKEW_SECONDS_MAX
from ..journal.log import Log, OneClock
from ..journal.snapshots import SnapshotLabel, load, prune
from .state.state import TaskState
from .state.view import TaskView

# The product's own views: what is removed must be in a snapshot of each of them. They hold nothing back.
KEPT_VIEWS: Final[Sequence[Callable[[], View]]] = (TaskView,)


_STEP_EVENTS: Final = 2_000


class Hold(NamedTuple):
    """What keeps the history of `partition` from `offset` on: a live task, or the snapshots of the view `view`."""

    partition: int
    offset: int
    task: TaskState | None = None
    view: str = ""


class Plan(NamedTuple):
    """What can be removed.

    - `moment`: the time before which history may go, in seconds since the epoch.
    - `first`, `end`: what history there is.
    - `old`: where it is old enough to go; `before`: how much of that may go, `holds` what holds back the rest.
    - `lost_letters`: how many dead letters can not run again afterwards.
    - `unreadable`: how many records are no events, or not as tasks and workers write them.
    """

    moment: float
    first: Cursor
    end: Cursor
    old: Cursor
    before: Cursor
    holds: Sequence[Hold]
    lost_letters: int
    unreadable: int = 0

    @property
    def events(self) -> int:
        """How many positions are freed."""
        return sum(self.before[partition] - offset for partition, offset in self.first.items())


class Compacted(NamedTuple):
    """What was done: which snapshots stand for what was removed, and what was brought forward.

    `carried` are the names of checkpoints, `parked` is the number of parked events.
    """

    snapshots: Sequence[SnapshotLabel]
    carried: Sequence[str]
    parked: int = 0


async def plan(journal: AsyncJournal, moment: float, *, forget: Sequence[str] = ()) -> Plan:
    """What of the history before `moment` (seconds since the epoch) can be removed.

    The views named in `forget` hold nothing back.
    """
    log = await journal.open()
    bounds = await log.bounds()
    old = await _without_young(log, bounds.first, await cursor_at(log, moment), moment)
    now = await as_of(journal, TaskView, bounds.end)
    before, holds = dict(old), list[Hold]()
    for hold in [*_tasks(now), *await _views(log, bounds.end, forget)]:
        if hold.offset < before[hold.partition]:
            before[hold.partition] = max(hold.offset, bounds.first[hold.partition])
            holds = [each for each in holds if each.partition != hold.partition] + [hold]
    lost = sum(bounds.first[task.partition] <= task.submitted < before[task.partition] for task in now.dead.values())
    return Plan(moment, bounds.first, bounds.end, old, Cursor(before), holds, lost, now.unreadable)


async def _without_young(log: Log, first: Cursor, old: Cursor, moment: float) -> Cursor:
    """`old`, up to the first event whose own time is later than `moment`, where a clock may have been wrong.

    A split by time puts a few events on the wrong side; none of them is removed. Those in the future do not count.
    """
    if not (isinstance(log, OneClock) and await log.falls()):
        return old
    latest, kept = time.time() + CLOCK_SKEW_SECONDS_MAX, dict(old)
    for partition, end in old.items():
        offset = first[partition]
        while offset < kept[partition]:
            pages = await log.read({partition: offset}, min(_STEP_EVENTS, end - offset))
            if not pages:
                break
            for at, row in zip(pages[0].offsets, pages[0].rows, strict=True):
                stamp = time_in(row)
                if stamp is not None and moment < stamp <= latest:
                    kept[partition] = min(kept[partition], at)
                    break
            offset = pages[0].next_offset
    return Cursor(kept)


def _tasks(view: TaskView) -> list[Hold]:
    """The oldest live task of each partition."""
    oldest: dict[int, TaskState] = {}
    for task in view.live.values():
        if task.partition not in oldest or task.submitted < oldest[task.partition].submitted:
            oldest[task.partition] = task
    return [Hold(partition, task.submitted, task) for partition, task in oldest.items()]


async def _views(log: Log, end: Cursor, forget: Sequence[str]) -> list[Hold]:
    """How far the newest snapshot of each other view reaches."""
    own = {view().snapshot_name for view in KEPT_VIEWS}
    newest: dict[str, SnapshotLabel] = {}
    for label in await log.snapshots().listed():
        holds = label.view not in own and label.view not in forget
        if holds and (label.view not in newest or label.reach > newest[label.view].reach):
            newest[label.view] = label
    return [
        Hold(partition, label.cursor.get(partition, 0), view=view)
        for view, label in newest.items()
        for partition in end
    ]


async def compact(journal: AsyncJournal, planned: Plan, *, forget: Sequence[str] = ()) -> Compacted:
    """Remove what was planned, once a snapshot stands for it; `JournalError` if it can not be read back."""
    log = await journal.open()
    labels = [await _snapshot(journal, view, planned) for view in KEPT_VIEWS]
    carried = await carry(journal, planned.before)
    await log.trim(planned.before)
    store = log.snapshots()
    for label in labels:
        await prune(store, label.view, planned.before)
    await store.remove([each for each in await store.listed() if each.view in forget])
    return Compacted(labels, carried.checkpoints, carried.parked)


async def _snapshot(journal: AsyncJournal, view: Callable[[], View], planned: Plan) -> SnapshotLabel:
    log = await journal.open()
    seen = await as_of(journal, view, planned.before)
    label = await SnapshotKeeper(log, seen).take(planned.before, planned.moment)
    if await load(log.snapshots(), label) is None:
        raise JournalError(
            f"the snapshot of the view {label.view!r} at {label.cursor.offsets} was stored in {log.url} and can not be "
            "read back; nothing was removed. Look after the storage, then try again."
        )
    return label
