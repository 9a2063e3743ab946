"""Observe the silence of the owners of locks: which requests to expire. No clocks of two machines are compared.

A request is silent from the moment its last event was seen here, and counted as silent for the time between two
observations, at most `LOCK_SILENCE_STEP_FRACTION` of its lease. An observation follows an event of the lock that was
read, or a successful look at the end of the log. So a journal that is away makes no owner silent.
"""

from collections.abc import Iterable, Sequence

from ..limits import LOCK_SILENCE_STEP_FRACTION
from ..state.locks import LockRequest


class _Sighting:
    """What was seen of one request; times are the observer's monotonic clock, in seconds."""

    __slots__ = ("at", "held_since", "last", "silence")

    def __init__(self, at: float) -> None:
        self.last = -1
        self.at = at
        self.silence = 0.0
        self.held_since: float | None = None

    def observe(self, request: LockRequest, now: float) -> str:
        """Note the request as it is now; return why it is to be expired, empty if it is not."""
        lease = request.lease_ms / 1_000
        if request.last != self.last:
            self.last, self.silence = request.last, 0.0
        else:
            self.silence += min(now - self.at, lease * LOCK_SILENCE_STEP_FRACTION)
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
        self, lock: str, requests: Sequence[LockRequest], own: Iterable[int], now: float
    ) -> list[tuple[LockRequest, str]]:
        """Note the live requests of a lock; return those to be expired, each with the reason, never one of `own`."""
        before, current = self._sightings.get(lock, {}), {}
        overdue: list[tuple[LockRequest, str]] = []
        spared = frozenset(own)
        for request in requests:
            if request.token in spared:
                continue
            sighting = current[request.token] = before.get(request.token) or _Sighting(now)
            reason = sighting.observe(request, now)
            if reason:
                overdue.append((request, reason))
        if current:
            self._sightings[lock] = current
        else:
            self._sightings.pop(lock, None)
        return overdue
