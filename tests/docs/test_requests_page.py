"""The page on requests is one session: its code is run from top to bottom, and prints what it says."""

from pathlib import Path

import pytest
from support.pages import run_page

PAGE = Path(__file__).parents[2] / "docs" / "requests.md"


def test_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names, compared = run_page(PAGE)
    names["tracker"].journal.close()
    assert compared == 1
