"""Each route as the newer dialect of TopChef documents it: methods, statuses, headers, bodies, both kinds of errors."""

import uuid
from typing import Any

import pytest
from support.topchef_original import Answer, ask, must, new_job, new_service

UNKNOWN = str(uuid.UUID(int=1))


def errors(answer: Answer, status: int) -> list[dict[str, Any]]:
    """The errors of an answer, each with its status, its title and its detail."""
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    found = answer.json["errors"]
    assert all({"status_code", "title", "detail"} <= each.keys() and each["status_code"] == status for each in found)
    return list(found)


def test_base_url_says_what_the_api_is(base: str) -> None:
    for url in (base, f"{base}/"):
        answer = must(ask("GET", url))
        assert answer["data"].keys() == answer["meta"]["schema"]["properties"].keys()
        assert answer["meta"]["schema"]["$schema"] == "http://json-schema.org/draft-04/schema#"
        assert answer["links"]["self"] == base


def test_service_is_registered_listed_and_shown(base: str) -> None:
    body = {"name": "é", "description": "d", "job_registration_schema": {"type": "object"}, "job_result_schema": {}}
    made = ask("POST", f"{base}/services", body)
    assert made.status == 201
    assert made.json["data"]["message"] == "service successfully created"
    url = made.headers["Location"]
    assert made.json["links"]["self"] == url
    assert url.startswith(f"{base}/services/")
    shown = must(ask("GET", url))
    assert {"service_schema"} <= shown["meta"].keys()
    assert {name: shown["data"][name] for name in body} == body
    assert (shown["data"]["timeout"], shown["data"]["has_timed_out"], shown["data"]["jobs"]) == (30, False, [])
    listed = must(ask("GET", f"{base}/services"))
    assert {"id": shown["data"]["id"], "name": "é", "description": "d"}.items() <= listed["data"][-1].items()
    assert {"service_schema", "new_service_schema"} <= listed["meta"].keys()


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ({}, "Deserialization Error From Client Data"),
        ({"name": 7, "description": "d", "job_registration_schema": {}}, "Deserialization Error From Client Data"),
        ([], "Deserialization Error From Client Data"),
    ],
)
def test_service_that_lacks_something_is_refused(base: str, body: Any, title: str) -> None:
    assert errors(ask("POST", f"{base}/services", body), 400)[0]["title"] == title


def test_service_with_a_bad_schema_is_refused_with_the_place(base: str) -> None:
    bad = {"properties": {"a": {"type": "objekt"}}}
    body = {"name": "n", "description": "", "job_registration_schema": bad, "job_result_schema": {}}
    (error,) = errors(ask("POST", f"{base}/services", body), 400)
    assert error["title"] == "JSONSchema Validation Error"
    assert error["path"] == "$.properties.a.type"


def test_check_in_takes_no_body_and_none_that_is_no_json(base: str, service: str) -> None:
    for body in (b"", b"{", b"\xff"):
        answer = must(ask("PATCH", f"{base}/services/{service}", raw=body))
        assert answer["meta"].startswith("Service checked in at 2")


def test_service_is_changed_as_far_as_it_is_named(base: str, service: str) -> None:
    url = f"{base}/services/{service}"
    changed = must(ask("PATCH", url, {"name": "new", "timeout": 60, "is_available": False, "description": None}))
    assert (changed["data"]["name"], changed["data"]["timeout"]) == ("new", 60)
    assert changed["data"]["is_service_available"] is False
    assert must(ask("GET", url)) == changed
    assert errors(ask("PATCH", url, {"timeout": -1}), 400)
    assert must(ask("PATCH", url, {"timeout": 0}))["data"]["timeout"] == 0


def test_job_is_submitted_and_shown(base: str, service: str) -> None:
    made = ask("POST", f"{base}/services/{service}/jobs", {"parameters": {"n": 3}})
    assert made.status == 201
    job = made.json["data"]
    assert made.json["meta"] == f"new job ID is {job['id']}"
    assert made.headers["Location"] == f"{base}/jobs/{job['id']}" == made.json["links"]["self"]
    shown = must(ask("GET", made.headers["Location"]))
    expected = {"status": "REGISTERED", "parameters": {"n": 3}, "results": None}
    assert expected.items() <= shown["data"].items()
    assert shown["data"]["date_submitted"].endswith("+00:00")
    assert {"job_info_schema", "patch_request_schema"} <= shown["meta"].keys()
    line = {key: job[key] for key in ("id", "status", "date_submitted")}
    assert must(ask("GET", f"{base}/services/{service}"))["data"]["jobs"] == [line]
    assert line in must(ask("GET", f"{base}/jobs"))["data"]
    jobs = must(ask("GET", f"{base}/services/{service}/jobs"))
    assert jobs["data"] == [shown["data"]]
    assert jobs["meta"]["new_job_schema"]["properties"]["parameters"]["required"] == ["n"]


