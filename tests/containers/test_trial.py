"""What `make containers` needs besides an engine: the README's commands, and a sentence where there is no engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from containers.engine import TrialFailed, expect, write_package
from containers.readme import commands_under


def test_trial_runs_each_command_of_the_readme(tmp_path: Path) -> None:
    build, up, submit, status, down = commands_under("In containers", write_package("till", tmp_path) / "README.md")
    assert (build[:2], build[-1]) == (["docker", "build"], "PATH-TO-JOURNEYMAN")
    assert up == ["docker", "compose", "up", "--detach", "--build", "--wait"]
    assert [each[5] for each in (submit, status)] == ["submit", "status"]
    assert down == ["docker", "compose", "down"]


def test_missing_section_is_reported(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# till\n")
    with pytest.raises(LookupError, match="no section 'In containers'"):
        commands_under("In containers", tmp_path / "README.md")


def test_trial_fails_on_an_unexpected_count() -> None:
    with pytest.raises(TrialFailed, match="tasks: expected 3, got 2"):
        expect("tasks", 3, 2)


def test_trial_without_an_engine_says_what_it_needs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "containers"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "this needs a running Docker engine, and the right to use it: `docker version` failed"
    )
