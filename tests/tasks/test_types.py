"""Types: user code that is right passes, and each mistake is a type error at its line, for mypy and for pyright."""

import json
import re
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
def test_pyright_finds_each_mistake_and_no_other(tmp_path: Path) -> None:
    """By basedpyright, the pyright that comes as a wheel with all it needs; in pyright's own standard mode."""
    settings = {
        "include": [str(TYPED)],
        "extraPaths": [str(CONFIG.parent / ".venv" / "types")],  # as for mypy: see mypy_path in pyproject.toml
        "typeCheckingMode": "standard",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    checked = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--project", tmp_path, "--pythonpath", sys.executable, "--outputjson"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout.lstrip().startswith("{"), checked.stdout + checked.stderr
    said = [each for each in json.loads(checked.stdout)["generalDiagnostics"] if each["severity"] == "error"]
    found = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in said}
    assert found == {(file, line) for file, line, _ in _expected()}, checked.stdout
