"""Append the end of a task and the release of its lock together, under the condition that the claim is current.

A release takes effect even if the outcome before it is refused. So an append that was long under way could release the
lock of a task whose session was expired meanwhile, and which runs again. Therefore the append is conditional: the log
refuses it if it holds an event of the session or of the task that the view has not applied. Then the outcome is
appended alone. The append begins with a beat, since only an event of the session can carry the session's condition.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...journal.event import Draft
from ...tasks.linked_lock import link_in
from ...tasks.state import names
from ...tasks.state.view import TaskView
from .drafts import ReleaseContext, WorkerDraft, session_entry

_NEW: Final[dict[str, Any]] = {"writer": "", "seq": 0, "expected": None}


def has_release(entries: Sequence[WorkerDraft]) -> bool:
    """Whether the entries contain an outcome with the release of a lock."""
    return isinstance(entries[-1].fact, ReleaseContext)


def guarded(entries: Sequence[WorkerDraft], view: TaskView, last: int) -> list[WorkerDraft] | None:
    """Return an outcome and what is bound to it, behind a beat, with conditions; None if the claim is over.

    `last` is the offset of the last event of the partition that `view` has applied.
    """
    first = entries[0]
    assert first.outcome is not None, "what is bound to an outcome stands behind it"
    job = first.outcome.job
    task = view.live.get(job.state.id)
    if task is None or task.run.claim != job.claim:
        return None
    beat = session_entry(names.BEAT, job.lease)
    for draft in (beat.draft, first.draft):
        draft.expected = last
    return [beat, *entries]


def alone(entries: Sequence[WorkerDraft]) -> list[WorkerDraft]:
    """Return the outcome without the release, which comes behind it if it is accepted; as new, unconditional drafts."""
    first = entries[0]
    assert first.outcome is not None, "what is bound to an outcome stands behind it"
    kept = [msgspec.structs.replace(entry, draft=_anew(entry.draft)) for entry in entries[:-1]]
    kept[0].link = link_in(first.outcome.job.row)
    return kept


def _anew(draft: Draft) -> Draft:
    return msgspec.structs.replace(draft, **_NEW)
