"""Read the trends of a window from the journal, from the state as of its beginning on."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ...consumers.limits import SCAN_STEP_EVENTS
from ...consumers.truncation import first_moment
from ...consumers.views.as_of import as_of
from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.errors import HistoryTruncated
from ...journal.log import Log
from ..inspection.as_of import ViewAsOf, cursor_at
from ..limits import TREND_BUCKETS_DEFAULT
from ..state.view import TaskView
from .view import TrendView
from .window import Window

# Is called with the number of events read and their total, those before the window included that give the state there.
Progress = Callable[[int, int], None]


class TrendsAsOf(NamedTuple):
    """The trends of all events before `cursor`. `begun` is where the journal's history begins; None if it is empty.

    A replica of `view` that starts at `cursor` continues them: `Replica(journal, view, cursor)`.
    """

    view: TrendView
    cursor: Cursor
    begun: float | None


async def read_trends(
    journal: AsyncJournal,
    since: float,
    until: float,
    width: float | None = None,
    *,
    progress: Progress | None = None,
    state: Callable[[], TaskView] = TaskView,
) -> TrendsAsOf:
    """Return the trends of what happened after `since` and up to `until`, seconds since the epoch.

    The buckets are `width` seconds wide; None for `TREND_BUCKETS_DEFAULT` of them. Tasks that were submitted before the
    window are known. Where retention has removed its beginning, the window counts what the journal still has: see
    `begun`. `state` makes the view of the tasks beside. `ValidationError` for an empty window, or one of too many
    buckets.
    """
    window = Window.between(since, until, (until - since) / TREND_BUCKETS_DEFAULT if width is None else width)
    log = await journal.open()
    goal, reported = await cursor_at(journal, until), _Reported(progress)
    start = await _standing_at(journal, log, since, goal, reported, state)
    view = TrendView(window, start.view)
    reported.whole = reported.done + _between(start.cursor, goal)
    for partition, end in goal.items():
        offset = start.cursor.get(partition, 0)
        while offset < end:
            pages = await log.read({partition: offset}, min(SCAN_STEP_EVENTS, end - offset))
            if not pages:
                break  # the last ones are repeats, which a read leaves out
            view.apply_page(pages[0])
            reported.add(pages[0].next_offset - offset)
            offset = pages[0].next_offset
    return TrendsAsOf(view, goal, await history_begins(log))


class _Reported:
    """The progress of both readings, of what gives the state where the window begins and of the window, as one."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.done = self.whole = 0

    def add(self, events: int) -> None:
        """Report that so many more events of the window were read."""
        self.done += events
        if self._progress is not None:
            self._progress(self.done, self.whole)

    def before(self, rest: int) -> Progress:
        """Return a progress of what is before the window, which has `rest` events."""

        def report(done: int, everything: int) -> None:
            self.whole = everything + rest
            self.add(done - self.done)

        return report


def _between(start: Mapping[int, int], end: Mapping[int, int]) -> int:
    """Return the number of positions between two cursors."""
    return sum(max(0, stop - start.get(partition, 0)) for partition, stop in end.items())


async def _standing_at(
    journal: AsyncJournal,
    log: Log,
    since: float,
    goal: Cursor,
    reported: _Reported,
    state: Callable[[], TaskView],
) -> ViewAsOf:
    """Return the state at `since`; where retention has removed that, the state where the log begins."""
    cursor = await cursor_at(journal, since)
    try:
        return ViewAsOf(await as_of(journal, state, cursor, reported.before(_between(cursor, goal))), cursor)
    except HistoryTruncated:
        first = (await log.bounds()).first
        return ViewAsOf(await as_of(journal, state, first), first)


async def history_begins(log: Log) -> float | None:
    """Return the time of the first event that the log holds, in seconds since the epoch; None if it holds none."""
    bounds = await log.bounds()
    times: list[float] = []
    for partition, first in bounds.first.items():
        if first < bounds.end[partition]:
            moment = await first_moment(log, partition, first)
            times += [] if moment is None else [moment]
    return min(times, default=None)
