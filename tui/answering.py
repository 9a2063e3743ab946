"""Answer the questions of the screen from one standing: the present or a moment of the past."""

import time
from collections.abc import Callable

from ..consumers.views.replica import Replica
from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor
from ..tasks.inspection.as_of import ViewAsOf
from ..tasks.inspection.clocks import clock_faults
from ..tasks.inspection.evidence import last_signs
from ..tasks.state.state import SessionState
from ..top.view import RequestsView
from .cells import Listing
from .followed_task import TaskReader
from .limits import SELECT_AGAIN_TIMES, SIGNS_SECONDS
from .lists.dead_letters import DeadLetterList
from .lists.events import events
from .lists.queues import queues
from .lists.requests import requests
from .lists.tasks import is_cheap, tasks
from .lists.workers import workers
from .question import Frame, Question, Summary, Tab
from .standing import ScreenView, Standing, read_requests
from .summary import summary

_SUMMARISED = (Tab.OVERVIEW, Tab.QUEUES, Tab.WORKERS)


class Answering:
    """Answers from `standing`; `replica` keeps its view current if it is the present.

    It reads from the journal only what a view does not hold: the errors of the dead letters that are seen, signs of
    life, the history of the followed task, and, once they are asked for, the requests.
    """

    def __init__(self, journal: AsyncJournal, standing: Standing, replica: Replica[ScreenView] | None = None) -> None:
        self.standing = standing
        self._journal = journal
        self._replica = replica
        self._letters = DeadLetterList(journal, standing.view.state)
        self._requests: RequestsView | None = None
        self._requests_replica: Replica[RequestsView] | None = None
        self._signs = _Signs()
        self._clocks: list[str] | None = None
        self._task: TaskReader | None = None
        self._kept = _KeptListing()

    @property
    def cursor(self) -> Cursor:
        """The position up to which the answers go."""
        return self.standing.cursor if self._replica is None else self._replica.cursor

    async def answer(self, asked: Question, now: float) -> Frame:
        """Return the frame for a question at `now`, in seconds since the epoch."""
        frame = Frame(asked, now, begun=self.standing.begun)
        if asked.task:
            if self._task is None or self._task.task != asked.task:
                self._task = TaskReader(self._journal, asked.task)
            standing = ViewAsOf(self.standing.view.state, self.cursor)
            return frame._replace(followed=await self._task.read(standing, now))
        self._task = None
        found = await self._summary(now) if asked.tab in _SUMMARISED else None
        return frame._replace(summary=found, listing=await self._listing(asked, found, now))

    async def _summary(self, now: float) -> Summary:
        view, log = self.standing.view, await self._journal.open()
        if self._clocks is None:
            self._clocks = await clock_faults(log, now) if self._replica is not None else []
        await self._signs.read(self._journal, list(view.state.all_sessions()), now)
        return summary(view, now, self._signs.times, self._clocks)

    async def _listing(self, asked: Question, found: Summary | None, now: float) -> Listing | None:
        if found is not None:
            lists = {Tab.QUEUES: queues, Tab.WORKERS: workers}
            return lists[asked.tab](found, asked) if asked.tab in lists else None
        if asked.tab is Tab.DEAD:
            return await self._letters.listing(asked, now)
        if asked.tab is Tab.REQUESTS:
            return requests(await self._requests_now(), asked, now)
        if asked.tab is Tab.EVENTS:
            return events(self.standing.view.recent, asked)
        return self._tasks(asked, now)

    def _tasks(self, asked: Question, now: float) -> Listing:
        state = self.standing.view.state
        if is_cheap(asked):
            return tasks(state, asked, now)
        return self._kept.listing(asked, now, lambda: tasks(state, asked, now))

    async def _requests_now(self) -> RequestsView:
        if self._replica is None:
            if self._requests is None:
                self._requests = await read_requests(self._journal, self.cursor)
            return self._requests
        if self._requests_replica is None:
            self._requests_replica = Replica(self._journal, RequestsView(), renew=RequestsView)
        await self._requests_replica.wait_for(Cursor(dict(self.cursor)))
        return self._requests_replica.view

    async def aclose(self) -> None:
        """Close what follows the requests."""
        if self._requests_replica is not None:
            await self._requests_replica.aclose()


class _Signs:
    """The workers' last signs of life; only those of sessions that have shown another one are read again."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._last: dict[tuple[str, int], int] = {}
        self._read_at = 0.0

    async def read(self, journal: AsyncJournal, sessions: list[SessionState], now: float) -> None:
        if 0 <= now - self._read_at < SIGNS_SECONDS and len(sessions) == len(self._last):
            return
        self._read_at = now
        last = {(each.worker, each.partition): each.last for each in sessions}
        changed = [each for each in sessions if self._last.get((each.worker, each.partition)) != each.last]
        found = await last_signs(await journal.open(), changed)
        workers = {worker for worker, _ in last}
        known = {worker: at for worker, at in self.times.items() if worker in workers}
        self.times = known | {worker: max(at, known.get(worker, at)) for worker, at in found.items()}
        self._last = last


class _KeptListing:
    """Keeps a listing for which every task was looked at, so that it is made at most a small part of the time."""

    def __init__(self) -> None:
        self._asked: Question | None = None
        self._made: Listing | None = None
        self._made_at = 0.0
        self._again_at = 0.0

    def listing(self, asked: Question, now: float, make: Callable[[], Listing]) -> Listing:
        begun = time.monotonic()
        if asked != self._asked or self._made is None or begun >= self._again_at:
            self._made, self._asked, self._made_at = make(), asked, now
            ended = time.monotonic()
            self._again_at = ended + SELECT_AGAIN_TIMES * (ended - begun)
            return self._made
        return self._made._replace(selected_at=self._made_at)
