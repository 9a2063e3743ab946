"""Operating the service: metrics against their table, probes, the access log, what happens when the journal goes."""

import json
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import journeyman as jm
import pytest
from journeyman.service import counted
from journeyman.service.operation.access_log import AccessLogUnavailable, access_log
from journeyman.service.operation.requests import OTHER_METHOD, Answered, RequestCounts
from journeyman.service.settings import Settings
from journeyman.tasks.metrics.table import METRICS, PROCESS_METRICS, Exporter
from prometheus_client.parser import text_string_to_metric_families
from support.service import client, keyring, service_here
from support.shop import Shop
from support.waiting import wait_until

KEY = "an-example-of-a-key-to-be-found-nowhere"


def _scrape(http: httpx2.Client, **headers: str) -> dict[tuple[str, ...], float]:
    answer = http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def _depth(http: httpx2.Client, queue: str, state: str = "ready") -> float | None:
    return _scrape(http).get(("journeyman_queue_depth", queue, state))


def test_service_exports_its_part_of_the_table(http: httpx2.Client, url: str) -> None:
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message("send", queue="table"))
    http.get("/")
    families = text_string_to_metric_families(http.get("/metrics").text)
    exported = {f"{each.name}_total" if each.type == "counter" else each.name for each in families}
    expected = {metric.name for metric in METRICS if metric.exporter is not Exporter.WORKER}
    assert exported == expected | set(PROCESS_METRICS)


def test_depth_never_reads_zero_while_a_task_waits(http: httpx2.Client, url: str) -> None:
    with jm.Journal(url) as journal:
        broker = jm.Broker(journal)
        for count in range(1, 31):  # no worker runs; each scrape comes right behind the acknowledgement
            broker.submit(jm.Message("send", queue="scaled"))
            assert _depth(http, "scaled") == count


def test_runs_of_remote_workers_are_counted() -> None:
    with service_here("memory://") as address, client(address) as http:
        worker = http.post("/workers/join", json={"tasks": ["add"]}).json()["worker"]
        http.post("/tasks", json=[{"task_name": "add", "max_retries": 0}] + [{"task_name": "add"}] * 3)
        claimed = http.post("/workers/claim", json={"worker": worker, "limit": 4, "wait": 30}).json()["tasks"]
        spent, done, again, left = [
            {"worker": worker, "task": each["task"], "claim": each["claim"]} for each in claimed
        ]
        error = {"error": {"name": "Sad", "text": "no"}}
        http.post("/workers/retry", json=spent | error)
        http.post("/workers/complete", json=done)
        assert http.post("/workers/complete", json=done).status_code == 409
        http.post("/workers/retry", json=again | error | {"delay_ms": 3_600_000})
        assert left["task"] in http.post("/workers/beat", json={"worker": worker}).json()["tasks"]
        http.post("/workers/leave", json={"worker": worker})
        values = _scrape(http)
    assert values["journeyman_claims_total",] == 4
    for kind in ("succeeded", "failed", "interrupted"):
        assert values["journeyman_outcomes_total", kind] == 1, kind
    assert values["journeyman_retries_total",] == 1
    assert values["journeyman_refused_total", "outcome"] == 1
    assert values["journeyman_refused_total", "claim"] == values["journeyman_expiries_total",] == 0


def test_requests_are_counted_by_their_pattern(http: httpx2.Client) -> None:
    for _ in range(3):
        http.get("/")
    http.get("/no/such/path")
    values = _scrape(http)
    assert values["journeyman_request_seconds_count", "GET", "/", "200"] >= 3
    assert values["journeyman_request_seconds_count", "GET", "(none)", "404"] >= 1
    assert values["journeyman_response_bytes_total", "/"] > 0
    assert values["journeyman_requests_running",] == 1  # this one


def test_callers_cannot_add_labels() -> None:
    counts = RequestCounts()
    for number in range(100):
        counts.add(Answered("/", f"METHOD{number}", 405, 0.1, 10, is_stream=False))
    counts.add(Answered("/events", "GET", 200, 3_600.0, 10, is_stream=True))
    labels = [sample.labels for sample in counts.samples() if sample.name == "journeyman_request_seconds"]
    assert labels == [("/", OTHER_METHOD, "405")], "and the time of a stream is left out"


