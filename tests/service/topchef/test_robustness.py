"""Services and jobs over several partitions, at the end of the service, by the clock, and under any request."""

import json
import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journeyman.service.topchef import registry
from journeyman.service.topchef.registry import has_timed_out
from journeyman.tasks.state.services import Service
from support.service import running_service, service_here
from support.topchef_original import Answer, OriginalListener, ask, must, new_job, new_service, square


def test_jobs_of_several_partitions_are_one_queue() -> None:
    with service_here("memory://?partitions=3") as address:
        base = f"{address}/topchef"
        service = new_service(base)
        jobs = [new_job(base, service, n) for n in range(9)]
        listener = OriginalListener(base, service)
        assert [job["id"] for job in listener.queue()] == jobs
        claimed = {"listener": "l", "wait": 20}
        url = f"{base}/services/{service}/jobs/claim"
        held = [must(ask("POST", url, claimed | {"listener": f"l{n}"}))["data"] for n in range(3)]
        for job in held:
            body = {"status": "COMPLETED", "results": square(job["parameters"])}
            must(ask("PATCH", f"{base}/jobs/{job['id']}", body, {"X-Claim-Token": str(job["token"])}))
        for _ in jobs[3:]:
            listener.run_iteration(square)
        shown = must(ask("GET", f"{base}/services/{service}/jobs"))["data"]
        assert [(job["id"], job["results"]) for job in shown] == [(job, square({"n": n})) for n, job in enumerate(jobs)]


def test_waiting_requests_are_answered_when_the_service_ends(tmp_path: Any) -> None:
    answers: list[Answer] = []
    with running_service(f"sqlite:///{tmp_path}/shop.db") as running:
        base = f"{running.address}/topchef"
        service = new_service(base)
        job = new_job(base, service)
        began = threading.Event()

        def wait() -> None:
            began.set()
            answers.append(ask("GET", f"{base}/jobs/{job}?wait=60"))

        waiting = threading.Thread(target=wait)
        waiting.start()
        began.wait()
        ask("GET", base)  # the request before it has been read by now
        running.service.stop()
        waiting.join(50)
    assert [answer.json["data"]["status"] for answer in answers] == ["REGISTERED"]


@pytest.mark.parametrize(("silent", "late"), [(31.0, False), (45.0, False), (62.0, True)])
def test_service_times_out_after_twice_its_timeout(silent: float, late: bool) -> None:
    seen = time.time() - silent
    assert has_timed_out(Service("s", 0, seen, "n", "d", b"{}", b"{}", seen, 0, timeout=30.0)) is late


def test_check_ins_at_once_are_written_once(base: str, service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "TOPCHEF_CHECK_IN_SECONDS", 60.0)
    said = {must(ask("PATCH", f"{base}/services/{service}"))["meta"] for _ in range(3)}
    assert len(said) == 1


# -- any request -------------------------------------------------------------------------------------------------------

VALUES: st.SearchStrategy[Any] = st.sampled_from([
    None, True, 0, -1, 1e308, 2**70, "", "x", "\ud800", "\x00é", [], {}, [[]], {"a": {"b": 1}}, "WORKING", "completed",
    "ERROR", "REGISTERED", "a" * 20_000,
])  # fmt: skip
FIELDS = st.sampled_from([
    "status", "result", "results", "error", "name", "description", "job_registration_schema", "job_result_schema",
    "parameters", "timeout", "is_available", "listener", "wait", "holding", "lease_ms", "object", "schema",
])  # fmt: skip
BODIES = (
    st.binary(max_size=30)
    | st.just(b"[" * 5_000)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(FIELDS, VALUES, max_size=6).map(lambda value: json.dumps(value).encode())
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "X-Claim-Token": st.sampled_from(["1", "x", "-5", "9" * 20]),
        "X-Listener": st.sampled_from(["", "a", "b" * 200]),
        "X-If-Exists": st.sampled_from(["return", "x"]),
        "X-HTTP-Method-Override": st.sampled_from(["PATCH", "DELETE", "GARBAGE", "put"]),
        "Content-Type": st.sampled_from(["text/plain", "application/json; charset=latin-1", "multipart/form-data"]),
    },
)
PATHS = st.sampled_from([
    "", "/services", "/services/{s}", "/services/{s}/jobs", "/services/{s}/jobs/claim", "/services/{s}/queue?wait=0",
    "/services/{s}/queue?wait=nan", "/services/{s}/jobs/next", "/jobs", "/jobs/{j}", "/jobs/{j}/next",
    "/jobs/{j}?wait=x", "/validator", "/echo", "/services/{s}/jobs/{j}", "/services/%2F",
    "/jobs/%00", "/services/{j}", "/jobs/{s}",
])  # fmt: skip


@given(method=st.sampled_from(["GET", "POST", "PUT", "PATCH"]), path=PATHS, body=BODIES, headers=HEADERS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_makes_the_service_fail(
    base: str, service: str, method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    job = new_job(base, service)
    answer = ask(method, base + path.format(s=service, j=job), None, headers, body)
    assert answer.status < 500, answer.text
    if answer.status >= 400:
        assert answer.json["errors"]
