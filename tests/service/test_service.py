"""The service itself: what it says of itself, its problem documents, its end."""

import signal
import socket
from pathlib import Path

import httpx2
import pytest
from journeyman.journal.async_journal import AsyncJournal
from journeyman.service.app import ROUTES, create_app
from journeyman.service.description import handlers_of
from journeyman.service.keys import Scope
from journeyman.service.server import AddressInUse, listen
from support.service import client, service_process


def test_root_describes_the_service(http: httpx2.Client, url: str) -> None:
    answer = http.get("/")
    assert answer.json()["journal"] == url
    assert answer.headers["Journal-Cursor"].startswith("0:")


def test_unknown_path_is_a_problem_document(http: httpx2.Client) -> None:
    answer = http.get("/nothing/here")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:journeyman:not-found"


def test_every_route_names_its_scope() -> None:
    for handler in handlers_of(ROUTES):
        assert "scope" in handler.opt, f"{handler} names no scope: opt={{'scope': Scope.READ}}"
        assert handler.opt["scope"] is None or handler.opt["scope"] in Scope


def test_openapi_document_names_the_problems(http: httpx2.Client) -> None:
    document = http.get("/schema/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert {"400", "401", "500"} <= operation["responses"].keys(), (method, path)


def test_page_of_the_description_needs_no_script(http: httpx2.Client) -> None:
    page = http.get("/schema").text
    assert "openapi.json" in page
    assert "<script" not in page


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_without_keys_other_host_names_are_refused(http: httpx2.Client, host: str) -> None:
    answer = http.get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert "--keys" in answer.json()["detail"]


def test_without_keys_pages_of_other_sites_are_refused(http: httpx2.Client) -> None:
    assert http.get("/", headers={"Origin": "https://evil.example"}).status_code == 403
    assert http.get("/", headers={"Origin": str(http.base_url).rstrip("/")}).status_code == 200


def test_sigterm_ends_the_service_with_status_0(tmp_path: Path) -> None:
    with service_process(f"sqlite:///{tmp_path}/shop.db") as served, client(served.address) as http:
        assert http.get("/").status_code == 200
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(60) == 0


def test_taken_port_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AddressInUse, match="--port"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_application_can_be_made_without_a_server() -> None:
    assert create_app(AsyncJournal("memory://")).state.backend.trouble is None
