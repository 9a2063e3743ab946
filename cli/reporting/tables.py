"""The report on a terminal: tables without lines, and a small chart of each queue in characters."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from rich.console import Group, RenderableType
from rich.text import Text

from ...tasks.answers.trends import Spans, TrendAnswer, TrendsAnswer
from ...tasks.inspection.wording import clock, number, short_id, span
from ..limits import REPORT_ROWS_SHOWN, SPARK_COLUMNS_MAX
from ..shared.screen import printable, when
from ..shared.table import FittedTable
from .content import Report, with_total
from .scale import rate, rate_unit

T = TypeVar("T")

_BARS: Final = " ▁▂▃▄▅▆▇█"


def screen(report: Report) -> RenderableType:
    """Return the whole report for a terminal."""
    trends = report.trends
    head = Text.assemble(
        (printable(report.url), "bold"),
        f"  {when(trends.since, 'seconds')} to {when(trends.until, 'seconds')}",
        (f"  ({span(report.seconds)})", "dim"),
    )
    parts: list[RenderableType] = [head]
    if report.begun is not None:
        parts.append(Text("the journal's history begins within this time", "dim"))
    if report.is_empty:
        return Group(*parts, Text(), Text("nothing happened, and no task waits or runs", "dim"))
    parts += [Text(), _queues(report), Text(), _spans(trends)]
    for title, table in _sections(trends):
        parts += [Text(), Text(title, "bold"), table]
    return Group(*parts, Text(), *_remarks(trends))


_QUEUE_COLUMNS: Final = (
    ("queue", "left"),
    ("submitted", "right"),
    ("succeeded", "right"),
    ("failed", "right"),
    ("retried", "right"),
    ("waiting", "right"),
    ("running", "right"),
    ("throughput", "right"),
    ("succeeded over time", "left"),
)


def _queues(report: Report) -> RenderableType:
    trends, seconds = with_total(report.trends), report.seconds
    unit = rate_unit(report.trends.total.counts.succeeded, seconds)
    rows = [_queue_row(trend, rate(trend.counts.succeeded, seconds, unit)) for trend in _shown(trends)]
    return FittedTable(_QUEUE_COLUMNS, rows, give_way=1)


def _queue_row(trend: TrendAnswer, throughput: str) -> list[Text]:
    counts, over_time = trend.counts, trend.over_time
    return [
        _name(trend),
        *[_count(each) for each in (counts.submitted, counts.succeeded)],
        _count(counts.failed, "red"),
        _count(counts.retried, "yellow"),
        _count(over_time.waiting[-1]),
        _count(over_time.running[-1]),
        Text(throughput, "" if counts.succeeded else "dim"),
        Text(spark(over_time.succeeded), "cyan"),
    ]


def spark(values: Sequence[int]) -> str:
    """Return values as a row of bars, of `SPARK_COLUMNS_MAX` at most; the highest is the greatest value."""
    per_bar = -(-len(values) // SPARK_COLUMNS_MAX)
    sums = [sum(values[at : at + per_bar]) for at in range(0, len(values), per_bar)]
    greatest = max(sums, default=0)
    return "".join(_BARS[-(-each * (len(_BARS) - 1) // greatest) if greatest else 0] for each in sums)


_SPAN_COLUMNS: Final = (
    ("queue", "left"),
    ("span", "left"),
    ("p50", "right"),
    ("p95", "right"),
    ("p99", "right"),
    ("max", "right"),
)


def _spans(trends: TrendsAnswer) -> RenderableType:
    rows: list[list[Text]] = []
    for trend in _shown(with_total(trends)):
        name = _name(trend)
        for kind, spans in (("latency", trend.latency), ("waited", trend.waited), ("ran", trend.ran)):
            if spans.count:
                rows.append([name, Text(kind), *_cells(spans)])
                name = Text()
    return FittedTable(_SPAN_COLUMNS, rows)


def _cells(spans: Spans) -> Iterator[Text]:
    for value in (spans.p50, spans.p95, spans.p99, spans.max):
        yield Text("-", "dim") if value is None else Text(span(value))


def _sections(trends: TrendsAnswer) -> Iterator[tuple[str, RenderableType]]:
    """Yield the tables of what has a name, as far as there is anything."""
    now = trends.until
    if trends.failures:
        rows = [
            [
                Text(printable(each.name), "bold"),
                Text(printable(each.queue)),
                Text(printable(each.reason)),
                _count(each.failed, "red"),
                _count(each.retried, "yellow"),
                Text(clock(each.newest_at, now)),
                Text(short_id(printable(each.newest_task))),
                Text(printable(each.newest_text), "dim"),
            ]
            for each in _shown(trends.failures)
        ]
        yield "Failures", FittedTable(_columns("task queue reason >failed >retried newest id text"), rows, give_way=3)
    if trends.slowest:
        rows = [
            [
                Text(span(each.seconds)),
                Text(printable(each.name), "bold"),
                Text(printable(each.queue)),
                Text(short_id(printable(each.task))),
                Text(each.how.rpartition(".")[2], "" if each.how == "task.succeeded" else "red"),
                Text(clock(each.at, now)),
            ]
            for each in trends.slowest
        ]
        yield "Slowest runs", FittedTable(_columns(">ran task queue id how ended"), rows, give_way=1)
    if trends.expired:
        rows = [
            [
                Text(short_id(printable(each.worker)), "bold"),
                Text(printable(each.host)),
                Text(clock(each.at, now)),
                _count(each.returned),
                _count(each.failed, "red"),
            ]
            for each in _shown(trends.expired)
        ]
        columns = _columns("worker host expired >returned >failed")
        yield "Workers that expired, with the tasks they held", FittedTable(columns, rows)


def _columns(said: str) -> tuple[tuple[str, str], ...]:
    return tuple((each.removeprefix(">"), "right" if each[0] == ">" else "left") for each in said.split())


def _remarks(trends: TrendsAnswer) -> Iterator[Text]:
    counts = trends.total.counts
    said = [
        (counts.interrupted, "attempt was given back unharmed", "attempts were given back unharmed"),
        (counts.revoked, "task was revoked", "tasks were revoked"),
        (counts.requeued, "dead letter was requeued", "dead letters were requeued"),
        (counts.purged, "dead letter was purged", "dead letters were purged"),
        (counts.stale_outcomes, "stale outcome was refused", "stale outcomes were refused"),
        (counts.lost_claims, "claim came second", "claims came second"),
    ]
    told = [number(count, one, several) for count, one, several in said if count]
    if told:
        yield Text("; ".join(told), "dim")
    rest = [(len(trends.queues), "queue"), (len(trends.failures), "kind of failure"), (len(trends.expired), "worker")]
    for count, thing in rest:
        if count > REPORT_ROWS_SHOWN:
            more = number(count - REPORT_ROWS_SHOWN, f"more {thing}", f"more {thing.replace('kind', 'kinds')}s")
            yield Text(f"{more}: --json and --html show them", "dim")
    yield Text(f"percentiles are within {trends.relative_error:.0%} of the exact ones", "dim")


def _shown(rows: Sequence[T]) -> Iterable[T]:
    return rows[:REPORT_ROWS_SHOWN]


def _name(trend: TrendAnswer) -> Text:
    return Text("all", "dim") if trend.queue is None else Text(printable(trend.queue), "bold")


def _count(count: int, style: str = "") -> Text:
    return Text(f"{count:,}", style if count else "dim")
