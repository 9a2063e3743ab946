"""Print the demonstration's input, its replay, and its report."""

import platform
import time
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..consumers.event import JournalEventBase
from ..tasks.inspection.wording import short_id
from .fold import DemoView
from .limits import LARGEST_FILES_SHOWN, PROBLEMS_SHOWN, SHA_CHARS_SHOWN
from .replay import History, Replay


class Report(NamedTuple):
    """The data of the report; `paths` are the files by task, `problems` the disagreements."""

    paths: dict[str, str]
    view: DemoView
    replay: Replay
    problems: list[str]


def describe_input(console: Console, root: Path, count: int) -> None:
    """Print a description of the work."""
    console.print()
    console.print(Text.assemble(("Journeyman: one journal, and everything else is derived from it", "bold")))
    console.print()
    console.print(
        f"  input    {count:,} files of the standard library of Python {platform.python_version()}, in {root}",
        soft_wrap=True,
    )


def print_replay(console: Console, history: History) -> None:
    """Print the events that the consumer was given up to the sentinel."""
    console.print(
        Text.assemble(
            ("Replay", "bold"),
            f"  a consumer reads {history.events:,} events of history in {history.seconds * 1_000:.0f} ms",
        )
    )
    names = Table.grid(padding=(0, 2))
    names.add_column(justify="right")
    for name, count in history.by_name.most_common():
        names.add_row(f"    {count:>6,}", name)
    console.print(names)
    console.print(
        Text.assemble(
            ("  ─── sentinel ", "cyan"), f"after event {history.events:,}, cursor {history.cursor}", (" ───", "cyan")
        )
    )
    console.print(Text("  live: the workers drain and leave (SIGTERM), and the same consumer follows it", "dim"))


def print_live(console: Console, event: JournalEventBase) -> None:
    """Print one event that came after the sentinel."""
    clock = time.strftime("%H:%M:%S", time.localtime(event.timestamp))
    what = short_id(str(event.context.get("worker", event.key or "")))
    console.print(Text.assemble((f"    {clock}  ", "dim"), f"{event.name}  {what}"), soft_wrap=True)


def print_report(console: Console, report: Report) -> None:
    """Print the figures, the largest files, the verdict."""
    console.print()
    console.print(Text("Report", "bold"))
    console.print(_figures(report))
    console.print()
    console.print(_largest(report))
    console.print()
    _print_verdict(console, report)


def _figures(report: Report) -> Table:
    view, history = report.view, report.replay.history
    seconds = max(view.last_success_at - view.first_claim_at, 1e-6)
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    rows: list[tuple[str, str, str]] = [
        ("tasks", f"{len(report.paths):,}", ""),
        ("attempts", f"{view.attempts:,}", "claims accepted and not given back"),
        ("takeovers", f"{view.takeovers:,}", "of tasks whose worker was killed, or silent for its lease"),
        ("refused late outcomes", f"{view.refused_outcomes:,}", "of workers that had lost the task by then"),
        ("refused claims", f"{view.refused_claims:,}", "another worker's came first in the journal"),
        ("events", f"{view.events:,}", "since the first submission"),
        ("tasks/s", f"{len(view.successes) / seconds:,.0f}", f"{seconds:.1f} s, the direct check running beside them"),
        ("replayed events/s", f"{history.events / history.seconds:,.0f}", "through the consumer"),
    ]
    for name, figure, remark in rows:
        table.add_row(f"  {name}", figure, remark)
    return table


def _largest(report: Report) -> Table:
    def lines(item: tuple[str, dict[str, Any]]) -> int:
        return int(item[1].get("lines") or 0)

    results = [(report.paths[task], facts) for task, facts in report.view.results.items()]
    table = Table.grid(padding=(0, 2))
    table.add_column()
    for _ in range(4):
        table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_row("  largest files", "lines", "tokens", "functions", "classes", "SHA-256", style="dim")
    for path, facts in sorted(results, key=lines, reverse=True)[:LARGEST_FILES_SHOWN]:
        counts = [_number(facts.get(name)) for name in ("lines", "tokens", "functions", "classes")]
        table.add_row(f"  {path}", *counts, f"{str(facts.get('sha256'))[:SHA_CHARS_SHOWN]}…")
    return table


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "-"


def _print_verdict(console: Console, report: Report) -> None:
    total, problems = len(report.paths), report.problems
    if not problems:
        console.print(
            Text.assemble(
                ("✓ ", "bold green"),
                (f"All {total:,} results agree with the direct computation;", "bold"),
                "\n  nothing was lost, nothing completed twice.",
            ),
            soft_wrap=True,
        )
        return
    console.print(Text(f"✗ {len(problems):,} problems:", "bold red"))
    for problem in problems[:PROBLEMS_SHOWN]:
        console.print(f"  {problem}", soft_wrap=True)
    if len(problems) > PROBLEMS_SHOWN:
        console.print(f"  and {len(problems) - PROBLEMS_SHOWN:,} more")
