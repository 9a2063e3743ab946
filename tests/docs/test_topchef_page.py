"""The page on TopChef is one session with a real service: its code is run, and prints what it says."""

from pathlib import Path

from support.pages import run_page
from support.service import service_here

PAGE = Path(__file__).parents[2] / "docs" / "topchef.md"


def test_page_prints_what_it_says(tmp_path: Path) -> None:
    with service_here(f"sqlite:///{tmp_path}/kitchen.db") as address:
        page = PAGE.read_text(encoding="utf-8").replace("http://127.0.0.1:8080", address)
        _, compared = run_page(PAGE, page)
    assert compared == 2
