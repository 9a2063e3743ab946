"""The page on schedules is one session beside a real worker: its code is run, and prints what the page says."""

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journeyman.tasks import limits as task_limits
from journeyman.tasks.state.schedules import MISFIRES, OVERLAPS
from journeyman.workers import limits as worker_limits
from support.waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "schedules.md"
TEXT = PAGE.read_text()
MODULE = "# shop/tasks.py\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (module,) = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if block.startswith(MODULE)]
    (package / "tasks.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [each for each in sys.modules if each == "shop" or each.startswith("shop.")]:
        del sys.modules[name]


def test_page_prints_what_it_says(shop: Path) -> None:
    log = shop / "worker.log"
    with log.open("w") as lines:
        worker = subprocess.Popen(
            [sys.executable, "-m", "journeyman", "worker", "shop.tasks"], cwd=shop, stdout=lines, stderr=lines
        )
    try:
        wait_until(lambda: "is ready" in log.read_text(), "the worker to be ready")
        names: dict[str, Any] = {"__name__": "page"}
        printed, compared = "", 0
        for language, text in re.findall(r"```(python|text)\n(.*?)```", TEXT, re.DOTALL):
            if language == "text":
                assert printed == text
                printed, compared = "", compared + 1
            elif not text.startswith(MODULE):
                with contextlib.redirect_stdout(io.StringIO()) as out:
                    exec(compile(text, str(PAGE), "exec"), names)
                printed = out.getvalue()
        names["broker"].journal.close()
    finally:
        worker.terminate()
        worker.wait(60)
    assert compared == 3


def test_page_names_every_setting_and_limit() -> None:
    for value in (*MISFIRES, *OVERLAPS):
        assert f'`"{value}"`' in TEXT
    numbers = re.findall(r"`(SCHEDULES?_[A-Z_]+)` \(([\d,]+)", TEXT)
    assert len(numbers) == 6
    for name, number in numbers:
        value = getattr(task_limits, name, None) or getattr(worker_limits, name)
        assert int(number) in (value, value // 1_024)
