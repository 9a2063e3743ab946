"""Bugs in the rules and the firing of schedules. Every one of them must be noticed by some seed."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from journeyman.journal.event import Draft
from journeyman.tasks import scheduling
from journeyman.tasks.state import schedules, ticks
from journeyman.workers import scheduler
from journeyman.workers.loop import firing, timetable
from journeyman.workers.loop.firing import Firing, drafts_of
from journeyman.workers.loop.timetable import Timetable
from journeyman.workers.scheduler import Scheduler
from journeyman.workers.scheduling import decide
from pytest import MonkeyPatch  # noqa: PT013 - a helper, not a test

from .loop_mutations import Plant, rewritten

_READ: Final = "await self._available(functools.partial(self._replica.wait_for, ends))"
SCHEDULE_MUTATIONS: Final[dict[str, Plant]] = {
    "a schedule is created without a condition": rewritten(
        scheduling, "change_schedule", "drafts[0].expected = end[partition] - 1", "pass"
    ),
    "a paused schedule is due": rewritten(Timetable, "_refresh", "schedule.paused_at is not None", "False"),
    "the ticks of a pause are made up": rewritten(
        schedules, "_settle", "schedule.last = max(schedule.last, context.since - 1)", "pass"
    ),
    "the own tick is not read before the next decision": rewritten(Scheduler, "_turn", _READ, "pass"),
    "no process waits for the next tick": lambda patch: patch.setattr(Firing, "wait", lambda self, now: None),
    "a changed schedule keeps its next tick": rewritten(
        Timetable, "_refresh", "self._next[name] = tick", "self._next.setdefault(name, -1)"
    ),
}


def mutation(plant: Plant) -> Plant:
    """Enter a bug under the words that name it."""
    SCHEDULE_MUTATIONS[plant.__name__.replace("_", " ")] = plant
    return plant


@mutation
def a_tick_is_appended_without_a_condition(patch: MonkeyPatch) -> None:
    real = firing._drafts

    def unconditional(*what: Any) -> Iterator[Draft]:
        for draft in real(*what):
            draft.expected = None
            yield draft

    patch.setattr(firing, "_drafts", unconditional)


@mutation
def a_tick_and_its_task_are_appended_apart(patch: MonkeyPatch) -> None:
    real = drafts_of

    def apart(*what: Any) -> list[Sequence[Draft]]:
        return [[draft] for drafts in real(*what) for draft in drafts]

    patch.setattr(scheduler, "drafts_of", apart)


@mutation
def ticks_are_due_before_their_time(patch: MonkeyPatch) -> None:
    real = Timetable.due
    patch.setattr(Timetable, "due", lambda self, now: real(self, now + 9_000))


@mutation
def one_run_takes_the_place_of_all_that_were_missed(patch: MonkeyPatch) -> None:
    real = ticks.due_ticks
    patch.setattr(timetable, "due_ticks", lambda last, misfire, *rest: real(last, "run_once", *rest))


@mutation
def runs_overlap(patch: MonkeyPatch) -> None:
    rewritten(decide, "firing", "schedule.task in view.live", "False")(patch)
    patch.setattr(scheduler, "firing", decide.firing)


@mutation
def the_next_tick_counts_from_the_last_firing(patch: MonkeyPatch) -> None:
    real = ticks.due_ticks

    def late(last: int, misfire: Any, grace: int, now: int, *rest: Any) -> Iterable[int]:
        return [now for _ in real(last, misfire, grace, now, *rest)]

    patch.setattr(timetable, "due_ticks", late)
