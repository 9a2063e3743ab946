"""The page on conditional appends is one session: its code is run, and prints what the page says."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from journeyman.journal.kafka.limits import CONDITION_EVENTS_MAX
from journeyman.journal.limits import CONDITION_LOCKED_EVENTS

PAGE = (Path(__file__).parents[2] / "docs" / "appending.md").read_text(encoding="utf-8")


def test_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "appending"}
    printed, compared = "", 0
    for language, text in re.findall(r"```(python|text)\n(.*?)```", PAGE, re.DOTALL):
        if language == "text":
            assert printed == text
            printed, compared = "", compared + 1
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(text, "docs/appending.md", "exec"), names)
        printed = out.getvalue()
    assert compared == 2


def test_page_names_the_limits() -> None:
    assert f"fewer than {CONDITION_EVENTS_MAX:,}" in PAGE
    assert f"more than {CONDITION_LOCKED_EVENTS:,} events" in PAGE
