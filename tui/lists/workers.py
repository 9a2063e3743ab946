"""The list of workers. Pure."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from ...tasks.inspection.overview import WorkerLine
from ...tasks.inspection.wording import age, listing, short_id
from ..cells import NOTHING, Cell, Column, Listing, Row, Tone, cell
from ..question import Question, Running, Summary
from .selecting import Words, part_of

COLUMNS: Final = (
    Column("worker"),
    Column("host", gives_way=True),
    Column("pid", right=True, wide=True),
    Column("holds"),
    Column("last sign", right=True),
    Column("since", right=True),
    Column("queues", gives_way=True),
    Column("runs", gives_way=True),
)
_KEYS: Final[tuple[Callable[[WorkerLine], Any], ...]] = (
    lambda worker: worker.worker,
    lambda worker: worker.host,
    lambda worker: worker.pid,
    lambda worker: worker.claims,
    lambda worker: worker.last_sign or 0.0,
    lambda worker: worker.joined_at,
)
SORTS: Final = len(_KEYS)


def workers(found: Summary, asked: Question) -> Listing:
    """Return the part of the list of workers that is asked for."""
    words = Words(asked.words)
    fitting = [worker for worker in found.seen.workers if _fits(worker, found, words)]
    key = _KEYS[asked.sort] if asked.sort >= 0 else None
    part = part_of(fitting, asked.first, asked.rows, key, descending=asked.descending)
    rows = [worker_row(worker, found) for worker in part.values]
    return Listing(COLUMNS, rows, part.first, part.total, len(found.seen.workers), asked.sort, asked.descending)


def _fits(worker: WorkerLine, found: Summary, words: Words) -> bool:
    runs = [each.name for each in found.running.get(worker.worker, ())]
    return words.fit(worker.worker, worker.host, *(worker.queues or ()), *runs)


def worker_row(worker: WorkerLine, found: Summary) -> Row:
    """Return the row of a worker."""
    now, tone = found.seen.at, Tone.BAD if worker.overdue else Tone.PLAIN
    runs = found.running.get(worker.worker, ())
    cells = (
        Cell(short_id(worker.worker), Tone.BAD if worker.overdue else Tone.STRONG),
        cell(worker.host),
        Cell(str(worker.pid)),
        Cell(_holds(worker), Tone.PLAIN if worker.claims else Tone.DIM),
        NOTHING if worker.last_sign is None else Cell(f"{age(now - worker.last_sign)} ago", tone),
        Cell(age(now - worker.joined_at), Tone.DIM),
        cell("all" if worker.queues is None else listing(worker.queues, 3)),
        cell(_runs(worker, runs, now)),
    )
    first = runs[0] if runs else None
    return Row(worker.worker, cells, first.task if first else "", first.name if first else "")


def _holds(worker: WorkerLine) -> str:
    """The running tasks, of how many it can run at a time; and how many it has claimed ahead."""
    if not worker.slots:
        return f"{worker.claims:,}"
    ahead = worker.claims - worker.slots
    return f"{min(worker.claims, worker.slots):,} of {worker.slots:,}" + (f" +{ahead:,}" if ahead > 0 else "")


def _runs(worker: WorkerLine, runs: Sequence[Running], now: float) -> str:
    named = ", ".join(f"{each.name} {age(now - each.since)}" for each in runs)
    more = worker.claims - len(runs)
    return named + (f" and {more:,} more" if more > 0 and named else "")
