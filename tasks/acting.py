"""Revoke, requeue and purge tasks on the journal's own loop, for both brokers."""

from collections.abc import Mapping
from contextlib import suppress

from ..journal.async_journal import AsyncJournal
from ..journal.errors import EventConflict
from ..journal.event import Event
from .disposition import Disposition, Effect
from .lookup import task_lookup
from .state import names
from .state.decoding import dead_letter_context
from .state.routing import routing_key
from .state.transitions import State
from .state.view import Verdict


def signed(by: str | None, reason: str | None) -> dict[str, str]:
    """Return the fields of an event that name the caller and its reason, as far as they are given."""
    return {name: said for name, said in (("by", by), ("reason", reason)) if said}


async def revoke(journal: AsyncJournal, task_id: str, signature: Mapping[str, str]) -> Effect:
    """Append a revocation with the fields of `signature`, and return its effect."""
    event = await journal.append(names.REVOKED, {"task": task_id, **signature}, key=routing_key(task_id))
    return await _effect(journal, task_id, event, Disposition.REVOKED, Disposition.ALREADY_ENDED)


async def requeue(journal: AsyncJournal, task_id: str, signature: Mapping[str, str]) -> Effect:
    """Append a requeue with the fields of `signature`, and return its effect."""
    event = await _append_about_dead(journal, names.REQUEUED, task_id, signature)
    return await _effect(journal, task_id, event, Disposition.REQUEUED, Disposition.NOT_A_DEAD_LETTER)


async def purge(journal: AsyncJournal, task_id: str, signature: Mapping[str, str]) -> Effect:
    """Append a purge with the fields of `signature`, and return its effect."""
    event = await _append_about_dead(journal, names.PURGED, task_id, signature)
    return await _effect(journal, task_id, event, Disposition.PURGED, Disposition.NOT_A_DEAD_LETTER)


async def _append_about_dead(journal: AsyncJournal, name: str, task_id: str, signature: Mapping[str, str]) -> Event:
    """Append an event with the fields that workers need if they have forgotten the dead letter.

    Such workers cannot distinguish a dead letter from a task that has succeeded since. So the append is conditional: no
    event of the task may have come since the look-up.
    """
    while True:
        task, trace, end = await task_lookup(journal).find(task_id)
        row = trace.rows.get(task.submitted) if task is not None and task.state is State.FAILED else None
        if task is None or row is None:
            return await journal.append(name, {"task": task_id, **signature}, key=routing_key(task_id))
        with suppress(EventConflict):
            context = {**dead_letter_context(row, task.submitted), **signature}
            return await journal.append(name, context, key=routing_key(task_id), expected=end)


async def _effect(
    journal: AsyncJournal, task_id: str, event: Event, taken: Disposition, refused: Disposition
) -> Effect:
    """Look the event up in the log, and return whether it took effect."""
    found = await task_lookup(journal).find(task_id)
    task = found.task
    if found.verdict(event.offset) is Verdict.ACCEPTED or (task is not None and task.changed == event.offset):
        return Effect(taken, event)
    return Effect(Disposition.UNKNOWN if task is None else refused, event)
