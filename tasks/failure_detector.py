"""The failure detector: which sessions of other workers were silent for their lease while the journal worked.

Pure: every time is the caller's own monotonic clock, in seconds, and the clocks of two machines are never compared.

1. A session is silent from the moment its last event was *seen here*. Only sessions that hold claims matter.
2. Silence is counted in *working time*, which stands still while the journal does not work. A journal that is away
   either fails what the worker asks of it, or blocks the worker's loop in an append. So working time does not advance
   while a call fails, and from one observation to the next by no more than a small part of the worker's lease. An
   outage pauses the timers; it does not wind them back.
3. After an outage a living holder needs a moment to reach the journal again. A holder whose renewal was not yet
   overdue by `LEASE_RECOVERY_SECONDS` of working time keeps at least that long, or its whole lease if that is shorter.
4. Before a session is expired, the detector proves twice that the journal works. A beat of its own after half of the
   lease reveals an outage that it had not noticed; the holder then has the other half to append what it has tried to
   append meanwhile. A second beat after the lease, read back, shows everything that landed before it. The expiry names
   the holder's last event; if there is a later one, the log refuses the expiry.
"""

from typing import Final, NamedTuple

from .limits import (
    LEASE_PROOF_FRACTION,
    LEASE_RECOVERY_SECONDS,
    LEASE_RENEWAL_FRACTION,
    WATCH_INTERVAL_SECONDS,
    WATCH_STEP_FRACTION,
)
from .state.state import SessionState
from .state.view import TaskView

_PROOFS: Final = 2


class SilentSession(NamedTuple):
    """A session to be expired, as of the last event seen of it."""

    partition: int
    worker: str
    last: int


class _Sighting:
    """The last sign of life of one session; times are working time, in seconds."""

    __slots__ = ("last", "lease", "proof_due", "proofs", "seen_at")

    def __init__(self, session: SessionState, seen_at: float) -> None:
        self.last = session.last
        self.lease = session.lease_ms / 1_000
        self._begin(seen_at)

    def _begin(self, seen_at: float) -> None:
        self.seen_at = seen_at
        self.proofs = 0  # beats of ours that have proved that the journal works; at 2 the session may be expired
        self.proof_due = seen_at + self.lease * LEASE_PROOF_FRACTION

    def wants_proof(self, working: float) -> bool:
        return self.proofs < _PROOFS and working >= self.proof_due

    def prove(self, working: float) -> None:
        """Note that a beat was read back; the next one is due when the holder had the rest of its lease once more."""
        self.proofs += 1
        self.proof_due = working + self.lease * (1 - LEASE_PROOF_FRACTION)

    def grant_recovery(self, working: float) -> None:
        """Leave a holder that may still be alive enough of its lease to reach the journal again after an outage."""
        silence = working - self.seen_at
        if silence - self.lease * LEASE_RENEWAL_FRACTION >= LEASE_RECOVERY_SECONDS:
            return  # the journal worked, and the holder did not renew: it has had its chance
        granted = silence - max(0.0, self.lease - LEASE_RECOVERY_SECONDS)
        if granted > 0.0:
            self._begin(self.seen_at + granted)


class FailureDetector:
    """The observations of other workers' sessions by one worker, whose lease is `lease_seconds`."""

    def __init__(self, lease_seconds: float) -> None:
        self._step = max(lease_seconds * WATCH_STEP_FRACTION, 2 * WATCH_INTERVAL_SECONDS)
        self._outage = max(lease_seconds * LEASE_RENEWAL_FRACTION, self._step)  # a longer pause of the loop is one
        self._sightings: dict[tuple[int, str], _Sighting] = {}
        self._working = 0.0  # working time, in seconds
        self._observed_at: float | None = None
        self._failing = 0  # calls to the journal that fail at present
        self._failed = False  # whether one has failed since the last observation

    def observe(self, view: TaskView, own: frozenset[str], monotonic: float) -> bool:
        """Advance working time and note every sign of life; return whether there are sessions to watch.

        `own` are the ids of the worker's own sessions. To be called at least every `WATCH_INTERVAL_SECONDS` while the
        worker's loop is not blocked.
        """
        self._advance(monotonic)
        current: dict[tuple[int, str], _Sighting] = {}
        for session in view.all_sessions():
            if session.worker in own or not session.claims:
                continue
            key = (session.partition, session.worker)
            sighting = self._sightings.get(key)
            if sighting is None or sighting.last != session.last:
                sighting = _Sighting(session, self._working)
            current[key] = sighting
        self._sightings = current
        return bool(current)

    def _advance(self, monotonic: float) -> None:
        passed = 0.0 if self._observed_at is None else monotonic - self._observed_at
        self._observed_at = monotonic
        failed, self._failed = self._failed, self._failing > 0
        if not failed:
            self._working += min(passed, self._step)
        if failed or passed > self._outage:
            for sighting in self._sightings.values():
                sighting.grant_recovery(self._working)

    def failure_began(self) -> None:
        """Stop working time: a call to the journal has failed and is being repeated."""
        self._failing += 1
        self._failed = True

    def failure_ended(self) -> None:
        """Let working time go on from the next observation: that call has succeeded or was given up."""
        self._failing -= 1

    def to_probe(self, view: TaskView) -> bool:
        """Return whether to append beats of our own, in every partition we have joined, to prove the journal works.

        In every one, since a worker waits for all partitions of an append: while one is unavailable, a live holder may
        be unable to renew its session in another.
        """
        return any(
            sighting.wants_proof(self._working)
            for key, sighting in self._sightings.items()
            if _is_silent(view.session(*key), sighting)
        )

    def probed(self, partition: int) -> None:
        """Note that a beat of ours in `partition`, appended since the last observation, was read back."""
        for (place, _), sighting in self._sightings.items():
            if place == partition and sighting.wants_proof(self._working):
                sighting.prove(self._working)

    def to_expire(self, view: TaskView) -> list[SilentSession]:
        """The sessions to expire now: silent for a lease in which the journal worked."""
        return [
            SilentSession(partition, worker, sighting.last)
            for (partition, worker), sighting in self._sightings.items()
            if sighting.proofs == _PROOFS and _is_silent(view.session(partition, worker), sighting)
        ]


def _is_silent(session: SessionState | None, sighting: _Sighting) -> bool:
    return session is not None and session.last == sighting.last
