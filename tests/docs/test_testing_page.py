"""The page on testing is a project: pytest runs its files with the plugin, and the assertion says what is shown."""

import os
import re
import subprocess
import sys
from pathlib import Path

import journeyman.testing
import pytest
from journeyman.testing import Workbench

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
FILES = {
    block.partition("\n")[0].removeprefix("# "): block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of the page."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (settings,) = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "pytest.ini").write_text(f"{settings}pythonpath = .\nfilterwarnings = error\n", encoding="utf-8")
    return tmp_path


def checked(project: Path, *names: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [str(Path(sys.executable).with_name("pytest")), "-q", *names]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_files_of_the_page_pass_their_tests(project: Path) -> None:
    names = [name for name in FILES if name.startswith("tests/") and name != "tests/test_wrong.py"]
    done = checked(project, *names)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(FILES[name].count('def test_') for name in names)} passed" in done.stdout
    assert not list(project.glob("*.db")), "nothing has reached the journal of production"


def test_failing_assertion_says_what_the_page_shows(project: Path) -> None:
    done = checked(project, "tests/test_wrong.py")
    assert "1 failed" in done.stdout, done.stdout + done.stderr
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    told = "\n".join(line.removeprefix("E").strip() for line in done.stdout.splitlines())
    for line in shown.splitlines():
        assert line.strip() in told


def test_names_of_the_page_are_all_there_are() -> None:
    (table,) = re.findall(r"\| name \| \|\n(.*?)\n\n", PAGE, re.DOTALL)
    cells = "".join(line.split("|")[1] for line in table.splitlines())
    named = set(re.findall(r"`(\w+)[`(]", cells))
    assert named == {name for name in dir(Workbench) if not name.startswith("_")} | {"journal"}
    for name in journeyman.testing.__all__:
        assert getattr(journeyman.testing, name) is not None
