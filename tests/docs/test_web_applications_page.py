"""The page on web applications: its programs run, with both frameworks, on a file and behind a service."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from journeyman.service.server import listen
from support.service import service_here
from support.waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "web-applications.md"
TEXT = PAGE.read_text()
MODULE = re.compile(r"# (shop/\w+\.py)\n")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's package, with a worker that runs its tasks on the journal in a file."""
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        place = MODULE.match(block)
        assert place is not None, "every program of the page says where it stands"
        (tmp_path / place[1]).write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("JOURNEYMAN_JOURNAL", "sqlite:///shop.db")
    with (tmp_path / "log").open("w") as lines:
        command = [sys.executable, "-m", "journeyman", "worker", "shop.tasks"]
        with subprocess.Popen(command, stdout=lines, stderr=lines) as worker:
            try:
                wait_until(lambda: "is ready" in (tmp_path / "log").read_text(), "the worker to be ready")
                yield tmp_path
            finally:
                worker.terminate()
    for name in [each for each in sys.modules if each == "shop" or each.startswith("shop.")]:
        del sys.modules[name]


@contextmanager
def serving(app: Any) -> Iterator[httpx2.Client]:
    """Serve an application from a thread; its end is that of a server that is told to stop."""
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=10)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive(), "the application to start")
            with httpx2.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60.0) as http:
                yield http
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive(), "the application has not ended"


@pytest.mark.parametrize("framework", ["litestar", "fastapi"])
@pytest.mark.parametrize("scheme", ["sqlite", "http"])
def test_application_of_the_page_runs(shop: Path, monkeypatch: pytest.MonkeyPatch, framework: str, scheme: str) -> None:
    if scheme == "sqlite":
        use(import_module(f"shop.with_{framework}").app)
        return
    with service_here("sqlite:///shop.db") as address:
        monkeypatch.setenv("JOURNEYMAN_JOURNAL", address)
        use(import_module(f"shop.with_{framework}").app)


def use(app: Any) -> None:
    with serving(app) as http:
        assert "EventSource" in http.get("/").text
        order = http.post("/orders/cat.png", params={"steps": 5}).json()["order"]
        with http.stream("GET", f"/orders/{order}/news") as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
            lines = list(response.iter_lines())
        sent = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith('data: {"')]
        assert [each["status"] for each in sent[:1] + sent[-1:]] == ["SUBMITTED", "SUCCEEDED"]
        assert any(each["details"].get("progress", {}).get("total") == 5 for each in sent)
        assert "event: end" in lines
        assert http.get(f"/orders/{order}/picture").json() == {"picture": "cat.png, resized"}
        assert http.get(f"/orders/{order}").json()["status"] == "SUCCEEDED"
        assert http.get("/orders/nothing").status_code == 404
        _waits_stop_nothing(http)
        _readers_come_and_go(app, http)


def _waits_stop_nothing(http: httpx2.Client) -> None:
    """While requests wait for results, others are answered; and a revoked order ends its wait."""
    orders = [http.post("/orders/dog.png", params={"steps": 100_000}).json()["order"] for _ in range(4)]
    with ThreadPoolExecutor(len(orders)) as threads:
        waits = [threads.submit(http.get, f"/orders/{order}/picture") for order in orders]
        assert http.get(f"/orders/{orders[0]}").json()["status"] in ("SUBMITTED", "RUNNING")
        assert not any(wait.done() for wait in waits)
        for order in orders:
            assert http.delete(f"/orders/{order}").json() == {"order": order, "now": "revoked"}
        assert [wait.result(30).status_code for wait in waits] == [409] * 4


def _readers_come_and_go(app: Any, http: httpx2.Client) -> None:
    """A browser that leaves its stream leaves no reader of the journal behind."""
    order = http.post("/orders/cow.png", params={"steps": 100_000}).json()["order"]
    journal = app.state.desk._broker._there()[0].journal
    before = journal.readers
    for _ in range(5):
        with http.stream("GET", f"/orders/{order}/news") as response:
            assert "data" in next(response.iter_lines())
    wait_until(lambda: journal.readers <= before + 1, "the readers to be gone")
    assert http.delete(f"/orders/{order}").json()["now"] == "revoked"
