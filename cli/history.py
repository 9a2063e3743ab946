"""`journeyman history`: print every event of one task."""

import sys
import time
from contextlib import ExitStack
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ..consumers.checkpoints.records import position_text
from ..journal.journal import Journal
from ..tasks.answers.history import chain_answer, step_answers
from ..tasks.errors import UnknownTaskError
from ..tasks.inspection.as_of import cursor_at
from ..tasks.inspection.chain import Chain
from ..tasks.inspection.chain_reading import chain_of, may_be_in_chain
from ..tasks.inspection.dead_letters import arguments, labels
from ..tasks.inspection.history import Step, TaskHistory, task_history
from ..tasks.inspection.known_workers import worker_in_words
from ..tasks.inspection.remarks import remark
from ..tasks.inspection.wording import clock, day_and_time, error_in, number, short_id
from ..tasks.serializers import shown
from ..tasks.state import names
from ..tasks.state.transitions import State
from ..tasks.state.view import Verdict
from .chain_tree import print_chain
from .limits import (
    HISTORY_NAME_COLUMNS,
    HISTORY_SINCE_COLUMNS,
    PROGRESS_EVENTS_MIN,
    RESULT_CHARS_SHOWN,
    WIDE_COLUMNS_MIN,
)
from .shared.failures import flush, quiet_on_broken_pipe
from .shared.json_lines import print_json
from .shared.moments import parse_past
from .shared.opening import existing_journal
from .shared.options import AsOf, JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, show, span, when
from .shared.task_ids import TaskId, whole_id


