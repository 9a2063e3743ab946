"""Types: user code that is right passes, and each mistake is a type error at its line, for mypy and for pyright."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TYPED = Path(__file__).parent / "typed"
CONFIG = Path(__file__).parents[2] / "pyproject.toml"
_SAID = re.compile(r"(?:.*/)?(\w+\.py):([0-9]+): error: .*\[([a-z-]+)\]")


def _expected() -> set[tuple[str, int, str]]:
    """The file, the line and the code of each error that a remark names."""
    return {
        (file.name, number, code)
        for file in TYPED.glob("*.py")
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if "  # error: " in line
        for code in line.partition("  # error: ")[2].split(", ")
    }


@pytest.mark.timeout(300)  # without its cache mypy reads the whole package
def test_mypy_finds_each_mistake_and_no_other() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", CONFIG, "--no-pretty", TYPED / "right.py", TYPED / "wrong.py"],
        cwd=CONFIG.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    said = [match for match in map(_SAID.match, checked.stdout.splitlines()) if match is not None]
    assert {(match[1], int(match[2]), match[3]) for match in said} == _expected(), checked.stdout + checked.stderr


@pytest.mark.timeout(300)
def test_pyright_finds_each_mistake_and_no_other() -> None:
    pyright = shutil.which("pyright")
    if pyright is None:
        pytest.skip("pyright is not installed: `pip install pyright` has these files checked by it, too")
    checked = subprocess.run(
        [pyright, "--pythonpath", sys.executable, TYPED / "right.py", TYPED / "wrong.py"],
        cwd=CONFIG.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    found = set(re.findall(r"(\w+\.py):([0-9]+):[0-9]+ - error", checked.stdout))
    assert found == {(file, str(line)) for file, line, _ in _expected()}, checked.stdout + checked.stderr
