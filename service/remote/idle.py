"""The signs of life of remote workers that hold nothing.

The failure detector watches sessions with claims only, as an idle worker writes nothing. A remote worker that holds
nothing is known by its beats: the service writes one for it, now and then, when it asks for tasks. One that is silent
for `REMOTE_IDLE_SECONDS_MAX` is expired, so that `status` and `why` do not count on it. Pure.
"""

from collections.abc import Iterable

from ...tasks.state.state import SessionState
from ..limits import REMOTE_IDLE_SECONDS_MAX


class IdleSessions:
    """When (monotonic, in seconds) the last event of each remote session was first seen here."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, str], tuple[int, float]] = {}

    def silence_of(self, session: SessionState, now: float) -> float:
        """Return for how long a session has been silent, in seconds; from now on if it is new here."""
        key = session.partition, session.worker
        last, since = self._seen.get(key, (-1, now))
        if last != session.last:
            self._seen[key] = session.last, now
            return 0.0
        return now - since

    def overdue(self, sessions: Iterable[SessionState], now: float) -> list[SessionState]:
        """Return the remote sessions that hold nothing and were silent for too long; forget busy and ended ones."""
        idle = [session for session in sessions if is_remote(session) and not session.claims]
        current = {(session.partition, session.worker) for session in idle}
        silent = [session for session in idle if self.silence_of(session, now) >= REMOTE_IDLE_SECONDS_MAX]
        self._seen = {key: seen for key, seen in self._seen.items() if key in current}
        return silent


def is_remote(session: SessionState) -> bool:
    """Return whether a session was opened by a service for a remote worker: such a session has no process id."""
    return session.pid == 0 and not session.machine