def test_job_that_does_not_fit_is_refused_with_every_place(base: str) -> None:
    schema = {"properties": {"a": {"type": "integer"}, "b": {"items": {"maximum": 3}}}, "required": ["c"]}
    service = new_service(base, job_registration_schema=schema)
    found = errors(ask("POST", f"{base}/services/{service}/jobs", {"parameters": {"a": "x", "b": [1, 9]}}), 400)
    assert {(each["path"], each["rule"]) for each in found} == {
        ("$", "#/required"),
        ("$.a", "#/properties/a/type"),
        ("$.b[1]", "#/properties/b/items/maximum"),
    }
    assert must(ask("GET", f"{base}/services/{service}/queue?wait=0"))["data"] == []


def test_queue_and_next_hold_the_oldest_jobs(base: str, service: str) -> None:
    url = f"{base}/services/{service}"
    assert (ask("GET", f"{url}/jobs/next").status, ask("GET", f"{url}/jobs/next").text) == (204, "")
    jobs = [new_job(base, service, n) for n in range(12)]
    must(ask("PATCH", f"{base}/jobs/{jobs[0]}", {"status": "working"}))
    queue = must(ask("GET", f"{url}/queue"))
    assert [job["id"] for job in queue["data"]] == jobs[:10]
    assert "data_schema" in queue["meta"]
    following = must(ask("GET", f"{url}/jobs/next"))
    assert (following["data"]["id"], "job_schema" in following["meta"]) == (jobs[1], True)


def test_patch_of_a_job_answers_without_an_envelope(base: str, service: str) -> None:
    url = f"{base}/jobs/{new_job(base, service)}"
    assert must(ask("PATCH", url, {"status": "WORKING", "results": None}))["status"] == "WORKING"
    assert must(ask("PATCH", url, {"results": {"square": 4}}))["results"] == {"square": 4}
    assert must(ask("PATCH", url, {"status": "registered"}))["status"] == "REGISTERED"
    assert must(ask("PATCH", url, {"status": "COMPLETED", "results": {"square": 5}}))["results"] == {"square": 5}
    assert must(ask("PATCH", url, {"status": "COMPLETED"}))["status"] == "COMPLETED"
    assert errors(ask("PATCH", url, {"status": "WORKING"}), 409)
    assert errors(ask("PATCH", url, {"results": {"square": 6}}), 409)
    assert must(ask("GET", url))["data"]["results"] == {"square": 5}


def test_result_that_does_not_fit_is_refused(base: str, service: str) -> None:
    url = f"{base}/jobs/{new_job(base, service)}"
    (error,) = errors(ask("PATCH", url, {"status": "COMPLETED", "results": {"square": "x"}}), 400)
    assert (error["title"], error["path"]) == ("JSONSchema Validation Error", "$.square")
    assert errors(ask("PATCH", url, {"status": "DONE"}), 400)[0]["title"] == "Deserialization Error From Client Data"
    assert must(ask("GET", url))["data"]["status"] == "REGISTERED"


def test_method_can_be_overridden(base: str, service: str) -> None:
    url = f"{base}/jobs/{new_job(base, service)}"
    override = {"X-HTTP-Method-Override": "PATCH"}
    assert must(ask("POST", url, {"status": "WORKING"}, override))["status"] == "WORKING"
    assert "meta" in must(ask("POST", f"{base}/services/{service}", headers=override))


def test_validator_describes_itself_and_names_violations(base: str) -> None:
    described = must(ask("GET", f"{base}/validator"))
    assert (described["data"], "validator_schema" in described["meta"]) == ({}, True)
    schema = {"type": "object", "required": ["a"], "properties": {"b": {"type": "integer"}}}
    good = must(ask("POST", f"{base}/validator", {"object": {"a": 1}, "schema": schema}))
    assert good["data"] == {"status": "Validation was successful"}
    bad = ask("POST", f"{base}/validator", {"object": {"b": "x"}, "schema": schema})
    assert len(errors(bad, 400)) == 2
    assert errors(ask("POST", f"{base}/validator", {"object": [], "schema": {}}), 400)


@pytest.mark.parametrize(
    "path", ["services/7", "services/7/jobs", "services/7/queue", "services/7/jobs/next", "jobs/7"]
)
def test_id_that_is_no_uuid_is_not_found(base: str, path: str) -> None:
    assert errors(ask("GET", f"{base}/{path}"), 404)[0]["title"] == "Not UUID Error"


def test_unknown_ids_are_not_found(base: str) -> None:
    assert errors(ask("GET", f"{base}/services/{UNKNOWN}"), 404)[0]["title"] == "Service Not Found"
    assert errors(ask("POST", f"{base}/services/{UNKNOWN}/jobs", {"parameters": {}}), 404)
    assert errors(ask("GET", f"{base}/jobs/{UNKNOWN}"), 404)[0]["title"] == "Job Not Found"
    assert errors(ask("PATCH", f"{base}/jobs/{UNKNOWN}", {}), 404)
    assert errors(ask("GET", f"{base}/nothing"), 404)


def test_other_methods_and_bodies_are_refused(base: str, service: str) -> None:
    assert errors(ask("DELETE", f"{base}/services"), 405)
    not_json = errors(ask("POST", f"{base}/services/{service}/jobs", raw=b"{"), 400)
    assert not_json[0]["title"] == "Request Not JSON"


def test_errors_elsewhere_stay_problem_documents(address: str) -> None:
    answer = ask("GET", f"{address}/nothing")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
