"""`journeyman why`: explain the state of a task."""

import sys
import time
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..journal.journal import Journal
from ..tasks.answers.why import why_answer
from ..tasks.inspection.as_of import view_as_of
from ..tasks.inspection.evidence import gather
from ..tasks.inspection.findings import Evidence, Finding
from ..tasks.inspection.why import explain
from .limits import PROSE_COLUMNS_MAX
from .shared.failures import EXIT_ENVIRONMENT, quiet_on_broken_pipe
from .shared.json_lines import print_json
from .shared.moments import parse_past
from .shared.opening import existing_journal
from .shared.options import AsOf, JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import console_for, printable, when
from .shared.task_ids import TaskId, whole_id
from .shared.unreadable import print_unreadable


def why(
    task: TaskId,
    journal: JournalURL = None,
    as_of: AsOf = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object: the task, and findings with a code, a sentence and facts."),
    ] = False,
    log_level: LevelOption = LogLevel.INFO,
) -> None:
    """Explain the state of a task: the cause of its waiting, the worker that holds it, or how it ended.

    The answer follows from the journal alone, so no worker has to run. Spans compare this machine's clock with those of
    the workers. For every event of a task, see [bold]journeyman history[/bold].

    [bold]Examples[/bold]

    journeyman why 0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11 --journal sqlite:///shop.db

    journeyman why 0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11 --as-of 10m --json | jq -r '.findings[].code'

    Exit status: 0, or 1 if the journal knows no such task.
    """
    configure_logging(log_level)
    now = time.time()
    moment = parse_past(as_of, now)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        task = whole_id(opened, task)
        evidence, findings, unreadable = _ask(opened, task, moment, now)
        if as_json:
            print_json(why_answer(task, evidence, findings, moment or now))
        else:
            _print(evidence, findings, moment, console_for())
        print_unreadable(unreadable, as_json=as_json)
    if findings[0].code == "unknown":
        if not as_json:
            print(f"journeyman: looked in the journal {printable(opened.location)}", file=sys.stderr)
        raise typer.Exit(EXIT_ENVIRONMENT)


def _ask(journal: Journal, task: str, moment: float | None, now: float) -> tuple[Evidence, list[Finding], int]:
    """Return the evidence about the task, the findings about it, and how many records of the journal were left out."""
    found = journal.run(view_as_of(journal.asynchronous, moment))
    evidence = journal.run(gather(journal.asynchronous, found, task))
    findings = explain(found.view, task, now if moment is None else moment, evidence)
    return evidence, findings, found.view.unreadable


def _print(evidence: Evidence, findings: Sequence[Finding], moment: float | None, console: Console) -> None:
    task = evidence.named()
    if task is not None:
        priority = evidence.task.priority if evidence.task is not None else 0
        place = f"queue {printable(task.queue)}" + (f", priority {priority}" if priority else "")
        title = Text.assemble((printable(task.name), "bold"), f"  {printable(task.id)}  ", (place, "dim"))
        console.print(title, soft_wrap=True)
    if moment is not None:
        console.print(Text(f"as of {when(moment)}", "dim"), soft_wrap=True)
    if not console.is_terminal:
        for finding in findings:
            console.print(f"- {printable(finding.sentence)}", soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 1, 0, 0))
    for finding in findings:
        style = _STYLES.get(finding.code, "")
        grid.add_row(Text("•", style or "dim"), Text(printable(finding.sentence), style))
    console.print(grid, width=min(console.width, PROSE_COLUMNS_MAX))


_STYLES: Final = {
    "unknown": "bold red",
    "failed": "bold red",
    "worker_silent": "bold red",
    "no_worker": "yellow",
    "no_worker_knows": "yellow",
    "queue_unserved": "yellow",
    "queue_paused": "yellow",
    "worker_doubtful": "yellow",
    "refused": "yellow",
    "last_attempt": "yellow",
    "link_blocked": "yellow",
    "chain_blocked": "yellow",
    "lock_lost": "yellow",
    "lock_left": "yellow",
    "succeeded": "green",
}
