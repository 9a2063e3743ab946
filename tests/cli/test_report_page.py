"""The page of a report in a real browser: no barrier, nothing loaded, on wide and narrow screens and on paper."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest
from journeyman.cli.reporting.content import Report
from journeyman.cli.reporting.page import page
from journeyman.journal.log import Page as LogPage
from journeyman.tasks import TaskView
from journeyman.tasks.answers.trends import trends_answer
from journeyman.tasks.state import names
from journeyman.tasks.trends.view import TrendView
from journeyman.tasks.trends.window import Window
from playwright.sync_api import Browser
from support.browser import Visitor, chromium
from support.ledger import Ledger

AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
BEGIN: Final = 1_800_000_000.0


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with all of its tables, with long names in it."""
    log = Ledger(TaskView())
    for worker in ("ada", "bob"):
        log.join(worker)
    for number in range(40):
        task = f"task-{number}"
        log.submit(task, queue=f"queue-{number % 3}", task_name=f"shop.accounting.{'very_' * 6}long_name_{number % 4}")
        log.claim(task, "ada")
        error = {"name": "shop.errors.TheProviderHasNotAnsweredInTimeError", "text": "<script>alert(1)</script> " * 9}
        outcome = (names.SUCCEEDED, names.FAILED, names.RETRIED)[number % 3]
        log.end_attempt(outcome, task, "ada", ran_ms=1_000.0 * number, exception=error)
    log.claim("task-2", "bob")
    log.expire("bob")
    view = TrendView(Window.between(BEGIN - 1, BEGIN + log.end, 3))
    view.apply_page(LogPage(0, range(log.end), log.rows))
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(Report("sqlite:///shop.db", trends_answer(view.trends), BEGIN), BEGIN + 500), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_has_no_barrier_and_no_complaint(written: Path, browser: Browser, dark: bool) -> None:
    visitor = Visitor(browser, "", dark=dark)
    requested: list[str] = []
    visitor.page.on("request", lambda request: requested.append(request.url))
    try:
        visitor.page.goto(written.as_uri())
        visitor.page.locator("summary").click()
        visitor.page.evaluate(AXE)
        found: dict[str, Any] = visitor.page.evaluate("() => axe.run(document)")
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
        assert (visitor.complaints, requested) == ([], [written.as_uri()])
    finally:
        visitor.close()


@pytest.mark.parametrize(("width", "media"), [(390, "screen"), (1_360, "screen"), (720, "print")])
def test_page_fits_the_width_it_is_given(written: Path, browser: Browser, width: int, media: Any) -> None:
    visitor = Visitor(browser, "", width=width)
    try:
        visitor.page.goto(written.as_uri())
        visitor.page.emulate_media(media=media)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        visitor.close()
