"""The page on requests is one session: its code is run from top to bottom, and prints what it says."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "requests.md"


def test_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "requests"}
    printed, compared = "", 0
    for language, text in re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        if language == "text":
            assert printed == text
            printed, compared = "", compared + 1
            continue
        assert not printed, "every block that prints is followed by what it prints"
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(text, str(PAGE), "exec"), names)
        printed = out.getvalue()
    names["tracker"].journal.close()
    assert not printed
    assert compared == 1
