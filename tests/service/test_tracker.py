"""`/tracker`: as viewers of the Top Framework ask for it; no row that they stumble over, and no 5xx."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import journeyman as jm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.service.settings import Settings
from journeyman.service.tracker.rows import row
from journeyman.top import HTTPTask, JournalTracker, RESTAPITracker, RESTResponseException
from support.service import client, keyring, service_here

KEY = "any-key-of-16-characters"
READER = "reader-key-0123456789"
SERVER = "server-key-0123456789"


@pytest.fixture(scope="module")
def tracker(url: str) -> Iterator[JournalTracker[HTTPTask]]:
    with jm.Journal(url) as journal:
        yield JournalTracker(journal, instance="web")


def ask(http: httpx2.Client, action: str = "active-tasks", key: str = KEY, **more: str) -> Any:
    answer = http.get("/tracker", params={"api-key": key, "action": action, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_active_tasks_are_a_bare_object(http: httpx2.Client, tracker: JournalTracker[HTTPTask]) -> None:
    tracker.start_task(HTTPTask(1, path="/active", method="GET"))
    active = ask(http)
    assert active["web/1"]["path"] == "/active"
    assert active["web/1"]["recorded_successfully"] is None
    tracker.end_task(HTTPTask(1, status_code=200))
    assert "web/1" not in ask(http)


def test_completed_tasks_are_a_bare_array_newest_first(http: httpx2.Client, tracker: JournalTracker[HTTPTask]) -> None:
    for number in (11, 12):
        tracker.start_task(HTTPTask(number))
        tracker.end_task(HTTPTask(number, status_code=204))
    completed = ask(http, "completed-tasks")
    assert [task["task_id"] for task in completed[:2]] == [12, 11]
    assert completed[0]["status_code"] == 204


@pytest.mark.parametrize(
    ("params", "status", "text"),
    [
        ({"action": "active-tasks"}, 403, "api-key parameter missing"),
        ({"api-key": "short", "action": "active-tasks"}, 403, "not known"),
        ({"api-key": KEY}, 400, "action parameter missing"),
        ({"api-key": KEY, "action": "dance"}, 400, "Invalid action parameter"),
    ],
)
def test_wrong_request_is_told_in_plain_text(
    http: httpx2.Client, params: dict[str, str], status: int, text: str
) -> None:
    answer = http.get("/tracker", params=params)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (status, "text/plain")
    assert text in answer.text


@pytest.mark.parametrize("action", ["start-task", "end-task", "clear"])
@pytest.mark.parametrize("body", [b"{bad", b"\xff", b"[" * 50_000], ids=["malformed", "no text", "deep"])
def test_body_that_is_no_json_is_told_in_plain_text(http: httpx2.Client, action: str, body: bytes) -> None:
    answer = http.post("/tracker", params={"api-key": KEY, "action": action}, content=body)
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (400, "text/plain")
    assert "not JSON" in answer.text


def test_other_methods_are_refused(http: httpx2.Client) -> None:
    assert http.delete("/tracker", params={"api-key": KEY, "action": "active-tasks"}).status_code == 405


def test_tasks_of_the_queue_are_rows_if_asked_for(http: httpx2.Client, url: str) -> None:
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message("paint", uuid="queue-1"))
    worker = http.post("/workers/join", json={"tasks": ["paint"]}).json()["worker"]
    (claimed,) = http.post("/workers/claim", json={"worker": worker, "wait": 20}).json()["tasks"]
    assert "queue-1" not in ask(http)
    active = ask(http, tasks="1")["queue-1"]
    assert (active["task_name"], active["processor_name"]) == ("paint", worker)
    http.post("/workers/complete", json={"worker": worker, "task": "queue-1", "claim": claimed["claim"]})
    done = [task for task in ask(http, "completed-tasks", tasks="1") if task["task_id"] == "queue-1"]
    assert done[0]["recorded_successfully"] is True


# -- through the client ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keyed(url: str) -> Iterator[str]:
    ring = keyring(f"page read {READER}", f"web-9 read,submit {SERVER}")
    with service_here(url, Settings(keyring=ring, port=0)) as at:
        yield f"{at}/tracker"


def test_client_records_and_reads_over_http(keyed: str) -> None:
    server = RESTAPITracker(keyed, HTTPTask, SERVER)
    server.start_task(HTTPTask(1, path="/a"))
    server.start_task(HTTPTask(2))
    server.end_task(HTTPTask(1, status_code=200))
    page = RESTAPITracker(keyed, HTTPTask, READER)
    assert list(page.get_active_tasks()) == ["web-9/2"]
    assert page.get_completed_tasks()[0].path == "/a"
    server.clear()
    assert page.get_active_tasks() == {}
    assert page.get_completed_tasks()[0].recorded_successfully is False


def test_requests_are_listed_now_and_as_of_a_moment(url: str, address: str) -> None:
    server = RESTAPITracker(f"{address}/tracker", HTTPTask, SERVER)
    server.start_task(HTTPTask(7, path="/seven"))
    with client(address) as http:
        now = http.get("/requests").json()
        assert [each["task"]["path"] for each in now["active"] if each["request"] == "7"] == ["/seven"]
        past = http.get("/requests", params={"as_of": "1h"}).json()
    assert (past["active"], past["completed"], past["active_in_all"]) == ([], [], 0)
    server.clear()


def test_key_that_may_only_read_records_nothing(keyed: str) -> None:
    page = RESTAPITracker(keyed, HTTPTask, READER)
    with pytest.raises(RESTResponseException, match="does not permit") as raised:
        page.clear()
    assert READER not in str(raised.value)


def test_key_appears_in_no_message(keyed: str) -> None:
    tracker = RESTAPITracker("http://127.0.0.1:9/tracker", HTTPTask, SERVER)
    with pytest.raises(RESTResponseException) as raised:
        tracker.get_active_tasks()
    assert SERVER not in f"{raised.value!r} {tracker!r} {raised.getrepr(chain=True)}"
    with pytest.raises(RESTResponseException, match="not known"):
        RESTAPITracker(keyed, HTTPTask, "wrong-key-0123456789").get_active_tasks()


def test_missing_key_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOP_WEB_API_KEY", raising=False)
    with pytest.raises(RuntimeError, match="TOP_WEB_API_KEY"):
        RESTAPITracker("http://127.0.0.1:9/tracker", HTTPTask)
    monkeypatch.setenv("TOP_WEB_API_KEY", READER)
    assert RESTAPITracker("http://127.0.0.1:9/tracker", HTTPTask).api_url.endswith("/tracker")


class _Node(BaseHTTPRequestHandler):
    """As the Node server of the reference answers."""

    def do_GET(self) -> None:
        self._answer(200, b"{}")

    def do_POST(self) -> None:
        self._answer(500, b"Only GET method supported")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_server_of_others_can_only_be_read() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Node) as server:
        threading.Thread(target=server.serve_forever).start()
        elsewhere = RESTAPITracker(f"http://127.0.0.1:{server.server_port}/tracker", HTTPTask, KEY)
        assert elsewhere.get_active_tasks() == {}
        for record in (elsewhere.clear, lambda: elsewhere.start_task(HTTPTask(1))):
            with pytest.raises(NotImplementedError, match="can only be read"):
                record()
        elsewhere.close()
        server.shutdown()


# -- no row harms a viewer ---------------------------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
HEADERS = st.lists(st.tuples(st.sampled_from(["HOST", "User-Agent", "CONTENT-LENGTH", "SET-COOKIE"]), st.text()))


@given(st.dictionaries(st.sampled_from(HTTPTask.field_names()), ANYTHING), HEADERS)
def test_any_record_becomes_a_row_that_can_be_read(fields: dict[str, Any], headers: list[tuple[str, str]]) -> None:
    made = row({**fields, "request_headers": headers, "response_headers": headers}, "9")
    task = HTTPTask.from_dict(json.loads(json.dumps(made)))
    assert task.started_at is not None
    assert task.get_duration() is not None
    task.get_host(), task.get_user_agent(), task.get_content_length(), task.get_flag(), task.get_original_ip()
    for name in ("path", "uri"):
        assert "[" not in (getattr(task, name) or "")
    for text in (task.method, task.processor_name, task.get_user_agent()):
        assert text is None or text.count("[") == text.count(r"\[")
        assert text is None or text.isprintable()
    for time in (task.started_at, task.updated_at, task.ended_at):
        assert time is None or isinstance(time, datetime)


@pytest.mark.parametrize("path", ["/a[/b]", "/\x1b[31m", "/" + "é" * 50])
def test_hostile_path_is_made_harmless(path: str) -> None:
    assert "[" not in row({"path": path}, "1")["path"]


def test_many_requests_harm_no_other_caller(address: str, http: httpx2.Client) -> None:
    with client(address) as hostile:
        for text in ("\r\nX: y", "a" * 10_000, "%00", "[/b]"):
            answer = hostile.get("/tracker", params={"api-key": text, "action": text})
            assert answer.status_code < 500
    assert isinstance(ask(http), dict)
