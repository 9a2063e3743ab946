"""The rules of the client without a network: what is repeated, how long it waits, what it reads in answers."""

from collections.abc import Callable
from typing import Any

import pytest
from journeyman.topchef.calls import ServerTraits, wait_for_job
from journeyman.topchef.dialect import created_id, result_of, said_by
from journeyman.topchef.errors import (
    AccessDeniedError,
    ClaimLostError,
    JobFailedError,
    NetworkError,
    ProcessingError,
    ServiceNotFoundError,
)
from journeyman.topchef.exchange import Answer, Call, Pause, Request, ask, drive
from journeyman.topchef.limits import JOB_OUTAGE_SECONDS, RECONNECT_SECONDS_MAX, REPEATS_MAX
from journeyman.topchef.listening import Listening, Run


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()}, str(body))


class Stage:
    """Performs steps in virtual time: requests by `reply`, which may raise; jobs run as `run` says."""

    def __init__(self, reply: Callable[[Request], Answer], run: Callable[[Any], Any] = lambda parameters: {}) -> None:
        self._reply = reply
        self._run = run
        self.now = 0.0
        self.requests: list[Request] = []

    def clock(self) -> float:
        return self.now

    def perform(self, step: Any) -> Any:
        if isinstance(step, Pause):
            self.now += step.seconds
            return None
        if isinstance(step, Run):
            return self._run(step.assignment.parameters)
        assert isinstance(step, Request)
        self.requests.append(step)
        return self._reply(step)

    def run(self, call: Call[Any]) -> Any:
        return drive(call, self.perform)


def failing(times: int, error: Exception | Answer) -> Callable[[Request], Answer]:
    left = [times]

    def reply(request: Request) -> Answer:
        left[0] -= 1
        if left[0] < 0:
            return answer(200)
        if isinstance(error, Exception):
            raise error
        return error

    return reply


LOST = NetworkError("lost")
UNSENT = NetworkError("refused", was_sent=False)


@pytest.mark.parametrize(
    ("error", "repeatable", "sent"),
    [
        (LOST, True, 3),
        (UNSENT, False, 3),
        (answer(429), False, 3),
        (answer(503), True, 3),
        (answer(503), False, 1),
        (answer(500), True, 1),
    ],
)
def test_request_is_repeated_where_that_is_safe(error: Any, repeatable: bool, sent: int) -> None:
    stage = Stage(failing(2, error))
    stage.run(ask(Request("POST", "/x", repeatable=repeatable)))
    assert len(stage.requests) == sent


def test_request_that_may_have_arrived_is_not_repeated() -> None:
    stage = Stage(failing(2, LOST))
    with pytest.raises(NetworkError):
        stage.run(ask(Request("POST", "/services", repeatable=False)))
    assert len(stage.requests) == 1


def test_repeats_end_and_wait_as_the_server_asks() -> None:
    stage = Stage(failing(99, answer(503, retry_after="7")))
    assert stage.run(ask(Request("GET", "/x"))).status == 503
    assert len(stage.requests) == REPEATS_MAX + 1
    assert stage.now == 7 * REPEATS_MAX


def test_wait_asks_less_and_less_at_a_server_that_does_not_wait() -> None:
    stage = Stage(lambda request: answer(200, {"data": {"status": "WORKING"}}))
    with pytest.raises(TimeoutError, match="WORKING after 60 seconds"):
        stage.run(wait_for_job("j", 60.0, stage.clock))
    assert stage.now == pytest.approx(60.0)
    assert len(stage.requests) < 70


def test_wait_says_why_a_job_has_failed() -> None:
    details = {"status": "error", "error": {"name": "ValueError", "text": "no salt"}}
    with pytest.raises(JobFailedError, match="no salt") as caught:
        Stage(lambda request: answer(200, details)).run(wait_for_job("j", None, lambda: 0.0))
    assert caught.value.details == details


@pytest.mark.parametrize(("timeout", "outage", "outlives"), [(None, 50, True), (None, 100, False), (20, 100, False)])
def test_wait_outlasts_an_outage_of_a_minute(timeout: float | None, outage: float, outlives: bool) -> None:
    def away(request: Request) -> Answer:
        if stage.now < outage:
            raise LOST
        return answer(200, {"data": {"status": "COMPLETED", "results": {"x": 1}}})

    stage = Stage(away)
    call = wait_for_job("j", timeout, stage.clock)
    if outlives:
        assert stage.run(call) == {"x": 1}
        return
    with pytest.raises(NetworkError, match="lost"):
        stage.run(call)
    assert stage.now < (timeout or JOB_OUTAGE_SECONDS) + 5


def test_id_and_result_are_read_in_every_dialect() -> None:
    assert created_id(answer(201, {"data": {"job_details": {"id": "a"}}}), "job_details") == "a"
    assert created_id(answer(201, {"data": {"id": "a"}}), "job_details") == "a"
    located = answer(201, {"data": {"message": "made"}}, location="http://h/base/services/a/")
    assert created_id(located, "service_details") == "a"
    with pytest.raises(NetworkError):
        created_id(answer(201, {"data": {"message": "made"}}), "service_details")
    assert result_of({"result": {}, "results": {"x": 1}}) == result_of({"result": {"x": 1}}) == {"x": 1}
    assert result_of({"results": None}) is None


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"status_code": 400, "title": "Bad", "detail": "no salt"}]},
        {"errors": {"message": "Bad", "context": ["no salt"]}},
        {"errors": {"message": "Bad", "serializer_errors": {"message": "no salt"}}},
        {"errors": "no salt"},
        {"type": "about:blank", "detail": "no salt"},
    ],
)
def test_errors_are_read_in_every_shape(body: Any) -> None:
    assert "no salt" in said_by(answer(400, body))


