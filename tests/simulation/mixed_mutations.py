"""Bugs in the release of linked locks and in the firing of ticks by the worker's loop."""

from collections.abc import Iterator
from typing import Any, Final

from journeyman.journal.event import Draft
from journeyman.workers.loop import appender, bound_release, drafts, firing
from journeyman.workers.loop.appender import Appender
from pytest import MonkeyPatch  # noqa: PT013 - a helper, not a test

from .loop_mutations import Plant, in_decider, rewritten

_RELEASING: Final = "(accepted or link.token >= 0) and "

MIXED_MUTATIONS: Final[dict[str, Plant]] = {
    "an attempt that is retried releases the lock": rewritten(drafts, "_release", "outcome.name in _FINAL and", ""),
    "no lock is released behind an outcome": rewritten(Appender, "_may_release", _RELEASING, "False and "),
    "a lock is released behind any outcome": rewritten(
        Appender, "_may_release", "self._view.state_of(partition, entry.fact.task) in _ENDED", "True"
    ),
    "a tick is fired though its last run goes on": in_decider("firing", "schedule.task in view.live", "False"),
}


def mutation(plant: Plant) -> Plant:
    """Enter a bug under the words that name it."""
    MIXED_MUTATIONS[plant.__name__.replace("_", " ")] = plant
    return plant


@mutation
def the_loop_fires_without_a_condition(patch: MonkeyPatch) -> None:
    real = firing._drafts

    def unconditional(*what: Any) -> Iterator[Draft]:
        for draft in real(*what):
            draft.expected = None
            yield draft

    patch.setattr(firing, "_drafts", unconditional)


@mutation
def the_release_is_forgotten_where_it_cannot_be_bound(patch: MonkeyPatch) -> None:
    def kept(*what: Any) -> list[drafts.WorkerDraft]:
        entries = bound_release.alone(*what)
        entries[0].link = None
        return entries

    patch.setattr(appender, "alone", kept)
