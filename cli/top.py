"""`journeyman top`: the terminal screen of a journal."""

import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from ..journal.async_journal import AsyncJournal
from ..tasks.inspection.wording import printable
from .shared.asking import operator
from .shared.failures import BadInput
from .shared.moments import parse_past
from .shared.opening import shared_journal
from .shared.options import AsOf, JournalURL, LevelOption, LogLevel

if TYPE_CHECKING:
    from ..tui.app import TopApp


def top(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="[URL]",
            help="The journal, also that of a service: sqlite:///shop.db, kafka://host:9092/topic, http://host:8080.",
            show_default=False,
        ),
    ] = None,
    journal: JournalURL = None,
    as_of: AsOf = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Offer nothing that changes the queue.")] = False,
    theme: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The colours: ansi-dark and ansi-light take those of the terminal; textual-dark, textual-light, nord, "
            "solarized-light and others have their own. The environment variable NO_COLOR leaves out all colours.",
        ),
    ] = "ansi-dark",
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Show the queue on the whole terminal: queues, tasks, workers, dead letters, requests and events, now or then.

    The key ? shows the keys. Two of them go through the history of the journal, by a minute: the whole screen is shown
    as of that moment. Enter follows a task. A dead letter is requeued, and a task revoked, after a question; the event
    records who did it and why.

    [bold]Examples[/bold]

    journeyman top sqlite:///shop.db

    journeyman top http://127.0.0.1:8080 --read-only

    journeyman top --journal kafka://127.0.0.1:9092/shop --as-of 14:05

    Exit status: 0 after q, Ctrl-C or SIGTERM; 1 if the screen has failed; 2 if there is no such journal or no terminal.
    """
    if url is not None and journal is not None:
        raise BadInput("the journal was named twice, as an argument and with --journal: leave one of them out")
    moment = parse_past(as_of, time.time())
    named = shared_journal(url or journal, create=False)
    address = named.asynchronous.opening_url

    def open_journal() -> AsyncJournal:
        return AsyncJournal(address, create=False)

    made = _screen(named.url, open_journal, theme, moment, read_only=read_only)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput("journeyman top needs a terminal; journeyman status prints the same as text, or JSON")
    _log_to(made, log_level)
    failure = made.run() or made.failure
    if failure is not None:
        raise failure


def _screen(
    name: str, open_journal: Callable[[], AsyncJournal], theme: str, moment: float | None, *, read_only: bool
) -> "TopApp":
    """Import the screen when it is needed: it needs a library that few programs have."""
    try:
        from ..tui.app import Options, TopApp, themes
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
            raise  # a defect of this package, which no installation repairs
        raise BadInput(
            f"`journeyman top` needs a library that is not installed ({error.name}): pip install 'journeyman[tui]'"
        ) from error
    if theme not in themes():
        raise BadInput(f"--theme takes one of {', '.join(themes())}, got {theme!r:.40}")
    return TopApp(name, open_journal, Options(operator(), read_only, theme, moment), time.time)


class _Lines(logging.Handler):
    """Shows what is logged in the last line of the screen: on stderr it would stand across it."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Show one message."""
        self._tell(printable(" ".join(record.getMessage().split())))


def _log_to(screen: "TopApp", level: LogLevel) -> None:
    logging.basicConfig(handlers=[_Lines(screen.tell)], level=logging.WARNING)
    logging.getLogger("journeyman").setLevel(level.value)
