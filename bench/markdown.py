"""``python -m bench.markdown FIGURES.json``: the table of a run as it stands in ``docs/benchmarks.md``."""

import sys
from pathlib import Path
from typing import Any

import orjson
from journeyman.bench.figure import shown

HEAD = "| figure | ours | floor | ours ÷ floor | target |\n|---|---|---|---|---|\n"


def as_markdown(run: dict[str, Any]) -> str:
    """A line about the machine of the run, and a row for each figure."""
    return f"{_made_on(run)}\n\n{HEAD}{''.join(map(_row, run['figures']))}"


def _made_on(run: dict[str, Any]) -> str:
    machine = run["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items() if name != "journeyman")
    return (
        f"{run['started'][:10]}: {machine['cores']} cores ({machine['processor']}), {machine['system']}, "
        f"{machine['file_system']}, {machine['python']}, SQLite {machine['sqlite']}, {libraries}. Load before and "
        f"after: {run['load_average_before']:g} and {run['load_average_after']:g}."
    )


def _row(figure: dict[str, Any]) -> str:
    if figure["skipped"] is not None:
        return f"| {figure['title']} | skipped | | | {figure['skipped']} |\n"
    floor, ratio = figure["floor"], figure["ratio"]
    cells = (
        figure["title"],
        f"{shown(figure['ours']['median'])} {figure['unit']}",
        shown(floor["spread"]["median"]) if floor else "",
        f"{shown(ratio['median'])} ({shown(ratio['least'])}…{shown(ratio['greatest'])})" if ratio else "",
        "; ".join(map(_target, figure["targets"])),
    )
    return f"| {' | '.join(cells)} |\n"


def _target(target: dict[str, Any]) -> str:
    sign = "≥" if target["direction"] == "at least" else "≤"
    verdict = "met" if target["met"] else "**missed**"
    unit = f" {target['unit']}" if target["unit"] else ""
    return f"{target['what']} {sign} {shown(target['bar'])}{unit}: {shown(target['value'])}, {verdict}"


if __name__ == "__main__":
    sys.stdout.write(as_markdown(orjson.loads(Path(sys.argv[1]).read_bytes())))
