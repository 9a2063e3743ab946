"""The worker's own sessions, one in each partition: their ids and their leases."""

import logging
from collections.abc import Callable, Iterable, Mapping

from ...tasks.message import new_id
from ...tasks.state.state import SessionState
from ...tasks.state.view import TaskView
from ..executors.pipeline import SessionLease
from ..executors.reported import Reported
from ..scheduling.decide import OwnSession

logger = logging.getLogger("journeyman.worker")


class OwnSessions:
    """Keeps the lease of each of `partitions`; a session is open once its `joined` event is in `view`.

    `changed` is set when the set of sessions (of any worker) or of paused queues has changed. `reported` takes what
    their tasks report of their progress; `wake()` is called, in any thread, when there is something new.
    """

    def __init__(self, view: TaskView, partitions: Iterable[int], wake: Callable[[], None] = lambda: None) -> None:
        self._view = view
        self.reported = Reported(wake)
        worker = new_id()
        self.leases = {partition: SessionLease(worker, partition, self.reported) for partition in partitions}
        self.changed = True

    def __getitem__(self, partition: int) -> SessionLease:
        return self.leases[partition]

    def note_change(self) -> None:
        """Record that sessions have begun or ended, or queues were paused or resumed."""
        self.changed = True

    @property
    def worker(self) -> str:
        """The id of this worker's session, of the first partition's if an expiry has made them differ."""
        return next(iter(self.leases.values())).worker

    @property
    def workers(self) -> Mapping[int, str]:
        """The session ids by partition."""
        return {partition: lease.worker for partition, lease in self.leases.items()}

    @property
    def ids(self) -> frozenset[str]:
        """The session ids of all partitions."""
        return frozenset(lease.worker for lease in self.leases.values())

    @property
    def by_partition(self) -> Mapping[int, OwnSession]:
        """The sessions as input for `decide`, by partition."""
        return {partition: OwnSession(lease.worker, lease.acknowledged_at) for partition, lease in self.leases.items()}

    def live(self) -> list[SessionState]:
        """Return the sessions that are open according to the log."""
        sessions = [self._view.session(place, lease.worker) for place, lease in self.leases.items()]
        return [session for session in sessions if session is not None]

    def all_live(self) -> bool:
        """Return whether all sessions are open."""
        return len(self.live()) == len(self.leases)

    @property
    def claims(self) -> int:
        """How many tasks they hold."""
        return sum(len(session.claims) for session in self.live())

    def acknowledged(self) -> list[float]:
        """Return, for each session that holds tasks, when (monotonic) its last acknowledged append was begun."""
        return [self.leases[session.partition].acknowledged_at for session in self.live() if session.claims]

    def fresh(self, partition: int) -> SessionLease:
        """Return a lease for a new session, with a new id if the old one was used: an id is good for one session."""
        lease = self.leases[partition]
        if lease.spent:
            logger.warning("the session %s was expired by another worker: joining with a new one", lease.worker)
            lease = self.leases[partition] = SessionLease(new_id(), partition, self.reported)
            self.changed = True
        lease.spent = True
        return lease
