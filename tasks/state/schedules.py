"""The schedules: a part of the state. Pure.

A schedule is a subject of its own: all its events stand in the partition of its name, and their order decides. A tick
is accepted once, and only behind the last one; the submission that shares its append has an id made of schedule and
tick. The fold reads no clock: the process that fires ticks decides which are due, and appends them
conditionally; see `ticks`.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from ...journal.row_decoder import Whole
from ..limits import SCHEDULE_GRACE_MS_DEFAULT, SCHEDULE_NAME_CHARS_MAX
from . import names
from .decoding import EventContext
from .part import Part
from .state import TaskState
from .verdict import Verdict

Misfire = Literal["run_once", "skip", "run_all"]
Overlap = Literal["queue", "skip"]
MISFIRES: Final[tuple[Misfire, ...]] = ("run_once", "skip", "run_all")
OVERLAPS: Final[tuple[Overlap, ...]] = ("queue", "skip")


class Cron(msgspec.Struct, frozen=True, tag="cron", tag_field="type", omit_defaults=True):
    """Ticks at the times of the calendar of `timezone` that match all `fields`, by name as apscheduler's CronTrigger.

    `start_ms` and `end_ms` are the first and the last moment at which it may tick, in ms since the epoch.
    """

    fields: dict[str, str]
    timezone: str
    start_ms: Whole | None = None
    end_ms: Whole | None = None


class Interval(msgspec.Struct, frozen=True, tag="interval", tag_field="type", omit_defaults=True):
    """Ticks at `start_ms` and each `every_ms` after it, up to `end_ms`; moments in ms since the epoch."""

    every_ms: Whole
    start_ms: Whole
    end_ms: Whole | None = None


class Date(msgspec.Struct, frozen=True, tag="date", tag_field="type", omit_defaults=True):
    """Ticks once, at `at_ms`, in ms since the epoch."""

    at_ms: Whole


Trigger = Cron | Interval | Date


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of late ticks.

    - `misfire`: of ticks that are later than `grace_ms`, in ms, "run_all" runs each, "skip" none, "run_once" the newest
      one in place of all.
    - `overlap`: a tick whose predecessor still waits or runs is queued behind it ("queue") or left out ("skip").
    """

    misfire: Misfire = "run_once"
    grace_ms: Whole = SCHEDULE_GRACE_MS_DEFAULT
    overlap: Overlap = "queue"


class ScheduleContext(EventContext, gc=False):
    """The context of an event about a schedule.

    `first` is the first tick of a new schedule and `tick` the one that was fired or skipped, in ms since the epoch;
    `since` is the moment from which on a resumed schedule ticks again.
    """

    schedule: str = ""
    trigger: Trigger | None = None
    policy: Policy = Policy()
    message: msgspec.Raw = msgspec.Raw(b"{}")
    first: Whole = -1
    tick: Whole = -1
    since: Whole = -1
    task: str = ""


class Schedule(msgspec.Struct, array_like=True):
    """One schedule.

    - `trigger`, `policy` and `message`, the encoded message of each run, are those of its `schedule.created`, whose
      offset and time are `created` and `created_at`.
    - `last` is the last settled tick, in ms since the epoch: all ticks up to it are fired, skipped or not wanted.
    - `fired` and `skipped` count ticks; `fired_at` is the time of the last firing, `task` its task.
    - `changed` is the offset of its last accepted event, `paused_at` the time of its pause, None if it is not paused.
    """

    name: str
    partition: int
    created: int
    created_at: float
    trigger: Trigger
    policy: Policy
    message: bytes
    first: int
    last: int
    changed: int
    fired: int = 0
    skipped: int = 0
    task: str = ""
    fired_at: float | None = None
    paused_at: float | None = None


_decoder: Final = msgspec.msgpack.Decoder(dict[str, Schedule])
_SETTLING: Final = (names.SCHEDULE_FIRED, names.SCHEDULE_SKIPPED)


class Schedules(Part[str, Schedule, ScheduleContext]):
    """The schedules by name; `touched` are the names of those that have changed since a reader cleared it."""

    name = "schedules"
    events = names.SCHEDULE_EVENTS
    context = ScheduleContext

    def __init__(self) -> None:
        super().__init__()
        self.touched: set[str] = set()

    def apply(self, name: str, context: ScheduleContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """Create, fire, pause, resume or clear a schedule; `FOREIGN` if the event names none."""
        if not context.schedule:
            return Verdict.FOREIGN
        known = self.get(context.schedule)
        if name == names.SCHEDULE_CREATED:
            accepted = known is None and self._create(context, partition, offset, timestamp)
        elif known is None or known.partition != partition:
            accepted = False
        elif name == names.SCHEDULE_CLEARED:
            del self[context.schedule]
            accepted = True
        else:
            accepted = _settle(known, name, context, timestamp)
            known.changed = offset if accepted else known.changed
        if not accepted:
            return Verdict.REFUSED
        self.touched.add(context.schedule)
        return self.changed()

    def _create(self, context: ScheduleContext, partition: int, offset: int, timestamp: float) -> bool:
        if context.trigger is None or context.first < 0 or len(context.schedule) > SCHEDULE_NAME_CHARS_MAX:
            return False
        self[context.schedule] = Schedule(
            context.schedule,
            partition,
            offset,
            timestamp,
            context.trigger,
            context.policy,
            bytes(context.message),
            context.first,
            context.first - 1,
            offset,
        )
        return True

    def dump(self) -> Any:
        """See `Part.dump`."""
        return dict(self)

    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[str, Schedule]:
        """See `Part.load`."""
        return _decoder.decode(state)

    def replace(self, content: Mapping[str, Schedule]) -> None:
        """See `Part.replace`."""
        self.touched |= self.keys() | content.keys()
        super().replace(content)


def _settle(schedule: Schedule, name: str, context: ScheduleContext, timestamp: float) -> bool:
    """Apply an event to a known schedule; False if it is refused."""
    paused = schedule.paused_at is not None
    if name in _SETTLING:
        if paused or context.tick <= schedule.last:
            return False
        schedule.last = context.tick
        if name == names.SCHEDULE_FIRED:
            schedule.fired += 1
            schedule.task, schedule.fired_at = context.task, timestamp
        else:
            schedule.skipped += 1
        return True
    if (name == names.SCHEDULE_PAUSED) == paused:
        return False
    schedule.paused_at = None if paused else timestamp
    if paused:
        schedule.last = max(schedule.last, context.since - 1)
    return True
