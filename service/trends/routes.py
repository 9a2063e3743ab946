"""GET /trends: what happened over time, as columns for charts."""

import time
from typing import Annotated

import anyio.lowlevel
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from ...tasks.answers.trends import TrendAnswer, TrendsAnswer, expired_answers, expiries, failure_answers, trend_answer
from ...tasks.inspection.as_of import cursor_at
from ...tasks.limits import HISTOGRAM_ERROR_FRACTION
from ...tasks.trends.trends import Series, Trends
from ..answers import CURSOR_HEADER
from ..backend import Backend, moment_of, past_of
from ..keys import Scope
from ..limits import (
    TREND_EVENTS_MAX,
    TREND_INCIDENTS,
    TREND_POINTS_MAX,
    TREND_QUEUES,
    TREND_QUEUES_LISTED_MAX,
    TREND_RECENT_SECONDS,
    TREND_SLACK_SECONDS,
    TREND_WIDTH_SECONDS,
)
from ..problems import Problem
from .recent import RecentTrends, read_apart

Since = Annotated[str | None, QueryParameter(description="Where the window begins; by default an hour before its end.")]
Until = Annotated[str | None, QueryParameter(description="Where the window ends; by default `as_of`, or now.")]
AsOf = Annotated[str | None, QueryParameter(description="The moment of the past that the answer is about.")]
AtLeast = Annotated[str | None, QueryParameter(description="The `Journal-Cursor` of an earlier answer.")]
Width = Annotated[
    float | None,
    QueryParameter(
        gt=0, le=10**9, description="The width of a bucket in seconds; by default 60, more for long windows."
    ),
]
Queue = Annotated[str | None, QueryParameter(description="Only this queue.")]
Queues = Annotated[
    int,
    QueryParameter(ge=0, le=TREND_QUEUES_LISTED_MAX, description="How many queues have a series, the busiest first."),
]


class ServedTrends(TrendsAnswer, frozen=True, kw_only=True):
    """Trends up to `as_of`; `begun`: the journal's history begins there, null if it is empty.

    `queues` are the busiest ones, and `more_queues` how many others there are.
    """

    as_of: float
    begun: float | None
    more_queues: int


@get("/trends", opt={"scope": Scope.READ, "problems": (409, 410)})
async def show_trends(
    backend: NamedDependency[Backend],
    recent: NamedDependency[RecentTrends],
    since: Since = None,
    until: Until = None,
    as_of: AsOf = None,
    width: Width = None,
    queue: Queue = None,
    queues: Queues = TREND_QUEUES,
    at_least: AtLeast = None,
) -> Response[ServedTrends]:
    """Show throughput, waiting and running tasks, latency and failures over time, by queue and of all together.

    The last hour in the usual width is kept; any other window is read from the journal, within bounds.
    """
    await backend.reach(at_least)
    now = time.time()
    end = next(
        (past_of(text, name, now) for text, name in ((until, "until"), (as_of, "as_of")) if text is not None), now
    )
    begin = end - TREND_RECENT_SECONDS if since is None else moment_of(since, "since", now)
    if (
        end == now
        and width in (None, TREND_WIDTH_SECONDS)
        and begin >= now - TREND_RECENT_SECONDS - TREND_SLACK_SECONDS
    ):
        said = await recent.trends()
        trends, cursor, at, begun = said
        return await _answer(trends, cursor, at, begun, queue, queues)
    step = _width(begin, end) if width is None else width
    await _refuse_too_much(backend, begin, end, step)
    found = await read_apart(backend.journal, begin, end, step)
    return await _answer(found.view.trends, str(found.cursor), end, found.begun, queue, queues)


def _width(begin: float, end: float) -> float:
    return max(TREND_WIDTH_SECONDS, (end - begin) / (TREND_RECENT_SECONDS / TREND_WIDTH_SECONDS))


async def _refuse_too_much(backend: Backend, begin: float, end: float, width: float) -> None:
    if end > begin and (end - begin) / width > TREND_POINTS_MAX:
        raise Problem(
            400, "too-many-buckets", f"at most {TREND_POINTS_MAX:,} buckets are answered: choose a greater `width`"
        )
    first, last = await cursor_at(backend.journal, begin), await cursor_at(backend.journal, end)
    events = sum(max(0, offset - first.get(partition, 0)) for partition, offset in last.items())
    if events > TREND_EVENTS_MAX:
        raise Problem(
            400,
            "window-too-large",
            f"the window has {events:,} events; at most {TREND_EVENTS_MAX:,} are read for a request: choose a shorter "
            "one, or use `journeyman report`",
        )


async def _answer(
    trends: Trends, cursor: str, at: float, begun: float | None, queue: str | None, limit: int
) -> Response[ServedTrends]:
    """Return the answer; between two queues other requests run, since each takes some milliseconds."""
    window, names = trends.window, sorted(trends.queues, key=lambda name: (-_activity(trends.queues[name]), name))
    numbers, chosen = window.numbers(), names[:limit] if queue is None else [queue]
    total = await _total(trends) if queue is None else trends.queues.get(queue, Series())
    lines: list[TrendAnswer] = []
    for name in chosen:
        lines.append(trend_answer(name, trends.queues.get(name) or Series(), numbers))
        await anyio.lowlevel.checkpoint()
    found = trends.all_incidents()
    answer = ServedTrends(
        as_of=at,
        begun=begun,
        since=window.since,
        until=at,
        bucket_seconds=window.width,
        relative_error=HISTOGRAM_ERROR_FRACTION,
        ends=[min(window.begin_of(number + 1), max(at, window.since)) for number in numbers],
        total=trend_answer(None, total, numbers),
        queues=lines,
        more_queues=0 if queue is not None else len(names) - len(chosen),
        failures=[each for each in failure_answers(found) if queue in (None, each.queue)][:TREND_INCIDENTS],
        slowest=[each for each in found.slowest if queue in (None, each.queue)],
        expired=expired_answers(found)[:TREND_INCIDENTS],
        expired_over_time=expiries(trends),
        expired_beyond=found.expired_beyond + max(0, len(found.expired) - TREND_INCIDENTS),
    )
    return Response(answer, headers={CURSOR_HEADER: cursor})


async def _total(trends: Trends) -> Series:
    total = Series()
    for series in (*list(trends.queues.values()), trends.elsewhere):
        total.merge(series)
        await anyio.lowlevel.checkpoint()
    return total


def _activity(series: Series) -> int:
    moved = sum(bucket.counts.submitted + bucket.counts.started for bucket in series.buckets.values())
    return moved + series.waiting + series.running
