"""Watching the sessions of others: who has been silent for longer than their lease, while the journal worked.

Pure: times are the caller's own monotonic clock, in seconds, and no two machines' clocks are ever compared. The rules:

1. A session is silent from the moment its last event was *seen here*, and only sessions that hold claims matter.
2. Silence counts only while the journal works: after a failed read, or an append slower than a third of the lease,
   every timer starts anew, since then everybody is silent and nobody is dead.
3. Before anyone is expired, the watcher appends a beat of its own and reads it back, then waits for a short grace: what
   a living holder had under way, or tries again and again to append, has landed by then. The expiry names the holder's
   last event; if there is a later one, the log refuses the expiry.
"""

from typing import NamedTuple

from ...journal.limits import EXPIRY_GRACE_FRACTION, EXPIRY_GRACE_SECONDS_MAX
from .view import SessionState, TaskView


class Suspect(NamedTuple):
    """A session to be expired, by the last event seen of it."""

    partition: int
    worker: str
    last: int


class _Sighting:
    __slots__ = ("expire_at", "last", "seen_at")

    def __init__(self, last: int, seen_at: float) -> None:
        self.last = last
        self.seen_at = seen_at
        self.expire_at: float | None = None  # set when our own beat, appended since it fell silent, was read back


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
            sighting.seen_at, sighting.expire_at = monotonic, None

    def to_probe(self, view: TaskView, monotonic: float) -> set[int]:
        """The partitions in which somebody has been silent for a lease and no beat of ours was appended since."""
        return {
            partition
            for (partition, worker), sighting in self._sightings.items()
            if sighting.expire_at is None and _silent(view.session(partition, worker), sighting, monotonic)
        }

    def probed(self, view: TaskView, partition: int, monotonic: float) -> None:
        """Our own beat has landed, and all before it has been read."""
        for (place, worker), sighting in self._sightings.items():
            session = view.session(place, worker)
            if place == partition and session is not None and _silent(session, sighting, monotonic):
                sighting.expire_at = monotonic + grace(session.lease_ms / 1_000)

    def suspects(self, view: TaskView, monotonic: float) -> list[Suspect]:
        """The sessions to expire now: silent for a lease, and still silent when the grace after our beat is over."""
        found: list[Suspect] = []
        for (partition, worker), sighting in self._sightings.items():
            session = view.session(partition, worker)
            over = sighting.expire_at is not None and monotonic >= sighting.expire_at
            if over and session is not None and session.last == sighting.last:
                found.append(Suspect(partition, worker, session.last))
        return found


def grace(lease_seconds: float) -> float:
    """How long a watcher still waits for the holder of such a lease, in seconds, when its own beat was read back."""
    return min(EXPIRY_GRACE_SECONDS_MAX, lease_seconds * EXPIRY_GRACE_FRACTION)


def _silent(session: SessionState | None, sighting: _Sighting, monotonic: float) -> bool:
    return (
        session is not None
        and session.last == sighting.last
        and monotonic - sighting.seen_at >= session.lease_ms / 1_000
    )
