"""Where the services stand, who may ask what, and how many may wait."""

import base64
import threading
from pathlib import Path
from typing import Any

import pytest
from journeyman.cli import main
from journeyman.service.keys import Keyring
from journeyman.service.mounts import checked_path
from journeyman.service.settings import Settings
from support.service import keyring, service_here
from support.topchef_original import PARAMETERS, ask, must

READER, SUBMITTER, WORKER = ("reader-key-0123456789", "submitter-key-01234567", "worker-key-01234567890")
SERVICE = {"name": "n", "description": "d", "job_registration_schema": PARAMETERS}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def memory(**settings: Any) -> Any:
    return service_here("memory://", Settings(port=0, **settings))


def test_services_stand_where_they_are_mounted() -> None:
    with memory(topchef="/api/v2") as address:
        url = must(ask("POST", f"{address}/api/v2/services", SERVICE), 201)["links"]["self"]
        assert url.startswith(f"{address}/api/v2/services/")
        assert ask("GET", f"{address}/topchef").status == 404


def test_services_can_be_left_out() -> None:
    with memory(topchef=None) as address:
        answer = ask("GET", f"{address}/topchef")
        assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["topchef", "/", "", "/a b", "/{x}", "//"])
def test_path_that_cannot_be_mounted_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="expected a path"):
        checked_path(path)
    assert checked_path("/topchef/") == "/topchef"


@pytest.mark.parametrize("path", ["topchef", "/tasks", "/schema/of/ours", "/log", "/workers"])
def test_command_refuses_such_a_path(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JOURNEYMAN_JOURNAL", raising=False)
    assert main(("serve", "--journal", f"sqlite:///{tmp_path}/shop.db", "--port", "0", "--topchef", path)) == 2
    assert "expected a path" in " ".join(capsys.readouterr().err.split())


def test_each_request_needs_its_scope() -> None:
    ring: Keyring = keyring(f"r read {READER}", f"s read,submit {SUBMITTER}", f"w read,work {WORKER}")
    with memory(keyring=ring) as address:
        base = f"{address}/topchef"
        refused = ask("GET", base)
        assert (refused.status, refused.json["errors"][0]["status_code"]) == (401, 401)
        assert refused.headers["Www-Authenticate"] == "Bearer"
        assert ask("POST", f"{base}/services", SERVICE, bearer(SUBMITTER)).status == 403
        service = must(ask("POST", f"{base}/services", SERVICE, bearer(WORKER)), 201)["data"]["id"]
        url, job = f"{base}/services/{service}", {"parameters": {"n": 1}}
        assert ask("POST", f"{url}/jobs", job, bearer(WORKER)).status == 403
        job_url = must(ask("POST", f"{url}/jobs", job, bearer(SUBMITTER)), 201)["links"]["self"]
        for method, path in (("PATCH", url), ("PATCH", job_url), ("PUT", job_url), ("POST", f"{url}/jobs/claim")):
            assert ask(method, path, {"listener": "l"}, bearer(SUBMITTER)).status == 403, (method, path)
        override = {"X-HTTP-Method-Override": "PATCH"} | bearer(READER)
        assert ask("POST", url, headers=override).status == 403, "the method that is carried out decides"
        for path in ("", "/services", f"/services/{service}", f"/services/{service}/queue", "/jobs", "/validator"):
            assert ask("GET", f"{base}{path}", headers=bearer(READER)).status == 200, path


def test_key_can_come_as_a_password() -> None:
    with memory(keyring=keyring(f"r read {READER}")) as address:
        basic = base64.b64encode(f":{READER}".encode()).decode()
        assert ask("GET", f"{address}/topchef", headers={"Authorization": f"Basic {basic}"}).status == 200


def test_waiting_requests_count_against_the_quota_and_cost_no_thread() -> None:
    with memory(keyring=keyring(f"w read,work {WORKER} streams=2")) as address:
        base = f"{address}/topchef"
        service = must(ask("POST", f"{base}/services", SERVICE, bearer(WORKER)), 201)["data"]["id"]
        statuses: list[int] = []

        def listen() -> None:
            body = {"listener": threading.current_thread().name, "wait": 2}
            statuses.append(ask("POST", f"{base}/services/{service}/jobs/claim", body, bearer(WORKER)).status)

        before = {thread.name for thread in threading.enumerate()}
        threads = [threading.Thread(target=listen, name=f"listener {n}") for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        served = {thread.name for thread in threading.enumerate()} - before
        assert set(statuses) == {200, 429}
        assert len(served) <= 1, served


def test_routes_are_described(address: str) -> None:
    document = must(ask("GET", f"{address}/schema/openapi.json"))
    paths = {path for path in document["paths"] if path.startswith("/topchef")}
    assert len(paths) == 13
    claim = document["paths"]["/topchef/services/{service}/jobs/claim"]["post"]
    assert claim["requestBody"]["content"]["application/json"]["schema"]["required"] == ["listener"]
    assert "Errors" in str(claim["responses"]["409"])
