"""One browser and one service, over the story of a shop, for all tests of the page."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from journeyman.service.settings import Settings
from page.story import ADMIN_KEY, READ_KEY, tell
from playwright.sync_api import Browser
from support.browser import Visitor, chromium
from support.service import keyring, service_here


@pytest.fixture(scope="module")  # while it is open an event loop runs in this thread: other tests must not find it
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="package")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The journal of the story."""
    path: Path = tmp_path_factory.mktemp("page") / "shop.db"
    return f"sqlite:///{path}"


@pytest.fixture(scope="package")
def events(url: str) -> list[dict[str, Any]]:
    """The events of the story, written into the journal."""
    return tell(url, time.time())


@pytest.fixture(scope="package")
def address(url: str, events: list[dict[str, Any]]) -> Iterator[str]:
    """A service without keys."""
    with service_here(url) as at:
        yield at


@pytest.fixture(scope="package")
def locked_address(url: str, events: list[dict[str, Any]]) -> Iterator[str]:
    """A service of the same journal with keys."""
    keys = keyring(f"page read {READ_KEY}", f"ops admin {ADMIN_KEY}")
    with service_here(url, Settings(port=0, keyring=keys)) as at:
        yield at


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Visitor]]:
    """Opens a tab; at the end of the test its console must have said nothing."""
    opened: list[Visitor] = []

    def open_tab(place: str = "/", at: str | None = None, **options: Any) -> Visitor:
        visitor = Visitor(browser, at or address, **options)
        opened.append(visitor)
        visitor.page.goto(f"{visitor.address}/#{place}")
        return visitor

    yield open_tab
    for visitor in opened:
        visitor.close()
    assert [each for visitor in opened for each in visitor.complaints] == []
