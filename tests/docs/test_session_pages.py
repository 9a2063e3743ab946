"""Pages that are one session each: the code is run from top to bottom, and prints what the page says."""

from pathlib import Path

import pytest
from support.pages import run_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("page", "outputs"), [("locks", 6), ("views", 4)])
def test_page_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, outputs: int) -> None:
    monkeypatch.chdir(tmp_path)
    _, compared = run_page(DOCS / f"{page}.md")
    assert compared == outputs
