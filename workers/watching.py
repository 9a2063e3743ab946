"""One replica of the task view for each journal of this process: what statuses and results are read from."""

from typing import Final

from ..consumers.views.replica import Replica
from ..journal.asynchronous import AsyncJournal
from ..journal.limits import SNAPSHOT_EVENTS
from ..journal.log import Page
from ..journal.synchronous import Journal
from .rules.state import TaskState
from .rules.view import TaskView

_NAME: Final = "task replica"
# A worker's snapshots hold the waiting tasks' submissions as well, which saves other workers from reading them: this
# replica takes one only where no worker does.
_PRECEDENCE: Final = 4


class WatchedTasks(TaskView):
    """The task view of those who wait for results: what they wait for is nearly always in the page that came last."""

    def __init__(self) -> None:
        super().__init__()
        self._latest: Page | None = None

    def apply_page(self, page: Page) -> None:
        """See `TaskView.apply_page`."""
        self._latest = page
        super().apply_page(page)

    def latest_row(self, task: TaskState) -> bytes | None:
        """The record of the last accepted event about a task, if it was in the latest page."""
        page = self._latest
        if page is None or page.partition != task.partition or not page.offsets[0] <= task.changed < page.next_offset:
            return None
        return page.rows[page.offsets.index(task.changed)]


def watched_by(journal: Journal, reader: str) -> Replica[WatchedTasks]:
    """The `task_replica` for a `reader` of that name; `TypeError` if it was given something else than a journal."""
    if not isinstance(journal, Journal):
        raise TypeError(
            f"{reader}() takes a Journal, got a value of type {type(journal).__name__}; pass the Journal(…) made of a "
            "URL, such as Journal('sqlite:///shop.db')"
        )
    return task_replica(journal.asynchronous)


def task_replica(journal: AsyncJournal) -> Replica[WatchedTasks]:
    """The replica of the task view that this process keeps with `journal`, made at first use."""
    replica = journal.companions.get(_NAME)
    if replica is None:
        every = _PRECEDENCE * SNAPSHOT_EVENTS
        made = Replica(journal, WatchedTasks(), snapshot_every=every, renew=WatchedTasks)
        replica = journal.companions.setdefault(_NAME, made)
    assert isinstance(replica, Replica)
    return replica
