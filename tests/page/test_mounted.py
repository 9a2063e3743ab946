"""The service in a program's own ASGI application, under a path: the page and its requests work there."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from fastapi import FastAPI
from journeyman.journal.async_journal import AsyncJournal
from journeyman.service.app import create_app
from playwright.sync_api import expect
from support.browser import PATIENCE_MS, Visitor
from support.service import READY_SECONDS, client
from support.waiting import wait_until


@pytest.fixture(scope="module")
def own_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an application with the service under `/tools/queue`."""
    service = create_app(AsyncJournal(f"sqlite:///{Path(tmp_path_factory.mktemp('own')) / 'shop.db'}"))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.lifespan():
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/tools/queue", cast("Any", service))  # both are ASGI applications, each with its own types
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive(), "the application to accept requests", READY_SECONDS)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/tools/queue"
    service.state.backend.stopping.set()
    server.should_exit = True
    thread.join(READY_SECONDS)
    assert not thread.is_alive()


def test_page_works_in_an_own_application(visit: Callable[..., Visitor], own_address: str) -> None:
    page = visit(at=own_address).page
    expect(page.locator(".connection")).to_have_text("Live", timeout=PATIENCE_MS)
    with client(own_address) as http:
        http.post("/tasks", json={"task_name": "weigh", "queue": "a/b c"}).raise_for_status()
    page.get_by_role("link", name="a/b c").first.click()
    expect(page.locator("h1")).to_contain_text("a/b c", timeout=PATIENCE_MS)
    expect(page.locator(".viewport .row")).to_have_count(1, timeout=PATIENCE_MS)
