"""One dead letter in full, for `journeyman dlq show`."""

import sys
from collections.abc import Sequence

import typer
from rich.text import Text

from ..journal.journal import Journal
from ..tasks.answers.dead_letters import dead_letter_in_full
from ..tasks.errors import UnknownTaskError
from ..tasks.inspection.dead_letters import Arguments, AttemptRun, arguments, labels, runs
from ..tasks.inspection.history import TaskHistory, task_history
from ..tasks.inspection.wording import number, short_id
from ..tasks.state.transitions import State
from .shared.failures import EXIT_ENVIRONMENT, print_problem
from .shared.json_lines import print_json
from .shared.screen import console_for, printable, span, when


def print_dead_letter(journal: Journal, task_id: str, *, as_json: bool) -> None:
    """Print a dead letter; exit with status 1 and an error if the task is none."""
    try:
        history = journal.run(task_history(journal.asynchronous, task_id))
    except UnknownTaskError as error:
        print_problem(str(error))
        raise typer.Exit(EXIT_ENVIRONMENT) from None
    if history.task.state is not State.FAILED:
        print_problem(f"the task {task_id} is no dead letter: see `journeyman why {task_id}`")
        raise typer.Exit(EXIT_ENVIRONMENT)
    if as_json:
        print_json(dead_letter_in_full(history))
    else:
        _print(history, runs(history), arguments(history))


def _print(history: TaskHistory, found: Sequence[AttemptRun], given: Arguments | None) -> None:
    task, console = history.task, console_for()
    place = f"queue {printable(task.queue)}" + (f", priority {task.priority}" if task.priority else "")
    whole = sys.maxsize
    called = "not known any more" if given is None else given.call(task.name, whole)
    lines = [
        Text.assemble((printable(task.name), "bold"), f"  {printable(task.id)}  ", (place, "dim")),
        Text.assemble(("failed", "bold red"), f" {when(task.changed_at)}, after {number(task.attempts, 'attempt')}"),
        Text.assemble(("submitted", "dim"), f" {when(task.submitted_at)}"),
        Text.assemble(("call", "dim"), f" {printable(called)}"),
    ]
    if said := labels(history).in_words():
        lines.insert(1, Text(printable(said)))
    for run in found:
        lines += [Text(), *_attempt(run)]
    lines += [
        Text(),
        Text(f"journeyman dlq requeue {printable(task.id)} lets it run again, dlq purge gives it up", "dim"),
    ]
    for line in lines:
        console.print(line, soft_wrap=True)


def _attempt(run: AttemptRun) -> list[Text]:
    where = f"on {short_id(run.worker)}" + (f" on {printable(run.host)}" if run.host else "")
    took = ""
    if run.ran_ms is not None:
        took = f", ran {span(run.ran_ms / 1_000)}"
    elif run.ended is not None:
        took = f", held for {span(run.ended - run.began)}"
    head = Text.assemble((f"attempt {run.number}", "bold"), f"  {when(run.began)}  {where}{took}")
    ended = Text.assemble("  ", (run.how or "still runs", "yellow"))
    if run.error:
        ended.append(": ").append(printable(run.error), "red")
    trace = str((run.exception or {}).get("traceback") or "")
    return [head, ended, *(Text(f"    {printable(line)}", "dim") for line in trace.splitlines())]
