"""The command: ``python -m bench.peers [--tasks N] [--rounds N] [--fsync]``.

Journeyman on a file, and Huey and SAQ on Redis, take the same load in turns: one program submits no-op tasks one by
one, first alone, then with one idle worker beside it. The peers are installed from the package index into `build/`.
"""

import argparse
import contextlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import orjson
from journeyman.bench import machine, stream
from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import percentile, shown
from journeyman.bench.peers import redis_server
from journeyman.bench.size import FULL
from rich.console import Console
from rich.table import Table

HERE: Final = Path(__file__).parent
BUILD: Final = HERE.parent.parent / "build"
ENVIRONMENT: Final = BUILD / "peers"
PEERS: Final = {"Huey": "peers.huey_side", "SAQ": "peers.saq_side"}
END_SECONDS_MAX: Final = 30.0


class Run(NamedTuple):
    """One stream: tasks submitted a second with no worker beside, done a second with one, and how long each stayed."""

    alone: float
    done: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


Side = Callable[[int], Run]


class PeerFailed(RuntimeError):
    """A side of a peer has ended with an error; its own message is above, on standard error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; where Redis is missing, measure Journeyman alone and print why."""
    options = _parser().parse_args(arguments)
    console = Console()
    logging.getLogger("journeyman").setLevel(logging.ERROR)
    load = machine.load_average()
    with contextlib.ExitStack() as stack:
        bench = Bench(FULL, BUILD, None, lambda _: None)
        stack.callback(bench.close)
        sides: dict[str, Side] = {"Journeyman": lambda tasks: _ours(bench, tasks)}
        try:
            port = stack.enter_context(redis_server.running(redis_server.program(), fsync=options.fsync))
        except redis_server.RedisMissing as error:
            console.print(f"{error}.", style="yellow", highlight=False)
        else:
            python = _installed(console)
            for name, module in PEERS.items():
                sides[name] = lambda tasks, module=module: _peer(python, module, port, tasks)  # type: ignore[misc]
        runs: dict[str, list[Run]] = {name: [] for name in sides}
        for _ in range(options.rounds):
            for name, side in sides.items():
                runs[name].append(side(options.tasks))
    console.print(_table(runs, options.tasks, fsync=options.fsync))
    console.print(f"The load was {load:g} before the run.", highlight=False)
    return 0


def _ours(bench: Bench, tasks: int) -> Run:
    with bench.file("alone") as path:
        alone = stream.alone(sqlite_url(path), tasks)
    with bench.file("beside") as path:
        stay, cpu_us = stream.beside(sqlite_url(path), tasks, submitters=1, workers=1)
    p50, p99 = (percentile(stay.seconds, percent) * stream.MILLISECONDS for percent in (50, 99))
    return Run(alone, stay.done, p50, p99, cpu_us)


# -- the peers -----------------------------------------------------------------------------------------------------


def _installed(console: Console) -> Path:
    """The interpreter of the peers' environment, which is made if it does not exist."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        console.print("Installing the peers …", highlight=False)
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", str(HERE / "requirements.txt")], check=True)
    return python


def _peer(python: Path, module: str, port: int, tasks: int) -> Run:
    with _side(python, module, "submit", port, tasks) as submitting:
        times = _submitted_times(submitting)
    alone = tasks / (times["ended"] - times["begun"])
    # The worker's tasks include those that were submitted before it started.
    with _side(python, module, "work", port, tasks) as working:
        _answer(working)
    with _side(python, module, "work", port, tasks) as working:
        with _side(python, module, "submit", port, tasks) as submitting:
            times = _submitted_times(submitting)
        done = _answer(working)
    return Run(alone, tasks / (done["last"] - times["begun"]), done["p50_ms"], done["p99_ms"], done["cpu_us"])


@contextlib.contextmanager
def _side(python: Path, module: str, role: str, port: int, tasks: int) -> Iterator["subprocess.Popen[str]"]:
    """One side of a peer, ready to begin; it has ended after the block."""
    command = [str(python), "-m", module, role, str(port), str(tasks)]
    with subprocess.Popen(
        command, cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise PeerFailed(f"{module} {role} did not get ready")
            yield process
            process.wait(END_SECONDS_MAX)
        finally:
            if process.poll() is None:
                process.kill()


def _submitted_times(submitting: "subprocess.Popen[str]") -> dict[str, float]:
    """Let a submitter begin; return its answer."""
    assert submitting.stdin is not None
    submitting.stdin.write("\n")
    submitting.stdin.flush()
    return _answer(submitting)


def _answer(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise PeerFailed("a side has ended without an answer")
    answer: dict[str, float] = orjson.loads(line)
    return answer


# -- what is shown -------------------------------------------------------------------------------------------------


def _table(runs: dict[str, list[Run]], tasks: int, *, fsync: bool) -> Table:
    kept = "Redis with fsync" if fsync else "Redis without fsync, Journeyman with"
    table = Table(title=f"{tasks:,} no-op tasks submitted one by one, medians of the rounds; {kept}")
    for head in (
        "",
        "alone, tasks/s",
        "one worker beside, tasks/s",
        "share",
        "p50, ms",
        "p99, ms",
        "worker CPU, µs/task",
    ):
        table.add_column(head, justify="left" if not head else "right")
    for name, each in runs.items():
        share = median(run.done / run.alone for run in each)
        columns = [median(values) for values in zip(*each, strict=True)]
        cells = [*columns[:2], share, *columns[2:]]
        table.add_row(name, *(shown(value) for value in cells))
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="The same stream by other task queues.")
    parser.add_argument("--tasks", type=int, default=4_000, help="tasks of each stream (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often, in turns (default: %(default)s)")
    parser.add_argument(
        "--fsync", action="store_true", help="have Redis write each command to the disk, as our file is"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
