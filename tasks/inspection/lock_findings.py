"""Explain the state of a lock: who holds it, who waits, and which of them is silent. Pure.

Spans compare the clock of the caller with the times in the log.
"""

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from ..state.locks import LockRequest, capacity_of, holders
from ..state.state import TaskState
from ..state.transitions import State
from ..state.view import TaskView
from .findings import Finding
from .wording import age, number


def is_silent(request: LockRequest, now: float) -> bool:
    """Return whether the owner of a request has shown no sign of life for its lease, at the time `now`."""
    return now - request.last_at > request.lease_ms / 1_000


def explain_lock(lock: str, requests: Sequence[LockRequest], now: float) -> list[Finding]:
    """Return the findings about a lock with these live requests, at the time `now` in seconds since the epoch."""
    held = holders(requests)
    if not requests:
        return [Finding("free", "It is free: no request for it is live.")]
    found = [_of_holder(each, now) for each in held]
    found += [_of_silence(lock, each, requests, now) for each in requests if is_silent(each, now)]
    waiting = [each for each in requests if not each.holds]
    capacity = capacity_of(requests)
    if waiting:
        first = waiting[0]
        sentence = (
            f"{number(len(waiting), 'request waits', 'requests wait')} for it; the next is that of {named(first)}, for "
            f"{age(now - first.at)}. It is granted when fewer than {capacity} hold the lock."
        )
        facts = {"waiting": len(waiting), "next": facts_of(first, now), "capacity": capacity}
        found.append(Finding("waiting", sentence, facts))
    capacities = sorted({each.capacity for each in requests})
    if len(capacities) > 1:
        sentence = f"Its requests name different capacities; the smallest counts, {capacity}."
        found.append(Finding("capacities_differ", sentence, {"capacities": capacities}))
    return found


def linked_lock(view: TaskView, task: TaskState, linked: Mapping[str, Any]) -> list[Finding]:
    """Return the finding about the lock that is linked to a task; none without one, or if both have ended."""
    lock, owner, token = str(linked.get("name", "")), linked.get("owner_id"), linked.get("token")
    requests = next((locks[lock] for locks in view.locks.values() if lock in locks), ())
    held = any(each.token == token or (token is None and each.owner == owner) for each in holders(requests))
    lives, facts = task.state in (State.READY, State.CLAIMED), {"lock": lock, "held": held}
    if lives and held:
        asks = f"`journeyman lock show {quote(lock)}` shows who waits for it."
        return [Finding("lock_held", f"The lock {lock!r} is held for it until it has ended. {asks}", facts)]
    if lives and lock:
        sentence = (
            f"The lock {lock!r} is linked to it and not held for it any more, so another program may hold it: "
            f"`journeyman lock show {quote(lock)}` shows what has ended the hold."
        )
        return [Finding("lock_lost", sentence, facts)]
    if held:
        sentence = (
            f"The lock {lock!r}, which is linked to it, is held still: its worker has not stopped it, or died before "
            f"it released the lock. Its ttl ends the hold; `journeyman lock release {quote(lock)}` does so at once."
        )
        return [Finding("lock_left", sentence, facts)]
    return []


def _of_holder(request: LockRequest, now: float) -> Finding:
    held = now - request.granted_at
    rest = ""
    if request.ttl_ms is not None:
        left = request.ttl_ms / 1_000 - held
        rest = f"; its ttl ends the hold in {age(left)}" if left > 0 else "; its ttl is over"
    sentence = f"{named(request)} holds it for {age(held)}, with the token {request.token}{rest}."
    return Finding("held", sentence, facts_of(request, now))


def _of_silence(lock: str, request: LockRequest, requests: Sequence[LockRequest], now: float) -> Finding:
    others = any(not each.holds and not is_silent(each, now) for each in requests if each is not request)
    remedy = "the processes that wait expire it" if others else "the next that asks for the lock expires it"
    sentence = (
        f"{named(request)} is silent for {age(now - request.last_at)}, longer than its lease of "
        f"{age(request.lease_ms / 1_000)}: its process is dead, stopped or cut off. {remedy[0].upper()}{remedy[1:]}; "
        f"`journeyman lock release {quote(lock)}` does so at once."
    )
    return Finding("silent", sentence, facts_of(request, now))


def named(request: LockRequest) -> str:
    """Return the owner of a request for display, with host and pid if they are known."""
    return f"{request.owner} on {request.host} (pid {request.pid})" if request.host else request.owner


def facts_of(request: LockRequest, now: float) -> dict[str, Any]:
    """Return what is known of a request, as plain data; times in seconds since the epoch."""
    return {
        "token": request.token,
        "owner": request.owner,
        "host": request.host or None,
        "pid": request.pid or None,
        "capacity": request.capacity,
        "requested_at": request.at,
        "granted_at": request.granted_at if request.holds else None,
        "seen_at": request.last_at,
        "lease_ms": request.lease_ms,
        "ttl_ms": request.ttl_ms,
        "silent": is_silent(request, now),
    }
