"""The figures for people, as a table, and for programs, as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from journeyman.bench.figure import Figure, Spread, shown
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(console: Console, figures: Sequence[Figure]) -> None:
    """Print each figure with its floor, their ratio, and its targets."""
    table = Table(
        title="median of the rounds, and under it the least to greatest", title_style="italic", show_lines=True
    )
    table.add_column("figure", overflow="fold", ratio=1)
    for heading in ("ours", "floor", "ours ÷ floor"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("target", overflow="fold")
    for figure in figures:
        if figure.skipped is not None:
            table.add_row(figure.title, Text("skipped", "yellow"), "", "", figure.skipped)
        else:
            table.add_row(*_cells(figure))
    console.print(table)


def _cells(figure: Figure) -> tuple[str | Text, ...]:
    return (
        Text.assemble((figure.title, "bold"), "\n", (_particulars(figure), "dim")),
        f"{_spread(figure.ours)}\n{figure.unit}",
        _spread(figure.floor.spread) if figure.floor is not None else "",
        _spread(figure.ratio),
        _verdicts(figure),
    )


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{shown(spread.median)}\n{shown(spread.least)}…{shown(spread.greatest)}"


def _particulars(figure: Figure) -> str:
    parts = [f"floor: {figure.floor.title}"] if figure.floor is not None else []
    parts += [f"{name.replace('_', ' ')}: {shown(value)}" for name, value in figure.facts.items()]
    return "; ".join(parts)


def _verdicts(figure: Figure) -> Text:
    text = Text()
    for target in figure.targets:
        met = ("met", "bold green") if target.met else ("missed", "bold red")
        text.append_text(Text.assemble(f"{target.text}: {shown(target.value)} ", met, "\n"))
    text.rstrip()
    return text


def as_json(figures: Sequence[Figure], run: dict[str, Any]) -> bytes:
    """All figures as JSON; `run` holds the time, the machine and the options of the run."""
    entries = []
    for figure in figures:
        entry = msgspec.to_builtins(figure)
        for plain, target in zip(entry["targets"], figure.targets, strict=True):
            plain["met"] = target.met
        entries.append(entry)
    return msgspec.json.format(msgspec.json.encode({**run, "figures": entries}), indent=1)


def write_json(path: Path, content: bytes) -> None:
    """Write the results, making the directory if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content + b"\n")
