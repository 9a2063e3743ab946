"""The README's example is run, and prints what the README says."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_first_example_prints_what_the_readme_shows(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", blocks("python")[0]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == blocks("text")[0]


def test_task_example_runs_with_the_worker_of_the_readme(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(blocks("python")[1], encoding="utf-8")
    worker = subprocess.Popen(
        [sys.executable, "-m", "journeyman", "worker", "shop.tasks"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", blocks("python")[2]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout == "15\n"
    finally:
        worker.terminate()
        assert worker.wait(timeout=60) == 0
        assert worker.stdout is not None
        worker.stdout.close()


def test_readme_is_short_and_names_both_commands() -> None:
    assert len(README.splitlines()) <= 110
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in ("demo", "test"):
        assert f"make {command}" in README
        assert re.search(rf"^{command}:", makefile, re.MULTILINE)
