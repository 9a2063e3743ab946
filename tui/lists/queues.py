"""The list of queues. Pure."""

from collections.abc import Callable
from typing import Any, Final

from ...tasks.inspection.overview import QueueLine
from ...tasks.inspection.wording import age
from ..cells import NOTHING, Cell, Column, Listing, Row, Tone, cell, count
from ..question import Charts, Question, Summary
from ..sparkline import sparkline
from .selecting import Words, part_of

CHART_COLUMNS: Final = (
    Column("ended in an hour"),
    Column("a minute", right=True, wide=True),
    Column("latency p95", wide=True),
)
COLUMNS: Final = (
    Column("queue", gives_way=True),
    Column("ready", right=True),
    Column("delayed", right=True),
    Column("runs", right=True),
    Column("oldest", right=True),
    Column("dead", right=True),
    Column("workers", right=True),
    *CHART_COLUMNS,
)
_CHART_CELLS: Final = 15
_NO_CHARTS: Final = Charts((), (), (), ())

_KEYS: Final[tuple[Callable[[QueueLine], Any], ...]] = (
    lambda queue: queue.name,
    lambda queue: queue.ready,
    lambda queue: queue.delayed,
    lambda queue: queue.claimed,
    lambda queue: queue.oldest_seconds or 0.0,
    lambda queue: queue.dead,
    lambda queue: queue.workers,
)
SORTS: Final = len(_KEYS)


def queues(found: Summary, asked: Question) -> Listing:
    """Return the part of the list of queues that is asked for."""
    words = Words(asked.words)
    fitting = [queue for queue in found.seen.queues if words.fit(queue.name)]
    key = _KEYS[asked.sort] if asked.sort >= 0 else _KEYS[0]
    part = part_of(fitting, asked.first, asked.rows, key, descending=asked.descending)
    rows = [queue_row(queue, found) for queue in part.values]
    everything = len(found.seen.queues)
    return Listing(COLUMNS, rows, part.first, part.total, everything, max(asked.sort, 0), asked.descending)


def queue_row(queue: QueueLine, found: Summary) -> Row:
    """Return the row of a queue."""
    charts = found.hour.queues.get(queue.name, _NO_CHARTS)
    paused = queue.paused_since is not None
    unserved = not queue.workers and bool(queue.ready or queue.delayed)
    cells = (
        cell(queue.name + (" (paused)" if paused else ""), Tone.WARN if paused else Tone.STRONG),
        count(queue.ready),
        count(queue.delayed),
        count(queue.claimed),
        NOTHING if queue.oldest_seconds is None else Cell(age(queue.oldest_seconds)),
        count(queue.dead, Tone.BAD),
        Cell(f"{queue.workers:,}", Tone.WARN if unserved else Tone.PLAIN),
        Cell(sparkline(charts.ended, _CHART_CELLS), Tone.LINE),
        count(charts.ended[-2] if len(charts.ended) > 1 else 0),
        Cell(sparkline(charts.latency, _CHART_CELLS), Tone.LINE),
    )
    return Row(queue.name, cells)
