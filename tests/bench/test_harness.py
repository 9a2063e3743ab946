"""The benchmark harness works and reports what it promises; how fast anything is, is not tested."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from journeyman.bench.__main__ import main

ROOT = Path(__file__).parents[2]
KEEPING_UP = ["keeping-up-1-1", "keeping-up-8-1", "keeping-up-64-1", "keeping-up-8-2"]
SIDE_BY_SIDE = [
    "append-one",
    "append-batch",
    "lock",
    "drain",
    "latency",
    "chain",
    "schedules",
    "live",
    "together",
    "rivals",
    "waiting",
    "middleware",
    "endurance",
    *KEEPING_UP,
]
EMBEDDED = [
    *SIDE_BY_SIDE[: -len(KEEPING_UP)],
    "keeping-up",
    "replay",
    "mechanisms",
    "backlog",
    "lookup",
    "idle",
    "takeover",
]


# The whole harness takes a minute on an idle machine and several on a busy one. This ends a run that hangs.
HANG_SECONDS = 400
pytestmark = pytest.mark.timeout(HANG_SECONDS + 20)


def bench(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def check_spread(spread: dict[str, Any]) -> None:
    assert spread["least"] <= spread["median"] <= spread["greatest"]
    assert spread["least"] in spread["rounds"]
    assert spread["greatest"] in spread["rounds"]


def check_figure(figure: dict[str, Any]) -> None:
    assert figure["skipped"] is None
    assert figure["unit"]
    check_spread(figure["ours"])
    assert (figure["floor"] is None) is (figure["ratio"] is None)
    if figure["floor"] is not None:
        floors = figure["floor"]["spread"]
        check_spread(floors)
        check_spread(figure["ratio"])
        rounds = zip(figure["ours"]["rounds"], floors["rounds"], figure["ratio"]["rounds"], strict=True)
        assert all(math.isclose(ours / floor, ratio) for ours, floor, ratio in rounds)
    assert figure["targets"]
    for target in figure["targets"]:
        at_least = target["direction"] == "at least"
        reached = target["value"] >= target["bar"] if at_least else target["value"] <= target["bar"]
        assert target["met"] is reached


class Measured(NamedTuple):
    """A run of the harness: its directory, what it printed and what it wrote."""

    directory: Path
    printed: str
    written: str

    def figures(self) -> dict[str, dict[str, Any]]:
        """Its figures by name."""
        return {figure["name"]: figure for figure in json.loads(self.written)["figures"]}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Everything that is measured on files, and the tests of this module look at."""
    directory = tmp_path_factory.mktemp("bench")
    written = directory / "figures.json"
    done = bench(*EMBEDDED, "stream", "--size=tiny", f"--json={written}", f"--scratch={directory / 'scratch'}")
    assert done.returncode == 0, done.stderr
    return Measured(directory, done.stdout, written.read_text())


def test_embedded_figures_have_floors_ratios_and_verdicts(embedded: Measured) -> None:
    assert json.loads(embedded.written)["size"] == "tiny"
    figures = embedded.figures()
    assert {
        *SIDE_BY_SIDE,
        "replay-iteration",
        "replay-view",
        "replay-trends",
        "callbacks",
        "lookup-status",
        "idle",
        "takeover",
    } <= figures.keys()
    for name, figure in figures.items():
        check_figure(figure)
        assert figure["floor"] is not None or name not in SIDE_BY_SIDE
        assert figure["title"].split(",")[0].split()[0] in embedded.printed
    assert "targets met" in embedded.printed
    assert list((embedded.directory / "scratch").iterdir()) == [], "nothing is left behind"


def test_stream_is_measured_with_one_and_several_submitters(embedded: Measured) -> None:
    figures = embedded.figures()
    assert [name for name in figures if name.startswith("stream")] == ["stream", "stream-4-2"]
    for name in ("stream", "stream-4-2"):
        figure = figures[name]
        check_figure(figure)
        assert figure["floor"] is not None
        assert {"stay_p50_ms", "stay_p99_ms", "worker_cpu_us_per_task"} <= figure["facts"].keys()


def test_peers_are_skipped_with_reason_where_redis_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.peers", "--tasks", "20", "--rounds", "1"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "redis-server" in done.stdout
    assert "skipped" in done.stdout
    assert "Journeyman" in done.stdout
    assert "Huey" not in done.stdout


def test_results_describe_the_machine_without_naming_it(embedded: Measured) -> None:
    text = embedded.written
    machine = json.loads(text)["machine"]
    assert machine["cores"] >= 1
    assert machine["python"].endswith(sys.version.split()[0])
    assert {"sqlite", "libraries", "file_system", "system"} <= machine.keys()
    assert os.uname().nodename not in text
    assert str(embedded.directory) not in text
    assert str(Path.home()) not in text


@pytest.mark.kafka
def test_kafka_figures_have_floors_ratios_and_verdicts(tmp_path: Path, kafka_bootstrap: str) -> None:
    written = tmp_path / "figures.json"
    done = bench(
        "kafka",
        "--size=tiny",
        f"--json={written}",
        f"--scratch={tmp_path / 'scratch'}",
        f"--kafka={kafka_bootstrap}",
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(written.read_text())["figures"]
    assert [each["name"] for each in figures] == [
        "kafka-replay",
        "kafka-append-batch",
        "kafka-drain",
        "kafka-latency",
        "kafka-stream",
        "kafka-stream-4-2",
        "kafka-live",
        "kafka-together",
        "kafka-lookup-status",
        "kafka-lookup-result",
        "kafka-lookup-history",
        "kafka-index-rebuild",
        "kafka-merge",
    ]
    for figure in figures:
        check_figure(figure)


def test_kafka_figures_are_skipped_with_a_reason_without_java(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    done = bench(
        "kafka-replay",
        "--size=tiny",
        f"--json={written}",
        f"--scratch={tmp_path / 'scratch'}",
        JAVA_HOME=str(tmp_path / "no-java-here"),
    )
    assert done.returncode == 0, done.stderr
    (figure,) = json.loads(written.read_text())["figures"]
    assert "Java" in figure["skipped"]
    assert figure["ours"] is None
    assert "skipped" in done.stdout


def test_unknown_measurement_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apend"]) == 2
    said = capsys.readouterr().err
    assert "apend" in said
    assert "append-one" in said


def test_list_names_every_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    named = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert {*EMBEDDED, "kafka-replay"} <= named
