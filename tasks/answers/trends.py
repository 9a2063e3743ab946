"""The answer with the trends of a window: totals, series over time, failures, slow runs and expired workers."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from ..limits import HISTOGRAM_ERROR_FRACTION
from ..trends.bucket import COUNTS, Bucket, Counts, ExpiredWorker, Incidents, SlowRun
from ..trends.histogram import Histogram
from ..trends.trends import Series, Trends

_FRACTIONS: Final = (0.5, 0.9, 0.95, 0.99)
_NO_BUCKET: Final = Bucket()


class Spans(msgspec.Struct, frozen=True):
    """Spans in seconds: how many, their mean, percentiles and maximum; all None without any.

    The percentiles are within `relative_error` of the exact ones.
    """

    count: int = 0
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


class SpanSeries(msgspec.Struct, frozen=True):
    """Percentiles of spans in each bucket, in seconds; None for a bucket without any."""

    p50: list[float | None]
    p95: list[float | None]
    p99: list[float | None]


class OverTime(msgspec.Struct, frozen=True):
    """One number for each bucket: counts, see `Counts`; `waiting` and `running` are tasks at the bucket's end.

    `waiting` includes those that are delayed.
    """

    submitted: list[int]
    started: list[int]
    succeeded: list[int]
    failed: list[int]
    retried: list[int]
    interrupted: list[int]
    returned: list[int]
    revoked: list[int]
    purged: list[int]
    requeued: list[int]
    stale_outcomes: list[int]
    lost_claims: list[int]
    waiting: list[int]
    running: list[int]
    latency: SpanSeries
    waited: SpanSeries
    ran: SpanSeries


class TrendAnswer(msgspec.Struct, frozen=True):
    """The trend of one queue, or of all if `queue` is None: over the whole window, and bucket by bucket.

    `latency` is from a task's submission to its success, `waited` from the moment from which it could be claimed to its
    claim, `ran` the run of an attempt.
    """

    queue: str | None
    counts: Counts
    latency: Spans
    waited: Spans
    ran: Spans
    over_time: OverTime


class FailureAnswer(msgspec.Struct, frozen=True):
    """Attempts of one task's function in one queue that failed in one way, for good or to be retried.

    `reason` is the class of the exception, or what took its place. The newest: when (seconds since the epoch), which
    task, the text of its exception.
    """

    name: str
    queue: str
    reason: str
    failed: int
    retried: int
    newest_at: float
    newest_task: str
    newest_text: str


class TrendsAnswer(msgspec.Struct, frozen=True):
    """The trends after `since` and up to `until` (seconds since the epoch), in buckets of `bucket_seconds`.

    `ends` are the ends of the buckets. `total` is the trend of all queues together; the failures are those of most
    attempts first, the runs the slowest first, the workers the last expired first. `expired_beyond` expired workers are
    counted only.
    """

    since: float
    until: float
    bucket_seconds: float
    relative_error: float
    ends: list[float]
    total: TrendAnswer
    queues: list[TrendAnswer]
    failures: list[FailureAnswer]
    slowest: list[SlowRun]
    expired: list[ExpiredWorker]
    expired_over_time: list[int]
    expired_beyond: int


def trends_answer(trends: Trends, queues: Collection[str] | None = None) -> TrendsAnswer:
    """Return the answer for the trends of a window; with `queues` only these have a trend of their own."""
    window, found = trends.window, trends.all_incidents()
    numbers = window.numbers()
    named = sorted(name for name in trends.queues if queues is None or name in queues)
    return TrendsAnswer(
        since=window.since,
        until=window.until,
        bucket_seconds=window.width,
        relative_error=HISTOGRAM_ERROR_FRACTION,
        ends=[window.end_of(number) for number in numbers],
        total=trend_answer(None, trends.total(), numbers),
        queues=[trend_answer(name, trends.queues[name], numbers) for name in named],
        failures=failure_answers(found),
        slowest=found.slowest,
        expired=expired_answers(found),
        expired_over_time=expiries(trends),
        expired_beyond=found.expired_beyond,
    )


def failure_answers(found: Incidents) -> list[FailureAnswer]:
    """Return the failures, those of most attempts first."""
    failures = [
        FailureAnswer(*key, each.failed, each.retried, each.at, each.task, each.text)
        for key, each in found.failures.items()
    ]
    failures.sort(key=lambda each: (-each.failed - each.retried, -each.failed, each.name, each.queue, each.reason))
    return failures


def expired_answers(found: Incidents) -> list[ExpiredWorker]:
    """Return the expired workers, the last expired first."""
    return sorted(found.expired.values(), key=lambda each: (-each.at, each.worker))


def expiries(trends: Trends) -> list[int]:
    """Return for each bucket how many workers expired in it."""
    by_number = trends.incidents
    return [
        len(by_number[each].expired) + by_number[each].expired_beyond if each in by_number else 0
        for each in trends.window.numbers()
    ]


def trend_answer(queue: str | None, series: Series, numbers: Sequence[int]) -> TrendAnswer:
    """Return the trend of one queue, or of all if `queue` is None, in the buckets of these numbers."""
    whole = series.whole()
    return TrendAnswer(
        queue, whole.counts, _spans(whole.latency), _spans(whole.waited), _spans(whole.ran), _over_time(series, numbers)
    )


def _over_time(series: Series, numbers: Sequence[int]) -> OverTime:
    buckets = [series.buckets.get(number, _NO_BUCKET) for number in numbers]
    waiting, running = series.waiting, series.running
    depths: list[tuple[int, int]] = []
    for bucket in buckets:
        waiting += bucket.waiting
        running += bucket.running
        depths.append((waiting, running))
    return OverTime(
        **{name: [getattr(bucket.counts, name) for bucket in buckets] for name in COUNTS},
        waiting=[depth for depth, _ in depths],
        running=[depth for _, depth in depths],
        latency=_span_series([bucket.latency for bucket in buckets]),
        waited=_span_series([bucket.waited for bucket in buckets]),
        ran=_span_series([bucket.ran for bucket in buckets]),
    )


def _spans(histogram: Histogram) -> Spans:
    if not histogram.count:
        return Spans()
    p50, p90, p95, p99 = histogram.percentiles(_FRACTIONS)
    return Spans(histogram.count, histogram.mean, p50, p90, p95, p99, histogram.greatest)


def _span_series(histograms: Sequence[Histogram]) -> SpanSeries:
    rows: list[list[float]] = [histogram.percentiles((0.5, 0.95, 0.99)) for histogram in histograms]
    p50, p95, p99 = ([row[place] if row else None for row in rows] for place in range(3))
    return SpanSeries(p50, p95, p99)
