"""Clients of GET /events that are not ours: curl, Node.js, and the EventSource of a real browser."""

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from journeyman.journal import Journal
from support.browser import browser_path
from support.service import free_port, service_process
from support.waiting import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
IN_CI = bool(os.environ.get("CI"))
PATIENCE = 60.0

needs_curl = pytest.mark.skipif(shutil.which("curl") is None and not IN_CI, reason="curl is missing: install curl")
needs_node = pytest.mark.skipif(
    shutil.which("node") is None and not IN_CI, reason="Node.js 18 or newer is missing: install nodejs"
)


class Lines:
    """The lines that a program prints, as they come."""

    def __init__(self, *command: str) -> None:
        self.seen: list[dict[str, Any]] = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.seen.append(json.loads(line))

    def numbers(self) -> list[int]:
        """The `n` of the events so far."""
        return [each["context"]["n"] for each in self.seen if "name" in each]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def printing(*command: str) -> Iterator[Lines]:
    """Run a program beside the test."""
    lines = Lines(*command)
    try:
        yield lines
    finally:
        lines.end()


def append(url: str, start: int, end: int) -> None:
    with Journal(url) as journal:
        journal.append_all([("order.paid", {"n": n}, str(n)) for n in range(start, end)])


@needs_curl
def test_curl_follows_lines(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    append(url, 0, 3)
    with service_process(url) as served:
        accept = "Accept: application/x-ndjson"
        with printing("curl", "-sN", "-H", accept, f"{served.address}/events?include_sentinel=true") as curl:
            wait_until(lambda: any("sentinel" in each for each in curl.seen), "history", PATIENCE)
            append(url, 3, 6)
            wait_until(lambda: len(curl.numbers()) == 6, "the live events", PATIENCE)
            assert curl.numbers() == list(range(6))


@needs_node
def test_javascript_client_goes_on_after_a_killed_service(tmp_path: Path) -> None:
    url, port = f"sqlite:///{tmp_path}/shop.db", free_port()
    append(url, 0, 3)
    with printing("node", str(EXAMPLES / "follow_events.mjs"), f"http://127.0.0.1:{port}", "order") as client:
        with service_process(url, port=port):  # killed at the end of the block
            wait_until(lambda: len(client.numbers()) == 3, "history", PATIENCE)
            append(url, 3, 6)
            wait_until(lambda: len(client.numbers()) == 6, "live events", PATIENCE)
        append(url, 6, 9)
        with service_process(url, port=port):
            wait_until(lambda: len(client.numbers()) >= 9, "the events after the outage", PATIENCE)
            append(url, 9, 12)
            wait_until(lambda: len(client.numbers()) >= 12, "live events again", PATIENCE)
        assert client.numbers() == list(range(12))


PAGE = """<!doctype html><title>events</title><script>
const source = new EventSource("%s/events?topic=order&include_sentinel=true");
const tell = (what) => navigator.sendBeacon("/told", JSON.stringify(what));
source.onmessage = (event) => tell({ id: event.lastEventId, ...JSON.parse(event.data) });
source.addEventListener("sentinel", () => tell({ sentinel: true }));
</script>"""


class _PageHandler(http.server.BaseHTTPRequestHandler):
    """Serves the page, and takes what it tells."""

    page = ""
    told: list[dict[str, Any]]

    def do_GET(self) -> None:
        self._answer(200, self.page.encode() if self.path == "/" else b"")

    def do_POST(self) -> None:
        self.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(204, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def page(service: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve a page that follows a service; yields its address, and what it has told."""
    told: list[dict[str, Any]] = []
    handler = type("Handler", (_PageHandler,), {"page": PAGE % service, "told": told})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", told
        finally:
            server.shutdown()
            thread.join()


def numbers(told: list[dict[str, Any]]) -> list[int]:
    return sorted(each["context"]["n"] for each in told if "name" in each)


def test_event_source_of_a_browser_follows_and_comes_again(tmp_path: Path) -> None:
    program, url, port = browser_path(), f"sqlite:///{tmp_path}/shop.db", free_port()
    append(url, 0, 3)
    with page(f"http://127.0.0.1:{port}") as (at, told):
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        command = [program, *options, f"--user-data-dir={tmp_path}/profile", "--remote-debugging-port=0", at]
        with service_process(url, "--cors", at, port=port) as served:
            chromium = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_until(lambda: {"sentinel": True} in told, "the browser to read history", PATIENCE)
                append(url, 3, 6)
                wait_until(lambda: len(numbers(told)) == 6, "live events", PATIENCE)
                served.process.terminate()  # tells the browser to come again
                served.process.wait()
                append(url, 6, 9)
                with service_process(url, "--cors", at, port=port):
                    wait_until(lambda: len(numbers(told)) >= 9, "the events after the restart", PATIENCE)
            finally:
                chromium.kill()
                chromium.wait()
    assert numbers(told) == list(range(9))
    ids = {each["context"]["n"]: each["id"] for each in told if "name" in each}
    assert [int(ids[n].split(":")[1]) for n in range(9)] == list(range(1, 10))
