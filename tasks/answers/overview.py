"""The answer with the summary of queues, workers and dead letters."""

import msgspec

from ..inspection.overview import Letter, Orphans, Overview, QueueLine, Totals, WorkerLine
from ..inspection.schedule_lines import ScheduleLine


class StatusAnswer(msgspec.Struct, frozen=True):
    """The summary as of a moment, in seconds since the epoch; `dead_letters` counts them by the name of the task.

    `waiting_for_nobody` are waiting tasks that no live worker can run; `clocks` says which clocks are or were wrong.
    """

    as_of: float
    queues: list[QueueLine]
    workers: list[WorkerLine]
    waiting_for_nobody: list[Orphans]
    dead_letters: dict[str, int]
    newest_dead_letters: list[Letter]
    totals: Totals
    clocks: list[str]
    schedules: list[ScheduleLine]


def status_answer(seen: Overview) -> StatusAnswer:
    """Return the answer for an overview."""
    return StatusAnswer(
        as_of=seen.at,
        queues=seen.queues,
        workers=seen.workers,
        waiting_for_nobody=seen.orphans,
        dead_letters=dict(seen.dead),
        newest_dead_letters=list(seen.letters),
        totals=seen.totals,
        clocks=list(seen.clocks),
        schedules=list(seen.schedules),
    )
