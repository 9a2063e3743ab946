"""Decide which requests of locks to expire, by the silence of their owners. No clocks of two machines are compared.

A request is silent from the moment its last event was seen here. Silence grows from one observation to the next, and
only if an event has just landed: then its owner could have renewed its lease, too. Each step is the time since
the observation before, at most `LOCK_SILENCE_STEP_FRACTION` of the lease. So a journal that is away expires no owner,
and after it has come back a living owner has time to renew its lease.
"""

import math
from collections.abc import Iterable, Sequence

from ..limits import LOCK_SILENCE_STEP_FRACTION
from ..state.locks import LockRequest


class _Sighting:
    """The observations of one request; `at` is when its silence last grew (the observer's monotonic clock, seconds)."""

    __slots__ = ("at", "held_since", "last", "silence", "step")

    def __init__(self) -> None:
        self.last = -1
        self.at = self.silence = self.step = 0.0
        self.held_since: float | None = None

    def observe(self, request: LockRequest, now: float, *, landed: bool) -> str:
        """Note the request as it is now; return why it is to be expired, empty if it is not."""
        lease = request.lease_ms / 1_000
        self.step = lease * LOCK_SILENCE_STEP_FRACTION
        if request.last != self.last:
            self.last, self.at, self.silence = request.last, now, 0.0
        elif landed:
            self.silence += min(now - self.at, self.step)
            self.at = now
        if self.held_since is None and request.holds:
            self.held_since = now
        if self.silence >= lease:
            return "silent"
        held = 0.0 if self.held_since is None else now - self.held_since
        return "ttl" if request.ttl_ms is not None and held >= request.ttl_ms / 1_000 else ""


class Silence:
    """The observations of the requests of the locks of one partition."""

    def __init__(self) -> None:
        self._sightings: dict[str, dict[int, _Sighting]] = {}

    def observe(
        self, lock: str, requests: Sequence[LockRequest], own: Iterable[int], now: float, *, landed: bool
    ) -> list[tuple[LockRequest, str]]:
        """Note the live requests of a lock; `landed` says whether an event has just landed in the log.

        Return those to be expired, each with the reason: "silent" for its lease, or its "ttl" is over; none of `own`.
        """
        before, current = self._sightings.get(lock, {}), {}
        overdue: list[tuple[LockRequest, str]] = []
        spared = frozenset(own)
        for request in requests:
            if request.token in spared:
                continue
            sighting = current[request.token] = before.get(request.token) or _Sighting()
            reason = sighting.observe(request, now, landed=landed)
            if reason:
                overdue.append((request, reason))
        if current:
            self._sightings[lock] = current
        else:
            self._sightings.pop(lock, None)
        return overdue

    def wants_proof(self, lock: str, now: float) -> bool:
        """Return whether a request has shown no sign of life for so long that an event should land."""
        return self.proof_due(lock) <= now

    def step(self, lock: str) -> float:
        """Return by how much, in seconds, the silence of a request grows at most; infinity without any."""
        return min((each.step for each in self._sightings.get(lock, {}).values()), default=math.inf)

    def proof_due(self, lock: str) -> float:
        """Return when an event should land, as no request that lives is silent for so long; infinity without any."""
        return min((each.at + each.step for each in self._sightings.get(lock, {}).values()), default=math.inf)