def history(
    task: TaskId,
    journal: JournalURL = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="One JSON object a line and event, with ids and contexts in full; a last one for a chain."
        ),
    ] = False,
    as_of: AsOf = None,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Show every event of one task: its time, its worker, and whether it was accepted.

    Refused events are shown too, with the reason: a claim that came second, the outcome of a worker that had lost the
    task. Times are local; the second column is the time since the event before. The index beside the journal finds the
    task; the first look-up builds it. For a task of a chain the chain is shown below, from its root on, with the state
    of each link: one that waits for the link before it has no events yet.

    [bold]Example[/bold]

    journeyman history 0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11 --journal sqlite:///shop.db

    Exit status: 0, or 1 if the journal knows no such task, or knew none at the time of --as-of.
    """
    configure_logging(log_level)
    now = time.time()
    moment = parse_past(as_of, now)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        found, chain = _read(opened, whole_id(opened, task), moment)
        if as_json:
            _print_json(found, chain)
        else:
            console = console_for()
            if found is not None:
                _print(found, now if moment is None else moment, console)
            if chain is not None:
                print_chain(chain, console, is_alone=found is None)
        if found is not None:
            _print_unreadable(found, as_json=as_json)


def _print_unreadable(found: TaskHistory, *, as_json: bool) -> None:
    if not found.unreadable:
        return
    flush()
    count, first = len(found.unreadable), position_text(found.unreadable[0])
    if as_json:
        print(orjson.dumps({"unreadable": count, "first": first}).decode(), file=sys.stderr)
        return
    print(
        f"journeyman: {number(count, 'record')} of this task can not be read and {'is' if count == 1 else 'are'} left "
        f"out, the first at {first}: see journeyman verify",
        file=sys.stderr,
    )


def _read(journal: Journal, task: str, moment: float | None) -> tuple[TaskHistory | None, Chain | None]:
    """Read the history and the chain; a bar on stderr, on a terminal, where it takes a while.

    There is no history of a link that is not submitted yet.
    """
    console = console_for(stream_is_stderr=True)
    with ExitStack() as stack:
        bar: list[Progress] = []

        def progress(done: int, everything: int) -> None:
            if everything < PROGRESS_EVENTS_MIN or not console.is_terminal:
                return
            if not bar:
                columns = TextColumn("reading {task.completed:,.0f} of {task.total:,.0f} events"), BarColumn()
                bar.append(stack.enter_context(Progress(*columns, console=console, transient=True)))
                bar[0].add_task("", total=everything)
            bar[0].update(bar[0].task_ids[0], completed=done)

        until = journal.run(cursor_at(journal.asynchronous, moment))
        found: TaskHistory | None = None
        try:
            found = journal.run(task_history(journal.asynchronous, task, progress, until=until))
        except UnknownTaskError:
            chain = journal.run(chain_of(journal.asynchronous, task, until=until))
            if chain is None:
                if said := journal.run(worker_in_words(journal.asynchronous, task, until)):
                    text = f"the journal {journal.location} knows no task {task}. {said}"
                    raise UnknownTaskError(text) from None
                raise
        else:
            chain = journal.run(chain_of(journal.asynchronous, task, until=until)) if may_be_in_chain(found) else None
        return found, chain


def _print_json(found: TaskHistory | None, chain: Chain | None) -> None:
    print_json(*(step_answers(found) if found is not None else ()))
    if chain is not None:
        print_json({"chain": chain_answer(chain)})


def _print(found: TaskHistory, now: float, console: Console) -> None:
    task = found.task
    _line(console, Text.assemble((printable(task.name), "bold"), f"  {printable(task.id)}  ", (_place(found), "dim")))
    _line(console, _state_line(found, now))
    if said := labels(found).in_words():
        _line(console, Text(printable(said)))
    if given := arguments(found):
        _line(console, Text(printable(given.call(task.name)), "dim"))
    if found.is_truncated:
        submitted = when(found.task.submitted_at)
        _line(console, Text(f"retention has removed the beginning: it was submitted at {submitted}", "yellow"))
    _line(console, Text())
    if console.is_terminal and console.width < WIDE_COLUMNS_MIN:
        _print_narrow(found, console)
    else:
        _print_wide(found, console)
    ending = _ending(found)
    if ending is not None:
        _line(console, Text())
        _line(console, ending)


def _print_wide(found: TaskHistory, console: Console) -> None:
    """Print one line for each step."""
    grid = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "left", "left"):
        grid.add_column(justify=justify, no_wrap=True)
    grid.add_column(no_wrap=not console.is_terminal)
    previous: float | None = None
    for step in found.steps:
        grid.add_row(*_row(step, previous, found.hosts))
        previous = step.event.timestamp
    show(console, grid)


def _print_narrow(found: TaskHistory, console: Console) -> None:
    """Print day and zone where they change, and the remark of each step below it."""
    shown_day, previous = "", None
    for step in found.steps:
        at = step.event.timestamp
        day, clock_time = day_and_time(at)
        if day != shown_day:
            _line(console, Text(day, "dim"))
        _, since, name, by, remark = _row(step, previous, found.hosts)
        since.align("right", HISTORY_SINCE_COLUMNS)
        name.align("left", max(HISTORY_NAME_COLUMNS, name.cell_len))
        gap = Text("  ")
        _line(console, Text().join([Text(clock_time, "dim"), gap, since, gap, name, gap, by]))
        if remark:
            console.print(Padding(remark, (0, 0, 0, len(clock_time) + HISTORY_SINCE_COLUMNS + 4)))
        shown_day, previous = day, at


def _line(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)


def _place(found: TaskHistory) -> str:
    task = found.task
    return f"queue {printable(task.queue)}" + (f", priority {task.priority}" if task.priority else "")


def _state_line(found: TaskHistory, now: float) -> Text:
    task = found.task
    attempts = f"{task.attempts} attempt{'' if task.attempts == 1 else 's'}"
    word, style = _STANDINGS[task.state]
    accepted = [step.event.name for step in found.steps if step.verdict is Verdict.ACCEPTED]
    word = _LAST_WORDS.get(accepted[-1] if accepted else "", word)
    if task.state in (State.SUCCEEDED, State.FAILED, State.REVOKED):
        return Text.assemble(
            (word, style), f" {span(task.changed_at - task.submitted_at)} after its submission, {attempts}"
        )
    if task.state is State.READY and task.due > now:
        word = (
            f"waits for its next attempt until {clock(task.due, now)}"
            if task.attempts
            else (f"is delayed until {clock(task.due, now)}")
        )
    return Text.assemble((word, style), f", {attempts} so far")


# Ends that the state does not tell.
_LAST_WORDS: Final = {names.PURGED: "purged", names.LAPSED: "lapsed"}


def _row(step: Step, previous: float | None, hosts: dict[str, str]) -> tuple[Text, ...]:
    event = step.event
    refused = step.verdict is Verdict.REFUSED
    since = Text("" if previous is None else f"+{span(event.timestamp - previous)}", "dim")
    by = f"{short_id(step.worker)}" if step.worker else ""
    if step.worker in hosts:
        by += f" on {printable(hosts[step.worker])}"
    name = Text(event.name, "dim strike" if refused else _STYLES.get(event.name, ""))
    return Text(when(event.timestamp), "dim"), since, name, Text(by), _remark(step)


def _remark(step: Step) -> Text:
    if step.verdict is Verdict.REFUSED:
        return Text.assemble(("refused", "bold red"), f": {step.reason}")
    return Text(remark(step), "yellow" if step.reason else "")


def _error(context: dict[str, Any], what: str = "exception") -> str:
    return printable(error_in(context, what))


def _ending(found: TaskHistory) -> Text | None:
    """The result or the error, in short."""
    final = found.final()
    if final is None:
        return None
    context = final.event.context
    if final.event.name != names.SUCCEEDED:
        return _failure(context)
    encoded = context.get("encoded")
    result = orjson.dumps(context.get("result")).decode()
    if encoded is not None:  # written by a serializer that writes no JSON: nothing is decoded to show it
        result = shown(str(context.get("serializer")), encoded)
    elif isinstance(parts := context.get("parts"), int) and isinstance(size := context.get("bytes"), int):
        result = f"<in {number(parts, 'part')}: {size:,} bytes>"
    shortened = result if len(result) <= RESULT_CHARS_SHOWN else f"{result[:RESULT_CHARS_SHOWN]}… (whole with --json)"
    return Text.assemble(("result ", "bold green"), printable(shortened))


def _failure(context: dict[str, Any]) -> Text:
    """The error with its traceback, and the error of its retry hook if that failed too."""
    shown = Text.assemble(("error ", "bold red"), _error(context))
    exception = context.get("exception")
    trace = exception.get("traceback") if isinstance(exception, dict) else None
    for line in str(trace or "").splitlines():
        shown.append(f"\n  {printable(line)}", "dim")
    if hook := _error(context, "hook"):
        shown.append("\nhook  ", "bold red").append(f"{hook}: it could not be asked whether to try again")
    return shown


_STANDINGS: Final = {
    State.UNKNOWN: ("unknown", "dim"),
    State.READY: ("waits to be run", "cyan"),
    State.CLAIMED: ("is running", "cyan"),
    State.SUCCEEDED: ("succeeded", "bold green"),
    State.FAILED: ("failed", "bold red"),
    State.REVOKED: ("revoked", "yellow"),
}
_STYLES: Final = {
    names.SUCCEEDED: "green",
    names.FAILED: "red",
    names.RETRIED: "yellow",
    names.EXPIRED: "yellow",
    names.LEFT: "yellow",
    names.REVOKED: "yellow",
    names.PURGED: "yellow",
    names.LAPSED: "yellow",
    names.ACKNOWLEDGED: "yellow",
    names.REJECTED: "yellow",
    names.RESCHEDULED: "yellow",
}
