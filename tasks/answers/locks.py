"""The answers about locks: their requests, their history, and the release of a hold."""

from typing import Any

import msgspec

from ..inspection.findings import Finding
from ..inspection.lock_findings import explain_lock, facts_of
from ..inspection.lock_history import LockHistory, LockStep
from ..state.locks import LockRequest, Requests, capacity_of, holders


class LockRequestAnswer(msgspec.Struct, frozen=True):
    """A live request of a lock: granted, or waiting if `granted_at` is null; times in seconds since the epoch.

    `silent`: its owner has shown no sign of life for its lease. `token` is the fencing token.
    """

    token: int
    owner: str
    host: str | None
    pid: int | None
    capacity: int
    requested_at: float
    granted_at: float | None
    seen_at: float
    lease_ms: int
    ttl_ms: int | None
    silent: bool


class LockAnswer(msgspec.Struct, frozen=True):
    """A lock: how many may hold it and how many do, its live requests in their order, and what they mean."""

    lock: str
    capacity: int | None
    held: int
    requests: list[LockRequestAnswer]
    findings: list[Finding]


class LockStepAnswer(msgspec.Struct, frozen=True):
    """An event of a lock: `granted` are the owners that it granted the lock; a refused one has a reason."""

    timestamp: float
    name: str
    position: str
    context: dict[str, Any]
    verdict: str
    reason: str | None
    owner: str | None
    granted: list[str]


class LockInFullAnswer(LockAnswer, frozen=True):
    """A lock with its history, without accepted renewals of leases, which `renewals` counts."""

    history: list[LockStepAnswer]
    renewals: int
    is_truncated: bool


class ReleaseAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A hold that was released; `released` is false if it had ended already. With `dry_run` nothing was appended."""

    lock: str
    token: int
    owner: str
    released: bool
    dry_run: bool = False


def lock_answer(name: str, requests: Requests, now: float) -> LockAnswer:
    """Return the answer for a lock with these live requests, at the time `now` in seconds since the epoch."""
    capacity = capacity_of(requests) if requests else None
    told = [_request_answer(each, now) for each in requests]
    return LockAnswer(name, capacity, len(holders(requests)), told, explain_lock(name, requests, now))


def lock_in_full(name: str, found: LockHistory, now: float) -> LockInFullAnswer:
    """Return the answer for a lock and its history."""
    lock = lock_answer(name, found.requests, now)
    return LockInFullAnswer(
        lock.lock,
        lock.capacity,
        lock.held,
        lock.requests,
        lock.findings,
        [_step_answer(step) for step in found.steps],
        found.renewals,
        found.is_truncated,
    )


def _request_answer(request: LockRequest, now: float) -> LockRequestAnswer:
    return LockRequestAnswer(**facts_of(request, now))


def _step_answer(step: LockStep) -> LockStepAnswer:
    event = step.event
    return LockStepAnswer(
        timestamp=event.timestamp,
        name=event.name,
        position=f"{event.partition}:{event.offset}",
        context=event.context,
        verdict=step.verdict.name.lower(),
        reason=step.reason or None,
        owner=step.owner or None,
        granted=list(step.granted),
    )
