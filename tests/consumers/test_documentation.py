"""docs/consumers.md: its examples run and print what it says; every test that it and compatibility.md name is there."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
DOCUMENT = (DOCS / "consumers.md").read_text(encoding="utf-8")
COMPATIBILITY = (DOCS / "compatibility.md").read_text(encoding="utf-8")


def test_examples_print_what_the_document_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "document"}
    printed, blocks = "", re.findall(r"```(python|text)\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(blocks) > 15
    for language, block in blocks:
        if language == "text":
            assert printed == block
            continue
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(block, "docs/consumers.md", "exec"), namespace)
        printed = output.getvalue()
    namespace["totals"].close()
    commands = "".join(re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)).splitlines()
    assert len(commands) > 5
    for command in commands:
        _, *arguments = shlex.split(command)
        done = subprocess.run(
            [sys.executable, "-m", "journeyman", *arguments],
            env=os.environ | {"JOURNEYMAN_JOURNAL": "sqlite:///shop.db"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_each_point_has_a_decision_and_existing_tests() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", COMPATIBILITY, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, 59))
    sources = "".join(path.read_text() for path in HERE.parent.rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT + COMPATIBILITY))
    assert len(named) > 60
    assert {name for name in named if f"def {name}(" not in sources} == set()
