"""`journeyman requests`: the HTTP requests that web servers answer now, and those that they have answered."""

import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from ..consumers.moments import span_seconds
from ..consumers.views.as_of import as_of as view_as_of
from ..consumers.views.replica import Replica
from ..journal.journal import Journal
from ..tasks.inspection.wording import age
from ..top.errors import InvalidTask
from ..top.http_task import HTTPTask
from ..top.view import Request, RequestsView
from .limits import REQUESTS_SHOWN, STATUS_REFRESH_SECONDS
from .shared.failures import BadInput, quiet_on_broken_pipe
from .shared.moments import parse_past
from .shared.opening import existing_journal
from .shared.options import AsOf, JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, show
from .shared.table import FittedTable

# Durations are green below the first and red from the second on, as in the viewers of the reference.
_FAST_SECONDS, _SLOW_SECONDS = 1.0, 2.5


class Mode(StrEnum):
    """Which requests are shown."""

    ALL = "all"
    ACTIVE = "active"
    COMPLETED = "completed"


def requests(
    journal: JournalURL = None,
    mode: Annotated[Mode, typer.Option(help="Which requests to show.")] = Mode.ALL,
    path: Annotated[str | None, typer.Option(metavar="TEXT", help="Only paths that contain this text.")] = None,
    status: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only requests with this status, or class of statuses: 404, 5xx.")
    ] = None,
    slower: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Only requests that took, or have run, at least this long: 500ms, 2s."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many active and how many completed requests to show.")
    ] = REQUESTS_SHOWN,
    as_of: AsOf = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show the requests continuously, until Ctrl-C.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line for each request; its `active` is true or false.")
    ] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Show the requests of web servers that record them in the journal: the longest active ones, the last completed.

    A server records its requests by one line, `app = TrackASGI(app, "sqlite:///shop.db")`; see docs/requests.md.

    [bold]Examples[/bold]

    journeyman requests --journal sqlite:///shop.db --watch

    journeyman requests --mode completed --status 5xx --slower 1s

    journeyman requests --as-of 14:05 --json | jq .path

    Exit status: 0; 1 if the journal cannot be used.
    """
    configure_logging(log_level)
    wanted = _Filter(path, _status(status), _span(slower), limit, mode)
    moment = parse_past(as_of, time.time())
    if watch and (moment is not None or as_json):
        raise BadInput("--watch shows the present on a terminal, so leave out --as-of and --json")
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        if watch:
            _live(opened, wanted)
            return
        view = _view(opened, moment)
        now = time.time() if moment is None else moment
        if as_json:
            for each in _rows(view, wanted, now):
                sys.stdout.buffer.write(orjson.dumps(each) + b"\n")
        else:
            show(console_for(), _screen(view, wanted, now))


class _Filter:
    """Which requests are shown, and at most how many active and how many completed ones."""

    def __init__(self, path: str | None, status: str | None, slower: float, limit: int, mode: Mode) -> None:
        self._path, self._status, self._slower = path, status, slower
        self.limit, self.mode = limit, mode

    def of(self, requests: Iterable[Request], now: float) -> Iterator[HTTPTask]:
        """Yield the tasks of the requests that match the filters; a request without a valid task is left out."""
        for request in requests:
            try:
                task = HTTPTask.from_dict(request.task)
            except InvalidTask:
                continue
            code = str(task.status_code or "")
            fits_status = self._status is None or code == self._status or f"{code[:1]}xx" == self._status
            fits_path = self._path is None or self._path in (task.path or "")
            if fits_status and fits_path and (_duration(task, now) or 0.0) >= self._slower:
                yield task

    def active(self, view: RequestsView, now: float) -> list[HTTPTask]:
        """Return the active requests that match, the longest first."""
        if self.mode is Mode.COMPLETED:
            return []
        found = list(self.of(view.requests(), now))
        return sorted(found, key=lambda task: -(_duration(task, now) or 0.0))

    def completed(self, view: RequestsView, now: float) -> list[HTTPTask]:
        """Return the completed requests that match, the newest first."""
        return [] if self.mode is Mode.ACTIVE else list(self.of(view.completed, now))


def _view(journal: Journal, moment: float | None) -> RequestsView:
    if moment is not None:
        return journal.run(view_as_of(journal.asynchronous, RequestsView, moment))
    replica = Replica(journal.asynchronous, RequestsView())
    journal.run(replica.catch_up())
    journal.run(replica.aclose())
    return replica.view


def _live(journal: Journal, wanted: _Filter) -> None:
    replica = Replica(journal.asynchronous, RequestsView())
    journal.run(replica.catch_up())
    try:
        with Live(console=console_for(), auto_refresh=False, screen=True, vertical_overflow="crop") as live:
            while True:
                live.update(_screen(replica.view, wanted, time.time()), refresh=True)
                shown_at = time.monotonic()
                while (rest := shown_at + STATUS_REFRESH_SECONDS - time.monotonic()) > 0:
                    journal.run(replica.advance(rest))
    finally:
        journal.run(replica.aclose())


def _rows(view: RequestsView, wanted: _Filter, now: float) -> Iterator[dict[str, Any]]:
    for is_active, tasks in ((True, wanted.active(view, now)), (False, wanted.completed(view, now))):
        for task in tasks[: wanted.limit]:
            said = {name: value for name, value in task.to_dict().items() if value is not None}
            yield {"active": is_active, "duration": _duration(task, now), **said}


# -- for people ----------------------------------------------------------------------------------------------------

_ACTIVE: Final = (("duration", "right"), ("method", "left"), ("IP", "left"), ("worker", "left"), ("path", "left"))
_COMPLETED: Final = (
    ("ago", "right"), ("duration", "right"), ("status", "right"), ("length", "right"), ("method", "left"),
    ("IP", "left"), ("path", "left"), ("user agent", "left"),
)  # fmt: skip


def _screen(view: RequestsView, wanted: _Filter, now: float) -> RenderableType:
    parts: list[RenderableType] = []
    if wanted.mode is not Mode.COMPLETED:
        active = wanted.active(view, now)
        rows = [_active_row(task, now) for task in active[: wanted.limit]]
        parts += _part("active", len(active), FittedTable(_ACTIVE, rows, give_way=1))
    if wanted.mode is not Mode.ACTIVE:
        completed = wanted.completed(view, now)
        rows = [_completed_row(task, now) for task in completed[: wanted.limit]]
        parts += _part("completed", len(completed), FittedTable(_COMPLETED, rows, give_way=2))
    return Group(*parts[:-1])


def _part(name: str, count: int, table: FittedTable) -> list[RenderableType]:
    head = Text(f"{count:,} {name}", "bold" if count else "dim")
    return [head, table, Text()] if count else [head, Text()]


def _active_row(task: HTTPTask, now: float) -> list[Text]:
    return [_taken(task, now), _cell(task.method), _cell(_address(task)), _cell(task.processor_name), _cell(task.path)]


def _completed_row(task: HTTPTask, now: float) -> list[Text]:
    ended = _seconds(task.ended_at)
    return [
        Text("-" if ended is None else age(max(now - ended, 0.0))),
        _taken(task, now),
        _code(task),
        _cell(task.get_content_length()),
        _cell(task.method),
        _cell(_address(task)),
        _cell(task.path),
        _cell(_header(task, "USER-AGENT")),
    ]


def _cell(value: object) -> Text:
    return Text("-", "dim") if value in (None, "") else Text(printable(str(value)))


def _code(task: HTTPTask) -> Text:
    if task.recorded_successfully is False:
        return Text("swept" if task.status_code is None else f"{task.status_code} cut", "red")
    code = task.status_code
    if code is None:
        return Text("-", "dim")
    return Text(str(code), "green" if code < 300 else "yellow" if code < 400 else "red")


def _taken(task: HTTPTask, now: float) -> Text:
    taken = _duration(task, now)
    if taken is None:
        return Text("-", "dim")
    return Text(age(taken), "green" if taken < _FAST_SECONDS else "yellow" if taken < _SLOW_SECONDS else "red")


def _duration(task: HTTPTask, now: float) -> float | None:
    begun = _seconds(task.started_at)
    if begun is None:
        return None
    ended = _seconds(task.ended_at)
    return max((now if ended is None else ended) - begun, 0.0)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _address(task: HTTPTask) -> str | None:
    forwarded = _header(task, "X-FORWARDED-FOR")
    return (forwarded.partition(",")[0].strip() if forwarded else "") or task.client_ip_address


def _header(task: HTTPTask, name: str) -> str | None:
    return next((value for each, value in task.request_headers or () if each.upper() == name), None)


def _status(text: str | None) -> str | None:
    if text is not None and not (len(text) == 3 and text[0] in "12345" and (text[1:].isdigit() or text[1:] == "xx")):
        raise BadInput(f"--status takes a status such as 404, or a class such as 5xx, got {text!r:.40}")
    return text


def _span(text: str | None) -> float:
    try:
        return 0.0 if text is None else span_seconds(text, "--slower")
    except ValueError as error:
        raise BadInput(str(error)) from None
