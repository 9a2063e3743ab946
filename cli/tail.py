"""`journeyman tail`: print history, then live events."""

import select
import sys
import time
from operator import attrgetter
from typing import Annotated, Final, Protocol, cast

import msgspec
import orjson
import typer
from rich.rule import Rule
from rich.text import Text

from ..consumers.consumer import JournalConsumer
from ..consumers.event import JournalEventBase
from ..consumers.files.lines import in_one_line
from ..journal.cursor import Cursor
from ..journal.errors import JournalError
from .limits import TAIL_LOOK_SECONDS
from .shared.failures import BadInput, print_problem, quiet_on_broken_pipe
from .shared.moments import parse_moment
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, checked_topic, configure_logging
from .shared.screen import console_for, printable, when
from .shared.unreadable import PassedOver


def tail(
    journal: JournalURL = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Begin after this moment: a time such as 2026-11-21T09:00 (local), seconds since the epoch, or a span "
            "back from now such as 10m, 2h, 3d.",
            show_default="the beginning",
        ),
    ] = None,
    cursor: Annotated[
        str | None,
        typer.Option(
            metavar="CURSOR",
            help="Begin exactly at this cursor, such as one of `journeyman consumers --json`, or 0:42.",
            show_default=False,
        ),
    ] = None,
    topic: Annotated[
        str,
        typer.Option(
            metavar="PREFIX",
            help="Only events of this dotted prefix: task covers task.claimed, never tasks.x.",
            show_default="all",
        ),
    ] = "",
    key: Annotated[
        str | None, typer.Option(help="Only events of this key, such as a task's id.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line: timestamp, name, context, key, position.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on with live events, or end where history ends.")
    ] = True,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Show the events of history, in time order, and then live events, until Ctrl-C.

    On a terminal a line marks where history ended. Times are local; in JSON they are seconds since the epoch.

    [bold]Examples[/bold]

    journeyman tail --journal sqlite:///shop.db --since 10m

    journeyman tail --topic task.failed --json --no-follow | jq -r .context.exception.text

    journeyman tail --cursor "$(journeyman consumers --json | jq -r '.consumers[0].cursor')"

    Records that are no events, such as another program's, are left out, and counted on stderr at the end.
    Reading leaves no trace: any number of readers may follow one journal.
    """
    configure_logging(log_level)
    if cursor is not None and since is not None:
        raise BadInput("--cursor and --since both say where to begin: choose one")
    begin = parse_moment(since, time.time()) if since is not None else 0.0
    place = _parsed(cursor) if cursor is not None else None
    printer: _Printer = _JSONLines() if as_json else _Lines()
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        passed_over = PassedOver()
        consumer = _Consumer(
            opened,
            checked_topic(topic),
            since=begin,
            cursor=place,
            include_sentinel=True,
            key=key,
            on_bad_record=passed_over.add,
        )
        _start(consumer)
        try:
            if not (_show(consumer, printer, follow=follow) or as_json):
                _say_none(topic, key)
        finally:
            consumer.close()
            passed_over.print(as_json=as_json)


def _say_none(topic: str, key: str | None) -> None:
    """Say which filter has left no event: its text may be mistyped."""
    chosen = ([f"of the topic {topic}"] if topic else []) + ([f"with the key {key}"] if key is not None else [])
    if chosen:
        print_problem(f"no event {' '.join(chosen)} was found; `journeyman tail --no-follow` shows all events")


def _parsed(text: str) -> Cursor:
    try:
        cursor = Cursor.parse(text)
    except ValueError as error:
        raise BadInput(f"--cursor: {error}") from None
    if not cursor:
        raise BadInput("--cursor takes a place in each partition to be followed, such as 0:42; got none")
    return cursor


def _start(consumer: "_Consumer") -> None:
    try:
        consumer.start()
    except JournalError:
        raise
    except ValueError as error:
        raise BadInput(f"--cursor: {error}") from None


class _Event(JournalEventBase):
    """An event that gives access to the bytes of its context in the journal."""

    __slots__ = ()

    context_json = cast("msgspec.Raw", property(attrgetter("_event.context_json")))

    @property
    def place(self) -> str:
        """The position, as cursors write it: partition:offset."""
        return f"{self._event.partition}:{self._event.offset}"


class _Consumer(JournalConsumer):
    event_class = _Event


class _Printer(Protocol):
    def event(self, event: _Event) -> None: ...

    def end_of_history(self) -> None: ...


def _show(consumer: _Consumer, printer: _Printer, *, follow: bool) -> int:
    """Print the events, and return how many they were once history has ended and no live ones are wanted."""
    printed = 0
    while (event := _next(consumer)) is not None:
        if event.is_empty():
            sys.stdout.flush()
            if not follow:
                break
            printer.end_of_history()
        else:
            printer.event(event)
            printed += 1
    return printed


def _next(consumer: _Consumer) -> _Event | None:
    """Return the next event. Flush stdout before waiting; while waiting, raise `BrokenPipeError` if its reader left."""
    wait = 0.0
    while True:
        try:
            return cast("_Event | None", consumer.poll(wait))
        except TimeoutError:
            sys.stdout.flush()
            if _reader_is_gone():
                raise BrokenPipeError from None
            wait = TAIL_LOOK_SECONDS


def _reader_is_gone() -> bool:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(found & (select.POLLERR | select.POLLHUP) for _, found in poll.poll(0))


class _JSONLines:
    """Prints JSON lines, for tools; each context as it was written."""

    def event(self, event: _Event) -> None:
        line = orjson.dumps(
            {
                "timestamp": event.timestamp,
                "name": event.name,
                "context": orjson.Fragment(in_one_line(event.context_json)),
                "key": event.key,
                "position": event.place,
            }
        )
        sys.stdout.buffer.write(line + b"\n")

    def end_of_history(self) -> None:
        """Tools see events only."""


class _Lines:
    """Prints lines for people: on a terminal in colours, cut to the width of the screen."""

    def __init__(self) -> None:
        self._console = console_for()

    def event(self, event: _Event) -> None:
        context = printable(event.context_string)
        if not self._console.is_terminal:
            sys.stdout.write(f"{when(event.timestamp)}  {printable(event.name)}  {context}".rstrip() + "\n")
            return
        name = f"{printable(event.name):<16}"
        line = Text.assemble((when(event.timestamp), "dim"), "  ", (name, _style(event.name)), "  ", context)
        self._console.print(line, no_wrap=True, overflow="ellipsis")

    def end_of_history(self) -> None:
        if self._console.is_terminal:
            self._console.print(Rule("history ends here; what happens from now on follows", style="dim"))


def _style(name: str) -> str:
    return _STYLES.get(name.rpartition(".")[2], "cyan")


_STYLES: Final = {
    "succeeded": "green",
    "failed": "bold red",
    "retried": "yellow",
    "expired": "yellow",
    "interrupted": "yellow",
    "revoked": "yellow",
    "beat": "dim",
}
