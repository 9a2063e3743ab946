"""Run the commands of Docker: those of a README to the letter, and questions to what they have started."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# The first build fetches a base image and packages.
COMMAND_SECONDS_MAX: Final = 1_800
ENGINE_ANSWER_SECONDS_MAX: Final = 30


class TrialFailed(Exception):
    """A command failed, or its result is not the promised one; the message says which."""


def missing_part() -> str | None:
    """Return what is missing to run containers, in one sentence; None if nothing is."""
    for command, what in (
        (("docker", "version"), "a running Docker engine, and the right to use it"),
        (("docker", "compose", "version"), "the Compose plugin of Docker (Debian: apt install docker-compose)"),
    ):
        try:
            run(command, timeout=ENGINE_ANSWER_SECONDS_MAX)
        except (OSError, TrialFailed, subprocess.TimeoutExpired) as error:
            return f"this needs {what}: `{shlex.join(command)}` failed ({error})"
    return None


def run(command: Sequence[str], place: Path | None = None, timeout: float = COMMAND_SECONDS_MAX) -> str:
    """Run a command to its end and return its standard output; `TrialFailed` unless its exit status is 0."""
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise TrialFailed(f"exit status {done.returncode} of {shlex.join(command)}: {done.stdout}{done.stderr}".strip())
    return done.stdout


def run_shown(command: Sequence[str], place: Path) -> str:
    """As `run`, and print the command before it runs."""
    print(f"$ {shlex.join(command)}", flush=True)
    return run(command, place)


def expect(what: str, expected: object, got: object) -> None:
    """Raise `TrialFailed` unless the two are equal; else print what was seen."""
    if got != expected:
        raise TrialFailed(f"{what}: expected {expected}, got {got}")
    print(f"  {what}: {got}", flush=True)


def write_package(name: str, place: Path) -> Path:
    """Write a package by `journeyman init`; return its directory."""
    run([sys.executable, "-m", "journeyman", "init", name], place)
    return place / name
