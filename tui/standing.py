"""The standing of the screen: the state, the last hour and the newest events, as of a moment or kept current."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple, cast

from ..consumers.limits import SCAN_STEP_EVENTS
from ..consumers.views.as_of import as_of
from ..consumers.views.view import View
from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor
from ..journal.errors import HistoryTruncated
from ..journal.log import Log, Page
from ..tasks.trends.reading import Progress, read_trends
from ..tasks.trends.view import TrendView
from ..top.view import RequestsView
from .counting import CountingView
from .limits import RECENT_EVENTS_KEPT, TREND_BUCKET_SECONDS, TREND_SECONDS
from .recent import RecentEvents


class ScreenView(View):
    """The state of the tasks, their trends of the last hour, and the newest events, from one pass over the log."""

    def __init__(self, trends: TrendView, recent: RecentEvents) -> None:
        self.trends = trends
        self.recent = recent

    @property
    def state(self) -> CountingView:
        """The state of the tasks."""
        return cast("CountingView", self.trends.state)

    def apply_page(self, page: Page) -> None:
        """Apply a page to each."""
        self.trends.apply_page(page)
        self.recent.apply_page(page)


class Standing(NamedTuple):
    """What was read up to `cursor`: the state as of `moment`, in seconds since the epoch, None for the present.

    `begun` is where the history of the journal begins; None if it is empty.
    """

    view: ScreenView
    cursor: Cursor
    moment: float | None
    begun: float | None


async def read_standing(
    journal: AsyncJournal, moment: float | None, now: float, progress: Callable[[float], None]
) -> Standing:
    """Read the state as of `moment`, or of `now`; `progress` is called with the fraction that was read."""

    def tell(done: int, everything: int) -> None:
        progress(done / everything if everything else 1.0)

    told: Progress = tell
    until = now if moment is None else moment
    found = await read_trends(
        journal, until - TREND_SECONDS, until, TREND_BUCKET_SECONDS, progress=told, state=CountingView
    )
    recent = RecentEvents()
    await _read_recent(journal, recent, found.cursor)
    return Standing(ScreenView(found.view, recent), found.cursor, moment, found.begun)


async def read_requests(journal: AsyncJournal, cursor: Mapping[int, int]) -> RequestsView:
    """Read the requests before a cursor; of what retention has removed nothing is known."""
    try:
        return await as_of(journal, RequestsView, cursor)
    except HistoryTruncated:
        log, view = await journal.open(), RequestsView()
        for partition, first in (await log.bounds()).first.items():
            async for page in _pages(log, partition, first, cursor.get(partition, 0)):
                view.apply_page(page)
        return view


async def _read_recent(journal: AsyncJournal, recent: RecentEvents, cursor: Mapping[int, int]) -> None:
    """Read the newest events before a cursor: as many of each partition, in the order of their times."""
    log = await journal.open()
    first, share = (await log.bounds()).first, max(1, RECENT_EVENTS_KEPT // max(1, len(cursor)))
    for partition, end in cursor.items():
        async for page in _pages(log, partition, max(first.get(partition, 0), end - share), end):
            recent.apply_page(page)
    recent.sort()


async def _pages(log: Log, partition: int, begin: int, end: int) -> AsyncIterator[Page]:
    """Yield the pages of a partition from `begin` up to, not including, `end`."""
    while begin < end:
        pages = await log.read({partition: begin}, min(SCAN_STEP_EVENTS, end - begin))
        if not pages:
            return  # the last ones are repeats, which a read leaves out
        yield pages[0]
        begin = pages[0].next_offset
