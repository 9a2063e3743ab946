"""The report as one HTML file: charts and tables, without scripts or external files. Pure, but for reading its style.

Every text from the journal is escaped, and the file's Content-Security-Policy forbids browsers to load or run anything.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files
from typing import Final, NamedTuple

from ...tasks.answers.trends import Spans, TrendAnswer, TrendsAnswer
from ...tasks.inspection.wording import clock, number, printable, short_id, span, when
from .charts import Mark, Times, chart, spark
from .content import Report, with_total
from .scale import rate, rate_unit

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_MEANINGS: Final = (
    ("submitted, started", "tasks that were submitted; claims that were accepted"),
    ("failed, retried", "tasks that failed for good; attempts that failed and are to be repeated"),
    ("waiting, running", "tasks at the end of a bucket; the waiting ones include those that are delayed"),
    ("latency", "from the submission of a task to its success"),
    ("waited", "from when a task could be claimed, after a delay or a backoff, to its claim"),
    ("ran", "the run of one attempt"),
)


class Column(NamedTuple):
    """A column of a table: its head and the class of its cells.

    `n` for numbers, `t` for times, `w` for long texts, `r` for reasons.
    """

    head: str
    kind: str = ""


class Cell(NamedTuple):
    """A cell: HTML that is escaped already, and a class of its own."""

    html: str
    kind: str = ""


def page(report: Report, now: float) -> str:
    """Return the page; `now`, in seconds since the epoch, is when it was made."""
    trends = report.trends
    title = f"Report on {report.url}"
    body = [
        f"<header><h1>{_text(title)}</h1>{_when(report)}",
        "<p class='muted'>The journal's history begins within this time.</p>" if report.begun is not None else "",
        "</header><main>",
        *(["<p>Nothing happened, and no task waits or runs.</p>"] if report.is_empty else _main(report)),
        "</main>",
        _foot(trends, now),
    ]
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>\n{style}</style></head><body>\n" + "\n".join(body) + "</body></html>\n"
    )


def _when(report: Report) -> str:
    trends, length = report.trends, _text(span(report.seconds))
    return f'<p>{_time(trends.since)} to {_time(trends.until)} <span class="muted">({length})</span></p>'


def _main(report: Report) -> Iterator[str]:
    trends = report.trends
    yield _tiles(report)
    yield f'<h2>Over time</h2><div class="charts">{"".join(_charts(trends))}</div>'
    yield _section("Queues", _QUEUES, list(_queues(report)))
    yield _section("Spans by queue", _SPANS, [_spans(trend) for trend in with_total(trends)])
    yield _section("Failures by task and reason", _FAILURES, list(_failures(trends)), "No attempt failed.")
    yield _section("Slowest runs", _SLOWEST, list(_slowest(trends)), "No run has ended.")
    nothing = "No worker expired."
    yield _section("Workers that expired", _EXPIRED, list(_expired(trends)), nothing)
    if trends.expired_beyond:
        yield f'<p class="muted">and {number(trends.expired_beyond, "more worker")}</p>'
    yield _figures(trends)


def _tiles(report: Report) -> str:
    total, seconds = report.trends.total, report.seconds
    counts, trends = total.counts, report.trends
    expired = len(trends.expired) + trends.expired_beyond
    tiles = (
        ("Submitted", f"{counts.submitted:,}", ""),
        ("Succeeded", f"{counts.succeeded:,}", rate(counts.succeeded, seconds, rate_unit(counts.succeeded, seconds))),
        ("Failed", f"{counts.failed:,}", ""),
        ("Retried", f"{counts.retried:,}", ""),
        ("Latency p95", _span(total.latency.p95), f"p50 {_span(total.latency.p50)}"),
        ("Waited p95", _span(total.waited.p95), f"p50 {_span(total.waited.p50)}"),
        ("Ran p95", _span(total.ran.p95), f"p50 {_span(total.ran.p50)}"),
        ("Workers expired", f"{expired:,}", ""),
    )
    made = [
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}" + (f'<span class="note">{_text(note)}</span>' if note else "")
        + "</dd></div>"
        for name, value, note in tiles
    ]  # fmt: skip
    return f'<dl class="tiles">{"".join(made)}</dl>'


def _charts(trends: TrendsAnswer) -> Iterator[str]:
    total, over = trends.total, trends.total.over_time
    counts, times = total.counts, _times(trends)
    yield chart(
        "Tasks submitted and ended",
        f"{counts.submitted:,} submitted, {counts.succeeded:,} succeeded, {counts.failed:,} failed.",
        times,
        [
            Mark("succeeded", over.succeeded, "green", is_bar=True),
            Mark("failed", over.failed, "red", is_bar=True),
            Mark("submitted", over.submitted, "blue"),
        ],
    )
    yield chart(
        "Tasks waiting and running",
        f"At the end {over.waiting[-1]:,} waiting and {over.running[-1]:,} running.",
        times,
        [Mark("waiting", over.waiting, "blue", filled=True), Mark("running", over.running, "purple", "dash")],
    )
    for title, spans, series in (
        ("Latency, from submission to success", total.latency, over.latency),
        ("Waiting time, until the claim", total.waited, over.waited),
        ("Run time of an attempt", total.ran, over.ran),
    ):
        said = f"p50 {_span(spans.p50)}, p95 {_span(spans.p95)}, at most {_span(spans.max)}."
        marks = [
            Mark("p50", series.p50, "blue"),
            Mark("p95", series.p95, "amber", "dash"),
            Mark("p99", series.p99, "red", "dot"),
        ]
        yield chart(title, said, times, marks, spans=True)
    yield chart(
        "Attempts that failed",
        f"{counts.failed:,} for good, {counts.retried:,} to be retried, {counts.returned:,} lost with their worker.",
        times,
        [
            Mark("for good", over.failed, "red", is_bar=True),
            Mark("to be retried", over.retried, "amber", is_bar=True),
            Mark("lost with a worker", over.returned, "purple", is_bar=True),
        ],
    )


def _times(trends: TrendsAnswer) -> Times:
    begins = [trends.since, *trends.ends[:-1]]
    texts = [
        f"{clock(begin, trends.until)} to {clock(end, trends.until)}"
        for begin, end in zip(begins, trends.ends, strict=True)
    ]
    return Times(trends.since, trends.ends, texts)


# -- tables ------------------------------------------------------------------------------------------------------------

_QUEUES: Final = (
    Column("queue"), Column("submitted", "n"), Column("started", "n"), Column("succeeded", "n"), Column("failed", "n"),
    Column("retried", "n"), Column("revoked", "n"), Column("refused", "n"), Column("waiting", "n"),
    Column("running", "n"), Column("throughput", "n"), Column("succeeded over time"),
)  # fmt: skip
_SPANS: Final = (
    Column("queue"), Column("latency p50", "n"), Column("p95", "n"), Column("p99", "n"), Column("max", "n"),
    Column("waited p50", "n"), Column("p95", "n"), Column("max", "n"), Column("ran p50", "n"), Column("p95", "n"),
    Column("max", "n"),
)  # fmt: skip
_FAILURES: Final = (
    Column("task"), Column("queue"), Column("reason", "r"), Column("failed", "n"), Column("retried", "n"),
    Column("newest", "t"), Column("id"), Column("its text", "w"),
)  # fmt: skip
_SLOWEST: Final = (
    Column("ran", "n"), Column("task"), Column("queue"), Column("id"), Column("how"), Column("ended", "t"),
    Column("worker"),
)  # fmt: skip
_EXPIRED: Final = (
    Column("worker"), Column("host"), Column("expired", "t"), Column("tasks returned", "n"),
    Column("tasks failed", "n"),
)  # fmt: skip


def _queues(report: Report) -> Iterator[list[Cell]]:
    unit = rate_unit(report.trends.total.counts.succeeded, report.seconds)
    for trend in with_total(report.trends):
        yield _queue(trend, rate(trend.counts.succeeded, report.seconds, unit))


def _queue(trend: TrendAnswer, throughput: str) -> list[Cell]:
    counts, over = trend.counts, trend.over_time
    told = f"{counts.succeeded:,} succeeded, at most {max(over.succeeded):,} in a bucket"
    return [
        _name(trend),
        *_counts(counts.submitted, counts.started, counts.succeeded),
        _count(counts.failed, "bad"),
        _count(counts.retried, "warn"),
        *_counts(counts.revoked, counts.stale_outcomes + counts.lost_claims, over.waiting[-1], over.running[-1]),
        Cell(_text(throughput)),
        Cell(spark(told, over.succeeded, "green")),
    ]


def _spans(trend: TrendAnswer) -> list[Cell]:
    values = [
        *_values(trend.latency, "p50", "p95", "p99", "max"),
        *_values(trend.waited, "p50", "p95", "max"),
        *_values(trend.ran, "p50", "p95", "max"),
    ]
    return [_name(trend), *[Cell(_text(_span(value)), "none" if value is None else "") for value in values]]


def _values(spans: Spans, *names: str) -> list[float | None]:
    return [getattr(spans, name) for name in names]


def _failures(trends: TrendsAnswer) -> Iterator[list[Cell]]:
    for each in trends.failures:
        yield [
            Cell(_text(each.name)),
            Cell(_text(each.queue)),
            Cell(f"<code>{_text(each.reason)}</code>"),
            _count(each.failed, "bad"),
            _count(each.retried, "warn"),
            Cell(_time(each.newest_at, trends.until)),
            _id(each.newest_task),
            Cell(_text(each.newest_text)),
        ]


def _slowest(trends: TrendsAnswer) -> Iterator[list[Cell]]:
    for each in trends.slowest:
        yield [
            Cell(_text(span(each.seconds))),
            Cell(_text(each.name)),
            Cell(_text(each.queue)),
            _id(each.task),
            Cell(_text(each.how.rpartition(".")[2]), "" if each.how == "task.succeeded" else "bad"),
            Cell(_time(each.at, trends.until)),
            _id(each.worker),
        ]


def _expired(trends: TrendsAnswer) -> Iterator[list[Cell]]:
    for each in trends.expired:
        yield [
            _id(each.worker),
            Cell(_text(each.host)),
            Cell(_time(each.at, trends.until)),
            _count(each.returned),
            _count(each.failed, "bad"),
        ]


def _figures(trends: TrendsAnswer) -> str:
    """Return the numbers behind the charts, folded away."""
    over = trends.total.over_time
    counted = ("submitted", "started", "succeeded", "failed", "retried", "waiting", "running")
    columns = [
        Column("bucket ends", "t"),
        *[Column(name, "n") for name in counted],
        *[Column(name, "n") for name in ("latency p50", "p95", "waited p95", "ran p95")],
    ]
    series = (over.latency.p50, over.latency.p95, over.waited.p95, over.ran.p95)
    rows = [
        [
            Cell(_time(end, trends.until)),
            *_counts(*[getattr(over, name)[place] for name in counted]),
            *[Cell(_text(_span(values[place])), "none" if values[place] is None else "") for values in series],
        ]
        for place, end in enumerate(trends.ends)
    ]
    inside = _table("The figures of the charts", columns, rows)
    return f"<details><summary>The figures of the charts, bucket by bucket</summary>{inside}</details>"


def _section(title: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], nothing: str = "") -> str:
    inside = _table(title, columns, rows) if rows else f'<p class="muted">{_text(nothing)}</p>'
    return f"<h2>{_text(title)}</h2>{inside}"


def _table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> str:
    heads = "".join(f'<th scope="col"{_class(column.kind)}>{_text(column.head)}</th>' for column in columns)
    body = "".join(_row(columns, row) for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(title)}"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(columns: Sequence[Column], row: Sequence[Cell]) -> str:
    cells = []
    for place, (column, cell) in enumerate(zip(columns, row, strict=True)):
        kind = _class(column.kind, cell.kind)
        cells.append(f'<th scope="row"{kind}>{cell.html}</th>' if not place else f"<td{kind}>{cell.html}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _class(*kinds: str) -> str:
    said = " ".join(kind for kind in kinds if kind)
    return f' class="{said}"' if said else ""


def _name(trend: TrendAnswer) -> Cell:
    return Cell("all queues", "muted") if trend.queue is None else Cell(_text(trend.queue))


def _counts(*counts: int) -> list[Cell]:
    return [_count(count) for count in counts]


def _count(count: int, kind: str = "") -> Cell:
    return Cell(f"{count:,}", kind if count else "none")


def _id(identifier: str) -> Cell:
    """Return an id, shortened as everywhere; the whole one is its title."""
    return Cell(f'<span class="id" title="{_text(identifier)}">{_text(short_id(identifier))}</span>')


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)


def _time(moment: float, now: float | None = None) -> str:
    """Return a moment in local time with its zone; with `now` as `clock` has it."""
    said = when(moment, "seconds") if now is None else clock(moment, now)
    try:
        machine = datetime.fromtimestamp(moment).astimezone().isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return _text(said)
    return f'<time datetime="{machine}" title="{machine}">{_text(said)}</time>'


def _text(text: str) -> str:
    return escape(printable(text))


def _foot(trends: TrendsAnswer, now: float) -> str:
    meanings = "".join(f"<dt>{_text(name)}</dt><dd>{_text(meaning)}</dd>" for name, meaning in _MEANINGS)
    return (
        f"<footer><p>Made by Journeyman {_time(now)}, from the journal's events. A bucket is "
        f"{_text(span(trends.bucket_seconds))} wide; percentiles are within {trends.relative_error:.0%} of the exact "
        f"ones. Times are local to where it was made.</p><dl>{meanings}</dl></footer>"
    )