def listening(errors: list[Exception], until: Callable[[], bool]) -> Listening:
    return Listening(ServerTraits(), "s", 30_000, checks=False, is_stopping=until, on_error=errors.append)


def original(request: Request) -> Answer:
    if request.path.endswith("/claim"):
        return answer(404)
    return answer(204) if "/queue" in request.path else answer(200, {"data": {}})


def test_idle_listener_asks_an_original_about_once_a_second() -> None:
    stage = Stage(original)
    stage.run(listening([], lambda: stage.now > 100).process())
    assert len(stage.requests) < 120


def test_listener_outlives_its_network() -> None:
    def gone(request: Request) -> Answer:
        if stage.now < 60:
            raise LOST
        return answer(200, {"data": None})

    errors: list[Exception] = []
    stage = Stage(gone)
    stage.run(listening(errors, lambda: bool(stage.requests) and stage.now >= 60).process())
    assert set(errors) == {LOST}
    assert 60 / (RECONNECT_SECONDS_MAX + 2) < len(errors) < 30


def test_result_is_sent_again_until_it_arrives() -> None:
    def patchy(request: Request) -> Answer:
        if request.method == "POST":
            return answer(200, {"data": {"id": "j", "parameters": {}, "token": 5, "lease_ms": 1}})
        reports.append(request)
        if stage.now < 60:
            raise LOST
        return answer(200, {})

    reports: list[Request] = []
    stage = Stage(patchy, lambda parameters: {"x": 1})
    assert stage.run(listening([], lambda: False).iterate(persistent=True)) is True
    assert stage.now >= 60
    assert {each.headers["X-Claim-Token"] for each in reports} == {"5"}
    assert all(each.body == {"status": "COMPLETED", "results": {"x": 1}} for each in reports)


@pytest.mark.parametrize(("status", "kind"), [(409, ClaimLostError), (401, AccessDeniedError)])
def test_report_that_is_refused_is_not_repeated(status: int, kind: type[Exception]) -> None:
    def reply(request: Request) -> Answer:
        if request.method == "POST":
            return answer(200, {"data": {"id": "j", "parameters": {}, "token": 5, "lease_ms": 1}})
        return answer(status, {"errors": [{"detail": "gone"}]})

    stage = Stage(reply)
    with pytest.raises(kind, match="gone"):
        stage.run(listening([], lambda: False).iterate(persistent=True))
    assert len(stage.requests) == 2


def claiming(request: Request) -> Answer:
    return answer(200, {"data": {"id": "j", "parameters": {}, "token": 5, "lease_ms": 1}})


@pytest.mark.parametrize("error", [NetworkError("another server"), ServiceNotFoundError("another service"), KeyError()])
def test_error_of_a_job_is_never_one_of_the_listener(error: Exception) -> None:
    def fail(parameters: Any) -> Any:
        raise error

    errors: list[Exception] = []
    stage = Stage(claiming, fail)
    stage.run(listening(errors, lambda: len(errors) > 2).process())
    assert errors == [error] * 3
    assert [request.body["status"] for request in stage.requests[1::2]] == ["ERROR"] * 3
    assert stage.now == 0


def test_listener_does_not_hurry_at_a_server_that_refuses_everything() -> None:
    def reply(request: Request) -> Answer:
        if "/queue" in request.path:
            return answer(200, {"data": [{"id": "j", "status": "REGISTERED"}]})
        return answer(404 if request.method == "POST" else 200 if request.method == "GET" else 400, {"data": {}})

    errors: list[Exception] = []
    stage = Stage(reply)
    stage.run(listening(errors, lambda: stage.now > 100).process())
    assert 15 < len(errors) < 40


def test_result_that_is_too_large_fails_the_job() -> None:
    def reply(request: Request) -> Answer:
        if request.method == "POST":
            return claiming(request)
        return answer(413 if "results" in request.body else 200, {"errors": [{"detail": "too large"}]})

    errors: list[Exception] = []
    stage = Stage(reply)
    stage.run(listening(errors, lambda: bool(errors)).process())
    assert isinstance(errors[0], ProcessingError)
    assert "too large" in str(errors[0])
    assert stage.requests[-1].body["status"] == "ERROR"


def test_job_waits_while_its_schemas_cannot_be_had() -> None:
    def reply(request: Request) -> Answer:
        if request.method == "GET":
            raise LOST
        return claiming(request)

    errors: list[Exception] = []
    keen = Listening(ServerTraits(), "s", 1, checks=True, is_stopping=lambda: bool(errors), on_error=errors.append)
    stage = Stage(reply)
    stage.run(keen.process())
    assert errors == [LOST]
    assert stage.requests[-1].body == {"status": "REGISTERED"}


def test_interrupted_job_is_given_back() -> None:
    def interrupt(parameters: Any) -> Any:
        raise KeyboardInterrupt

    stage = Stage(claiming, interrupt)
    with pytest.raises(KeyboardInterrupt):
        stage.run(listening([], lambda: False).iterate())
    assert stage.requests[-1].body == {"status": "REGISTERED"}


def test_result_that_is_no_json_fails_the_job() -> None:
    stage = Stage(claiming, lambda parameters: {"x": float("nan")})
    with pytest.raises(RuntimeError, match="no JSON"):
        stage.run(listening([], lambda: False).iterate())
    assert stage.requests[-1].body["status"] == "ERROR"
    assert "no JSON" in stage.requests[-1].body["error"]["text"]
