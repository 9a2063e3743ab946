"""The page of the overview: queues, workers, the last hour, what needs attention. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from ..tasks.inspection.wording import number, printable, span
from .cells import Cell, Column, Line, Listing, Row, Tone, cell, count
from .layout import cut, row_cells, titles, widths
from .limits import CHART_COLUMNS_MAX, CHART_LINES, CHARTS_BESIDE_COLUMNS_MIN, TALL_LINES_MIN, WARNING_LINES_SHOWN
from .lists import queues, workers
from .question import Hour, Summary
from .sparkline import chart

# The cells of a label, and of what is said behind a chart.
_LABEL, _SAID = 11, 33
_QUEUE_COLUMNS: Final = queues.COLUMNS
_WORKER_COLUMNS: Final = workers.COLUMNS
_FAILING_COLUMNS: Final = (
    Column("failures of the hour", gives_way=True),
    Column("task", gives_way=True),
    Column("queue", gives_way=True),
    Column("attempts", right=True),
    Column("for good", right=True),
    Column("the newest", gives_way=True),
)


def overview_page(found: Summary, width: int, height: int) -> list[Line]:
    """Return the lines of the overview on a screen of that size; it may be higher than the screen."""
    is_tall = height >= TALL_LINES_MIN
    lines: list[Line] = [(), *_warnings(found)] if is_tall else list(_warnings(found))
    lines += _hour(found.hour, width, is_tall=is_tall)
    lines += [(), *_totals(found), ()]
    failing = _failing(found.hour, width)
    shown_queues, shown_workers = _shared(found, height - len(lines))
    lines += [*_queues(found, width, shown_queues), (), *_workers(found, width, shown_workers)]
    if failing and height - len(lines) > 3:
        lines += [(), *failing[: height - len(lines) - 1]]
    return [cut(line, width) for line in lines]


def _shared(found: Summary, lines: int) -> tuple[int, int]:
    """Return how many queues and workers are shown in so many lines, with their titles and a gap between them."""
    queues_all, workers_all = len(found.seen.queues), len(found.seen.workers)
    rest = lines - 3
    if queues_all + workers_all <= rest:
        return queues_all, workers_all
    rest = max(rest - 2, 4)  # each part may need a line for those that are left out
    shown_workers = max(min(workers_all, rest // 2), min(workers_all, rest - queues_all))
    return rest - shown_workers, shown_workers


def _warnings(found: Summary) -> Iterator[Line]:
    sentences = [alarm.sentence for alarm in found.alarms if alarm.code != "dead_letters"]
    sentences += [
        f"{number(each.waiting, 'task')} {each.task} in queue {each.queue}: no live worker can run "
        f"{'it' if each.waiting == 1 else 'them'}"
        for each in found.seen.orphans
        if found.seen.workers
    ]
    sentences += found.seen.clocks
    for sentence in sentences[:WARNING_LINES_SHOWN]:
        yield Cell("! ", Tone.WARN), Cell(printable(sentence))
    more = len(sentences) - WARNING_LINES_SHOWN
    if more > 0:
        yield (Cell(f"and {number(more, 'warning')} more: journeyman status", Tone.DIM),)
    if sentences:
        yield ()


def _hour(hour: Hour, width: int, *, is_tall: bool) -> list[Line]:
    """Return the charts of the last hour, all queues together: two beside each other on a wide screen."""
    total, beside = hour.total, width >= CHARTS_BESIDE_COLUMNS_MIN
    half = width // 2 if beside else width
    lines = (CHART_LINES if beside else CHART_LINES // 2) if is_tall else 1
    columns = max(10, min(CHART_COLUMNS_MAX, half - _LABEL - _SAID))
    ended, latency = total.ended, [each for each in total.latency if each is not None]
    minute = f", {ended[-2]:,} a minute" if len(ended) > 1 else ""
    spans = f"p95 {span(latency[-1])}, at most {span(max(latency))}" if latency else "no task has succeeded"
    charts = [
        _chart("submitted", total.submitted, Tone.LINE, f"{sum(total.submitted):,} in an hour", columns, lines),
        _chart("ended", ended, Tone.GOOD, f"{sum(ended):,} in an hour{minute}", columns, lines),
        _chart("latency", total.latency, Tone.LINE, spans, columns, lines),
        _chart(
            "failed",
            total.failed,
            Tone.BAD,
            f"{sum(total.failed):,} for good, {hour.retried:,} retried",
            columns,
            lines,
        ),
    ]
    if not beside:
        return [line for each in charts for line in each]
    upper, lower = (_beside(charts[left], charts[left + 1], half) for left in (0, 2))
    return [*upper, *([()] if lines > 1 else []), *lower]


def _chart(label: str, numbers: Sequence[float | None], tone: Tone, said: str, columns: int, lines: int) -> list[Line]:
    """Return a chart; its label and what is said of it stand in the lowest line."""
    drawn = chart(numbers, columns, lines)
    above: list[Line] = [(_label(""), Cell(line, tone)) for line in drawn[:-1]]
    return [*above, (_label(label), Cell(drawn[-1], tone), Cell(f"  {said}"))]


def _beside(left: Sequence[Line], right: Sequence[Line], half: int) -> list[Line]:
    return [(*_filled(one, half), *other) for one, other in zip(left, right, strict=True)]


def _filled(cells: Line, width: int) -> Line:
    used = sum(len(each.text) for each in cells)
    return (*cells, Cell(" " * max(width - used, 2)))


def _label(text: str) -> Cell:
    return Cell(f"{text:<{_LABEL}}", Tone.DIM)


def _totals(found: Summary) -> Iterator[Line]:
    totals, hour = found.seen.totals, found.hour
    yield (
        _label("alive"),
        Cell(f"{totals.ready:,} ready, {totals.delayed:,} delayed, {totals.claimed:,} running"),
        Cell(f"   {number(totals.dead, 'dead letter')}", Tone.BAD if totals.dead else Tone.DIM),
        Cell(f"   of {totals.submitted:,} submitted", Tone.DIM),
    )
    refused = hour.stale_outcomes + hour.lost_claims
    yield (
        _label("refused"),
        Cell(
            f"{number(hour.stale_outcomes, 'stale outcome')}, {number(hour.lost_claims, 'lost claim')}",
            Tone.WARN if hour.stale_outcomes else Tone.PLAIN if refused else Tone.DIM,
        ),
        Cell(f"   {number(hour.expired, 'worker')} expired", Tone.WARN if hour.expired else Tone.DIM),
        Cell("   in the last hour", Tone.DIM),
    )


def _queues(found: Summary, width: int, shown: int) -> list[Line]:
    lines = sorted(found.seen.queues, key=lambda queue: (-(queue.ready + queue.delayed + queue.claimed), queue.name))
    rows = [queues.queue_row(queue, found) for queue in lines[:shown]]
    if not rows:
        return [(Cell("no task waits or runs", Tone.DIM),)]
    return _table(_QUEUE_COLUMNS, rows, width, len(lines), "queue")


def _workers(found: Summary, width: int, shown: int) -> list[Line]:
    if not found.seen.workers:
        return [(Cell("no worker is running", Tone.WARN),)]
    lines = sorted(found.seen.workers, key=lambda worker: (not worker.overdue, -worker.claims, worker.joined_at))
    rows = [workers.worker_row(worker, found) for worker in lines[:shown]]
    return _table(_WORKER_COLUMNS, rows, width, len(lines), "worker")


def _failing(hour: Hour, width: int) -> list[Line]:
    rows = [
        Row(
            each.name,
            (
                cell(each.reason, Tone.BAD if each.for_good else Tone.WARN),
                cell(each.name),
                cell(each.queue),
                count(each.attempts),
                count(each.for_good, Tone.BAD),
                cell(each.text, Tone.DIM),
            ),
        )
        for each in hour.failing
    ]
    return _table(_FAILING_COLUMNS, rows, width, len(rows), "failure") if rows else []


def _table(columns: Sequence[Column], rows: Sequence[Row], width: int, everything: int, thing: str) -> list[Line]:
    made = Listing(columns, rows, 0, len(rows), everything)
    fitted = widths(made, width)
    lines: list[Line] = [(Cell(titles(made, fitted), Tone.DIM),)]
    lines += [row_cells(row.cells, columns, fitted) for row in rows]
    more = everything - len(rows)
    return lines + ([(Cell(f"and {number(more, thing)} more", Tone.DIM),)] if more > 0 else [])
