"""`HTTPTask`: its fields, what follows from them, and how it is written and read."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.top import HTTPTask, InvalidTask, Task

FIELDS = [
    "task_id",
    "task_name",
    "host_name",
    "process_id",
    "thread_id",
    "process_internal_id",
    "processor_name",
    "started_at",
    "updated_at",
    "ended_at",
    "recorded_successfully",
    "tags",
    "command_line",
    "protocol",
    "host",
    "method",
    "path",
    "params",
    "uri",
    "client_ip_address",
    "request_headers",
    "status_code",
    "status_message",
    "response_headers",
]
EXAMPLE: dict[str, Any] = {
    "task_id": 7,
    "started_at": "2026-11-30T09:00:00+00:00",
    "ended_at": "2026-11-30T09:00:01.500000+00:00",
    "method": "GET",
    "path": "/api/orders",
    "request_headers": [["HOST", "shop.example"], ["X-FORWARDED-FOR", "203.0.113.9, 10.0.0.1"], ["CF-IPCOUNTRY", "fi"]],
    "client_ip_address": "10.0.0.1",
    "status_code": 200,
    "response_headers": [["CONTENT-LENGTH", "42"], ["SET-COOKIE", "a=1"], ["SET-COOKIE", "b=2"]],
}


def test_fields_are_those_of_the_reference_in_its_order() -> None:
    assert list(HTTPTask.field_names()) == FIELDS
    assert HTTPTask(1, "name").task_name == "name"
    assert all(getattr(HTTPTask(), name) is None for name in FIELDS)


def test_derivations() -> None:
    task = HTTPTask.from_dict(EXAMPLE)
    assert task.get_duration() == 1.5
    assert task.get_host() == "shop.example"
    assert task.get_original_ip() == "203.0.113.9"
    assert (task.get_ip_country(), task.get_flag()) == ("FI", "🇫🇮")
    assert task.get_content_length() == 42
    assert task.get_user_agent() is None
    assert task.get_accept_encoding() is None
    assert (task.get_ago() or 0.0) != 0.0


def test_running_task_has_a_duration_and_no_end() -> None:
    task = HTTPTask(started_at=datetime.now(UTC) - timedelta(seconds=5))
    assert (task.get_duration() or 0.0) >= 5.0
    assert task.get_ago() is None
    assert HTTPTask().get_duration() is None


@pytest.mark.parametrize(("country", "flag"), [("T1", None), ("XX", None), ("", None), ("f1", None), ("DEU", None)])
def test_what_is_no_country_has_no_flag(country: str, flag: None) -> None:
    assert HTTPTask(request_headers=[("CF-IPCOUNTRY", country)]).get_flag() is flag


def test_header_is_found_by_any_case() -> None:
    task = HTTPTask(request_headers=[("User-Agent", "curl")])
    assert task.get_single_request_header("USER-AGENT") == task.get_single_request_header("user-agent") == "curl"


def test_repeated_header_is_an_assertion() -> None:
    task = HTTPTask.from_dict(EXAMPLE)
    with pytest.raises(AssertionError, match="SET-COOKIE appears 2 times"):
        task.get_single_response_header("set-cookie")


def test_length_that_is_no_number_is_none() -> None:
    assert HTTPTask(response_headers=[("CONTENT-LENGTH", "many")]).get_content_length() is None


def test_tasks_are_equal_and_hashed_by_their_id() -> None:
    assert HTTPTask(1, path="/a") == HTTPTask(1, path="/b")
    assert HTTPTask(1) != HTTPTask(2)
    assert len({HTTPTask(1), HTTPTask(1, path="/b")}) == 1


def test_round_trips_keep_every_field() -> None:
    task = HTTPTask.from_dict(EXAMPLE)
    for again in (
        HTTPTask.from_dict(task.to_dict()),
        HTTPTask.from_json(task.to_json()),
        HTTPTask.deserialise(task.serialise()),
        HTTPTask.schema().load(HTTPTask.schema().dump(task)),
    ):
        assert again.to_dict() == task.to_dict()
    assert json.loads(task.to_json(indent=1))["path"] == "/api/orders"
    assert task.to_dict()["request_headers"][0] == ["HOST", "shop.example"]


def test_unknown_fields_are_kept() -> None:
    task = HTTPTask.from_dict({**EXAMPLE, "colour": "red"})
    assert task.to_dict()["colour"] == "red"


def test_schema_handles_many_and_chosen_fields() -> None:
    schema = HTTPTask.schema(many=True, only=("task_id", "path"))
    assert schema.dump([HTTPTask(1, path="/a", method="GET")]) == [{"task_id": 1, "path": "/a"}]
    assert schema.loads('[{"task_id": 2, "method": "GET"}]')[0].method is None
    assert HTTPTask.schema().validate({"status_code": "ok"})["status_code"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task_id", 1.5),
        ("status_code", "ok"),
        ("status_code", True),
        ("process_id", "7"),
        ("started_at", 1_795_305_600),
        ("started_at", "yesterday"),
        ("tags", ["a"]),
        ("request_headers", {"HOST": "a"}),
        ("request_headers", [["HOST", 1]]),
        ("response_headers", 5),
        ("recorded_successfully", "yes"),
    ],
)
def test_bad_value_is_refused_with_its_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidTask, match=field):
        HTTPTask.from_dict({field: value})


@pytest.mark.parametrize("blob", ["", "[]", "null", "{", b"\xff"])
def test_what_is_no_task_is_refused(blob: Any) -> None:
    with pytest.raises(InvalidTask):
        HTTPTask.deserialise(blob)


@pytest.mark.parametrize("text", ["2026-11-30T09:00:00", "2026-11-30T09:00:00Z", "2026-11-30T11:00:00+02:00"])
def test_time_without_a_zone_is_utc(text: str) -> None:
    assert HTTPTask.from_dict({"started_at": text}).started_at == datetime(2026, 11, 30, 9, tzinfo=UTC)


def test_task_of_the_current_thread_knows_where_it_runs() -> None:
    task = HTTPTask.create_from_current_thread(5, path="/a")
    assert (task.task_id, task.thread_id, task.path) == (5, threading.get_native_id(), "/a")
    assert task.get_processor_tracking_id() == f"pid:{task.process_id} tid:{task.thread_id}"
    internal = Task(process_id=1, thread_id=2, process_internal_id="w3")
    assert internal.get_processor_tracking_id() == "1-2-w3"


@given(
    st.dictionaries(st.sampled_from([*FIELDS, "other"]), st.none() | st.integers() | st.text() | st.lists(st.text()))
)
def test_any_data_is_a_task_or_refused(data: dict[str, Any]) -> None:
    try:
        task = HTTPTask.from_dict(data)
    except InvalidTask:
        return
    assert HTTPTask.from_dict(task.to_dict()).to_dict() == task.to_dict()
