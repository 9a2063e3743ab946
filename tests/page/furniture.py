"""What the story of the shop lacks: schedules, locks, requests of web servers, services. Written over HTTP."""

import threading
from typing import Any

import journeyman as jm
from support.service import client

HELD_LOCK = "stock-taking"
SCHEDULE = "nightly-report"
OTHER_SCHEDULE = "hourly-import"
SERVICE = "label-printer"


def furnish(url: str, address: str) -> dict[str, Any]:
    """Add them to a journal that is served at `address`; returns what was registered of the service."""
    thread = threading.Thread(target=_schedule, args=(url,))  # Playwright leaves a loop running in the tests' own
    thread.start()
    thread.join()
    with client(address) as http:
        events = [_lock(name, 600_000) for name in ("atlas-41210", "borealis-1977", "draco-882")]
        requests = [_request(number, f"/orders/{7_000 + number}", ended=number > 1) for number in range(6)]
        given = [*events, *(event for request in requests for event in request)]
        for event in given:
            answer = http.post("/events", json=event)
            assert answer.status_code == 201, answer.text
        schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
        said = {"name": SERVICE, "description": "prints a label for a parcel", "job_registration_schema": schema}
        answer = http.post("/topchef/services", json=said)
        assert answer.status_code == 201, answer.text
        service = dict(answer.json()["data"])
        for text in ("fragile", "this side up"):
            job = http.post(f"/topchef/services/{service['id']}/jobs", json={"parameters": {"text": text}})
            assert job.status_code == 201, job.text
        return service


def _schedule(url: str) -> None:
    with jm.Journal(url) as journal:
        broker = jm.Broker(journal)
        jm.task(broker, name=SCHEDULE, trigger=jm.CronTrigger.from_crontab("0 3 * * *"))(lambda: None).generate()
        jm.task(broker, name=OTHER_SCHEDULE, trigger=jm.CronTrigger.from_crontab("7 * * * *"))(lambda: None).generate()


def _lock(owner: str, lease_ms: int) -> dict[str, Any]:
    context = {"lock": HELD_LOCK, "owner": owner, "lease_ms": lease_ms, "host": owner.split("-", maxsplit=1)[0]}
    return {"name": "lock.requested", "context": context, "key": HELD_LOCK}


def _request(number: int, path: str, *, ended: bool) -> list[dict[str, Any]]:
    task = {"task_id": number, "method": "GET", "path": path, "client_ip_address": "10.0.0.7", "host_name": "front"}
    context = {"instance": "web-1", "request": str(number)}
    begun = {**context, "task": {**task, "started_at": "2026-11-30T09:00:00.000000+00:00"}}
    events = [{"name": "request.started", "context": begun, "key": "web-1"}]
    if ended:
        done = {"status_code": 500 if number == 3 else 200, "ended_at": "2026-11-30T09:00:00.250000+00:00"}
        events.append({"name": "request.ended", "context": {**context, "task": done}, "key": "web-1"})
    return events
