"""The documentation builds as a site, without a warning, a broken link or an address of another host."""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from docsite import build, check, lives, reference
from support.browser import PATIENCE_MS, chromium

ROOT = Path(__file__).parents[2]
STEPS = [pytest.param(step, id=f"{step.module}:{step.function}") for step in {*lives.EVENT, *lives.TASK}]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; building it fails on a warning, a broken link and a foreign host."""
    return build.build(tmp_path_factory.mktemp("docs") / "build")


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """A server of files on this host; its address."""
    handler = partial(QuietHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_site_builds_strictly_and_shows_every_page(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}


def test_browser_reads_and_searches_the_site_from_its_own_host_alone(site: Path) -> None:
    asked: list[str] = []
    with served(site) as address, chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/task-states.html")
        assert page.locator("img[src$='task-states.svg']").evaluate("image => image.complete && image.naturalWidth > 0")
        page.keyboard.press("Control+k")
        page.keyboard.type("fencing token")
        page.locator("a[href*='how-it-works.html?h=fencing']").first.click()
        page.wait_for_url("**/how-it-works.html?h=fencing*")
    assert f"{address}/search.json" in asked
    assert not [url for url in asked if not url.startswith((f"{address}/", "data:", "blob:"))]


def test_reference_shows_every_public_name(site: Path) -> None:
    missing = []
    for room in reference.ROOMS:
        text = (site / "reference" / f"{room.page}.html").read_text(encoding="utf-8")
        missing += [name for name in reference.public_names(room) if f'id="{room.package}.{name}"' not in text]
    assert not missing


def test_reference_shows_no_private_name(site: Path) -> None:
    shown = [
        each
        for path in (site / "reference").glob("*.html")
        for each in re.findall(r'id="(journeyman[\w.]+)"', path.read_text(encoding="utf-8"))
    ]
    assert len(shown) > 300
    assert not [each for each in shown if any(part.startswith("_") for part in each.split("."))]


def test_reference_has_a_page_for_each_public_name() -> None:
    packages = {room.package for room in reference.ROOMS}
    shown = {(room.package, name) for room in reference.ROOMS for name in reference.public_names(room)}
    public = {(package, name) for package in packages for name in importlib.import_module(package).__all__}
    assert {name for _, name in public - shown} == set(reference.TRIGGERS)


def test_check_finds_broken_links_and_foreign_hosts(tmp_path: Path) -> None:
    (tmp_path / "one.html").write_text(
        '<h2 id="here"></h2><a href="#here"></a><a href="two.html#there"></a>'
        '<a href="three.html"></a><a href="#nowhere"></a>'
        '<script src="https://cdn.example/x.js"></script><a href="https://elsewhere.example/"></a>'
    )
    (tmp_path / "two.html").write_text('<h2 id="there"></h2>')
    (tmp_path / "style.css").write_text("@font-face { src: url(https://fonts.example/x.woff2) }")
    assert check.problems(tmp_path) == [
        "one.html: fetches https://cdn.example/x.js from another host",
        "one.html: the link three.html leads to no file",
        "one.html: the link #nowhere leads to no heading of one.html",
        "style.css: fetches url(https://fonts.example/x.woff2 from another host",
    ]


@pytest.mark.parametrize("step", STEPS)
def test_step_of_a_life_names_a_function_of_the_code(step: lives.Step) -> None:
    found: object = importlib.import_module("journeyman." + step.module.removesuffix(".py").replace("/", "."))
    for part in step.function.split("."):
        found = getattr(found, part)
    assert callable(found)
