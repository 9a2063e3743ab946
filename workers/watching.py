"""One replica of the task view for each journal of this process: what statuses and results are read from."""

from typing import Final

from ..consumers.views.replica import Replica
from ..journal.asynchronous import AsyncJournal
from ..journal.limits import SNAPSHOT_EVENTS
from .rules.view import TaskView

_NAME: Final = "task replica"
# A worker's snapshots hold the waiting tasks' submissions as well, which saves other workers from reading them: this
# replica takes one only where no worker does.
_PRECEDENCE: Final = 4


def task_replica(journal: AsyncJournal) -> Replica[TaskView]:
    """The replica of the task view that this process keeps with `journal`, made at first use."""
    replica = journal.companions.get(_NAME)
    if replica is None:
        made = Replica(journal, TaskView(), snapshot_every=_PRECEDENCE * SNAPSHOT_EVENTS)
        replica = journal.companions.setdefault(_NAME, made)
    assert isinstance(replica, Replica)
    return replica
