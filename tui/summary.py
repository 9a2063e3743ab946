"""Make the summary of the state: the overview, its alarms, the last hour, and what each worker runs. Pure."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..tasks.inspection.alarms import Thresholds, alarms
from ..tasks.inspection.overview import counted_overview
from ..tasks.inspection.schedule_lines import schedule_lines
from ..tasks.state.state import SessionState
from ..tasks.trends.bucket import Bucket, Incidents
from ..tasks.trends.trends import Series, Trends
from ..tasks.trends.window import Window
from .limits import FAILURES_SHOWN, RUNNING_TASKS_SHOWN
from .question import Charts, Failing, Hour, Running, Summary
from .standing import ScreenView

_LATENCY: Final = (0.95,)


def summary(view: ScreenView, now: float, signs: Mapping[str, float], clocks: Sequence[str]) -> Summary:
    """Return the summary of the state at `now`; `signs` are the workers' last signs of life, both in epoch seconds."""
    state = view.state
    seen = counted_overview(state, state.counts(now), signs)
    seen = seen._replace(schedules=schedule_lines(state.schedules, now), clocks=tuple(clocks))
    return Summary(seen, alarms(seen, Thresholds()), hour(view.trends.trends), _running(state.all_sessions()))


def hour(trends: Trends) -> Hour:
    """Return the charts of all queues, and what was refused, expired and retried meanwhile."""
    window, total = trends.window, trends.total()
    counts = total.whole().counts
    expired = trends.all_incidents()
    return Hour(
        charts(total, window),
        {name: charts(series, window) for name, series in trends.queues.items()},
        window.width,
        counts.stale_outcomes,
        counts.lost_claims,
        len(expired.expired) + expired.expired_beyond,
        counts.retried + counts.returned,
        _failing(expired),
    )


def _failing(found: Incidents) -> list[Failing]:
    """Return the ways in which most attempts failed, the most frequent first."""
    failing = [
        Failing(name, queue, reason, each.failed + each.retried, each.failed, each.text)
        for (name, queue, reason), each in found.failures.items()
    ]
    return heapq.nlargest(FAILURES_SHOWN, failing, key=lambda each: (each.attempts, each.name, each.reason))


def charts(series: Series, window: Window) -> Charts:
    """Return the charts of a series, one number for each bucket of the window."""
    buckets = [series.buckets.get(number) for number in window.numbers()]
    return Charts(
        [bucket.counts.submitted if bucket else 0 for bucket in buckets],
        [bucket.counts.succeeded + bucket.counts.failed if bucket else 0 for bucket in buckets],
        [bucket.counts.failed if bucket else 0 for bucket in buckets],
        [_latency(bucket) for bucket in buckets],
    )


def _latency(bucket: Bucket | None) -> float | None:
    found = bucket.latency.percentiles(_LATENCY) if bucket is not None else []
    return found[0] if found else None


def _running(sessions: Iterable[SessionState]) -> dict[str, list[Running]]:
    """Return, by worker, the tasks that it has held for the longest time."""
    held: dict[str, list[Running]] = {}
    for session in sessions:
        tasks = heapq.nsmallest(RUNNING_TASKS_SHOWN, session.claims.values(), key=lambda task: task.changed_at)
        held.setdefault(session.worker, []).extend(Running(task.id, task.name, task.changed_at) for task in tasks)
    return {worker: sorted(tasks, key=lambda task: task.since) for worker, tasks in held.items()}
