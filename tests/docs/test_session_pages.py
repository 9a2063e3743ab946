"""Pages that are one session each: the code is run from top to bottom, and prints what the page says."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("page", "outputs"), [("locks", 6), ("views", 4)])
def test_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, outputs: int) -> None:
    monkeypatch.chdir(tmp_path)
    path = DOCS / f"{page}.md"
    names: dict[str, Any] = {"__name__": page}
    printed, compared = "", 0
    for language, text in re.findall(r"```(python|text)\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        if language == "text":
            assert printed == text
            printed, compared = "", compared + 1
            continue
        assert not printed, "every block that prints is followed by what it prints"
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(text, str(path), "exec"), names)
        printed = out.getvalue()
    assert not printed
    assert compared == outputs
