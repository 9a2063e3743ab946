"""Every view shows the moment of the slider: it looks as it did before everything changed, and asks for that moment."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from page.changes import begin, change
from playwright.sync_api import Browser, Request
from support.browser import PATIENCE_MS, Visitor
from support.service import client, service_here
from support.waiting import wait_until

VIEWS: Final = sorted(
    path
    for file in files("journeyman.service.page").joinpath("static", "views").iterdir()
    for path in re.findall(r'^  path: "(.*)",$', file.read_text("utf-8"), re.MULTILINE)
)
FRAME: Final = ("/", "/key", "/events")  # the page, what its key permits, the live stream and the journal's beginning


class Shop(NamedTuple):
    """A service, a moment of which everything has changed since, and what each view said of it before."""

    address: str
    at: str
    names: dict[str, str]
    then: dict[str, str]


def place_of(view: str, names: dict[str, str], at: str | None) -> str:
    known = {**names, "text": "e", "task": names["letter"] if view.startswith("dead") else names["task"]}
    path = re.sub(r":(\w+)", lambda named: known[named[1]], view)
    return f"/{path}?at={at}" if at else f"/{path}"


class Tab:
    """A tab of the browser that knows what it waits for."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.visitor = Visitor(browser, address)
        self.asked: list[str] = []
        self.pending: set[Request] = set()
        self.visitor.page.on("request", self._begin)
        self.visitor.page.on("requestfinished", self._end)
        self.visitor.page.on("requestfailed", self._end)

    def _begin(self, request: Request) -> None:
        path = urlsplit(request.url).path
        if path not in FRAME and not path.startswith("/page/"):
            self.asked.append(request.url)
            self.pending.add(request)

    def _end(self, request: Request) -> None:
        self.pending.discard(request)

    def text(self, place: str) -> str:
        """What a view says once it is drawn with all that it has asked for."""
        page = self.visitor.open(place)
        wait_until(lambda: page.evaluate("() => true") and not self.pending, f"{place} to be fetched", 60)
        page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        self.visitor.settled()
        return str(page.locator("#main").inner_text(timeout=PATIENCE_MS))


@pytest.fixture(scope="module")
def shop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    url = f"sqlite:///{tmp_path_factory.mktemp('past')}/shop.db"
    with service_here(url) as address, client(address) as http:
        names = begin(url, http)
        moment = time.time() + 0.001
        at = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        wait_until(lambda: time.time() > moment + 0.001, "the moment to pass", 60)
        tab = Tab(browser, address)
        then = {view: tab.text(place_of(view, names, at)) for view in VIEWS}
        assert tab.visitor.complaints == []
        tab.visitor.close()
        change(url, http, names)
        yield Shop(address, at, names, then)


@pytest.fixture
def tab(browser: Browser, shop: Shop) -> Iterator[Tab]:
    tab = Tab(browser, shop.address)
    yield tab
    tab.visitor.close()


@pytest.mark.parametrize("view", VIEWS)
def test_view_of_a_moment_stays_as_it_was(shop: Shop, tab: Tab, view: str) -> None:
    page = tab.visitor.page
    assert tab.text(place_of(view, shop.names, shop.at)) == shop.then[view]
    assert page.locator("#main .problem").count() == 0
    moments = [parse_qs(urlsplit(url).query).get("as_of") for url in tab.asked]
    assert None not in moments, f"each request of the view names its moment: {tab.asked}"
    assert tab.visitor.complaints == []
    assert tab.text(place_of(view, shop.names, None)) != shop.then[view], "now it shows what has happened since"
