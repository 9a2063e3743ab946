"""The first paint of the page in a browser, beside a bare route whose answer the same browser shows."""

import shutil
from typing import Final

from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Floor, Spread, Target, ratio_of
from journeyman.bench.http_load import serving
from journeyman.journal import Journal
from journeyman.tasks import Broker, Message
from playwright.sync_api import Browser, sync_playwright

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUEUES: Final = 10
PAGE_BYTES: Final = 100_000
# Notes when the first line of the queues stands in the document, in ms since the navigation began.
_WATCH: Final = """
new MutationObserver((_, watch) => {
  if (document.querySelector("td.name")) { window.filledAt = performance.now(); watch.disconnect(); }
}).observe(document, { childList: true, subtree: true });
"""
_PAINT: Final = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def embedded(bench: Bench) -> list[Figure]:
    """Open the page of a service with waiting tasks, and the bare route, round by round, each without a cache."""
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    title = "first paint of the page on loopback"
    if browser is None:
        return [Figure("first-paint", title, "", skipped="install Chromium (Debian: apt-get install chromium)")]
    with bench.file("page") as path:
        url, waiting = sqlite_url(path), bench.size.long_backlog_tasks
        with Journal(url) as journal:
            messages = (Message("bench.noop", queue=f"queue-{number % QUEUES}") for number in range(waiting))
            Broker(journal).submit_all(messages, new=True)
        with (
            serving("journeyman", "serve", "--journal", url, "--port", "0") as service,
            serving("journeyman.bench.raw_litestar", str(PAGE_BYTES)) as bare,
            sync_playwright() as playwright,
        ):
            opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            bench.progress("first-paint: opening the page")
            _painted(opened, bare, filled=False)  # the browser itself has started then
            rounds = [
                (*_painted(opened, service, filled=True), _painted(opened, bare, filled=False)[0])
                for _ in range(2 * bench.size.rounds)
            ]
            opened.close()
    ours, filled, floor = ([each[place] for each in rounds] for place in range(3))
    spread = Spread.of(ours)
    return [
        Figure(
            "first-paint", f"{title}, {waiting:,} waiting tasks", "ms", spread,
            Floor("a bare Litestar route, as the browser shows it", Spread.of(floor)), ratio_of(ours, floor),
            (Target("first paint", "at most", 300.0, spread.median, "ms"),),
            {"queues_shown_ms": Spread.of(filled).median},
        )
    ]  # fmt: skip


def _painted(browser: Browser, address: str, *, filled: bool) -> tuple[float, float]:
    """Return when the browser painted first, and when the queues stood there, in ms since the navigation began."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(_WATCH)
    page.goto(address)
    if filled:
        page.wait_for_function("() => window.filledAt !== undefined")
    page.wait_for_function(_PAINT)
    found = page.evaluate(_PAINT), page.evaluate("() => window.filledAt ?? 0")
    context.close()
    return found
