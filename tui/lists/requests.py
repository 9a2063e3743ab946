"""The list of the requests of web servers: the active ones, the longest first, then the completed, the newest first."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

from ...tasks.inspection.wording import age
from ...top.errors import InvalidTask
from ...top.http_task import HTTPTask
from ...top.view import Request, RequestsView
from ..cells import NOTHING, Cell, Column, Listing, Row, Tone, cell
from ..question import Question
from .selecting import Words, part_of

COLUMNS: Final = (
    Column("state"),
    Column("ended", right=True),
    Column("took", right=True),
    Column("method"),
    Column("path", gives_way=True),
    Column("address"),
    Column("server", gives_way=True, wide=True),
)
SORTS: Final = 0
_FAST_SECONDS, _SLOW_SECONDS = 1.0, 2.5  # green below the first, red from the second on, as `journeyman requests`


class _Seen(NamedTuple):
    request: Request
    task: HTTPTask
    active: bool


def requests(view: RequestsView, asked: Question, now: float) -> Listing:
    """Return the part of the list of requests that is asked for, at `now` in seconds since the epoch."""
    words = Words(asked.words)
    found = [*_read(view.requests(), active=True), *_read(view.completed, active=False)]
    fitting = [each for each in found if not words or words.fit(*_texts(each))]
    part = part_of(fitting, asked.first, asked.rows, None, descending=asked.descending)
    rows = [_row(each, now) for each in part.values]
    return Listing(COLUMNS, rows, part.first, part.total, len(found), -1, asked.descending)


def _read(requests: Iterable[Request], *, active: bool) -> Iterator[_Seen]:
    for request in requests:
        try:
            yield _Seen(request, HTTPTask.from_dict(request.task), active)
        except InvalidTask:  # a record of another program
            continue


def _texts(seen: _Seen) -> tuple[str, ...]:
    task = seen.task
    state = "active" if seen.active else str(task.status_code or "")
    return state, task.method or "", task.path or "", task.client_ip_address or "", seen.request.instance


def _row(seen: _Seen, now: float) -> Row:
    task = seen.task
    begun, ended = _seconds(task.started_at), _seconds(task.ended_at)
    cells = (
        Cell("active", Tone.STRONG) if seen.active else _code(task),
        NOTHING if ended is None else Cell(f"{age(now - ended)} ago"),
        NOTHING if begun is None else _took((now if ended is None else ended) - begun),
        cell(task.method),
        cell(task.path),
        cell(task.client_ip_address),
        cell(seen.request.instance),
    )
    return Row(f"{seen.request.instance}/{seen.request.id}", cells)


def _code(task: HTTPTask) -> Cell:
    code = task.status_code
    if task.recorded_successfully is False:
        return Cell("swept" if code is None else f"{code} cut", Tone.BAD)
    if code is None:
        return NOTHING
    return Cell(str(code), Tone.GOOD if code < 300 else Tone.WARN if code < 400 else Tone.BAD)


def _took(seconds: float) -> Cell:
    tone = Tone.GOOD if seconds < _FAST_SECONDS else Tone.WARN if seconds < _SLOW_SECONDS else Tone.BAD
    return Cell(age(max(seconds, 0.0)), tone)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
