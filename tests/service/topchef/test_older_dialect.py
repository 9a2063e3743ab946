"""Each route as the original Python client asks it: the older dialect, with its keys, its PUT and its errors."""

import uuid
from typing import Any

from support.topchef_original import OriginalListener, ask, must, new_job, new_service, square

UNKNOWN = str(uuid.UUID(int=1))


def test_service_details_come_with_the_registration(base: str) -> None:
    body = {"name": "n", "description": "d", "job_registration_schema": {"type": "object"}}
    made = ask("POST", f"{base}/services", body)
    details = must(made, 201)["data"]["service_details"]
    assert details["job_result_schema"] == {"type": "object"}, "the default of the client"
    assert details["url"] == made.headers["Location"] == f"{base}/services/{details['id']}"
    assert details.items() <= must(ask("GET", details["url"]))["data"].items()
    listed = {each["id"]: each for each in must(ask("GET", f"{base}/services"))["data"]}
    assert {"name": "n", "has_timed_out": False, "url": details["url"]}.items() <= listed[details["id"]].items()


def test_job_details_come_with_the_submission(base: str, service: str) -> None:
    made = must(ask("POST", f"{base}/services/{service}/jobs", {"parameters": {"n": 1}}), 201)
    details = made["data"]["job_details"]
    assert {"id", "date_submitted", "status", "parameters"} <= details.keys()
    assert must(ask("GET", f"{base}/jobs/{details['id']}"))["data"]["result"] == {}


def test_whole_job_is_put_with_one_key_changed(base: str, service: str) -> None:
    url = f"{base}/jobs/{new_job(base, service)}"

    def put(**change: Any) -> Any:
        answer = ask("PUT", url, must(ask("GET", url))["data"] | change)
        job = must(answer)["data"]["job_schema"]
        assert answer.headers["Location"] == url
        assert must(ask("GET", url))["data"] == job, "the next request, on another connection, reads what was written"
        return job

    assert put(result={"square": 4})["status"] == "REGISTERED", "a result may come before WORKING"
    assert put(status="WORKING")["result"] == {"square": 4}
    assert put(result={"square": 9})["result"] == {"square": 9}
    done = put(status="COMPLETED")
    assert (done["status"], done["result"], done["results"]) == ("COMPLETED", {"square": 9}, {"square": 9})
    assert put(status="COMPLETED") == done, "a repeated request changes nothing"


def test_put_below_the_service_is_the_same(base: str, service: str) -> None:
    job = new_job(base, service)
    path = f"services/{service}/jobs/{job}"
    assert must(ask("PUT", f"{base}/{path}", {"status": "WORKING"}))["data"]["job_schema"]["status"] == "WORKING"
    assert ask("PUT", f"{base}/services/{new_service(base)}/jobs/{job}", {"status": "WORKING"}).status == 404


def test_errors_of_put_are_texts_or_violations(base: str, service: str) -> None:
    assert isinstance(ask("PUT", f"{base}/jobs/{UNKNOWN}", {}).json["errors"], str)
    assert ask("PUT", f"{base}/jobs/x", {}).status == 404
    job = new_job(base, service)
    assert "not JSON" in ask("PUT", f"{base}/jobs/{job}", raw=b"nothing").json["errors"]
    bad = ask("PUT", f"{base}/jobs/{job}", {"result": {"square": "x"}})
    assert (bad.status, len(bad.json["errors"]["context"])) == (400, 1)


def test_unset_result_is_not_checked_against_the_schema(base: str, service: str) -> None:
    job = new_job(base, service)
    body = must(ask("GET", f"{base}/jobs/{job}"))["data"] | {"status": "WORKING"}
    assert body["result"] == {}
    must(ask("PUT", f"{base}/jobs/{job}", body))


def test_check_in_and_heartbeat_answer_in_its_words(base: str, service: str) -> None:
    answer = must(ask("PATCH", f"{base}/services/{service}"))
    assert answer["data"].startswith(f"service {service} checked in at ")
    must(ask("PATCH", f"{base}/services/{service}", {}))


def test_next_leads_to_the_following_job(base: str, service: str) -> None:
    first, second = new_job(base, service, 1), new_job(base, service, 2)
    answer = ask("GET", f"{base}/jobs/{first}/next")
    assert (answer.status, answer.headers["Location"]) == (302, f"{base}/jobs/{second}")
    assert ask("GET", f"{base}/jobs/{second}/next").status == 204


def test_echo_answers_what_was_sent(base: str) -> None:
    assert must(ask("POST", f"{base}/echo", {"a": [1, None]})) == {"data": {"a": [1, None]}}
    assert isinstance(ask("POST", f"{base}/echo", raw=b"{").json["errors"], str)


def test_iteration_of_the_original_does_its_own_job(base: str, service: str) -> None:
    listener = OriginalListener(base, service)
    assert listener.is_server_alive()
    assert listener.queue() == []
    jobs = [new_job(base, service, n) for n in range(3)]
    for _ in jobs:
        listener.check_in()
        listener.run_iteration(square)
    results = [must(ask("GET", f"{base}/jobs/{job}"))["data"]["result"] for job in jobs]
    assert results == [{"square": n**2} for n in range(3)], "no result landed on another job"
    assert listener.queue() == []
