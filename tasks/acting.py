"""Revoke, requeue, purge and end tasks by hand, on the journal's own loop, for `Broker` and `AsyncBroker`."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from ..journal.async_journal import AsyncJournal
from ..journal.errors import EventConflict
from ..journal.event import Event
from ..journal.event_decoding import decode
from .amended_row import last_amendment
from .disposition import Disposition, Effect
from .errors import MessageDoesNotExistsError
from .linked_lock import link_in, release_link
from .lookup import Found, in_words, task_lookup
from .message import Message, id_of, now_ms
from .state import names
from .state.decoding import Fact, dead_letter_context
from .state.routing import routing_key
from .state.state import TaskState
from .state.transitions import State
from .state.view import TaskView, Verdict
from .stored_message import stored_message

_ENDS: Final = (names.REVOKED, names.ACKNOWLEDGED, names.REJECTED)  # what is done to tasks that wait or run


class Attribution(NamedTuple):
    """The actor and the reason, written into the event; `claim` is the token, if the caller holds the task."""

    by: str | None = None
    reason: str | None = None
    claim: int | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of the event, as far as they are given."""
        claim = {} if self.claim is None else {"claim": self.claim}
        return {**{name: said for name, said in (("by", self.by), ("reason", self.reason)) if said}, **claim}


def by_holder(message: Message | str, by: str | None, reason: str | None, claim: int | None) -> Attribution:
    """Return the signature of a caller that ends a message: without `claim`, by the one that a `Consumer` gave it."""
    if claim is None and isinstance(message, Message):
        claim = message.claim
    return Attribution(by, reason, claim)


async def revoke(journal: AsyncJournal, task_id: str, signature: Attribution, *, hooks: bool = True) -> Effect:
    """Append a revocation, and return its effect; without `hooks` it says that none are to be called."""
    quiet = {} if hooks else {"hooks": False}
    event = await append_about(journal, names.REVOKED, task_id, signature, quiet)
    return await effect_of(journal, task_id, event, Disposition.REVOKED, Disposition.ALREADY_ENDED)


async def revoke_waiting(journal: AsyncJournal, task_id: str, signature: Attribution) -> Effect:
    """Append a revocation unless a worker has claimed the task, and return the effect.

    The append is conditional: no event of the task may have come since the look-up.
    """
    context = {"task": task_id, **signature.fields()}
    while True:
        found = await task_lookup(journal).find(task_id)
        task = found.task
        if task is not None and task.state is State.CLAIMED:
            return Effect(Disposition.RUNNING, decode(found.trace.rows[task.claim], task.partition, task.claim))
        if task is None or task.state is not State.READY:
            return await revoke(journal, task_id, signature)  # it has no effect, and says why
        with suppress(EventConflict):
            event = await journal.append(names.REVOKED, context, key=routing_key(task_id), expected=found.end)
            return await effect_of(journal, task_id, event, Disposition.REVOKED, Disposition.ALREADY_ENDED)


async def is_revoked(journal: AsyncJournal, task_id: str) -> bool:
    """Return whether the task was revoked."""
    task = (await task_lookup(journal).find(task_id)).task
    return task is not None and task.state is State.REVOKED


async def requeue(
    journal: AsyncJournal, task_id: str, signature: Attribution, *, letters_ttl: int | None = None
) -> Effect:
    """Append a requeue, and return its effect; a dead letter older than `letters_ttl` ms is purged instead."""
    await _purge_old(journal, task_id, letters_ttl)
    event = await _append_about_dead(journal, names.REQUEUED, task_id, signature)
    return await effect_of(journal, task_id, event, Disposition.REQUEUED, Disposition.NOT_A_DEAD_LETTER)


async def purge(journal: AsyncJournal, task_id: str, signature: Attribution) -> Effect:
    """Append a purge, and return its effect."""
    event = await _append_about_dead(journal, names.PURGED, task_id, signature)
    return await effect_of(journal, task_id, event, Disposition.PURGED, Disposition.NOT_A_DEAD_LETTER)


async def acknowledge(journal: AsyncJournal, task_id: str, signature: Attribution) -> Effect:
    """Append the end of a task that waits or runs, as done without a result, and return the effect."""
    event = await append_about(journal, names.ACKNOWLEDGED, task_id, signature)
    return await effect_of(journal, task_id, event, Disposition.ACKNOWLEDGED, Disposition.ALREADY_ENDED)


async def reject(journal: AsyncJournal, message: Message | str, signature: Attribution) -> Effect:
    """Append the end of a task that waits or runs, as a dead letter, and return the effect."""
    event = await append_about(journal, names.REJECTED, id_of(message), signature, _exception_of(message))
    return await effect_of(journal, id_of(message), event, Disposition.DEAD_LETTERED, Disposition.ALREADY_ENDED)


async def reschedule(journal: AsyncJournal, message: Message | str, signature: Attribution) -> Effect:
    """Count an attempt of a task that waits or runs, have it wait for its backoff, and return the effect.

    The message that was passed is counted up as well. `MessageDoesNotExistsError` if the task has ended or is unknown.
    """
    task_id = id_of(message)
    while True:
        found = await task_lookup(journal).current(task_id)
        task = alive(journal, task_id, found)
        attempts = task.attempts + (task.state is State.READY)
        own = message if isinstance(message, Message) else stored_message(found)
        wait = 0 if own is None else own.backoff.get(attempts)
        context = {"due": time.time() + wait / 1_000, **_exception_of(message)}
        with suppress(EventConflict):
            event = await append_about(journal, names.RESCHEDULED, task_id, signature, context, expected=found)
            break
    effect = await effect_of(journal, task_id, event, Disposition.RESCHEDULED, Disposition.NOT_HELD)
    if effect and isinstance(message, Message):
        message.update(retries=attempts, updated_at=now_ms())
    return effect


