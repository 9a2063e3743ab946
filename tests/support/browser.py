"""A real Chromium, the system's own, driven by Playwright; missing it skips a test, and fails it in CI."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS = 60_000
IN_CI = bool(os.environ.get("CI"))


def browser_path() -> str:
    """The browser; skips the test, with a sentence, where there is none; in CI that is a failure."""
    found = next((path for path in map(shutil.which, NAMES) if path is not None), None)
    if found is None:
        said = "a browser is missing: install Chromium (Debian: apt-get install chromium)"
        if IN_CI:
            raise FileNotFoundError(said)
        pytest.skip(said)
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    path = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """A tab of the browser, and what its console has said: errors, and violations of the policy among them."""

    def __init__(
        self, browser: Browser, address: str, *, dark: bool = False, width: int = 1360, height: int = 900
    ) -> None:
        self.address = address
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            timezone_id="Europe/Berlin",
            locale="en-GB",
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._on_dialog)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _on_dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def open(self, place: str = "/") -> Page:
        """Show a view, and wait until it is drawn."""
        self.page.goto(f"{self.address}/#{place}")
        self.settled()
        return self.page

    def settled(self) -> None:
        """Wait until the view has been drawn and nothing is being fetched."""
        self.page.wait_for_selector("#main[aria-busy=false]")

    def close(self) -> None:
        self.context.close()
