"""The middleware: each request is recorded, none fails or waits because of it."""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.journal.errors import JournalUnavailable
from journeyman.top import HTTPTask, JournalTracker, TrackASGI, TrackWSGI, gunicorn_hooks, recorder
from journeyman.top.recorder import Recorder
from journeyman.top.redaction import REDACTED


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[JournalTracker[HTTPTask]]:
    with jm.Journal(f"sqlite:///{tmp_path}/requests.db") as journal:
        made: JournalTracker[HTTPTask] = JournalTracker(journal, instance="web")
        yield made
        made.recorder.close()


def scope(path: str = "/orders", query: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = ()) -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": "http",
        "method": "GET",
        "path": path,
        "query_string": query,
        "client": ("203.0.113.9", 4711),
        "headers": [(b"host", b"shop.example"), *headers],
    }


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"o", "more_body": True})
    await send({"type": "http.response.body", "body": b"k"})


def ask(app: Any, request: dict[str, Any]) -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    asyncio.run(app(request, receive, send))
    return sent


def completed(tracker: JournalTracker[HTTPTask]) -> list[HTTPTask]:
    assert tracker.recorder.flush(20)
    assert tracker.get_active_tasks() == {}
    return tracker.get_completed_tasks()


def test_request_is_recorded_to_its_last_byte(tracker: JournalTracker[HTTPTask]) -> None:
    ask(TrackASGI(answer, tracker), scope(query=b"page=2"))
    (task,) = completed(tracker)
    assert (task.method, task.path, task.params, task.status_message) == ("GET", "/orders", {"page": "2"}, "200 OK")
    assert (task.client_ip_address, task.host, task.get_content_length()) == ("203.0.113.9", "shop.example", 2)
    assert task.uri == "http://shop.example/orders?page=2"
    assert task.recorded_successfully is True
    assert (task.get_duration() or -1.0) >= 0.0


@pytest.mark.parametrize("error", [ValueError("wrong"), asyncio.CancelledError()])
def test_failed_request_is_recorded_as_such(tracker: JournalTracker[HTTPTask], error: BaseException) -> None:
    async def fail(_scope: Any, _receive: Any, _send: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        ask(TrackASGI(fail, tracker), scope())
    (task,) = completed(tracker)
    assert (task.recorded_successfully, task.status_code) == (False, None)


def test_client_that_disconnects_ends_the_record(tracker: JournalTracker[HTTPTask]) -> None:
    async def cut(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        assert (await receive())["type"] == "http.disconnect"

    ask(TrackASGI(cut, tracker), scope())
    (task,) = completed(tracker)
    assert (task.recorded_successfully, task.status_code) == (False, 200)


def test_ignored_path_is_not_recorded(tracker: JournalTracker[HTTPTask]) -> None:
    app = TrackASGI(answer, tracker, ignore=("/tracker", "/healthz"))
    for path in ("/tracker", "/healthz", "/orders"):
        ask(app, scope(path))
    assert [task.path for task in completed(tracker)] == ["/orders"]


def test_secrets_are_not_recorded(tracker: JournalTracker[HTTPTask]) -> None:
    secret = b"very-secret-0123456789"
    headers = [(name, secret) for name in (b"authorization", b"cookie", b"x-api-key", b"x-csrf-token")]
    ask(TrackASGI(answer, tracker), scope(query=b"api-key=" + secret + b"&q=tea", headers=headers))
    (task,) = completed(tracker)
    assert secret.decode() not in task.to_json()
    assert task.params == {"api-key": REDACTED, "q": "tea"}
    assert task.get_single_request_header("cookie") == REDACTED


def test_wsgi_request_is_recorded_when_its_body_is_closed(tracker: JournalTracker[HTTPTask]) -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("404 Not Found", [("Content-Length", "2")])
        return [b"no"]

    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/a", "HTTP_USER_AGENT": "curl", "REMOTE_ADDR": "203.0.113.9"}
    body = TrackWSGI(app, tracker)(environ, lambda *_: None)
    assert b"".join(body) == b"no"
    body.close()  # type: ignore[attr-defined] # as a server does
    (task,) = completed(tracker)
    assert (task.status_code, task.get_user_agent(), task.method) == (404, "curl", "POST")
    assert task.recorded_successfully is True


def test_wsgi_error_ends_the_record(tracker: JournalTracker[HTTPTask]) -> None:
    def app(_environ: Any, _start_response: Any) -> list[bytes]:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        TrackWSGI(app, tracker)({"PATH_INFO": "/a"}, lambda *_: None)
    assert completed(tracker)[0].recorded_successfully is False


def test_gunicorn_hooks_record_a_request(tracker: JournalTracker[HTTPTask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn_hooks, "_tracker", lambda: tracker)

    class Request:
        method, path, query, scheme = "GET", "/a", "page=1", "http"
        peer_addr = ("203.0.113.9", 1)
        headers = (("HOST", "shop.example"),)

    class Response:
        status_code, headers = 500, (("CONTENT-LENGTH", "0"),)

    tracker.start_task(HTTPTask("left behind"))
    gunicorn_hooks.when_ready(None)
    for response in (Response(), None):
        request = Request()
        gunicorn_hooks.pre_request("worker 1", request)
        gunicorn_hooks.post_request("worker 1", request, {}, response)
    missing, failed, swept = completed(tracker)
    assert (failed.status_code, failed.processor_name, failed.recorded_successfully) == (500, "worker 1", True)
    assert (missing.status_code, missing.recorded_successfully) == (None, False)
    assert (swept.task_id, swept.recorded_successfully) == ("left behind", False)


class _Away:
    """A sink that fails, until it is back."""

    def __init__(self) -> None:
        self.is_away = True
        self.taken: list[Any] = []

    def record(self, entries: Any) -> None:
        if self.is_away:
            raise JournalUnavailable("it is away")
        self.taken += entries


def test_outage_drops_and_counts_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "BUFFER_EVENTS_MAX", 10)
    monkeypatch.setattr(recorder, "RECORD_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(recorder, "RECORD_RETRY_SECONDS_MAX", 0.01)
    sink = _Away()
    recording = Recorder(sink)
    accepted = sum(recording.start(HTTPTask) for _ in range(1_000))
    assert recording.dropped == 1_000 - accepted
    assert 10 <= accepted < 1_000
    sink.is_away = False
    assert recording.flush(20)
    assert len(sink.taken) == accepted
    recording.close()
    assert recording.start(HTTPTask) is False
