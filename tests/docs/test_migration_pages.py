"""The pages for users of other queues: our side of them is run beside a real worker, and prints what the page says."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.cli.app import COMMANDS
from support.pages import MODULE, run_page
from support.waiting import wait_until

DOCS = Path(__file__).parents[2] / "docs"


@contextmanager
def worker(directory: Path) -> Iterator[None]:
    """A worker of the page's tasks."""
    log = directory / "worker.log"
    command = [sys.executable, "-m", "journeyman", "worker", "shop.tasks"]
    with log.open("w") as lines, subprocess.Popen(command, cwd=directory, stdout=lines, stderr=lines) as process:
        try:
            wait_until(lambda: "is ready" in log.read_text(), "the worker to be ready", 60.0)
            yield
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.parametrize(("page", "outputs"), [("from-celery", 2), ("from-rq", 1)])
def test_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, outputs: int) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    (module,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if block.startswith(MODULE)]
    (tmp_path / "shop" / "tasks.py").write_text(module, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with worker(tmp_path):
            _, compared = run_page(DOCS / f"{page}.md")
            assert compared == outputs
            sys.modules["shop.tasks"].broker.journal.close()
    finally:
        for name in [each for each in sys.modules if each == "shop" or each.startswith("shop.")]:
            del sys.modules[name]


def test_page_for_flux_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _, compared = run_page(DOCS / "from-flux.md")
    assert compared == 2


@pytest.mark.parametrize("page", ["from-celery", "from-rq"])
def test_names_of_our_side_in_the_tables_exist(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    ours = " ".join(row.rpartition(" | ")[2] for row in text.splitlines() if row.startswith("| "))
    for name in re.findall(r"`(?:raise )?(?:jm\.)?([A-Z]\w+)", ours):
        assert hasattr(jm, name), name
    assert set(re.findall(r"`journeyman ([a-z]+)", ours)) <= set(COMMANDS)
