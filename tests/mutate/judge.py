"""Whether a mutant is noticed: the tests that concern its module are run with it, in processes of their own."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from .concern import Concern
from .mutants import Mutant, planted

TESTS: Final = Path(__file__).parents[1]
ROOT: Final = TESTS.parent
ACCEPTED: Final = Path(__file__).parent / "accepted.txt"
# A test that takes so many seconds hangs by the bug.
_TEST_SECONDS_MAX: Final = 60
RUN_SECONDS_MAX: Final = 600
# The verdict of the quick way on a mutant that it cannot judge.
NOT_SWAPPED: Final = "not swapped"
PYTEST_OPTIONS: Final = ("-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "-m", "not kafka")
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_SUMMARY: Final = re.compile(r"^\d+ \w+.* in [0-9.]+s", re.MULTILINE)


class Verdict(NamedTuple):
    """By what a mutant was noticed; nothing, if it survives."""

    noticed_by: str
    seconds: float


def accepted() -> dict[str, str]:
    """The mutants that are let live, by name, and why: each line of the file is `name  # reason`."""
    lines = [line for line in ACCEPTED.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    split = [line.rpartition("  # ") for line in lines]
    return {name: reason for name, _, reason in split}


def module_name(path: str) -> str:
    """The name under which a file of the product is imported."""
    return "journeyman." + path.removesuffix(".py").replace("/", ".")


def judge(mutant: Mutant, concern: Concern) -> Verdict:
    """Run the tests until one fails."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "mutant.py")
        source.write_text(planted(mutant, ROOT), encoding="utf-8")
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent / "hook"),
            "JOURNEYMAN_MUTANT": module_name(mutant.path),
            "JOURNEYMAN_MUTANT_SOURCE": str(source),
            "TMPDIR": directory,
        }
        noticed_by = _failing_test(concern, environment) or _failing_world(concern, environment)
    return Verdict(noticed_by, time.monotonic() - begun)


def _failing_test(concern: Concern, environment: dict[str, str]) -> str:
    tests = [f"tests/{test}" for test in concern.tests if (TESTS / test).exists()]
    status, said = _run(
        [sys.executable, "-m", "pytest", *PYTEST_OPTIONS, f"--timeout={_TEST_SECONDS_MAX}", *tests], ROOT, environment
    )
    return noticed_by(status, said)


def noticed_by(status: int, said: str) -> str:
    """Return which test failed, by what pytest said; nothing if none did. A bug may end pytest with any status."""
    failed = _FAILED.search(said)
    if failed is not None:
        return failed[1]
    return "" if not status and _SUMMARY.search(said) else f"pytest ended with {status}"


def _failing_world(concern: Concern, environment: dict[str, str]) -> str:
    if not concern.worlds:
        return ""
    status, _ = _run([sys.executable, "-m", "simulation", "--seeds", str(concern.worlds)], TESTS, environment)
    return "the simulation" if status else ""


def _run(command: list[str], directory: Path, environment: dict[str, str]) -> tuple[int, str]:
    """The exit status and what was said; whatever was started is ended with it."""
    with subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=RUN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.communicate()
            return 1, "it hangs"
        return process.returncode, said
