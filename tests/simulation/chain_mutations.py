"""Bugs in the rule of chains and in the worker's part of it. Every one of them must be noticed by some seed."""

from typing import Any, Final

from journeyman.tasks.state import fold, names
from journeyman.workers.loop import appender, drafts, loop
from pytest import MonkeyPatch  # noqa: PT013 - a helper, not a test

from . import executor
from .loop_mutations import Plant, rewritten


def _outcomes(old: str, new: str) -> Plant:
    """`outcome_entries` with one stretch of its text replaced, wherever it is used."""

    def plant(patch: MonkeyPatch) -> None:
        rewritten(drafts, "outcome_entries", old, new)(patch)
        for module in (appender, loop, executor):
            patch.setattr(module, "outcome_entries", drafts.outcome_entries)

    return plant


CHAIN_MUTATIONS: Final[dict[str, Plant]] = {
    "a link needs no success before it": rewritten(
        fold.TaskFold, "_submit", "if context.after >= 0 and", "if False and"
    ),
    "a success expects no link": rewritten(fold.TaskFold, "_move_task", "if context.next and", "if False and"),
    "a success comes without its link": _outcomes("if outcome.link and", "if False and"),
    "a link stands before its success": _outcomes("entries.append(_next_link", "entries.insert(0, _next_link"),
    "a worker does not expect its own link": rewritten(drafts, "_next_link", "ended.next = fact.task", "pass"),
}


def mutation(plant: Plant) -> Plant:
    """Enter a bug under the words that name it."""
    CHAIN_MUTATIONS[plant.__name__.replace("_", " ")] = plant
    return plant


@mutation
def a_link_carries_no_token(patch: MonkeyPatch) -> None:
    def without(context: bytes, claim: int) -> bytes:
        return context

    patch.setattr(drafts, "submission_after", without)


@mutation
def a_failed_attempt_submits_its_link(patch: MonkeyPatch) -> None:
    real: Any = executor.SimulatedExecutor._outcome

    def hasty(self: executor.SimulatedExecutor, job: Any) -> Any:
        outcome = real(self, job)
        if outcome.name != names.SUCCEEDED:
            outcome.link = self.world.success(job).link
        return outcome

    patch.setattr(executor.SimulatedExecutor, "_outcome", hasty)
