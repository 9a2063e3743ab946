"""Explain by how much a schedule is late, and what becomes of its ticks. Pure."""

from typing import Final

from ..limits import SCHEDULE_MISSED_COUNTED_MAX
from .schedule_lines import ScheduleLine
from .wording import age, number


def lateness(line: ScheduleLine) -> str:
    """Say by how much a schedule is late and what becomes of its ticks, for one of which `is_late` holds."""
    more = "at least " if line.missed >= SCHEDULE_MISSED_COUNTED_MAX else ""
    since = "" if line.overdue_seconds is None else f", the first {age(line.overdue_seconds)} ago"
    return (
        f"{more}{number(line.missed, 'tick')} of the schedule {line.schedule} {_are(line.missed)} over and not "
        f"fired{since}: {_BECOMES[line.misfire]}. No process has fired in time: start a worker, or "
        "`journeyman scheduler`"
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


_BECOMES: Final = {
    "run_once": "the newest one will run in place of all",
    "skip": "they will not run",
    "run_all": "each will run",
}
