"""Create, pause, resume, clear and find schedules on the journal's own loop.

Each change is conditional on the state that it was decided from, so of two processes that act at once one decides anew.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import orjson

from ..consumers.views.as_of import as_of
from ..journal.async_journal import AsyncJournal
from ..journal.errors import EventConflict
from ..journal.event import Draft, encode_context
from .errors import SchedulingError
from .state import names
from .state.schedules import Date, Policy, Schedule, Schedules, Trigger
from .state.view import TaskView
from .triggers import calendar, in_words, is_same

# The events to append about a schedule, by name and the fields beside the schedule's name.
Changes = Sequence[tuple[str, Mapping[str, Any]]]


class Changed(NamedTuple):
    """A schedule after a change, None if there is none; and whether anything was appended."""

    schedule: Schedule | None
    changed: bool


class PlannedSchedule(NamedTuple):
    """A schedule as a program wants it: the name, the ticks, the policy, and the template of the messages."""

    name: str
    trigger: Trigger
    policy: Policy
    message: Mapping[str, Any]

    def differences(self, known: Schedule) -> list[str]:
        """Return in what a known schedule differs from this plan; empty if in nothing."""
        found: list[str] = []
        if not is_same(known.trigger, self.trigger):
            found.append(f"it ticks {in_words(known.trigger)}, here {in_words(self.trigger)}")
        if known.policy != self.policy:
            found.append(f"its policy is {_policy_in_words(known.policy)}, here {_policy_in_words(self.policy)}")
        message: dict[str, Any] = orjson.loads(known.message)
        fields = [name for name in {**message, **self.message} if message.get(name) != self.message.get(name)]
        if fields:
            found.append(f"its messages have other values of {', '.join(fields)}")
        return found

    def creation(self, now: int) -> Changes:
        """Return the event that creates the schedule; its first tick is behind `now`, or a date that may be late."""
        first = self.trigger.at_ms if isinstance(self.trigger, Date) else calendar(self.trigger)(now)
        if first is None or first < 0:
            raise SchedulingError(
                f"the trigger of {self.name} does not tick from now on: {in_words(self.trigger)}. Give it another time"
            )
        return [(names.SCHEDULE_CREATED, self._context(self.trigger, first))]

    def replacement(self, known: Schedule, now: int) -> Changes:
        """Return the events that put this schedule in the place of `known`: paused if it was, no tick fired twice."""
        created = self.creation(now)
        if is_same(known.trigger, self.trigger):
            first = calendar(known.trigger)(known.last)
            assert first is not None, "a schedule that does not tick any more is created anew"
            created = [(names.SCHEDULE_CREATED, self._context(known.trigger, first))]
        paused: Changes = [(names.SCHEDULE_PAUSED, {})] if known.paused_at is not None else []
        return [(names.SCHEDULE_CLEARED, {"reason": "replaced"}), *created, *paused]

    def _context(self, trigger: Trigger, first: int) -> dict[str, Any]:
        said = {"trigger": msgspec.to_builtins(trigger), "policy": msgspec.to_builtins(self.policy)}
        return {**said, "message": self.message, "first": first}


def _policy_in_words(policy: Policy) -> str:
    return f"misfire={policy.misfire}, grace_ms={policy.grace_ms}, overlap={policy.overlap}"


async def schedules_of(journal: AsyncJournal) -> Schedules:
    """Return the schedules that the journal holds now."""
    return (await _view(journal))[0].schedules


async def create_schedule(journal: AsyncJournal, plan: PlannedSchedule, *, replace: bool = False) -> Schedule:
    """Create the schedule, or join the one of its name if it is the same; return it.

    One that differs is replaced with `replace`, or if it does not tick any more; else `SchedulingError` says in what.
    """

    def decide(known: Schedule | None) -> Changes:
        now = now_ms()
        if known is None:
            return plan.creation(now)
        found = plan.differences(known)
        has_ended = calendar(known.trigger)(known.last) is None
        if not found or (has_ended and is_same(known.trigger, plan.trigger)):
            return []
        if has_ended:
            return [(names.SCHEDULE_CLEARED, {"reason": "ended"}), *plan.creation(now)]
        if not replace:
            raise SchedulingError(
                f"the journal {journal.location} has another schedule {plan.name}: {'; '.join(found)}. Join it by "
                "the same settings, replace it by generate(replace=True), or clear it"
            )
        return plan.replacement(known, now)

    schedule = (await change_schedule(journal, plan.name, decide)).schedule
    assert schedule is not None, "it was known, or its creation was accepted"
    return schedule


async def pause_schedule(journal: AsyncJournal, name: str, signature: Mapping[str, str]) -> Changed:
    """Pause a schedule; `Changed` has no schedule if the journal holds none of that name."""
    return await change_schedule(journal, name, lambda known: pausing(known, signature))


async def resume_schedule(journal: AsyncJournal, name: str, signature: Mapping[str, str]) -> Changed:
    """Resume a schedule: it ticks again from now on; the ticks of the pause are left out. Otherwise as `pause`."""
    return await change_schedule(journal, name, lambda known: resuming(known, now_ms(), signature))


async def clear_schedule(journal: AsyncJournal, name: str, signature: Mapping[str, str]) -> bool:
    """Remove a schedule: it ticks no more. Tasks that it has submitted stay. False if there is none of that name."""
    return (await change_schedule(journal, name, lambda known: clearing(known, signature))).changed


def pausing(known: Schedule | None, signature: Mapping[str, str]) -> Changes:
    """Return the event that pauses a schedule; none if it is paused or unknown."""
    return [(names.SCHEDULE_PAUSED, signature)] if known is not None and known.paused_at is None else []


def resuming(known: Schedule | None, now: int, signature: Mapping[str, str]) -> Changes:
    """Return the event that resumes a schedule from `now` on, in ms; none if it is not paused or unknown."""
    if known is None or known.paused_at is None:
        return []
    return [(names.SCHEDULE_RESUMED, {"since": now, **signature})]


def clearing(known: Schedule | None, signature: Mapping[str, str]) -> Changes:
    """Return the event that removes a schedule; none if it is unknown."""
    return [(names.SCHEDULE_CLEARED, signature)] if known is not None else []


async def change_schedule(journal: AsyncJournal, name: str, decide: Callable[[Schedule | None], Changes]) -> Changed:
    """Append what `decide` returns for the schedule of that name, once it is decided by the newest state."""
    while True:
        view, end = await _view(journal)
        known = view.schedules.get(name)
        changes = decide(known)
        if not changes:
            return Changed(known, changed=False)
        log = await journal.open()
        partition = log.partition_of(name) if known is None else known.partition
        drafts = [
            Draft(event, encode_context(event, {"schedule": name, **context}), name, partition)
            for event, context in changes
        ]
        drafts[0].expected = end[partition] - 1
        try:
            events = await journal.append_drafts(drafts)
        except EventConflict:
            continue
        for event in events:
            view.apply(event)
        return Changed(view.schedules.get(name), changed=True)


async def act_on_schedule(
    journal: AsyncJournal, name: str, act: Callable[[Schedule | None], Changes], *, dry_run: bool
) -> tuple[bool, bool]:
    """Change a schedule by `act`; return whether it was known, and whether it was changed; with `dry_run`: would be."""
    seen: list[Schedule | None] = []

    def decide(known: Schedule | None) -> Changes:
        seen.append(known)
        return [] if dry_run else act(known)

    changed = (await change_schedule(journal, name, decide)).changed
    return seen[-1] is not None, bool(act(seen[-1])) if dry_run else changed


async def _view(journal: AsyncJournal) -> tuple[TaskView, Mapping[int, int]]:
    """Return the state of the queue, and up to where it is read."""
    log = await journal.open()
    end = (await log.bounds()).end
    return await as_of(journal, TaskView, end), end


def now_ms() -> int:
    """The time in ms since the epoch."""
    return int(time.time() * 1_000)
