"""Decode events about tasks for trends: the fields that the fold needs, how long an attempt ran, and its error.

Fields that the fold does not read stay encoded at first, so every event that the fold can read is readable here.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from ...journal.row_decoder import Moment, Name, RowDecoder
from ..limits import FINDING_TEXT_CHARS_MAX
from ..state import names
from ..state.decoding import TaskContext, TaskFact, task_facts

_ABSENT: Final = msgspec.Raw(b"")


class TrendContext(TaskContext, gc=False):
    """The fields of an event about a task: those that the fold needs, and those of an outcome, encoded."""

    ran_ms: msgspec.Raw = _ABSENT
    exception: msgspec.Raw = _ABSENT


class TrendFact(msgspec.Struct, gc=False):
    """An event about a task."""

    timestamp: Moment
    name: Name
    context: TrendContext = msgspec.field(default_factory=TrendContext)


class _Exception(msgspec.Struct):
    name: str = ""
    text: str | None = None


_facts: Final = RowDecoder(TrendFact)
_exceptions: Final = RowDecoder(_Exception)
contexts: Final = RowDecoder(TrendContext)


def trend_facts(rows: Sequence[bytes]) -> Sequence[TrendFact | TaskFact | None]:
    """Decode each record; None for one that the fold cannot read, a `TaskFact` for another program's."""
    read = _facts.decode_all(rows)
    return read if read is not None else [_facts.read(row) or task_facts([row])[0] for row in rows]


def ran_seconds(context: TaskContext) -> float | None:
    """Return how long the attempt ran, in seconds; None if its outcome does not say so."""
    said = context.ran_ms if isinstance(context, TrendContext) else _ABSENT
    try:
        return float(bytes(said)) / 1_000
    except ValueError:
        return None


def error_of(name: str, context: TaskContext) -> tuple[str, str]:
    """Return why an attempt failed, and the text of its exception, shortened and in one line.

    The reason is the exception's class, or `REASONS` where an event of that name has none.
    """
    said = context.exception if isinstance(context, TrendContext) else _ABSENT
    read = _exceptions.read(said) if said else None
    if read is None or not read.name:
        return REASONS.get(name, "no exception"), ""
    text = " ".join((read.text or "")[:FINDING_TEXT_CHARS_MAX].split())
    return read.name[:FINDING_TEXT_CHARS_MAX], text


# Why attempts failed that ended without an exception.
REASONS: Final = {
    names.EXPIRED: "worker lost",
    names.REJECTED: "rejected by hand",
    names.RESCHEDULED: "rescheduled by hand",
}
