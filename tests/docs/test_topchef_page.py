"""The page on TopChef is one session with a real service: its code is run, and prints what it says."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

from support.service import service_here

PAGE = Path(__file__).parents[2] / "docs" / "topchef.md"


def test_page_prints_what_it_says(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "quickstart"}
    printed, compared = "", 0
    with service_here(f"sqlite:///{tmp_path}/kitchen.db") as address:
        page = PAGE.read_text(encoding="utf-8").replace("http://127.0.0.1:8080", address)
        for language, text in re.findall(r"```(python|text)\n(.*?)```", page, re.DOTALL):
            if language == "text":
                assert printed == text
                printed, compared = "", compared + 1
                continue
            assert not printed, "every block that prints is followed by what it prints"
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(text, str(PAGE), "exec"), names)
            printed = out.getvalue()
    assert not printed
    assert compared == 2
