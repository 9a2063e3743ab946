"""Read a task that the screen follows: why it is in its state, and its history."""

from typing import NamedTuple

from ..journal.async_journal import AsyncJournal
from ..tasks.errors import UnknownTaskError
from ..tasks.inspection.as_of import ViewAsOf
from ..tasks.inspection.evidence import gather
from ..tasks.inspection.findings import Evidence
from ..tasks.inspection.history import TaskHistory, task_history
from ..tasks.inspection.why import explain
from .limits import FOLLOW_TASK_SECONDS
from .question import Followed


class _Read(NamedTuple):
    state: tuple[int, int]
    at: float
    evidence: Evidence
    history: TaskHistory | None


class TaskReader:
    """Reads one task; what was read is kept until an event has changed the task, or for a few seconds."""

    def __init__(self, journal: AsyncJournal, task: str) -> None:
        self.task = task
        self._journal = journal
        self._last: _Read | None = None

    async def read(self, standing: ViewAsOf, now: float) -> Followed:
        """Return the task as of the standing, at `now` in seconds since the epoch."""
        known = standing.view.find(self.task)
        state = (known.changed, known.refused) if known is not None else (-1, 0)
        last = self._last
        if last is None or last.state != state or not 0 <= now - last.at < FOLLOW_TASK_SECONDS:
            evidence = await gather(self._journal, standing, self.task)
            last = self._last = _Read(state, now, evidence, await self._history(standing))
        findings = explain(standing.view, self.task, now, last.evidence)
        named = last.evidence.named()
        return Followed(self.task, named.name if named is not None else "", findings, last.history)

    async def _history(self, standing: ViewAsOf) -> TaskHistory | None:
        try:
            return await task_history(self._journal, self.task, until=standing.cursor)
        except UnknownTaskError:
            return None
