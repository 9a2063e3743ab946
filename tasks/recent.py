"""Remember recent submissions and the workers' sessions, so that waiting for a task needs no look-up in the index.

No event of a task with a fresh id stands before its submission. So a process that has submitted it can follow the log
from there and needs no index, if it also knows which sessions were open there: a claim counts only in an open one.
"""

from typing import NamedTuple

from ..journal.event import Event
from .index.entries import SessionRow
from .limits import RECENT_EVENTS_MAX, RECENT_SUBMISSIONS

Sessions = dict[str, list[SessionRow]]


class SessionUnknown(LookupError):
    """A worker's sessions are not known without the index."""


class Known(NamedTuple):
    """The sessions of some workers in the only partition, as they are known up to `position`."""

    position: int
    sessions: Sessions

    def sessions_of(self, worker: str) -> list[SessionRow]:
        """Return the sessions of a worker; `SessionUnknown` if it is not one of these."""
        try:
            return self.sessions[worker]
        except KeyError:
            raise SessionUnknown(worker) from None


class Recent:
    """What one process has submitted and seen lately of a log with one partition. Safe for concurrent use."""

    def __init__(self) -> None:
        # Two generations, so that a submission costs one assignment and none has to be searched for to be forgotten.
        self._submitted: dict[str | None, int] = {}
        self._submitted_before: dict[str | None, int] = {}
        self._known: Known | None = None

    def note_submission(self, event: Event) -> None:
        """Note the submission of a task whose id was just made, so that no other event of it can stand before it."""
        submitted = self._submitted
        submitted[event.key] = event.offset
        if len(submitted) >= RECENT_SUBMISSIONS:
            self._submitted_before, self._submitted = submitted, {}

    def start_for(self, task_id: str) -> Known | None:
        """Return where to follow a task from, and the sessions that are known there; None if it has to be looked up.

        That position may be a few events before the submission: the sessions are known up to there.
        """
        offset, known = self._submitted.get(task_id), self._known
        if offset is None:
            offset = self._submitted_before.get(task_id)
        if offset is None or known is None or not 0 <= offset - known.position <= RECENT_EVENTS_MAX:
            return None
        return known

    def learn(self, position: int, sessions: Sessions) -> None:
        """Note the sessions that are known up to `position`."""
        if self._known is None or position >= self._known.position:
            self._known = Known(position, sessions)
