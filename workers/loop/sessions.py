"""The worker's own sessions, one in each partition: their ids and their leases."""

import logging
from collections.abc import Iterable, Mapping

from ...tasks.message import new_id
from ...tasks.state.state import SessionState
from ...tasks.state.view import TaskView
from ..executors.pipeline import SessionLease
from ..scheduling.decide import OwnSession

logger = logging.getLogger("journeyman.worker")


class OwnSessions:
    """Keeps the lease of each of `partitions`; a session is open once its `joined` event is in `view`.

    `changed` is set when the set of sessions (of any worker) or of paused queues has changed.
    """

    def __init__(self, view: TaskView, partitions: Iterable[int]) -> None:
        self._view = view
        worker = new_id()
        self._leases = {partition: SessionLease(worker, partition) for partition in partitions}
        self.changed = True

    def __getitem__(self, partition: int) -> SessionLease:
        return self._leases[partition]

    def note_change(self) -> None:
        """Sessions have begun or ended, queues were paused or resumed."""
        self.changed = True

    @property
    def worker(self) -> str:
        """The id of this worker's session, of the first partition's if an expiry has made them differ."""
        return next(iter(self._leases.values())).worker

    @property
    def workers(self) -> Mapping[int, str]:
        """The ids by partition."""
        return {partition: lease.worker for partition, lease in self._leases.items()}

    @property
    def ids(self) -> frozenset[str]:
        """The ids, wherever."""
        return frozenset(lease.worker for lease in self._leases.values())

    @property
    def standings(self) -> Mapping[int, OwnSession]:
        """How each stands, as the rules want to know it."""
        return {partition: OwnSession(lease.worker, lease.acknowledged_at) for partition, lease in self._leases.items()}

    def live(self) -> list[SessionState]:
        """Those that are open, as the log has it."""
        sessions = [self._view.session(place, lease.worker) for place, lease in self._leases.items()]
        return [session for session in sessions if session is not None]

    def all_live(self) -> bool:
        """Whether all are open."""
        return len(self.live()) == len(self._leases)

    @property
    def claims(self) -> int:
        """How many tasks they hold."""
        return sum(len(session.claims) for session in self.live())

    def acknowledged(self) -> list[float]:
        """When (monotonic) the last acknowledged append was begun, of each that holds tasks."""
        return [self._leases[session.partition].acknowledged_at for session in self.live() if session.claims]

    def fresh(self, partition: int) -> SessionLease:
        """A lease that was not joined yet: an id is good for one session."""
        lease = self._leases[partition]
        if lease.spent:
            logger.warning("the session %s was expired by another worker: carrying on with a new one", lease.worker)
            lease = self._leases[partition] = SessionLease(new_id(), partition)
            self.changed = True
        lease.spent = True
        return lease
