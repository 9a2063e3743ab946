"""`journeyman submit`: submit a task from the shell."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import orjson
import typer

from ..consumers.moments import span_seconds
from ..journal.event import Event
from ..journal.journal import Journal
from ..tasks.answers.acts import submitted
from ..tasks.broker import Broker
from ..tasks.definition import Task
from ..tasks.errors import TaskError
from ..tasks.limits import TASK_ID_CHARS_MAX
from ..tasks.message import Message, new_id
from ..workers.loading import modules_here, tasks_by_name
from .shared.failures import BadInput, quiet_on_broken_pipe
from .shared.json_lines import print_json, with_journal
from .shared.opening import shared_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import printable

T = TypeVar("T")


def submit(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK",
            help="The task's name, such as send; or its package and name, such as shop.tasks:send, which imports the "
            "package, checks the arguments, and takes queue, timeout and retries from the task.",
            show_default=False,
        ),
    ],
    journal: JournalURL = None,
    *,
    args: Annotated[
        str | None, typer.Option(metavar="JSON", help="Positional arguments: a JSON array.", show_default="none")
    ] = None,
    kwargs: Annotated[
        str | None, typer.Option(metavar="JSON", help="Keyword arguments: a JSON object.", show_default="none")
    ] = None,
    queue: Annotated[
        str | None, typer.Option(metavar="NAME", help="The queue.", show_default="the task's own, or default")
    ] = None,
    delay: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="The delay before it may run, such as 500ms, 30s, 10m.", show_default="none"),
    ] = None,
    priority: Annotated[int, typer.Option(min=0, metavar="N", help="The priority; lower runs first.")] = 0,
    task_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help=f"The id, of up to {TASK_ID_CHARS_MAX} characters; refused if the journal holds a task of that id.",
            show_default="a new one",
        ),
    ] = None,
    max_retries: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="The number of attempts after the first.", show_default="the task's own, or 3"
        ),
    ] = None,
    ttl: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="The time to live: without a worker that begins it by then, it lapses.",
            show_default="none",
        ),
    ] = None,
    summary: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A line that says what it is about.", show_default="none")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="A word by which it is found; repeatable.", show_default="none"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Submit a task and print its id: when the command ends, the task is in the journal and cannot be lost.

    The journal is created if it does not exist. A task given by its name alone is not checked: if no worker knows it,
    it waits; see [bold]journeyman why[/bold].

    [bold]Examples[/bold]

    journeyman submit send --args '["ada@example.org"]' --queue mail --journal sqlite:///shop.db

    journeyman submit shop.tasks:send --kwargs '{"to": "ada@example.org"}' --delay 10m --id order-7

    Exit status: 0; 1 if the journal cannot be used; 2 if the id is taken, or the arguments do not fit the task.
    """
    configure_logging(log_level)
    given: list[Any] = _json(args, "--args", list, "array", '["ada@example.org", 3]')
    named: dict[str, Any] = _json(kwargs, "--kwargs", dict, "object", '{"to": "ada@example.org"}')
    wait_ms = _span_ms(delay, "--delay") or 0
    ttl_ms = _span_ms(ttl, "--ttl")
    with shared_journal(_url(task, journal)) as opened, quiet_on_broken_pipe():
        message = _message(task, opened, given, named, wait_ms)
        message.update(
            priority=priority,
            summary=summary or "",
            tags=tuple(tags or ()),
            **({"uuid": task_id} if task_id is not None else {}),
            **({"queue": queue} if queue is not None else {}),
            **({"max_retries": max_retries} if max_retries is not None else {}),
        )
        event = Broker(opened).submit(message, ttl_ms, new=task_id is None)
        _print_submitted(opened, message, event, as_json=as_json)


def _message(name: str, journal: Journal, args: list[Any], kwargs: dict[str, Any], delay_ms: int) -> Message:
    """A message for the task of that name; `PACKAGE:TASK` imports the package and takes the options of the task."""
    task = _task(name)
    if task is None:
        return Message(task_name=name, args=args, kwargs=kwargs, delay=delay_ms, uuid=new_id())
    task.broker.bind(journal)
    args, kwargs = task.typed(args, kwargs)
    task.check_arguments(args, kwargs)
    return task.generate(args, kwargs, delay=delay_ms, submit=False)


def _task(name: str) -> Task[Any, Any] | None:
    package, colon, task_name = name.rpartition(":")
    if "." in name and name in modules_here():
        raise BadInput(f"{name} is a module, and TASK the name of a task: expected such as {name}:send, got {name!r}")
    if not colon or not package or "/" in package:
        return None
    try:
        tasks = tasks_by_name(package)
    except TaskError:
        raise
    except Exception as error:
        raise BadInput(f"{package} cannot be imported: {type(error).__name__}: {error}") from error
    if task_name not in tasks:
        raise BadInput(f"{package} has no task {task_name!r}; it has {', '.join(sorted(tasks))}")
    return tasks[task_name]


def _url(name: str, journal: str | None) -> str | None:
    """The URL given with --journal, or that of the task's broker."""
    task = _task(name) if journal is None else None
    return task.broker.opening_url if task is not None else journal


def _json(text: str | None, option: str, kind: Callable[[], T], called: str, example: str) -> T:
    if text is None:
        return kind()
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{option} takes a JSON {called} such as {example}; got {text!r:.80}: {error}") from None
    if not isinstance(value, kind):  # type: ignore[arg-type]
        raise BadInput(f"{option} takes a JSON {called} such as {example}; got {text!r:.80}")
    return value  # type: ignore[no-any-return]


def _span_ms(text: str | None, option: str) -> int | None:
    """The span in ms; None if the option was not given."""
    try:
        return None if text is None else round(span_seconds(text, option) * 1_000)
    except ValueError as error:
        raise BadInput(str(error)) from None


def _print_submitted(journal: Journal, message: Message, event: Event, *, as_json: bool) -> None:
    if as_json:
        print_json(with_journal(submitted(message, event.position), journal.url))
        return
    print(f"{printable(message.uuid)} submitted to queue {printable(message.queue)} of {journal.url}")
