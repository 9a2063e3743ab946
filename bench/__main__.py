"""The command: ``python -m bench [NAME …] [--quick] [--json FILE] [--list] [--kafka HOST:PORT|auto]``."""

import argparse
import datetime as dt
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from journeyman.bench import machine
from journeyman.bench.context import Bench
from journeyman.bench.figure import Figure
from journeyman.bench.registry import MEASUREMENTS, Measurement, chosen
from journeyman.bench.report import as_json, print_table, write_json
from journeyman.bench.size import FULL, QUICK, SIZES, Size
from journeyman.deploy.kafka import KafkaUnavailable
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT: Final = Path(__file__).parent.parent
TABLE_COLUMNS: Final = 120  # without a terminal
RESULTS: Final = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report; return 0 (a missed target is a result, not an error), or 2 for an unknown name."""
    options = _parser().parse_args(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=TABLE_COLUMNS)
    if options.list:
        for each in MEASUREMENTS:
            console.print(f"{each.name:20} {each.summary}", highlight=False)
        return 0
    try:
        measurements = chosen(options.names)
    except ValueError as error:
        Console(stderr=True).print(f"{error}", style="red", highlight=False)
        return 2
    size = QUICK if options.quick else SIZES[options.size]
    started = dt.datetime.now().astimezone()
    load_before = machine.load_average()
    begun = time.monotonic()
    # aiokafka logs each metadata refresh that fails while a broker starts; nothing of it is a result.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("journeyman").setLevel(logging.ERROR)
    figures, facts = _measure(measurements, size, options.scratch, options.kafka)
    run = {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - begun, 1),
        "size": size.name,
        "machine": facts,
        "load_average_before": load_before,
        "load_average_after": machine.load_average(),
    }
    path = options.json or RESULTS / f"{started:%Y-%m-%dT%H%M%S}.json"
    write_json(path, as_json(figures, run))
    print_table(console, figures)
    _conclude(console, figures, path, load_before)
    return 0


def _measure(
    measurements: Sequence[Measurement], size: Size, scratch: Path, kafka: str
) -> tuple[list[Figure], dict[str, object]]:
    # No refreshing thread: it would take turns with what is measured.
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
    )
    figures: list[Figure] = []
    with progress:
        bar = progress.add_task("", total=len(measurements))

        def show_progress(text: str) -> None:
            progress.update(bar, description=text)
            progress.refresh()

        bench = Bench(size, scratch, None if kafka == "auto" else kafka, show_progress)
        try:
            for measurement in measurements:
                show_progress(measurement.name)
                figures += _figures(measurement, bench)
                progress.advance(bar)
            return figures, machine.facts(bench.directory)
        finally:
            bench.close()


def _figures(measurement: Measurement, bench: Bench) -> list[Figure]:
    try:
        return measurement.measure(bench)
    except KafkaUnavailable as error:
        return [Figure(measurement.name, measurement.summary, "", skipped=str(error))]


def _conclude(console: Console, figures: Sequence[Figure], path: Path, load_before: float) -> None:
    targets = [target for figure in figures for target in figure.targets]
    missed = sum(not target.met for target in targets)
    skipped = sum(figure.skipped is not None for figure in figures)
    parts = [f"{len(targets) - missed} of {len(targets)} targets met"]
    parts += [f"{skipped} measurements skipped"] if skipped else []
    console.print(f"{', '.join(parts)}; all rounds in {path}", highlight=False)
    if load_before > 0.5:
        console.print(
            f"The load was {load_before:g} before the run: other programs ran. That affects ratios less than rates.",
            style="yellow",
            highlight=False,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Journeyman beside hand-written code on the bare libraries.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="the measurements, or the beginnings of their names")
    parser.add_argument("--list", action="store_true", help="list the measurements")
    parser.add_argument("--quick", action="store_true", help="do less work and fewer rounds, for a first impression")
    parser.add_argument("--size", choices=SIZES, default=FULL.name, help="the amount of work (default: %(default)s)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="the file for the results (default: in bench/results/)"
    )
    parser.add_argument(
        "--kafka",
        default="auto",
        metavar="HOST:PORT",
        help="the broker to use; by default one is started for the Kafka figures, if Java and Maven are installed",
    )
    parser.add_argument(
        "--scratch",
        type=Path,
        default=ROOT / "build",
        metavar="DIR",
        help="the directory for databases, on the disk to be measured (default: build/)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