def test_openmetrics_is_spoken_to_a_scraper_that_asks(http: httpx2.Client) -> None:
    answer = http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_overdue_schedule_shows_without_any_worker(http: httpx2.Client, url: str) -> None:
    with jm.Journal(url) as journal:

        @jm.task(jm.Broker(journal), trigger=jm.IntervalTrigger(seconds=1))
        def tick() -> None:
            raise AssertionError("no worker runs")

        tick.generate()
    wait_until(
        lambda: _scrape(http)["journeyman_schedules_overdue_seconds",] > 0.0, "the tick that no process fires to show"
    )


def test_probes_need_no_key_and_metrics_need_read(tmp_path: Path) -> None:
    settings = Settings(port=0, keyring=keyring(f"prom read {KEY}", "worker work another-key-of-some-length"))
    with service_here(f"sqlite:///{tmp_path}/shop.db", settings) as address, client(address) as http:
        assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200
        assert http.get("/metrics").status_code == 401
        assert http.get("/metrics", headers={"Authorization": "Bearer another-key-of-some-length"}).status_code == 403
        assert _scrape(http, Authorization=f"Bearer {KEY}")["journeyman_replica_current",] == 1


def test_lost_journal_is_unready_and_its_metrics_absent(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message("send", queue="mail"))
    with service_here(url) as address, client(address) as http:
        assert _depth(http, "mail") == 1
        assert http.get("/readyz").json() == {"ok": True}
        for path in tmp_path.glob("shop.db*"):
            if path.is_file():
                path.unlink()
        wait_until(lambda: http.get("/readyz").status_code == 503, "the service to be unready")
        problem = http.get("/readyz").json()
        assert (problem["type"], str(tmp_path) in problem["detail"]) == ("urn:journeyman:not-ready", False)
        values = _scrape(http)
        assert values["journeyman_replica_current",] == 0
        assert not any(key[0] == "journeyman_queue_depth" for key in values), "absent, and not zero"
        assert http.get("/healthz").status_code == 200, "a new process would not reach the journal either"


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_access_log_names_the_caller_and_never_the_key(tmp_path: Path) -> None:
    log, rotated = tmp_path / "access.log", tmp_path / "access.log.1"
    settings = Settings(port=0, keyring=keyring(f"shop read {KEY}"), access_log=str(log))
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"Authorization": f"Bearer {KEY}", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    with service_here(f"sqlite:///{tmp_path}/shop.db", settings) as address, client(address) as http:
        answer = http.get("/?a=secret", headers=headers)
        http.get("/", headers={"Authorization": "Bearer wrong-key-wrong-key"})
        http.get("/no/such", headers=headers | {"traceparent": "rubbish"})
        wait_until(lambda: len(_lines(log)) == 3, "three lines in the access log")
        good, refused, lost = _lines(log)
        log.rename(rotated)
        http.get("/healthz")
        wait_until(lambda: [line["route"] for line in _lines(log)] == ["/healthz"], "a line in the new file")
    assert good.keys() == {
        "time", "method", "route", "path", "status", "seconds", "bytes", "caller", "client", "trace",
    }  # fmt: skip
    assert (good["method"], good["route"], good["status"], good["caller"]) == ("GET", "/", 200, "shop")
    assert (good["bytes"], good["trace"], good["client"]) == (len(answer.content), trace, "127.0.0.1")
    assert (refused["status"], refused["caller"]) == (401, None)
    assert (lost["status"], lost["route"], lost["path"], lost["trace"]) == (404, "(none)", "/no/such", None)
    said = rotated.read_text() + log.read_text()
    assert not any(secret in said for secret in (KEY, "wrong-key", "secret"))


def test_access_log_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(AccessLogUnavailable, match="Name another file"), access_log(str(tmp_path / "no" / "log")):
        raise AssertionError("it was opened")


def test_long_queue_is_counted_in_portions(monkeypatch: pytest.MonkeyPatch, http: httpx2.Client, url: str) -> None:
    monkeypatch.setattr(counted, "COUNTED_TASKS", 7)
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit_all([jm.Message("send", queue="long") for _ in range(100)], new=True)
    assert _depth(http, "long") == 100
    assert http.get("/queues/long").json()["ready"] == 100


@pytest.mark.anyio
async def test_other_requests_run_while_a_queue_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "COUNTED_TASKS", 7)
    shop, turns = Shop(), list[int]()
    for _ in range(70):
        await shop.submit_message(jm.Message("send", queue="long"))
    view = shop.view()

    async def others() -> None:
        while True:
            turns.append(len(turns))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(others)
        found = await counted.counted(view, time.time())
        group.cancel_scope.cancel()
    assert found.queues["long"].ready == 70
    assert len(turns) >= 9  # one between two portions
