"""What the journal says of schedules: each tick has one run, in one append with it, and none is missing."""

from dataclasses import dataclass

import journeyman as jm

from torture.verdicts import Verdicts

EARLY_SECONDS_MAX = 1.0  # the clocks of one machine agree


@dataclass
class Schedule:
    """A schedule of intervals whose ticks all run; moments in ms since the epoch."""

    every: int
    next: int
    paused: bool = False


class ScheduleLedger:
    """The schedules of one partition, worked out event by event."""

    def __init__(self, verdicts: Verdicts) -> None:
        self.verdicts = verdicts
        self._schedules: dict[str, Schedule] = {}
        self._owed: tuple[str, int] | None = None  # the task of the tick that was fired last, and its offset

    def take(self, event: jm.Event) -> None:
        """Apply an event."""
        said, owed = event.context, self._owed
        if owed is not None:
            self._owed = None
            if (event.name, said.get("task"), event.offset) != ("task.submitted", *owed):
                self._violated(f"the tick {owed[0]} has no task right behind it")
        elif event.name == "task.submitted" and "schedule" in (said.get("metadata") or {}):
            self._violated(f"the task {said['task']} comes without its tick")
        if not event.name.startswith("schedule."):
            return
        name, known = said["schedule"], self._schedules.get(said["schedule"])
        if event.name == "schedule.created":
            if known is not None:
                self._violated(f"the schedule {name} is created twice")
            self._schedules[name] = Schedule(said["trigger"]["every_ms"], said["first"])
        elif known is None:
            self._violated(f"{event.name} comes for {name}, which there is not")
        elif event.name == "schedule.fired":
            self._fired(known, event)
        elif event.name == "schedule.cleared":
            del self._schedules[name]
        else:
            self._turned(known, event)

    def _fired(self, known: Schedule, event: jm.Event) -> None:
        said = event.context
        name, tick = said["schedule"], said["tick"]
        if known.paused:
            self._violated(f"{name} is fired at {event.offset} though it is paused")
        if tick != known.next:
            self._violated(f"{name} is fired for {tick} at {event.offset}, and {known.next} is its next tick")
        late = event.timestamp - tick / 1_000
        if late < -EARLY_SECONDS_MAX:
            self._violated(f"{name} is fired {-late:.1f} s early at {event.offset}")
        known.next = tick + known.every
        self._owed = (said["task"], event.offset + 1)
        self.verdicts.counts["ticks"] += 1
        self.verdicts.tick_seconds_late.append(late)

    def _turned(self, known: Schedule, event: jm.Event) -> None:
        pausing = event.name == "schedule.paused"
        if known.paused == pausing:
            self._violated(f"{event.name} at {event.offset} changes nothing")
        known.paused = pausing
        if not pausing:
            since = event.context["since"]
            left_out = max(0, -(-(since - known.next) // known.every))
            known.next += left_out * known.every
            self.verdicts.counts["ticks left out by a pause"] += left_out

    def close(self) -> None:
        """Nothing comes any more."""
        if self._owed is not None:
            self._violated(f"the tick {self._owed[0]} has no task right behind it")

    def _violated(self, what: str) -> None:
        self.verdicts.violations.append(what)