def alive(journal: AsyncJournal, task_id: str, found: Found) -> TaskState:
    """Return the task that was found; `MessageDoesNotExistsError` unless it waits or runs."""
    task = found.task
    if task is None or task.state not in (State.READY, State.CLAIMED):
        what = f"is not known to the journal {journal.location}" if task is None else in_words(task.state)
        again = "; a dead letter runs again by broker.requeue" if task and task.state is State.FAILED else ""
        raise MessageDoesNotExistsError(f"the task {task_id!r} does not wait or run: it {what}{again}")
    return task


def _exception_of(message: Message | str) -> dict[str, Any]:
    """Return the fields of an event that describe the exception of a message, if it has one."""
    details = message.exception_details if isinstance(message, Message) else None
    if details is None:
        return {}
    return {"exception": {"name": details.name, "text": details.text or "", "traceback": details.traceback or ""}}


async def is_alive(journal: AsyncJournal, task_id: str) -> bool:
    """Return whether a task waits or runs."""
    task = (await task_lookup(journal).current(task_id)).task
    return task is not None and task.state in (State.READY, State.CLAIMED)


async def is_dead_letter(journal: AsyncJournal, task_id: str, letters_ttl: int | None) -> bool:
    """Return whether a task is a dead letter; one that is older than `letters_ttl` ms is purged, and is none."""
    task = (await task_lookup(journal).find(task_id)).task
    if task is None or task.state is not State.FAILED:
        return False
    return not await _purge_old(journal, task_id, letters_ttl, task)


async def _purge_old(
    journal: AsyncJournal, task_id: str, letters_ttl: int | None, task: TaskState | None = None
) -> bool:
    """Purge a dead letter that is older than `letters_ttl` ms; return whether it was."""
    if letters_ttl is None:
        return False
    task = task or (await task_lookup(journal).find(task_id)).task
    if task is None or task.state is not State.FAILED or task.changed_at + letters_ttl / 1_000 > time.time():
        return False
    await purge(journal, task_id, Attribution(reason=names.EXPIRED_REASON))
    return True


async def stored(journal: AsyncJournal, task_id: str) -> Message:
    """Return a new message of a task as the journal has it now; `KeyError` if the journal does not hold its message."""
    found = await task_lookup(journal).current(task_id)
    message = stored_message(found)
    if message is None:
        known = "no such task is known there" if found.task is None else "retention has removed its submission"
        raise KeyError(f"no message {task_id!r} in the journal {journal.location}: {known}")
    return message


async def append_about(
    journal: AsyncJournal,
    name: str,
    task_id: str,
    signature: Attribution,
    more: Mapping[str, Any] | None = None,
    expected: Found | None = None,
) -> Event:
    """Append an event about a task; with `expected` only if no event of the task has come since that look-up."""
    context = {"task": task_id, **(more or {}), **signature.fields()}
    if expected is None:
        return await journal.append(name, context, key=routing_key(task_id))
    return await journal.append(name, context, key=routing_key(task_id), expected=expected.end)


async def _append_about_dead(journal: AsyncJournal, name: str, task_id: str, signature: Attribution) -> Event:
    """Append an event with the fields that workers need if they have forgotten the dead letter.

    Such workers cannot distinguish a dead letter from a task that has succeeded since. So the append is conditional: no
    event of the task may have come since the look-up.
    """
    while True:
        found = await task_lookup(journal).find(task_id)
        task = found.task
        row = found.trace.rows.get(task.submitted) if task is not None and task.state is State.FAILED else None
        if task is None or row is None:
            return await append_about(journal, name, task_id, signature)
        with suppress(EventConflict):
            carried = dead_letter_context(row, task.submitted, last_amendment(found))
            return await append_about(journal, name, task_id, signature, carried, expected=found)


async def effect_of(
    journal: AsyncJournal, task_id: str, event: Event, taken: Disposition, refused: Disposition
) -> Effect:
    """Look the event up in the log, and return whether it took effect; release the task's lock if it has ended."""
    ran = False

    def note(view: TaskView, offset: int, _row: bytes, _said: Fact, verdict: Verdict | None) -> None:
        nonlocal ran
        if offset == event.offset and verdict is None:
            ran = (task := view.find(task_id)) is not None and task.state is State.CLAIMED

    found, _ = await task_lookup(journal).look(task_id, note)
    task = found.task
    accepted = found.verdict(event.offset) is Verdict.ACCEPTED or (task is not None and task.changed == event.offset)
    if event.name in _ENDS:
        await _release_linked(journal, found, event, accepted=accepted, ran=ran)
    if accepted:
        return Effect(taken, event)
    if task is not None and task.state in (State.READY, State.CLAIMED) and refused is Disposition.ALREADY_ENDED:
        refused = Disposition.NOT_HELD
    return Effect(Disposition.UNKNOWN if task is None else refused, event)


async def _release_linked(journal: AsyncJournal, found: Found, event: Event, *, accepted: bool, ran: bool) -> None:
    """Release the lock that is linked to the message of a task, if the event shows that its work is over.

    A task that was revoked while it ran keeps its lock until its worker has stopped it, and then releases the lock; the
    holder of a claim that learns too late of the end of its task has stopped, too.
    """
    task = found.task
    if task is None or task.state not in (State.SUCCEEDED, State.FAILED, State.REVOKED):
        return
    link = link_in(found.trace.rows.get(task.submitted, b""))
    if link is None:
        return
    if "claim" in event.context:
        is_over = accepted or link.token >= 0  # without a token, the owner's next hold might be the one to be released
    else:
        is_over = accepted and not (ran and event.name == names.REVOKED)
    if is_over:
        await release_link(journal, link, task.id)
