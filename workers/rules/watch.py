"""Watching the sessions of others: who has been silent for longer than their lease, while the journal worked.

Pure: times are the caller's own monotonic clock, in seconds, and no two machines' clocks are ever compared. The rules:

1. A session is silent from the moment its last event was *seen here*, and only sessions that hold claims matter.
2. Silence counts only while the journal works: after a failed read, or an append slower than a third of the lease,
   every timer starts anew, since then everybody is silent and nobody is dead.
3. Before anyone is expired, the watcher proves that the journal works, and twice. By a beat of its own after half of
   the lease: then what a living holder has tried to append while the journal was away, unnoticed by the watcher, has
   the other half to land. And by another after the lease, which it reads back: then it knows all that landed before.
   The expiry names the holder's last event; if there is a later one, the log refuses it.
"""

from typing import Final, NamedTuple

from ...journal.limits import LEASE_PROOF_FRACTION
from .state import SessionState
from .view import TaskView

_PROOFS: Final = 2


class Suspect(NamedTuple):
    """A session to be expired, by the last event seen of it."""

    partition: int
    worker: str
    last: int


class _Sighting:
    __slots__ = ("last", "proofs", "proved_at", "seen_at")

    def __init__(self, last: int, seen_at: float) -> None:
        self.last = last
        self.seen_at = seen_at
        self.proofs = 0  # how many beats of ours have proved that the journal works: at 2 it may be expired
        self.proved_at = 0.0  # when the last of them was read back


class Watch:
    """What one worker has seen of the others' sessions. `is_own(worker)` tells its own from theirs."""

    def __init__(self) -> None:
        self._sightings: dict[tuple[int, str], _Sighting] = {}

    def observe(self, view: TaskView, own: frozenset[str], monotonic: float) -> bool:
        """Take note of who has shown a sign of life; say whether there is anybody to watch."""
        current: dict[tuple[int, str], _Sighting] = {}
        for session in view.all_sessions():
            if session.worker in own or not session.claims:
                continue
            key = (session.partition, session.worker)
            sighting = self._sightings.get(key)
            if sighting is None or sighting.last != session.last:
                sighting = _Sighting(session.last, monotonic)
            current[key] = sighting
        self._sightings = current
        return bool(current)

    def restart(self, monotonic: float) -> None:
        """Start every timer anew: the journal did not work for a while."""
        for sighting in self._sightings.values():
            sighting.seen_at, sighting.proofs = monotonic, 0

    def to_probe(self, view: TaskView, monotonic: float) -> set[int]:
        """The partitions in which a beat of ours is to prove, for somebody who is silent, that the journal works."""
        return {
            partition
            for (partition, worker), sighting in self._sightings.items()
            if _wants_proof(view.session(partition, worker), sighting, monotonic)
        }

    def probed(self, view: TaskView, partition: int, begun: float, monotonic: float) -> None:
        """Our own beat has landed, and all before it has been read; its append was begun at `begun`."""
        for (place, worker), sighting in self._sightings.items():
            session = view.session(place, worker)
            if place == partition and _wants_proof(session, sighting, begun):
                sighting.proofs += 1
                sighting.proved_at = monotonic

    def suspects(self, view: TaskView) -> list[Suspect]:
        """The sessions to expire now: silent for a lease in which the journal worked."""
        found: list[Suspect] = []
        for (partition, worker), sighting in self._sightings.items():
            session = view.session(partition, worker)
            if sighting.proofs == _PROOFS and session is not None and session.last == sighting.last:
                found.append(Suspect(partition, worker, session.last))
        return found


def _wants_proof(session: SessionState | None, sighting: _Sighting, monotonic: float) -> bool:
    if session is None or sighting.proofs == _PROOFS:
        return False
    if not sighting.proofs:
        return _silent(session, sighting, monotonic, LEASE_PROOF_FRACTION)
    since_proof = monotonic - sighting.proved_at
    rest = session.lease_ms / 1_000 * (1 - LEASE_PROOF_FRACTION)
    return since_proof >= rest and _silent(session, sighting, monotonic)


def _silent(session: SessionState, sighting: _Sighting, monotonic: float, leases: float = 1.0) -> bool:
    return session.last == sighting.last and monotonic - sighting.seen_at >= session.lease_ms / 1_000 * leases
