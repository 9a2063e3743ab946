"""One replica of the task view for each journal of this process: what statuses and results are read from."""

from typing import Final

from ..consumers.replica import Replica
from ..journal.asynchronous import AsyncJournal
from .view import TaskView

_NAME: Final = "task replica"


def task_replica(journal: AsyncJournal) -> Replica[TaskView]:
    """The replica of the task view that this process keeps with `journal`, made at first use."""
    replica = journal.companions.get(_NAME) or journal.companions.setdefault(_NAME, Replica(journal, TaskView()))
    assert isinstance(replica, Replica)
    return replica
