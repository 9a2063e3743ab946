"""`journeyman init`: the package that it writes runs as it is, and what cannot be a package is refused."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import yaml
from journeyman.cli import main
from journeyman.cli.starting import package
from journeyman.cli.starting.package import FILES
from journeyman.journal.url import log_from_url
from journeyman.tasks.limits import LEASE_MS_DEFAULT
from support.deployment import ROOT, is_command, option

Run = Callable[..., "subprocess.CompletedProcess[str]"]

TIMEOUT_SECONDS: Final = 120
ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if name != "JOURNEYMAN_JOURNAL"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package as the command writes it, in a directory whose name has a blank and a percent sign."""
    place = tmp_path_factory.mktemp("at 100%") / "shop"
    assert main(["init", str(place)]) == 0
    return place


def _in(place: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *arguments]
    return subprocess.run(
        command,
        cwd=place,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def test_tests_of_the_package_pass(made: Path) -> None:
    done = _in(made, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_package_is_clean_for_its_linters(made: Path) -> None:
    for command in (("ruff", "check", "--no-cache"), ("ruff", "format", "--no-cache", "--check")):
        done = _in(made, "-m", *command)
        assert done.returncode == 0, done.stdout + done.stderr
    # The types of an editable installation are not where mypy looks for those of packages.
    where = {"MYPYPATH": str(ROOT / ".venv" / "types")} if (ROOT / ".venv" / "types").is_dir() else {}
    done = _in(made, "-m", "mypy", "--follow-imports=silent", "--cache-dir", os.devnull, **where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues found in 4 source files" in done.stdout


def test_worker_of_the_unit_runs_a_submitted_task(made: Path) -> None:
    unit = (made / "deploy" / "shop-worker.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert settings["WorkingDirectory"].replace("%%", "%") == str(made)
    command = shlex.split(settings["ExecStart"])
    assert command[0] == sys.executable
    name, _, url = settings["Environment"].partition("=")
    assert name == "JOURNEYMAN_JOURNAL"
    worker = subprocess.Popen(command, cwd=made, env=ENVIRONMENT | {name: url}, stdout=subprocess.PIPE, text=True)
    with worker:
        try:
            done = _in(made, "-m", "shop")
            assert done.returncode == 0, done.stdout + done.stderr
            assert "total: 24.9" in done.stdout
        finally:
            worker.send_signal(signal.SIGTERM)
    assert worker.returncode == 0
    (after,) = re.findall(r"what happened to it: journeyman (.*)", done.stdout)
    assert "task.submitted" in _in(made, "-m", "journeyman", *shlex.split(after)).stdout


def test_program_without_a_worker_says_what_to_start(made: Path, tmp_path: Path) -> None:
    impatient = "import sys, shop.__main__ as program; program.SECONDS = 1; sys.exit(program.main())"
    done = _in(made, "-c", impatient, JOURNEYMAN_JOURNAL=f"sqlite:///{tmp_path}/waiting.db")
    assert done.returncode == 1, done.stderr
    assert "Start one: journeyman worker shop.tasks" in done.stdout
    (why,) = re.findall(r"What it waits for: journeyman (.*)", done.stdout)
    assert "No worker is running" in _in(made, "-m", "journeyman", *shlex.split(why)).stdout


def test_worker_outside_of_the_package_says_where_to_start_it(made: Path) -> None:
    done = _in(made.parent, "-m", "journeyman", "worker", "shop.tasks", "--journal", "sqlite:///none.db")
    assert done.returncode == 2
    assert f"but in {made}: start it there, after `cd shop`" in done.stderr


def test_unit_is_valid_for_systemd(made: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    unit = made / "deploy" / "shop-worker.service"
    command = [analyze, "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, unit.name in done.stderr) == (0, False), done.stderr


def test_compose_file_runs_workers_over_its_volume(made: Path) -> None:
    compose = yaml.safe_load((made / "compose.yaml").read_text())
    worker = compose["services"]["worker"]
    assert is_command(worker["command"])
    url = worker["environment"]["JOURNEYMAN_JOURNAL"]
    log_from_url(url)
    (volume,) = worker["volumes"]
    source, _, folder = volume.partition(":")
    assert source in compose["volumes"]
    assert url.startswith(f"sqlite:///{folder}/")
    drain = float(option(worker["command"], "--drain-timeout") or 0)
    assert float(worker["stop_grace_period"].removesuffix("s")) > drain + LEASE_MS_DEFAULT / 1_000
    assert f"http://{option(worker['command'], '--health')}/" in worker["healthcheck"]["test"][3]
    lines = (made / "Dockerfile").read_text().splitlines()
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    assert is_command(command)


def test_images_are_built_from_files_that_exist(made: Path) -> None:
    (build,) = re.findall(r"^    (docker build .*)$", (made / "README.md").read_text(), re.MULTILINE)
    arguments = shlex.split(build.replace("PATH-TO-JOURNEYMAN", str(ROOT)))
    assert (made / (option(arguments, "--file") or "")).samefile(ROOT / "deploy" / "Dockerfile")
    assert Path(arguments[-1]).samefile(ROOT)
    lines = (made / "Dockerfile").read_text().splitlines()
    assert f"FROM {option(arguments, '--tag')}" in lines
    (source, target) = re.findall(r"^COPY --chown=root:root (\S+) /app/(\S+)$", "\n".join(lines), re.MULTILINE)[0]
    assert source == target
    assert (made / source / "tasks.py").is_file()
    kept = [line[1:] for line in (made / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert kept == [source]


def test_commands_of_the_readme_exist(made: Path) -> None:
    text = (made / "README.md").read_text()
    commands = [shlex.split(line) for line in re.findall(r"^    journeyman (.*)$", text, re.MULTILINE)]
    commands += [
        shlex.split(line) for line in re.findall(r"^    docker compose run --rm worker (.*)$", text, re.MULTILINE)
    ]
    assert len(commands) >= 7
    assert all(is_command(arguments) for arguments in commands)


def test_package_has_no_placeholder_left(made: Path) -> None:
    written = {path.relative_to(made).as_posix(): path for path in made.rglob("*") if path.is_file()}
    assert {path.replace("NAME", "shop") for path in FILES} <= written.keys()
    assert not [path for path in FILES if "{{" in written[path.replace("NAME", "shop")].read_text()]
    templates = {path.name for path in (ROOT / "cli" / "starting" / "template").iterdir()}
    assert templates == {f"{source}.template" for source in FILES.values()}


def test_empty_directory_is_filled_in_place(tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "till"
    place.mkdir()
    monkeypatch.chdir(place)
    before = place.stat().st_ino
    done = call("init", ".")
    assert done.returncode == 0, done.stderr
    assert place.stat().st_ino == before
    assert (place / "till" / "tasks.py").is_file()
    assert "    cd " not in done.stdout


def test_json_lists_the_files_and_the_next_steps(call: Run, shop: Path) -> None:
    said = json.loads(call("init", "till", "--json").stdout)
    assert (said["name"], said["directory"]) == ("till", str(shop / "till"))
    assert all((shop / "till" / path).is_file() for path in said["files"])
    assert said["next"][0] == "cd till"
    assert "journeyman worker till.tasks" in said["next"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my-shop", "small letters, digits and underscores, begins with a letter"),
        ("my-shop", "Try: journeyman init my_shop"),
        ("2shop", "Try: journeyman init shop"),
        ("Läden", "Try: journeyman init l_den"),
        ("s" * 41, "at most 40 characters"),
        ("class", "class is a word of Python itself"),
        ("match", "match is a word of Python itself"),
        ("queue", "queue is a module of Python's standard library, which the package would hide"),
        ("queue", "Try: journeyman init queue_tasks"),
        ("msgspec", "msgspec is a package that is installed here"),
        ("journeyman", "journeyman is a package that is installed here"),
        ("tests", "tests is a package that is installed here"),
        ("shop", "is not empty (it has __init__.py, tasks.py); name another one"),
        ("missing/till", "there is no directory missing to make till in; make it first: mkdir -p missing"),
    ],
)
def test_name_that_cannot_be_is_refused_with_what_to_do(name: str, said: str, call: Run, shop: Path) -> None:
    before = sorted(shop.rglob("*"))
    done = call("init", name)
    assert done.returncode == 2
    assert said in done.stderr
    assert sorted(shop.rglob("*")) == before


def test_file_of_the_name_is_refused(call: Run, shop: Path) -> None:
    (shop / "till").write_text("coins")
    done = call("init", "till")
    assert done.returncode == 2
    assert "till is there already, and is no directory" in done.stderr


def test_failure_leaves_nothing_behind(call: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "FILES", {**FILES, "pyproject.toml/impossible": "gitignore"})
    before = sorted(shop.rglob("*"))
    done = call("init", "till")
    assert done.returncode == 2
    assert "till cannot be written" in done.stderr
    assert sorted(shop.rglob("*")) == before
